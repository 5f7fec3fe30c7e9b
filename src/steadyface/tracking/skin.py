"""Displacements of a tracked face's landmarks, measured frame by frame in crops that follow the face."""

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
        crop: grey crop of that square.
        trust: (68,) fraction of the recent frames in which each landmark moved with the face, 0 to 1, the
            latest counting most. An object covers a face bit by bit, so the landmarks under it lose their
            trust before they can outvote the others.
    """

    region: Region
    crop: FaceCrop
    trust: Float[np.ndarray, "68"]


def cut_face(frame: Picture, region: Region) -> FaceCrop:
    """Cut a face out of a frame."""
    return FaceCrop(*frame.crop_grey(region, _SIZE))


def first_view(frame: Picture, raw_points: FacePoints) -> FaceView:
    """View a face that has just been found.

    Args:
        frame: the picture.
        raw_points: (68, 2) of the network, image px.
    """
    region = face_region(raw_points)
    return FaceView(region, cut_face(frame, region), np.ones(len(raw_points)))


class Followed(NamedTuple):
    """View of a face in a frame, with the motion since the last frame.

    Args:
        view: the next frame is compared with it; None if motion is not measured.
        displacements: of the landmarks since the last frame; None in the face's first.
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
        last_raw, raw: (faces, 68, 2) of the network in the last and in the next frame, image px, from which
            the search for the displacements begins.
    """
    return _follow(frame, before, points, robust_similarities(last_raw, raw), raw - last_raw)


def carried_views(
    frame: Picture,
    before: Sequence[FaceView],
    points: FaceStack,
    last: Sequence[Displacements],
    paces: Sequence[float],
) -> list[tuple[FaceView, Displacements]]:
    """View some faces in the next frame as `next_views` does, without points of the network in it.

    Each face is expected to go on at its last velocity. A crop that stayed behind a moving face would leave
    a large displacement to be measured, and lose much of it.

    Args:
        frame, before, points: as for `next_views`.
        last: displacements that led to `points`.
        paces: of each face, time since the last frame over the time between the two frames before.
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
