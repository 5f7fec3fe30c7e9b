"""Trajectories of every landmark, raw and stabilised, from which the page's script draws the chosen one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from steadyface.report.charts import Chart, Line, time_labels
from steadyface.report.diagram import Diagram, chooser
from steadyface.report.figures import FaceFigures
from steadyface.report.series import Series, packed

CHOSEN = 30
"""Landmark that is drawn first: the tip of the nose."""

_STRETCH = 4.0  # s that are shown frame by frame
_REACH = 3  # frames to each side of the running mean from which deviations are measured
_SHORT = 6.0  # s: a shorter track is only shown as a whole


@dataclass(frozen=True)
class Stretch:
    """Part of a face's time, s, with its name in the page."""

    name: str
    start: float
    end: float


def stretches(figures: FaceFigures) -> list[Stretch]:
    """Choose the 4 s of least motion, the 4 s of most raw jitter, and the whole time."""
    seconds = figures.tracks.seconds
    whole = Stretch("whole track", float(seconds[0]), float(seconds[-1]))
    if whole.end - whole.start <= _SHORT:
        return [whole]
    points = figures.tracks.points
    moved = np.linalg.norm(np.diff(points, axis=0), axis=-1).mean(axis=-1, dtype=float)
    parts = []
    for name, cost in (
        ("least motion", np.append(moved, 0.0)),
        ("most jitter", -figures.shaking_raw.mean(axis=1)),
    ):
        start = _cheapest(cost, figures)
        parts.append(Stretch(f"{name}, {_STRETCH:g} s", start, start + _STRETCH))
    return [*parts, whole]


def _cheapest(cost: Float[np.ndarray, "frames"], figures: FaceFigures) -> float:
    """Start of the 4 s with the least mean cost within one run, s; of the longest run if all are shorter."""
    seconds, best = figures.tracks.seconds, (np.inf, float(figures.tracks.seconds[0]))
    longest = max(figures.runs, key=len)
    for run in figures.runs:
        times, total = seconds[run], np.append(0.0, np.cumsum(np.nan_to_num(cost[run])))
        ends = np.searchsorted(times, times + _STRETCH, side="right")
        whole = times + _STRETCH <= times[-1]
        if run is longest:
            whole[0] = True
        starts = np.flatnonzero(whole)
        if len(starts):
            mean = (total[ends[starts]] - total[starts]) / (ends[starts] - starts)
            best = min(best, (float(mean.min()), float(times[starts[mean.argmin()]])))
    return best[1]


@dataclass(frozen=True)
class Trajectories:
    """Charts of one landmark, and the data of all.

    Args:
        figures: of one identity.
        times: most times of each stretch.
    """

    figures: FaceFigures
    times: int

    @cached_property
    def stretches(self) -> list[Stretch]:
        """Parts to choose from; the first one is shown at the start."""
        return stretches(self.figures)

    @property
    def chooser(self) -> Diagram:
        """Landmarks to choose from."""
        return chooser()

    @property
    def chosen(self) -> int:
        """Landmark that is drawn first."""
        return CHOSEN

    @property
    def charts(self) -> list[Chart]:
        """Trajectory of landmark `CHOSEN` and its deviation from the running mean, in x and in y."""
        part = self.stretches[0]
        series = _series(self.figures, part)
        out = []
        for axis, name in enumerate("xy"):
            path = Series(series.seconds, series.values[:, :, CHOSEN, axis])
            deviation = Series(path.seconds, path.values - _running_mean(path.values[:, 0])[:, None])
            out.append(_chart(f"{name}, px", path, part))
            coarse = len(series.seconds) > self.times
            title = f"{name} minus its {2 * _REACH + 1}-frame mean, px"
            out.append(_chart(title, deviation, part, legend=False, hidden=coarse))
        return out

    @property
    def views(self) -> list[dict[str, object]]:
        """Data of each stretch for the page's script, as JSON can hold it."""
        return [_view(self.figures, part, self.times) for part in self.stretches]


def _chart(title: str, both: Series, part: Stretch, legend: bool = True, hidden: bool = False) -> Chart:
    lines = [
        Line(name if legend else "", kind, Series(both.seconds, both.values[:, k]))
        for k, (name, kind) in enumerate((("raw", "raw"), ("stabilised", "steady")))
    ]
    return Chart(title, lines, (part.start, part.end), hidden=hidden)


def _running_mean(values: Float[np.ndarray, "times"]) -> Float[np.ndarray, "times"]:
    """Mean over three frames to each side, NaN where one of them is missing."""
    mean = np.full(len(values), np.nan)
    if len(values) > 2 * _REACH:
        mean[_REACH:-_REACH] = np.convolve(values, np.full(2 * _REACH + 1, 1 / (2 * _REACH + 1)), "valid")
    return mean


def _series(figures: FaceFigures, part: Stretch) -> Series:
    """Raw and stabilised points, (times, 2, 68, 2)."""
    tracks = figures.tracks
    whole = Series(tracks.seconds, np.stack([tracks.raw_points, tracks.points], axis=1).astype(float))
    return whole.between(part.start, part.end)


def _view(figures: FaceFigures, part: Stretch, times: int) -> dict[str, object]:
    every = _series(figures, part)
    series = every.at_most(times)
    count = len(series.seconds)
    return {
        "start": part.start,
        "end": part.end,
        "times": time_labels(part.start, part.end),
        "every": len(every.seconds) <= times,
        "reach": _REACH,
        "count": count,
        "seconds": packed(series.seconds[:, None]),
        "points": packed(series.values.reshape(count, -1)),
    }
