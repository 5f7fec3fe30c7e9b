"""Observations of faces in a frame, with a descriptor of their appearance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float

from steadyface import markup
from steadyface.arrays import FacePoints, FaceStack
from steadyface.geometry import Affine, change_grid, fraction_in_frame
from steadyface.landmarker import Landmarks
from steadyface.picture import Picture
from steadyface.tracking.config import AppearanceConfig, TrackerConfig
from steadyface.tracking.matching import near_others
from steadyface.tracking.skin import Followed

Appearance = Float[np.ndarray, "descriptor"]
"""Descriptor of a face: cells × cells RGB averages without their mean, of unit length (zero if flat)."""

_CORNERS = np.array([*markup.OUTER_EYE_CORNERS, *markup.corners("outer_lips")])
_TRIANGLE = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]])
"""Weights of `_CORNERS` that give the outer corners of both eyes and the middle of the mouth."""
_ANCHORS = np.array([[0.1, 0.3], [0.9, 0.3], [0.5, 0.85]]) - 0.5
"""Positions of outer eye corners and mouth in the descriptor's patch, fractions of its side from (-½, -½)."""


class Estimate(NamedTuple):
    """Landmarks of one face in a frame, predicted by the network or carried there by measured motion.

    Args:
        landmarks: image px.
        followed: view and motion of the face, if its motion was measured before the network ran; else None.
        carried: whether that motion carried the landmarks here.
        appearance: descriptor from the last frame, which a carried face keeps; None if `observe` is to
            compute it.
    """

    landmarks: Landmarks
    followed: Followed | None = None
    carried: bool = False
    appearance: Appearance | None = None


@dataclass(frozen=True)
class Observation:
    """One face in one frame.

    Args:
        landmarks: its points and scores, image px.
        appearance: descriptor of the face there; that of a carried face comes from an earlier frame.
        unoccluded: whether neither another head nor the border of the frame hides a part of it.
        followed: view and motion of the face, if its motion was measured before the network ran; else None.
        carried: whether measured motion carried its points here, and the network did not run on it in this
            frame.
    """

    landmarks: Landmarks
    appearance: Appearance
    unoccluded: bool
    followed: Followed | None = None
    carried: bool = False

    @property
    def points(self) -> FacePoints:
        """The landmarks' points, image px."""
        return self.landmarks.points

    @property
    def visible_fraction(self) -> float:
        """Fraction of the landmarks that are rather visible than hidden; 1 if the network does not tell."""
        return 1 - float(np.count_nonzero(self.landmarks.visible < 0.5)) / len(self.points)


def observe(
    frame: Picture, faces: Sequence[Estimate], config: TrackerConfig, others: Sequence[Observation] = ()
) -> list[Observation]:
    """Describe the faces of a frame.

    Args:
        frame: the picture.
        faces: each of them.
        config: settings of the descriptor and of occlusion.
        others: observations of the frame's other faces, which may hide these.
    """
    landmarks = [face.landmarks for face in faces]
    unoccluded = _unoccluded(frame, [*landmarks, *(other.landmarks for other in others)], config)
    observations = []
    for face, is_unoccluded in zip(faces, unoccluded, strict=False):  # the others come after the faces
        appearance = face.appearance
        if appearance is None:
            appearance = describe(frame, face.landmarks.points, config.appearance)
        observations.append(
            Observation(face.landmarks, appearance, is_unoccluded, face.followed, face.carried)
        )
    return observations


def points_of(observations: Sequence[Observation]) -> FaceStack:
    """Stack the observations' points, image px."""
    return np.array([observation.points for observation in observations]).reshape(-1, 68, 2)


def describe(frame: Picture, points: FacePoints, config: AppearanceConfig) -> Appearance:
    """Compute the appearance descriptor of the face at the points, at a cost independent of its size.

    An affine map brings eyes and mouth to fixed positions, so that a turned head still fills the patch with
    its face. Subtracting the mean and normalising the length removes brightness and contrast.

    Args:
        frame: the picture.
        points: (68, 2) image px.
        config: number of cells and samples.
    """
    cells, side = config.cells, config.cells * config.samples
    to_frame = Affine((_corners_to_map(side) @ points[_CORNERS]).T)
    patch = frame.sample(to_frame, side, cv2.BORDER_REPLICATE)
    descriptor = cv2.resize(patch, (cells, cells), interpolation=cv2.INTER_AREA).astype(float).ravel()
    return _normalised(descriptor)


@lru_cache
def _corners_to_map(side: int) -> Float[np.ndarray, "3 4"]:
    """Matrix that turns the points of `_CORNERS` into a map from a patch to the frame, transposed.

    The map brings the anchors of the patch to the eyes and the mouth.
    """
    anchors = np.column_stack([change_grid(_ANCHORS, side), np.ones(3)])
    return np.linalg.solve(anchors, _TRIANGLE)


def appearance_distance(one: Appearance, other: Appearance) -> float:
    """Compute 1 - the cosine of two descriptors, from 0 to 2."""
    return 1.0 - float(one @ other)


def quarter_distance(one: Appearance, other: Appearance) -> float:
    """Smallest distance between corresponding quarters of two descriptors, each without its own mean.

    An object that covers part of a face leaves at least a quarter unchanged; another face changes all four.
    """
    return min(
        appearance_distance(_normalised(quarter), _normalised(other_quarter))
        for quarter, other_quarter in zip(_quarters(one), _quarters(other), strict=True)
    )


def _quarters(appearance: Appearance) -> list[np.ndarray]:
    cells = math.isqrt(len(appearance) // 3)
    square, half = appearance.reshape(cells, cells, 3), cells // 2
    return [
        part.ravel() for rows in (square[:half], square[half:]) for part in (rows[:, :half], rows[:, half:])
    ]


def _normalised(values: Appearance) -> Appearance:
    values = values - values.sum() / len(values)
    return values / max(math.sqrt(values @ values), 1e-9)


def _unoccluded(frame: Picture, faces: Sequence[Landmarks], config: TrackerConfig) -> list[bool]:
    """Whether neither another of the faces nor the border of the frame hides a part of each."""
    points = np.array([face.points for face in faces]).reshape(-1, 68, 2)
    hidden = near_others(points, config.occlusion, config.occlusion.head_margin).tolist()
    limit = config.occlusion.min_fraction_in_frame
    return [
        not near and fraction_in_frame(face.box, frame.width, frame.height) > limit
        for near, face in zip(hidden, faces, strict=True)
    ]
