"""Regions of the crops of two frames, chosen so that a face moves as little as possible between them."""

from __future__ import annotations

import cmath
import math

import numpy as np
from jaxtyping import Float

from steadyface import markup
from steadyface.arrays import Points
from steadyface.geometry import Affine, Region, face_size

_ROUNDS = 2  # of reweighting
_OWN = 0.004  # of face size: how far a landmark may be off the common motion and still count much
_REST = 0.006  # sides: if no landmark moves by more, the crop stays
_ASTRAY = (
    0.08  # shift in sides, ln of growth and turn, in sum, between the crop and a new one around the face
)


def robust_similarity(points: Points, moved: Points) -> Affine:
    """The shift, turn and scale that take most landmarks to where they moved.

    Equation: least squares, reweighted by 1/(1 + (r/s)²), s = 0.4 % of face size.

    Args:
        points, moved: image px.

    >>> face = np.random.default_rng(0).uniform(0, 100, (68, 2))
    >>> moved = face + [3.0, 0.0]
    >>> moved[:5] += 40
    >>> robust_similarity(face, moved)(np.zeros((1, 2))).round(1)
    array([[3., 0.]])
    """
    scale = _OWN * float(face_size(points))
    motion = _similarity(points, moved, np.ones(len(points)))
    for _ in range(_ROUNDS):
        rest = motion(points) - moved
        motion = _similarity(points, moved, 1 / (scale**2 + np.add.reduce(rest * rest, axis=1)))
    return motion


def _similarity(points: Points, moved: Points, weights: Float[np.ndarray, "n"]) -> Affine:
    """The shift, turn and scale of least weighted squares.

    Source: Umeyama 1991, in two dimensions.
    """
    total = np.add.reduce(weights)
    middle, target = weights @ points / total, weights @ moved / total
    centred = points - middle
    weighted = weights[:, None] * centred
    (xx, xy), (yx, yy) = (weighted.T @ moved).tolist()
    squared = float(np.add.reduce(weighted * centred, axis=None))
    a, b = (xx + yy) / squared, (xy - yx) / squared
    (x, y), (u, v) = middle.tolist(), target.tolist()
    return Affine(np.array([[a, -b, u - a * x + b * y], [b, a, v - b * x - a * y]]))


def follow_region(region: Region, points: Points, motion: Affine) -> tuple[Region, Points]:
    """Choose the crop of the next frame, and say where in it the landmarks are to be expected.

    It moves with the face, and stays exactly where it is while the face rests: then both frames are resampled
    alike, and no noise comes from that. Where it has strayed from the face, it is placed anew.

    Args:
        region: of the crop before.
        points: landmarks in the frame before, image px.
        motion: the face's from that frame to this one, say `robust_similarity` of the network's points.

    Returns:
        The region, and the landmarks' expected places, image px.
    """
    expected = motion(points)
    if np.maximum.reduce(np.abs(expected - points), axis=None) < _REST * region.side:
        expected = points
    else:
        region = _moved(region, motion)
    anew = face_region(expected)
    return (anew if _apart(region, anew) > _ASTRAY else region), expected


def face_region(points: Points) -> Region:
    """The square around a face's landmarks (image px), turned with the line of its eyes."""
    right, left = (points[i] for i in markup.OUTER_EYE_CORNERS)
    return Region.around_points(points, math.atan2(left[1] - right[1], left[0] - right[0]))


def _moved(region: Region, motion: Affine) -> Region:
    x, y = motion(np.array([region.x, region.y])).tolist()
    turn = complex(*motion.matrix[:, 0])
    return Region(x, y, region.side * abs(turn), region.roll + cmath.phase(turn))


def _apart(one: Region, other: Region) -> float:
    shift = math.hypot(one.x - other.x, one.y - other.y) / other.side
    turn = math.remainder(one.roll - other.roll, 2 * math.pi)
    return shift + abs(math.log(one.side / other.side)) + abs(turn)
