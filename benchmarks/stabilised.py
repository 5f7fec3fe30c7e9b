"""What every bundled stabiliser makes of a raw sequence: shared by the benchmarks that compare them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from steadyface.stabilizer import KINDS, load_stabilizer

LAGS = (2, 5)


class Raw(NamedTuple):
    """A tracked sequence before any stabiliser.

    Args:
        points: (frames, 68, 2) image px.
        seconds: (frames,) timestamps.
        scores: (frames, 68) in [0, 1].
    """

    points: np.ndarray
    seconds: np.ndarray
    scores: np.ndarray


def each_stabilised(raw: Raw) -> Iterator[tuple[str, np.ndarray]]:
    """Name and points: the raw ones, then those of every stabiliser, causal ones first."""
    yield "raw", raw.points
    for name in KINDS:
        stabilizer = load_stabilizer(name)
        if not stabilizer.offline:
            yield name, stabilizer.filter(*raw)
    default = load_stabilizer()
    for lag in LAGS:
        yield f"sta, {lag} frames later", default.smooth(*raw, lag=lag)
    yield "sta-offline", default.smooth(*raw)
    yield "savitzky-golay (offline)", load_stabilizer("savitzky-golay").smooth(*raw)
