"""Every landmark's path, raw and stabilised, for the page's script to draw whichever is chosen."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from steadyface.report.charts import Chart, Line, chart_html, time_labels
from steadyface.report.diagram import chooser
from steadyface.report.figures import FaceFigures
from steadyface.report.series import Series, packed

CHOSEN = 30
"""The landmark that is drawn first: the tip of the nose."""

_STRETCH = 4.0  # s of a stretch that is shown frame by frame
_REACH = 3  # frames to each side over which a path's smooth course is its mean
_SHORT = 6.0  # s: a shorter track is shown as a whole only


@dataclass(frozen=True)
class Stretch:
    """A part of a face's time, s, and why it is shown."""

    name: str
    start: float
    end: float


def stretches(figures: FaceFigures) -> list[Stretch]:
    """Where the face rests most, where its raw points shake most, and its whole time."""
    seconds = figures.tracks.seconds
    whole = Stretch("the whole track", float(seconds[0]), float(seconds[-1]))
    if whole.end - whole.start <= _SHORT:
        return [whole]
    points = figures.tracks.points
    moved = np.linalg.norm(np.diff(points, axis=0), axis=-1).mean(axis=-1, dtype=float)
    parts = []
    for name, cost in (("calmest", np.append(moved, 0.0)), ("shakiest", -figures.shaking_raw.mean(axis=1))):
        start = _cheapest(cost, figures)
        parts.append(Stretch(f"{name} {_STRETCH:g} s", start, start + _STRETCH))
    return [*parts, whole]


def _cheapest(cost: Float[np.ndarray, "frames"], figures: FaceFigures) -> float:
    """When the stretch of least mean cost within one run begins; the longest run where all are shorter."""
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


def trajectories_html(figures: FaceFigures, times: int) -> str:
    """The chooser, the charts of the chosen landmark, and the data of all, of at most `times` times each."""
    parts = stretches(figures)
    buttons = "".join(
        f'<label><input type="radio" name="stretch-{figures.face}" value="{k}"{" checked" * (k == 0)}>'
        f"{part.name}</label>"
        for k, part in enumerate(parts)
    )
    views = json.dumps([_view(figures, part, times) for part in parts], separators=(",", ":"))
    return (
        f'<div class="paths"><div class="pick">{chooser(CHOSEN)}</div>'
        f'<div><div class="stretches">{buttons}</div>'
        f'<div class="charts">{_charts(figures, parts[0], times)}</div></div>'
        f'<script type="application/json">{views}</script></div>'
    )


def _charts(figures: FaceFigures, part: Stretch, times: int) -> str:
    """The chosen landmark's path, and how far it is off its own smooth course, in x and in y."""
    series = _series(figures, part)
    span, out = (part.start, part.end), []
    for axis, name in enumerate("xy"):
        path = Series(series.seconds, series.values[:, :, CHOSEN, axis])
        off = Series(path.seconds, path.values - _course(path.values[:, 0])[:, None])
        for shown, title in ((path, f"{name}, px"), (off, f"{name} off its smooth course, px")):
            lines = [
                Line(label if shown is path else "", kind, Series(shown.seconds, shown.values[:, k]))
                for k, (label, kind) in enumerate((("raw", "raw"), ("stabilised", "steady")))
            ]
            hidden = shown is off and len(series.seconds) > times
            out.append(chart_html(Chart(title, lines, span, hidden=hidden)))
    return "".join(out)


def _course(values: Float[np.ndarray, "times"]) -> Float[np.ndarray, "times"]:
    """The mean over three frames to each side, NaN where one of them is missing."""
    course = np.full(len(values), np.nan)
    if len(values) > 2 * _REACH:
        course[_REACH:-_REACH] = np.convolve(values, np.full(2 * _REACH + 1, 1 / (2 * _REACH + 1)), "valid")
    return course


def _series(figures: FaceFigures, part: Stretch) -> Series:
    """(times, 2, 68, 2): raw and stabilised points."""
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
