"""Time series, shortened for drawing and packed for the page's script."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

_GAP = 0.5  # s: a line breaks where values are further apart than this
_FRAMES = 2.5  # and further than so many median intervals
_STEPS = 2**16 - 2  # of a packed value; the largest 16-bit number stands for NaN


@dataclass(frozen=True)
class Series:
    """Values over time, NaN where a line breaks.

    Args:
        seconds: increasing.
        values: (times, …).
    """

    seconds: Float[np.ndarray, "times"]
    values: Float[np.ndarray, "times *shape"]

    def at_most(self, count: int) -> Series:
        """Shorten to about `count` times, the least and the largest value of each interval.

        No extreme is lost, however short it is. Up to `count` times stay as they are, with a NaN where there
        is no value for more than 0.5 s.
        """
        if len(self.seconds) <= count:
            return self._broken()
        bins = count // 2
        first, last = float(self.seconds[0]), float(self.seconds[-1])
        bin_of = np.minimum((self.seconds - first) / (last - first) * bins, bins - 1).astype(int)
        filled, starts = np.unique(bin_of, return_index=True)
        values = np.full((bins, 2, *self.values.shape[1:]), np.nan)
        values[filled, 0] = np.fmin.reduceat(self.values, starts)
        values[filled, 1] = np.fmax.reduceat(self.values, starts)
        seconds = first + (last - first) / bins * (np.arange(2 * bins) / 2 + 0.25)
        return Series(seconds, values.reshape(-1, *self.values.shape[1:]))

    def between(self, start: float, end: float) -> Series:
        """Cut out the part from `start` to `end`, s."""
        low, high = np.searchsorted(self.seconds, [start, end + 1e-9])
        return Series(self.seconds[low:high], self.values[low:high])

    def _broken(self) -> Series:
        if len(self.seconds) < 2:
            return self
        steps = np.diff(self.seconds)
        gaps = np.flatnonzero(steps > max(_GAP, _FRAMES * float(np.median(steps)))) + 1
        middles = (self.seconds[gaps] + self.seconds[gaps - 1]) / 2
        return Series(np.insert(self.seconds, gaps, middles), np.insert(self.values, gaps, np.nan, axis=0))


def packed(values: Float[np.ndarray, "times series"]) -> dict[str, Any]:
    """Pack series as 16-bit steps between the least and the largest value of each.

    Value = low + step × code; code 65535 stands for NaN.

    Returns:
        `low` and `step` of each series, and `data`: the codes, one series after the other, as base64 of
        little-endian numbers.
    """
    known = np.where(np.isnan(values), np.inf, values).min(axis=0, initial=np.inf)
    low = np.where(np.isfinite(known), known, 0.0)
    high = np.where(np.isnan(values), -np.inf, values).max(axis=0, initial=-np.inf)
    step = np.where(high > low, (high - low) / _STEPS, 1.0)
    codes = np.where(np.isnan(values), _STEPS + 1, np.round((values - low) / step))
    data = np.ascontiguousarray(codes.T, "<u2").tobytes()
    return {
        "low": [float(f"{value:.7g}") for value in low],
        "step": [float(f"{value:.7g}") for value in step],
        "data": base64.b64encode(data).decode("ascii"),
    }
