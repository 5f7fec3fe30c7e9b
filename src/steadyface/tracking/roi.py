"""Region of interest of the landmark network: `motion.face_region`, smoothed and moved ahead."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from steadyface.geometry import Region
from steadyface.tracking.config import RoiConfig


def smooth_region(old: Region, new: Region, config: RoiConfig) -> Region:
    """Move a region towards a new one: slowly by small changes, which are noise, at once by large ones.

    Equation: old + g · (new - old) with g = min(1, `min_gain` + change / `full_change`); sides geometrically.
    Below `hold` the region stays as it is, so that the points of a still picture come to rest.
    """
    change = old.change_to(new)
    if change < config.hold:
        return old
    gain = min(1.0, config.min_gain + change / config.full_change)
    side = old.side * (new.side / old.side) ** gain
    roll = old.roll + gain * old.turn_to(new)
    return Region(old.x + gain * (new.x - old.x), old.y + gain * (new.y - old.y), side, roll)


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
