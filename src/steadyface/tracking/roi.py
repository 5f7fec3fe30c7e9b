"""Region of interest of the landmark network: a square that moves and turns with the face, smoothed."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from steadyface import markup
from steadyface.arrays import FacePoints
from steadyface.geometry import CROP_MARGIN, Region
from steadyface.tracking.config import RoiConfig


def face_region(points: FacePoints, margin: float = CROP_MARGIN) -> Region:
    """Fit a square around a face's points (image px), turned with the line through its eyes.

    Args:
        points: (68, 2) image px.
        margin: side of the square over the larger side of the points' turned box.
    """
    right, left = (points[i] for i in markup.OUTER_EYE_CORNERS)
    roll = math.atan2(left[1] - right[1], left[0] - right[0])
    return Region.around_points(points, roll, margin)


def smooth_region(old: Region, new: Region, config: RoiConfig) -> Region:
    """Move a region towards a new one: slowly by small changes, which are noise, at once by large ones.

    Equation: old + g · (new - old) with g = min(1, `min_gain` + change / `full_change`); sides geometrically.
    Below `hold` the region stays as it is, so that the points of a still picture come to rest.
    """
    change = region_change(old, new)
    if change < config.hold:
        return old
    gain = min(1.0, config.min_gain + change / config.full_change)
    side = old.side * (new.side / old.side) ** gain
    roll = old.roll + gain * _turn(old, new)
    return Region(old.x + gain * (new.x - old.x), old.y + gain * (new.y - old.y), side, roll)


def region_change(old: Region, new: Region) -> float:
    """Sum the shift in sides, the change of ln(side) and the turn in radians."""
    shift = math.hypot(new.x - old.x, new.y - old.y) / new.side
    return shift + abs(math.log(new.side / old.side)) + abs(_turn(old, new))


def predict_region(region: Region, shift: Float[np.ndarray, "2"], config: RoiConfig) -> Region:
    """Move a region ahead with a fast face; that of a slow face stays, since half of its motion is noise.

    Args:
        region: around the face in the last frame, image px.
        shift: (2,) displacement of the face that is expected until this frame, px.
        config: the dead zone, which is subtracted from the shift.
    """
    x, y = shift.tolist()
    length = math.hypot(x, y) / region.side
    gain = max(0.0, 1.0 - config.dead_zone / max(length, config.dead_zone))
    return Region(region.x + gain * x, region.y + gain * y, region.side, region.roll)


def _turn(old: Region, new: Region) -> float:
    """Difference of the rolls in radians, from -π to π."""
    return math.remainder(new.roll - old.roll, 2 * math.pi)
