"""Displacements of a tracked face's landmarks, frame by frame: crops that follow it, and what they show."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from steadyface.arrays import FacePoints
from steadyface.geometry import Affine, Region
from steadyface.motion import (
    Displacements,
    FaceCrop,
    face_region,
    follow_region,
    measure_displacements,
    robust_similarity,
)
from steadyface.picture import Picture

_SIZE = 224  # px of the crop: smaller ones lose a third of the precision, larger ones cost twice the time
_MEMORY = 0.6  # of a landmark's trust, from frame to frame
_STILL = np.eye(2, 3)


class FaceView(NamedTuple):
    """A face as one frame shows it, for comparison with the next frame.

    Args:
        region: square of the frame, image px.
        crop: grey crop of it.
        trust: (68,) share of the last frames in which each landmark moved with the face, 0 to 1, the latest
            counting most. What covers the face comes over it bit by bit; so it cannot outvote the face.
    """

    region: Region
    crop: FaceCrop
    trust: Float[np.ndarray, "68"]


def cut_face(frame: Picture, region: Region) -> FaceCrop:
    """Cut a face out of a frame."""
    return FaceCrop(*frame.crop_grey(region, _SIZE))


def first_view(frame: Picture, raw_points: FacePoints) -> FaceView:
    """View a face that has just been found; raw points in image px."""
    region = face_region(raw_points)
    return FaceView(region, cut_face(frame, region), np.ones(len(raw_points)))


class Followed(NamedTuple):
    """A face in a frame, as the next frame is compared with it.

    Args:
        view: of the frame; None if motion is not measured.
        displacements: of its landmarks since the last frame; None in its first.
    """

    view: FaceView | None = None
    displacements: Displacements | None = None


def next_view(
    frame: Picture, before: FaceView, points: FacePoints, last_raw: FacePoints, raw: FacePoints
) -> tuple[FaceView, Displacements]:
    """View a face in the next frame, and measure how its landmarks moved since the last.

    Args:
        frame: the next frame.
        before: view in the last frame.
        points: (68, 2) stabilised in the last frame, image px; their displacements are measured.
        last_raw, raw: (68, 2) of the network in the last and in this frame, image px. They say roughly how
            the face moved.
    """
    return _follow(frame, before, points, robust_similarity(last_raw, raw), raw - last_raw)


def carried_view(
    frame: Picture, before: FaceView, points: FacePoints, last: Displacements, pace: float = 1.0
) -> tuple[FaceView, Displacements]:
    """View a face in the next frame as `next_view` does, where the network did not see that.

    The face is expected to move on as it did; a crop that rests where the face moves would leave much of the
    displacement unseen.

    Args:
        frame, before, points: as there.
        last: displacements that led to `points`.
        pace: time since the last frame over the time before.
    """
    motion = robust_similarity(points - last.displacement, points).matrix
    return _follow(frame, before, points, Affine(_STILL + pace * (motion - _STILL)), None)


def _follow(
    frame: Picture, before: FaceView, points: FacePoints, motion: Affine, step: FacePoints | None
) -> tuple[FaceView, Displacements]:
    region, expected = follow_region(before.region, points, motion)
    crop = cut_face(frame, region)
    measured = measure_displacements(before.crop, crop, points, expected, step=step, trust=before.trust)
    trust = _MEMORY * before.trust + (1 - _MEMORY) * measured.valid
    return FaceView(region, crop, trust), measured
