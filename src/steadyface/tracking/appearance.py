"""How a face is told from other faces: where it is about to be, how large it is, what it looks like."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float

from steadyface import markup
from steadyface.geometry import bounding_box, change_grid, face_size
from steadyface.images import Frame

Look = Float[np.ndarray, "look"]
"""A face as 8 × 8 coloured cells, free of brightness and contrast, of unit length."""

_CELLS, _SAMPLES = 8, 4  # cells a side; pixels read per cell and axis, however large the face is
_PLACES = (
    np.array([[0.1, 0.3], [0.9, 0.3], [0.5, 0.85]]) - 0.5
)  # of outer eye corners and mouth: shares of a side
_PACE = 0.05  # share of a new look in the running mean
_COASTING = 1.0  # s after which a face that is not seen has stopped
_SWIFTNESS = 0.5  # share of a new velocity in the running mean

_REACH = 0.25  # face sizes that a face may be off its path at once …
_WANDER = 1.0  # … and for each second that it was not seen, for two seconds
_GROWTH = 0.3  # the same of the logarithm of its size …
_GROWTH_LATER = 0.5
_ALIKE = 0.13  # distance of two looks: of one face mostly below 0.2, of two faces half the time above 0.4
_STRANGE = 0.3  # … from which on a look is not taken for the face's own


@dataclass(frozen=True)
class Identity:
    """A face as it was last seen clearly.

    Args:
        face: its number, from 0.
        centre: (2,) of its box, image px.
        size: `geometry.face_size`, px.
        velocity: (2,) px/s.
        seconds: when that was.
        look: running mean of its looks.
        clear: whether these were clear; that of a face which comes in through the frame's border is not yet.
    """

    face: int
    centre: Float[np.ndarray, "2"]
    size: float
    velocity: Float[np.ndarray, "2"]
    seconds: float
    look: Look
    clear: bool = True

    @classmethod
    def of(
        cls, face: int, points: Float[np.ndarray, "68 2"], look: Look, seconds: float, clear: bool = True
    ) -> Identity:
        """A face that is seen for the first time."""
        return cls(face, _centre(points), float(face_size(points)), np.zeros(2), seconds, look, clear)

    def moved(self, points: Float[np.ndarray, "68 2"], seconds: float) -> Identity:
        """Seen at another place."""
        centre = _centre(points)
        velocity = (centre - self.centre) / max(seconds - self.seconds, 1e-3)
        velocity = self.velocity + _SWIFTNESS * (velocity - self.velocity)
        return replace(self, centre=centre, size=float(face_size(points)), velocity=velocity, seconds=seconds)

    def returned(self, points: Float[np.ndarray, "68 2"], seconds: float) -> Identity:
        """Seen again after a while: where it has been meanwhile, nobody knows."""
        return replace(self.moved(points, seconds), velocity=np.zeros(2))

    def seen_as(self, look: Look) -> Identity:
        """With one more clear look in the mean, unless it is that of somebody else."""
        if not self.clear:
            return replace(self, look=look, clear=True)
        if not self.known_as(look):
            return self
        mean = (1 - _PACE) * self.look + _PACE * look
        return replace(self, look=mean / max(float(np.linalg.norm(mean)), 1e-9))

    def known_as(self, look: Look) -> bool:
        """Whether a clear look may be this face's."""
        return not self.clear or 1.0 - float(self.look @ look) < _STRANGE

    def distance(
        self, points: Float[np.ndarray, "68 2"], look: Look, seconds: float, clear: bool = True
    ) -> float:
        """How unlike this face another sight is: a sum of three terms, each about 1 where it may still be it.

        Args:
            points: (68, 2) image px.
            look: at that place.
            seconds: of the frame.
            clear: whether all of the face is in sight; else its look says little against it.
        """
        unlike = (1.0 - float(self.look @ look)) / _ALIKE
        return self.displacement(points, seconds) + (unlike if clear and self.clear else min(unlike, 1.0))

    def displacement(self, points: Float[np.ndarray, "68 2"], seconds: float) -> float:
        """The terms of `distance` that need no look: off its path, and of another size."""
        elapsed = max(seconds - self.seconds, 0.0)
        size, vague = float(face_size(points)), min(elapsed, 2.0)
        reach = max(self.size, size) * (_REACH + _WANDER * vague)
        away = self._off_path(_centre(points), elapsed) / reach
        grown = abs(math.log(max(size, 1e-3) / max(self.size, 1e-3))) / (_GROWTH + _GROWTH_LATER * vague)
        return away + grown

    def _off_path(self, place: Float[np.ndarray, "2"], elapsed: float) -> float:
        """Distance from the way that it would have gone; it may have stopped anywhere on it, or turned."""
        way = self.velocity * _COASTING * (1 - math.exp(-elapsed / _COASTING))
        gone = float((place - self.centre) @ way) / max(float(way @ way), 1e-9)
        return float(np.linalg.norm(place - self.centre - min(max(gone, 0.0), 1.0) * way))


def look_at(frame: Frame, points: Float[np.ndarray, "68 2"]) -> Look:
    """What the face at the points looks like; the cost does not grow with it.

    Eyes and mouth are brought to fixed places by an affine map, so that a turned head shows little else than
    its face.

    Args:
        frame: RGB uint8.
        points: (68, 2) image px.
    """
    right, left = (points[i] for i in markup.OUTER_EYE_CORNERS)
    mouth = points[list(markup.corners("outer_lips"))].mean(axis=0)
    side = _CELLS * _SAMPLES
    places = change_grid(_PLACES, side).astype(np.float32)
    to_frame = cv2.getAffineTransform(places, np.array([right, left, mouth], np.float32))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(frame, to_frame, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    cells = cv2.resize(crop, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA).astype(float).ravel()
    cells -= cells.mean()
    return cells / max(float(np.linalg.norm(cells)), 1e-9)


def _centre(points: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "2"]:
    box = bounding_box(points)
    return (box[:2] + box[2:]) / 2
