"""Regions of a face's crops in two frames, in which the face moves as little as possible."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Complex, Float

from steadyface import markup
from steadyface.arrays import Points, PointStack
from steadyface.geometry import CROP_MARGIN, Affine, Region, face_size, map_each

ComplexPoints = Complex[np.ndarray, "*batch landmarks"]
ComplexEach = Complex[np.ndarray, "*batch 1"]

_ROUNDS = 2  # of reweighting
_OWN = 0.004  # face sizes off the common motion at which a landmark's weight is halved
_REST = 0.006  # sides: if no landmark moves by more, the region stays
_ASTRAY = 0.08  # `Region.change_to` from a followed region to a new one above which the new one is taken


def robust_similarity(points: Points, moved: Points) -> Affine:
    """Similarity (shift, turn and scale) by which most of the landmarks moved.

    Equation: least squares, reweighted by 1/(1 + (r/s)²), s = 0.4 % of face size.

    Args:
        points, moved: image px.

    >>> face = np.random.default_rng(0).uniform(0, 100, (68, 2))
    >>> moved = face + [3.0, 0.0]
    >>> moved[:5] += 40
    >>> robust_similarity(face, moved)(np.zeros((1, 2))).round(1)
    array([[3., 0.]])
    """
    return robust_similarities(points[None], moved[None])[0]


def robust_similarities(points: PointStack, moved: PointStack) -> list[Affine]:
    """Similarity of each of several faces, as `robust_similarity` gives it; image px."""
    source, target = as_complex(points), as_complex(moved)
    variance = (_OWN * np.asarray(face_size(points))[:, None]) ** 2
    weights = np.ones(source.shape)
    for _ in range(_ROUNDS):
        turn, shift = _similarity(source, target, weights)
        residual = turn * source + shift - target
        weights = 1 / (variance + (residual.real**2 + residual.imag**2))
    turn, shift = _similarity(source, target, weights)
    numbers = zip(turn[:, 0].tolist(), shift[:, 0].tolist(), strict=True)
    return [Affine(np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])) for a, b in numbers]


def as_complex(points: Float[np.ndarray, "*batch 2"]) -> Complex[np.ndarray, "*batch"]:
    """Points as x + iy, in which a similarity is z ↦ a·z + b."""
    return np.ascontiguousarray(points, float).view(complex)[..., 0]


def _similarity(
    source: ComplexPoints, target: ComplexPoints, weights: Float[np.ndarray, "*batch landmarks"]
) -> tuple[ComplexEach, ComplexEach]:
    """The a and b with the least Σ w·|a·z + b - target|², z the source.

    Source: Umeyama 1991, in two dimensions.
    """
    weights = weights / np.add.reduce(weights, axis=-1, keepdims=True)
    source_mean = np.add.reduce(weights * source, axis=-1, keepdims=True)
    target_mean = np.add.reduce(weights * target, axis=-1, keepdims=True)
    centred = source - source_mean
    weighted = weights * centred.conj()
    turn = np.add.reduce(weighted * target, axis=-1, keepdims=True)
    turn = turn / np.add.reduce(weighted * centred, axis=-1, keepdims=True).real
    return turn, target_mean - turn * source_mean


def follow_region(region: Region, points: Points, motion: Affine) -> tuple[Region, Points]:
    """Choose the region of a face's crop in the next frame, and predict its landmarks there.

    The region moves with the face. While the face rests it stays exactly where it is: both frames are then
    resampled alike, which makes no noise. A region that has strayed from the face is replaced by a new one.

    Args:
        region: of the crop in the last frame, image px.
        points: (68, 2) landmarks in the last frame, image px.
        motion: of the face from the last frame to the next, such as `robust_similarity` of the network's
            points.

    Returns:
        The region, and the landmarks' expected positions (68, 2), both in px of the next frame.
    """
    (region,), (expected,) = follow_regions([region], points[None], [motion])
    return region, expected


def follow_regions(
    regions: Sequence[Region], points: PointStack, motions: Sequence[Affine]
) -> tuple[list[Region], PointStack]:
    """Regions and expected positions of several faces, as `follow_region` gives them for each."""
    expected = map_each(motions, points)
    distances = np.abs(expected - points).reshape(len(points), -1)
    farthest = np.maximum.reduce(distances, axis=1).tolist()
    rests = [distance < _REST * region.side for distance, region in zip(farthest, regions, strict=True)]
    for i, rest in enumerate(rests):
        if rest:
            expected[i] = points[i]
    followed = []
    for region, motion, rest, new in zip(regions, motions, rests, _around(expected), strict=True):
        moved = region if rest else _moved(region, motion)
        followed.append(new if moved.change_to(new) > _ASTRAY else moved)
    return followed, expected


def face_region(points: Points, margin: float = CROP_MARGIN) -> Region:
    """Square around a face's landmarks, turned with the line through its eyes.

    Args:
        points: (68, 2) image px.
        margin: side of the square over the larger side of the points' turned box.
    """
    return _around(points[None], margin)[0]


def _around(points: PointStack, margin: float = CROP_MARGIN) -> list[Region]:
    """Square around each face's landmarks, as `face_region` gives it."""
    eyes = points[:, markup.OUTER_EYE_CORNERS].tolist()
    rolls = [math.atan2(ly - ry, lx - rx) for (rx, ry), (lx, ly) in eyes]
    return Region.around_faces(points, rolls, margin)


def _moved(region: Region, motion: Affine) -> Region:
    """Move, turn and scale a region by a similarity."""
    (a, b, x), (c, d, y) = motion.matrix.tolist()
    turn = complex(a, c)
    x, y = a * region.x + b * region.y + x, c * region.x + d * region.y + y
    return Region(x, y, region.side * abs(turn), region.roll + cmath.phase(turn))
