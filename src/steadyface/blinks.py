"""Blinks: short falls of the eyes' openness from the level at which this person's eyes are open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import median_filter

CLOSED = 0.65
"""Share of the open level below which a blink begins to count."""

OPEN = 0.8
"""Share of the open level above which the eyes are open again."""

LONGEST = 0.8
"""Seconds from open to open: what takes longer is no blink but a look down or closed eyes."""

_LEVEL = 3.0  # s around each moment, over which its open level is the median


@dataclass(frozen=True)
class Blink:
    """Eyes that close and open again.

    Args:
        start, end: last moment open before and first moment open after it, s.
        depth: largest loss of openness, as a share of the open level.
    """

    start: float
    end: float
    depth: float


def open_level(
    openness: Float[np.ndarray, "frames"], seconds: Float[np.ndarray, "frames"]
) -> Float[np.ndarray, "frames"]:
    """The openness that is usual for this person around each moment: the running median over 3 s.

    It goes along where the head nods or turns, which changes how open the eyes look, and a blink is too short
    to move it.
    """
    if len(openness) < 3:
        return np.full(len(openness), np.median(openness) if len(openness) else np.nan)
    step = float(np.median(np.diff(seconds)))
    half = max(1, min(round(_LEVEL / 2 / step), len(openness) - 1))
    return median_filter(openness, 2 * half + 1, mode="reflect")


def find_blinks(openness: Float[np.ndarray, "frames"], seconds: Float[np.ndarray, "frames"]) -> list[Blink]:
    """Find blinks: from open (0.8 of the open level) to below 0.65 of it, and to open again within 0.8 s.

    The two thresholds keep a tremble around one of them from being counted as several blinks.

    Args:
        openness: of the eyes in successive frames, say their mean `measures.eye_aspect_ratio`.
        seconds: their timestamps.
    """
    known = ~np.isnan(openness)
    openness, seconds = openness[known], seconds[known]
    share = openness / open_level(openness, seconds)
    opened = np.flatnonzero(share >= OPEN)
    blinks = []
    for before, after in zip(opened[:-1].tolist(), opened[1:].tolist(), strict=True):
        lowest = float(share[before : after + 1].min())
        length = float(seconds[after] - seconds[before])
        if lowest < CLOSED and length <= LONGEST:
            blinks.append(Blink(float(seconds[before]), float(seconds[after]), 1 - lowest))
    return blinks
