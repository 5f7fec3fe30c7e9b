"""Where the landmark network looks next: a square that turns and moves with the face, steadied by itself."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from steadyface import markup
from steadyface.geometry import CROP_MARGIN, Region

_CALM = 0.15  # share of a change that is followed where all of it may be noise
_LARGE = 0.1  # change, in sides and radians, that is followed at once


def face_region(points: Float[np.ndarray, "68 2"], margin: float = CROP_MARGIN) -> Region:
    """The square around a face's points (image px), turned with the line of its eyes."""
    right, left = (points[i] for i in markup.OUTER_EYE_CORNERS)
    roll = math.atan2(left[1] - right[1], left[0] - right[0])
    return Region.around_points(points, roll, margin)


def approach(old: Region, new: Region) -> Region:
    """Towards the new region: slowly over the small differences that are noise, at once over large ones."""
    turn = math.remainder(new.roll - old.roll, 2 * math.pi)
    difference = (
        math.hypot(new.x - old.x, new.y - old.y) / new.side + abs(math.log(new.side / old.side)) + abs(turn)
    )
    share = min(1.0, _CALM + difference / _LARGE)
    side = old.side * (new.side / old.side) ** share
    return Region(
        old.x + share * (new.x - old.x), old.y + share * (new.y - old.y), side, old.roll + share * turn
    )
