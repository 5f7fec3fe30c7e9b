"""Charts as HTML and inline SVG: text keeps its size, and the lines fill whatever width there is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

from steadyface.report.series import Series

_UNITS = 1000  # of the drawing's own coordinates in both directions
_ROOM = 0.06  # of the values' range, above and below them
TIMES = 2000
"""Most times of one line."""


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Args:
        name: for the legend; none leaves it out there.
        kind: CSS class that gives its colour.
        series: one value at each time.
    """

    name: str
    kind: str
    series: Series


@dataclass(frozen=True)
class Mark:
    """A stretch of time that is shaded, or a moment that is named above the chart."""

    start: float
    end: float
    kind: str
    text: str = ""


@dataclass(frozen=True)
class Chart:
    """Lines over time.

    Args:
        title: what is shown, with its unit.
        lines: what is drawn.
        span: first and last time, s.
        marks: stretches of time.
        low, high: of the values' axis; None takes what the values need.
        hidden: not shown until the page's script shows it.
    """

    title: str
    lines: Sequence[Line]
    span: tuple[float, float]
    marks: Sequence[Mark] = field(default=())
    low: float | None = None
    high: float | None = None
    hidden: bool = False


def chart_html(chart: Chart) -> str:
    """The chart, its title, its legend and its axes."""
    low, high = _range(chart)
    start, end = chart.span
    paths = "".join(
        f'<path class="line {line.kind}" d="{_path(line.series, chart.span, (low, high))}"/>'
        for line in chart.lines
    )
    shades = "".join(_mark(mark, start, end) for mark in chart.marks)
    rules = "".join(f'<path class="rule" d="M0 {_y(v, low, high)}H{_UNITS}"/>' for v in ticks(low, high, 4))
    named = [line for line in chart.lines if line.name]
    legend = "".join(f'<span class="{line.kind}">{escape(line.name)}</span>' for line in named)
    return (
        f'<div class="chart"{" hidden" * chart.hidden}><p class="axis"><b>{escape(chart.title)}</b>'
        f'<span class="legend">{legend}</span></p>'
        f'<div class="plot"><div class="y">{_y_ticks(low, high)}</div>'
        f'<div class="field">{shades}<svg viewBox="0 0 {_UNITS} {_UNITS}" preserveAspectRatio="none" '
        f'role="img" aria-label="{escape(chart.title)}">{rules}{paths}</svg></div>'
        f'<div class="x">{x_ticks(start, end)}</div></div></div>'
    )


def x_ticks(start: float, end: float) -> str:
    """A time axis, from `start` to `end` s."""
    return "".join(
        f'<span style="left:{100 * share:.2f}%">{text}</span>' for text, share in time_labels(start, end)
    )


def time_labels(start: float, end: float) -> list[tuple[str, float]]:
    """Labels of a time axis from `start` to `end` s, each with its share of the way."""
    wide = max(end - start, 1e-9)
    return [(clock(time, end), (time - start) / wide) for time in ticks(start, end, 5, time=True)]


def clock(seconds: float, longest: float) -> str:
    """A time as `2.5 s`, or as `1:02:30` where the longest one is two minutes or more.

    >>> clock(2.5, 10.0), clock(150.0, 400.0), clock(3750.0, 4000.0)
    ('2.5 s', '2:30', '1:02:30')
    """
    if longest < 120:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if longest >= 3600 else f"{minutes}:{rest:02}"


def ticks(low: float, high: float, count: int, time: bool = False) -> list[float]:
    """About `count` round numbers from `low` to `high`; those of a time are round on a clock.

    >>> ticks(0.0, 1.0, 4), ticks(0.0, 400.0, 5, time=True)
    ([0.0, 0.25, 0.5, 0.75, 1.0], [0.0, 60.0, 120.0, 180.0, 240.0, 300.0, 360.0])
    """
    wanted = (high - low) / count
    if not wanted > 0:
        return [low]
    if time and wanted > 10:
        steps: Iterable[float] = (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
    else:
        power = 10.0 ** math.floor(math.log10(wanted))
        steps = (power * factor for factor in (1, 2, 2.5, 5, 10))
    step = min(steps, key=lambda step: abs(math.log(step / wanted)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.10g}") for k in range(first, last + 1)]


def _y_ticks(low: float, high: float) -> str:
    return "".join(
        f'<span style="top:{_y(value, low, high) / _UNITS * 100:.2f}%">{value:g}</span>'
        for value in ticks(low, high, 4)
    )


def _range(chart: Chart) -> tuple[float, float]:
    known = [line.series.values[~np.isnan(line.series.values)] for line in chart.lines]
    values = np.concatenate([np.empty(0), *known])
    least, largest = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    room = _ROOM * ((largest - least) or abs(largest) or 1.0)
    low = least - room if chart.low is None else chart.low
    high = largest + room if chart.high is None else chart.high
    return low, max(high, low + 1e-6)


def _path(series: Series, span: tuple[float, float], limits: tuple[float, float]) -> str:
    """The line as SVG path data, broken at NaN."""
    short = series.at_most(TIMES)
    wide = max(span[1] - span[0], 1e-9)
    x = np.round((short.seconds - span[0]) / wide * _UNITS, 1)
    y = np.round(_y(short.values, *limits), 1)
    parts, pen = [], "M"
    for across, down in zip(x.tolist(), y.tolist(), strict=True):
        if down != down:
            pen = "M"
        else:
            parts.append(f"{pen}{across:g} {down:g}{'h0' * (pen == 'M')}")  # alone it is a dot
            pen = "L"
    return "".join(parts)


def _y(value, low: float, high: float):  # type: ignore[no-untyped-def]
    """Downwards from the top, in the drawing's coordinates."""
    return (high - value) / (high - low) * _UNITS


def _mark(mark: Mark, start: float, end: float) -> str:
    wide = max(end - start, 1e-9)
    left, width = 100 * (mark.start - start) / wide, 100 * (mark.end - mark.start) / wide
    title = f' title="{escape(mark.text)}"' if mark.text else ""
    return f'<i class="mark {mark.kind}" style="left:{left:.3f}%;width:{width:.3f}%"{title}></i>'
