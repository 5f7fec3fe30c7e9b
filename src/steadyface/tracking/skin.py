"""Displacements of a tracked face's landmarks, frame by frame: crops that follow it, and what they show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from steadyface.arrays import FacePoints, FaceStack
from steadyface.geometry import Affine, Region
from steadyface.motion import (
    Displacements,
    FaceCrop,
    face_region,
    follow_regions,
    measure_faces,
    robust_similarities,
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


def next_views(
    frame: Picture, before: Sequence[FaceView], points: FaceStack, last_raw: FaceStack, raw: FaceStack
) -> list[tuple[FaceView, Displacements]]:
    """View some faces in the next frame, and measure how their landmarks moved since the last.

    Args:
        frame: the next frame.
        before: views in the last frame.
        points: (faces, 68, 2) stabilised in the last frame, image px; their displacements are measured.
        last_raw, raw: (faces, 68, 2) of the network in the last and in this frame, image px. They say roughly
            how the faces moved.
    """
    return _follow(frame, before, points, robust_similarities(last_raw, raw), raw - last_raw)


def carried_views(
    frame: Picture,
    before: Sequence[FaceView],
    points: FaceStack,
    last: Sequence[Displacements],
    paces: Sequence[float],
) -> list[tuple[FaceView, Displacements]]:
    """View some faces in the next frame as `next_views` does, where the network did not see it.

    A face is expected to move on as it did; a crop that rests where the face moves would leave much of the
    displacement unseen.

    Args:
        frame, before, points: as there.
        last: displacements that led to `points`.
        paces: time since the last frame over the time before, of each face.
    """
    earlier = points - np.array([each.displacement for each in last])
    motions = [
        Affine(_STILL + pace * (motion.matrix - _STILL))
        for motion, pace in zip(robust_similarities(earlier, points), paces, strict=True)
    ]
    return _follow(frame, before, points, motions, None)


def _follow(
    frame: Picture,
    before: Sequence[FaceView],
    points: FaceStack,
    motions: Sequence[Affine],
    step: FaceStack | None,
) -> list[tuple[FaceView, Displacements]]:
    regions, expected = follow_regions([view.region for view in before], points, motions)
    crops = [cut_face(frame, region) for region in regions]
    trust = np.array([view.trust for view in before])
    earlier = [view.crop for view in before]
    measured = measure_faces(earlier, crops, points, expected, step=step, trust=trust)
    valid = np.array([each.valid for each in measured])
    trust = _MEMORY * trust + (1 - _MEMORY) * valid
    views = map(FaceView, regions, crops, trust)
    return list(zip(views, measured, strict=True))
