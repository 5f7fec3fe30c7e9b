"""Line charts over time, as the numbers from which `charts.html` draws inline SVG.

Lines stretch with the page; labels are text beside the drawing and keep their size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from steadyface.report.series import Series

_PADDING = 0.06  # of the range of values, above and below it
_MOST_TIMES = 2000  # of one line


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Args:
        name: text in the legend; empty for no entry.
        kind: CSS class that gives the colour.
        series: one value at each time.
    """

    name: str
    kind: str
    series: Series


@dataclass(frozen=True)
class Mark:
    """Shaded stretch of time, s, with a text to show on hover; `kind` is the CSS class."""

    start: float
    end: float
    kind: str
    text: str = ""


@dataclass(frozen=True)
class Chart:
    """Lines over time.

    Args:
        title: quantity and unit.
        lines: lines to draw.
        span: first and last time, s.
        marks: shaded stretches of time.
        low, high: ends of the value axis; None fits them to the values.
        hidden: hide the chart until the page's script shows it.
    """

    title: str
    lines: Sequence[Line]
    span: tuple[float, float]
    marks: Sequence[Mark] = field(default=())
    low: float | None = None
    high: float | None = None
    hidden: bool = False
    units: ClassVar[int] = 1000
    """Width and height of the drawing in its own coordinates."""

    @cached_property
    def limits(self) -> tuple[float, float]:
        """Ends of the value axis."""
        known = [line.series.values[~np.isnan(line.series.values)] for line in self.lines]
        values = np.concatenate([np.empty(0), *known])
        least, largest = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        padding = _PADDING * ((largest - least) or abs(largest) or 1.0)
        low = least - padding if self.low is None else self.low
        high = largest + padding if self.high is None else self.high
        return low, max(high, low + 1e-6)

    @property
    def value_labels(self) -> list[tuple[str, float]]:
        """Labels of the value axis, each with its distance from the top in % of the height."""
        percent = np.round(100 * self._y(self._ticks) / self.units, 2)
        return [(f"{value:g}", top) for value, top in zip(self._ticks, percent.tolist(), strict=True)]

    @property
    def rules(self) -> list[float]:
        """Distances of the horizontal rules from the top, in units of the drawing."""
        return np.round(self._y(self._ticks), 1).tolist()

    @property
    def time_labels(self) -> list[tuple[str, float]]:
        """`time_labels` of the span."""
        return time_labels(*self.span)

    @property
    def shades(self) -> list[tuple[Mark, float, float]]:
        """Marks, each with its left edge and width in % of the chart's width."""
        start, length = self.span[0], _length(self.span)
        return [
            (
                mark,
                round(100 * (mark.start - start) / length, 3),
                round(100 * (mark.end - mark.start) / length, 3),
            )
            for mark in self.marks
        ]

    def path(self, line: Line) -> str:
        """SVG path data of a line, broken at NaN; a single value is a dot."""
        short = line.series.at_most(_MOST_TIMES)
        x = np.round((short.seconds - self.span[0]) / _length(self.span) * self.units, 1)
        y = np.round(self._y(short.values), 1)
        parts, pen = [], "M"
        for across, down in zip(x.tolist(), y.tolist(), strict=True):
            if math.isnan(down):
                pen = "M"
            else:
                parts.append(f"{pen}{across:g} {down:g}{'h0' * (pen == 'M')}")
                pen = "L"
        return "".join(parts)

    @property
    def _ticks(self) -> Float[np.ndarray, "ticks"]:
        return np.array(ticks(*self.limits, 4))

    def _y(self, values: Float[np.ndarray, "values"]) -> Float[np.ndarray, "values"]:
        """Distances from the top, in units of the drawing."""
        low, high = self.limits
        return (high - values) / (high - low) * self.units


def time_labels(start: float, end: float) -> list[tuple[str, float]]:
    """Labels of a time axis from `start` to `end` s, each with its place in % of the width.

    >>> time_labels(0.0, 1.0)[:2]
    [('0 s', 0.0), ('0.2 s', 20.0)]
    """
    length = _length((start, end))
    return [
        (clock(time, end), round(100 * (time - start) / length, 2))
        for time in ticks(start, end, 5, time=True)
    ]


def _length(span: tuple[float, float]) -> float:
    """Length of a span, s; never zero."""
    return max(span[1] - span[0], 1e-9)


def clock(seconds: float, longest: float) -> str:
    """Format a time as `2.5 s`, or as `1:02:30` where the longest one is two minutes or more.

    >>> clock(2.5, 10.0), clock(150.0, 400.0), clock(3750.0, 4000.0)
    ('2.5 s', '2:30', '1:02:30')
    """
    if longest < 120:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if longest >= 3600 else f"{minutes}:{rest:02}"


def ticks(low: float, high: float, count: int, time: bool = False) -> list[float]:
    """About `count` round numbers from `low` to `high`; times are round on a clock.

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
