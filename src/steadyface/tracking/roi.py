"""Where the landmark network looks next: a square that turns and moves with the face, steadied by itself."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from steadyface import markup
from steadyface.geometry import CROP_MARGIN, Region

_CALM = 0.15  # share of a change that is followed where all of it may be noise
_LARGE = 0.1  # change, in sides and radians, that is followed at once
_SLOW = 0.04  # sides a frame up to which a region is not moved on


def face_region(points: Float[np.ndarray, "68 2"], margin: float = CROP_MARGIN) -> Region:
    """The square around a face's points (image px), turned with the line of its eyes."""
    right, left = (points[i] for i in markup.OUTER_EYE_CORNERS)
    roll = math.atan2(left[1] - right[1], left[0] - right[0])
    return Region.around_points(points, roll, margin)


def approach(old: Region, new: Region) -> Region:
    """Towards the new region: slowly over the small differences that are noise, at once over large ones."""
    share = min(1.0, _CALM + difference(old, new) / _LARGE)
    side = old.side * (new.side / old.side) ** share
    roll = old.roll + share * _turn(old, new)
    return Region(old.x + share * (new.x - old.x), old.y + share * (new.y - old.y), side, roll)


def difference(old: Region, new: Region) -> float:
    """How far two regions are from each other: shift in sides, ln of growth, and turn, in sum."""
    shift = math.hypot(new.x - old.x, new.y - old.y) / new.side
    return shift + abs(math.log(new.side / old.side)) + abs(_turn(old, new))


def _turn(old: Region, new: Region) -> float:
    """Radians, the short way round."""
    return math.remainder(new.roll - old.roll, 2 * math.pi)


def ahead(region: Region, shift: Float[np.ndarray, "2"]) -> Region:
    """The region moved on with a fast face; a slow one's stays where it is, since its motion is half noise.

    Args:
        region: around the face in the last frame, image px.
        shift: how far the face is expected to move until this frame, px.
    """
    far = float(np.linalg.norm(shift)) / region.side
    share = max(0.0, 1.0 - _SLOW / max(far, _SLOW))
    return replace(region, x=region.x + share * float(shift[0]), y=region.y + share * float(shift[1]))
