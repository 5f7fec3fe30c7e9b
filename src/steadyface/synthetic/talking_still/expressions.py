"""Displacement of each landmark when a face blinks, talks, turns or raises its brows.

Points and displacements are px of the still along the face's own axes: x from eye to eye, y down to the
chin, 0 in the middle. Each displacement has its full size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from steadyface import markup
from steadyface.arrays import Points
from steadyface.measures import eye_aspect_ratio
from steadyface.metrics import interocular

_PARTED = {"right_eye": 0.03, "left_eye": 0.03, "inner_lips": 0.015}  # smallest gap, relative to the width
_NEVER_OPEN = 0.03  # an eye that opens no further than this beyond the smallest gap is taken to be closed
_LOWER_LID_RISES = 0.12  # of the eye's opening
_NARROWING = 0.15  # motion of each corner of the mouth inwards over the drop of the jaw
_BULGE, _NOSE = 0.6, 0.25  # depth of the face, and of the tip of the nose on it, relative to half its width


def contour_width(points: Float[np.ndarray, "points 2"], group: str) -> float:
    """Distance of the corners of a closed contour, in the points' px."""
    first, last = markup.corners(group)
    return float(np.linalg.norm(points[last] - points[first]))


def closed_share(points: Points, rest: Points, eye: str) -> float:
    """Share of its opening at rest by which an eye has closed, 0 to 1; 0 for one that is closed at rest."""
    before, now = (float(eye_aspect_ratio(each, eye)) for each in (rest, points))
    opening = before - _PARTED[eye]
    if opening < _NEVER_OPEN:
        return 0.0
    return min(max((before - now) / opening, 0.0), 1.0)


def parted(points: Points) -> Points:
    """Part lids and lips that touch, by the smallest gap."""
    points = points.copy()
    for group, least in _PARTED.items():
        upper, lower = markup.facing(group)
        gap = points[lower, 1] - points[upper, 1]
        lack = np.maximum(least * contour_width(points, group) - gap, 0)
        points[upper, 1] -= lack / 2
        points[lower, 1] += lack / 2
    return points


def blink(points: Points, eyes: Sequence[str] = markup.EYES) -> Points:
    """Close the eyes: the lower lids rise a little, the upper ones come down to the smallest gap."""
    closed = points.copy()
    for group in eyes:
        upper, lower = markup.facing(group)
        closed[lower, 1] -= _LOWER_LID_RISES * (points[lower, 1] - points[upper, 1])
        least = _PARTED[group] * contour_width(points, group)
        lid = np.interp(points[upper, 0], *_lower_contour(closed, group))
        closed[upper, 1] = np.maximum(points[upper, 1], lid - least)
    return closed - points


def _lower_contour(points: Points, group: str) -> Float[np.ndarray, "2 knots"]:
    """x and y of the lower side of a closed contour, corner to corner, by increasing x."""
    knots = points[[*markup.corners(group), *markup.facing(group)[1]]]
    return knots[knots[:, 0].argsort()].T


def mouth(points: Points, drop: float) -> Points:
    """Open the mouth: jaw and lips go down by `drop` mouth widths, the corners of the mouth go in."""
    moved = np.zeros_like(points)
    moved[:, 1] = markup.JAW_DROP
    lips = [*markup.GROUPS["outer_lips"], *markup.GROUPS["inner_lips"]]
    width = contour_width(points, "outer_lips")
    across = points[lips, 0] - points[lips, 0].mean()
    moved[lips, 0] = -2 * _NARROWING * across / width
    return moved * drop * width


def closing(points: Points, mouth: Points) -> float:
    """Fraction of the mouth's displacement that, reversed, closes open lips to a fifth; at most ½."""
    upper, lower = markup.facing("inner_lips")
    opens = mouth[lower, 1] - mouth[upper, 1]
    if not opens.all():
        return 0.0
    return float(np.clip(0.8 * ((points[lower, 1] - points[upper, 1]) / opens).min(), 0.0, 0.5))


def parallax(points: Points, angle: float, axis: int) -> Points:
    """Turn the head by an angle in radians: one coordinate moves by depth·sin(angle).

    The depth is that of a paraboloid with a nose. Opposite points of lids and lips have the same depth, so
    that no turn closes eyes or mouth.
    """
    half = np.ptp(points, axis=0) / 2
    depth = _BULGE * (1 - ((points / half) ** 2 / [1.0, 1.5]).sum(axis=-1)) + _NOSE * markup.NOSE_DEPTH
    for group in _PARTED:
        upper, lower = markup.facing(group)
        depth[upper] = depth[lower] = (depth[upper] + depth[lower]) / 2
    moved = np.zeros_like(points)
    moved[:, axis] = depth * half[0] * math.sin(angle)
    return moved


def brows(points: Points, lift: float) -> Points:
    """Raise both brows by `lift` distances of the outer eye corners."""
    moved = np.zeros_like(points)
    both = [*markup.GROUPS["right_brow"], *markup.GROUPS["left_brow"]]
    moved[both, 1] = -lift * float(interocular(points))
    return moved
