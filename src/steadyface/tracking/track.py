"""What is remembered of a face, and what one frame shows of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from steadyface.geometry import Region, bounding_box, box_of_pixels, face_size, fraction_inside
from steadyface.images import Frame
from steadyface.landmarker import Landmarks
from steadyface.stabilizer import State
from steadyface.tracking.appearance import Identity, Look, look_at
from steadyface.tracking.matching import contested
from steadyface.tracking.roi import ahead

_JUMP = 0.25  # face sizes that a face may get off its path at once …
_JUMP_LATER = 1.5  # … and more for each second
_SUDDEN = 0.3  # distance of two looks of a face in successive frames that is not to be expected
_SAME = 0.1  # … below which nothing has changed
_SWIFTNESS = 0.5  # share of a new velocity in the running mean
_FORESIGHT = 0.2  # s for which a face's motion is taken to go on as it was
_NEAR = 2.0  # face sizes between two faces of which one may hide the other
_HAIR = 0.4  # sizes of a face to each side of it in which its head may hide another's face
_WHOLE = 0.95  # share of a face inside the frame from which on its look tells who it is
_SMALLEST = 8.0  # px of a face


@dataclass(frozen=True)
class TrackedFace:
    """One face in one frame, in image px.

    Args:
        face: identity, from 0.
        points: (68, 2) stabilised.
        raw_points: (68, 2) as the network gave them.
        scores: (68,) in [0, 1].
        box: (4,) x0, y0, x1, y1 of the stabilised points.
        held: whether the face is lost, and this its last shape; scores fall until it is dropped.
    """

    face: int
    points: Float[np.ndarray, "68 2"]
    raw_points: Float[np.ndarray, "68 2"]
    scores: Float[np.ndarray, "68"]
    box: Float[np.ndarray, "4"]
    held: bool = False


@dataclass(frozen=True)
class Sight:
    """A face as one frame shows it."""

    landmarks: Landmarks
    look: Look
    clear: bool  # all of it is in sight

    @property
    def points(self) -> Float[np.ndarray, "68 2"]:
        return self.landmarks.points


@dataclass(frozen=True)
class Track:
    """What is remembered of a face, tracked or lost."""

    identity: Identity
    region: Region  # around it in the last frame
    state: State | None = None  # the stabiliser's
    shown: TrackedFace | None = None  # in the last frame with it
    seen: float = -math.inf  # seconds of that frame
    velocity: Float[np.ndarray, "2"] = field(default_factory=lambda: np.zeros(2))  # px/s, even while hidden
    look: Look | None = None  # when it was last in clear sight
    asked: float = -math.inf  # seconds of the frame in which the witness was asked about it last
    doubts: int = 0  # whether it is this face, or one at all: frames in a row
    rival: int | None = None  # the face that it was lost to, in front of it

    @property
    def face(self) -> int:
        return self.identity.face

    def distance(self, sight: Sight, seconds: float) -> float:
        """`Identity.distance` to a sight."""
        return self.identity.distance(sight.points, sight.look, seconds, sight.clear)

    def jumped_to(self, sight: Sight, seconds: float) -> bool:
        """Whether it would have left its path faster than a head can."""
        if self.shown is None:
            return False
        elapsed = seconds - self.seen
        moved = (sight.points - self.shown.raw_points).mean(axis=0) - self.velocity * min(elapsed, _FORESIGHT)
        reach = float(face_size(self.shown.raw_points)) * (_JUMP + _JUMP_LATER * elapsed)
        return float(np.linalg.norm(moved)) > reach

    def looks_changed(self, sight: Sight) -> bool:
        """Whether its look is another than just before."""
        return self.look is not None and 1.0 - float(self.look @ sight.look) > _SUDDEN

    def is_untouched(self, frame: Frame) -> bool:
        """Whether another shot shows it where it was, unchanged: only a part of the picture was cut."""
        if self.shown is None or self.look is None:
            return False
        return 1.0 - float(self.look @ look_at(frame, self.shown.raw_points)) < _SAME

    def velocity_at(self, points: Float[np.ndarray, "68 2"], seconds: float) -> Float[np.ndarray, "2"]:
        """Its velocity once it is seen at the points, px/s."""
        if self.shown is None:
            return self.velocity
        moved = (points - self.shown.raw_points).mean(axis=0) / (seconds - self.seen)
        return self.velocity + _SWIFTNESS * (moved - self.velocity)

    def next_region(self, seconds: float) -> Region:
        """Where to look for it now."""
        return ahead(self.region, self.velocity * min(seconds - self.seen, _FORESIGHT))


Seen = tuple[Track, Sight]
"""A track with what this frame shows of it."""


def sights_of(
    frame: Frame, found: Iterable[Landmarks], beside: Float[np.ndarray, "others 68 2"] | None = None
) -> list[Sight]:
    """What a frame shows of the faces found; `beside` are others that may hide them."""
    found = list(found)
    others = np.zeros((0, 68, 2)) if beside is None else beside
    points = np.concatenate([np.array([each.points for each in found]).reshape(-1, 68, 2), others])
    whole = _in_clear_sight(frame, points)
    return [Sight(each, look_at(frame, each.points), bool(whole[i])) for i, each in enumerate(found)]


def points_of(sights: Sequence[Sight]) -> Float[np.ndarray, "faces 68 2"]:
    return np.array([sight.points for sight in sights]).reshape(-1, 68, 2)


def neighbour(face: int | None, sight: Sight, seen: list[Seen]) -> int | None:
    """The tracked face nearest to a sight of `face`, other than itself, if it is near enough to hide it."""
    others = [(track.face, each.points) for track, each in seen if track.face != face]
    away = {face: float(np.linalg.norm((points - sight.points).mean(axis=0))) for face, points in others}
    nearest = min(away, key=away.__getitem__, default=None)
    return nearest if nearest is not None and away[nearest] < _NEAR * face_size(sight.points) else None


def _in_clear_sight(frame: Frame, points: Float[np.ndarray, "faces 68 2"]) -> Bool[np.ndarray, "faces"]:
    """Which faces are in sight as a whole: hidden neither by another nor by the frame's border."""
    height, width = frame.shape[:2]
    whole = fraction_inside(bounding_box(points), box_of_pixels(0, 0, width, height)[None])[:, 0]
    return ~contested(points, _HAIR) & (whole > _WHOLE)


def is_face(landmarks: Landmarks, frame: Frame, least: float) -> bool:
    """Whether the network believes in it, it is larger than a few pixels and its middle is in the frame."""
    x0, y0, x1, y1 = bounding_box(landmarks.points)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    height, width = frame.shape[:2]
    inside = 0 <= x < width and 0 <= y < height
    return bool(inside and min(x1 - x0, y1 - y0) > _SMALLEST and landmarks.scores.mean() >= least)
