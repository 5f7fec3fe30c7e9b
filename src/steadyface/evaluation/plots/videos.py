"""Figures 3, 6 and 7: paths of a landmark, errors of motion, and NRMSE against stability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from steadyface.evaluation import published
from steadyface.evaluation.known_motion import MOTION, MotionBenchmark, MotionResults
from steadyface.evaluation.plots.style import (
    COLOURS,
    TRUTH,
    Drawn,
    NothingToDrawError,
    measured,
    new_figure,
)
from steadyface.evaluation.results import Results
from steadyface.evaluation.trajectories import (
    RAW,
    RAW_FHR,
    SECOND_ORDER,
    STA,
    LandmarkErrors,
    Method,
)
from steadyface.evaluation.videos import NUMBERS, TALKING, VIDEOS, VideoBenchmark, VideoResults
from steadyface.markup import GROUPS

Moving = VideoResults | MotionResults

_ZOOM = 75  # frames of a trajectory that are drawn
_PARTS = {
    "jaw": ("jaw",),
    "brows": ("right_brow", "left_brow"),
    "nose": ("nose_bridge", "nose_base"),
    "eyes": ("right_eye", "left_eye"),
    "lips": ("outer_lips", "inner_lips"),
}
_OTHER = "#7f868d"  # stabilisers without a colour of their own
_TICKS = [digit * 10.0**power for power in (-2, -1, 0, 1) for digit in (1, 2, 3, 5)]


def _preferred(results: Sequence[Results], *benchmarks: VideoBenchmark | MotionBenchmark) -> list[Moving]:
    """Results of these benchmarks, those of the first one first."""
    moving = [each for each in results if isinstance(each, Moving)]
    return [each for benchmark in benchmarks for each in moving if each.benchmark is benchmark]


# ------------------------------------------------------------------------------------------- trajectories


def trajectory_sta(results: Sequence[Results]) -> Drawn:
    """Figure 3a: the raw, the stabilised and the true path."""
    try:
        return _trajectory(results, RAW_FHR, STA)
    except NothingToDrawError:
        return _trajectory(results, RAW, STA)


def trajectory_second_order(results: Sequence[Results]) -> Drawn:
    """Figure 7: the path of a second-order filter and that of STA."""
    return _trajectory(results, SECOND_ORDER, STA)


def _trajectory(results: Sequence[Results], *methods: Method) -> Drawn:
    """Draw one coordinate over time, and below it each path's distance from the truth less its mean."""
    for chosen in _preferred(results, VIDEOS, MOTION, TALKING):
        excerpt = chosen.trajectory
        paths = [] if excerpt is None else [excerpt.path_by(method) for method in methods]
        if excerpt and all(paths):
            break
    else:
        names = " and ".join(method.label for method in methods)
        raise NothingToDrawError(f"no result of a video holds the trajectories of {names}")
    start = max(0, (len(excerpt.seconds) - _ZOOM) // 2)
    part = slice(start, start + _ZOOM)
    seconds = np.array(excerpt.seconds)[part]
    truth = np.array(excerpt.truth)[part]
    known = ~np.isnan(truth).any(axis=1)
    axis = int(np.ptp(truth[known], axis=0).argmax()) if known.any() else 0
    figure = new_figure(3.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    above.plot(seconds, truth[:, axis], color=TRUTH, lw=4, label="truth", solid_capstyle="round")
    below.axhline(0, color=TRUTH, lw=4)
    for method, points in zip(methods, paths, strict=True):
        path = np.array(points)[part, axis]
        off = path - truth[:, axis]
        mean = np.nanmean(off) if np.isfinite(off).any() else 0.0
        above.plot(seconds, path - mean, color=COLOURS[method], lw=1.4, label=method.label)
        below.plot(seconds, off - mean, color=COLOURS[method], lw=1.4)
    above.set_ylabel(f"{'xy'[axis]}, px")
    below.set_ylabel("off the truth, px")
    below.set_xlabel("seconds")
    above.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return figure, (
        f"Tip of the nose where it moves fastest, item {excerpt.item} of {chosen.title}, "
        f"{chosen.run.weights}. Each path is shown less its mean distance from the truth."
    )


# ------------------------------------------------------------------------------------- errors by landmark


def motion_error(results: Sequence[Results]) -> Drawn:
    """Figure 3b: the size of wrong motion by landmark."""
    chosen, curves = _by_landmark(results)
    return _draw_by_landmark(chosen, {each.method: each.motion for each in curves}, "wrong motion, % a frame")


def turn_error(results: Sequence[Results]) -> Drawn:
    """Figure 3c: the direction of wrong motion by landmark."""
    chosen, curves = _by_landmark(results)
    return _draw_by_landmark(chosen, {each.method: each.turn for each in curves}, "wrong direction, degrees")


def _by_landmark(results: Sequence[Results]) -> tuple[Moving, list[LandmarkErrors]]:
    """Choose the first result with errors of STA and of raw points, if possible the FHR decoder's."""
    for chosen in _preferred(results, VIDEOS, MOTION):
        curves = {each.method: each for each in chosen.by_landmark}
        raw = curves.get(RAW_FHR, curves.get(RAW))
        if raw and STA in curves:
            return chosen, [raw, curves[STA]]
    raise NothingToDrawError("no result of a video in the 68-point markup: run 300vw or known-motion")


def _draw_by_landmark(chosen: Moving, curves: dict[Method, list[float]], label: str) -> Drawn:
    """Draw a curve per method over the landmarks in the markup's order."""
    figure = new_figure(2.9)
    axes = figure.subplots()
    ticks, edges = [], []
    for groups in _PARTS.values():
        first, last = GROUPS[groups[0]].start, GROUPS[groups[-1]].stop - 1
        ticks.append((first + last) / 2)
        edges.append(last + 0.5)
    for edge in edges[:-1]:
        axes.axvline(edge, color=TRUTH, lw=0.6, alpha=0.6)
    for method, values in curves.items():
        curve = np.array(values)
        for i, group in enumerate(GROUPS.values()):
            points = np.array(group)
            name = None if i else f"{method.label}: mean {np.nanmean(curve):.2f}"
            axes.plot(points, curve[points], marker="o", ms=3, lw=1.2, color=COLOURS[method], label=name)
    axes.set_xticks(ticks, list(_PARTS))
    axes.tick_params(axis="x", length=0)
    axes.set(ylabel=label, xlim=(-1.5, edges[-1] + 1))
    axes.set_ylim(0)
    axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    return figure, f"Mean over all frames of {measured(chosen)}."


# --------------------------------------------------------------------------------------------- trade-off


@dataclass(frozen=True)
class _Dot:
    """NRMSE and stability of one method, % of the inter-ocular distance."""

    method: Method
    nrmse: float
    stability: float


@dataclass(frozen=True)
class _Panel:
    """NRMSE against stability of every method, for one set of videos."""

    title: str
    dots: list[_Dot]
    theirs: dict[str, published.Steadiness]


def trade_off(results: Sequence[Results]) -> Drawn:
    """Figure 6: NRMSE and stability of every method, a panel for each scenario."""
    for each in _preferred(results, VIDEOS, TALKING, MOTION):
        if panels := [panel for panel in _panels(each) if panel.dots]:
            break
    else:
        raise NothingToDrawError("no result of a video")
    figure = new_figure(3.9 if len(panels) > 1 else 4.2)
    for axes, panel in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        _draw_panel(axes, panel)
        axes.set_xlabel("stability while moving, %" if each.benchmark is MOTION else "stability, %")
    figure.axes[0].set_ylabel("NRMSE, %")
    handles = {
        label: mark
        for axes in figure.axes
        for mark, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=3)
    hollow = any(panel.theirs for panel in panels)
    beside = "Hollow: published." if hollow else "The paper publishes no such points for these videos."
    return figure, (
        f"{measured(each)}. Towards the lower left is better; stability on a logarithmic axis. Squares: "
        f"raw points. Circles: causal stabilisers. Triangles: those that see later frames. {beside}"
    )


def _draw_panel(axes: Any, panel: _Panel) -> None:
    for name, theirs in panel.theirs.items():
        axes.scatter(
            theirs.stability,
            theirs.nrmse,
            s=46,
            marker="p",
            facecolors="none",
            edgecolors=COLOURS[STA if name == published.FHR_STA else RAW_FHR],
            linewidths=1.4,
            label=f"{name}, published",
        )
    for dot in panel.dots:
        axes.scatter(
            dot.stability,
            dot.nrmse,
            s=60 if dot.method == STA else 26,
            marker=_marker(dot.method),
            color=COLOURS.get(dot.method, _OTHER),
            alpha=0.9,
            linewidths=0,
            zorder=3 if dot.method == STA else 2,
            label=dot.method.label,
        )
    axes.set_title(panel.title)
    axes.margins(0.12)
    _plain_log(axes)


def _panels(results: Moving) -> list[_Panel]:
    if isinstance(results, MotionResults):
        dots = [
            _Dot(row.method, row.nrmse_interocular, row.stability_interocular_moving) for row in results.rows
        ]
        return [_Panel(results.title, _finite(dots), {})]
    scenarios = NUMBERS if results.benchmark is VIDEOS else (None,)
    panels = []
    for scenario in scenarios:
        rows = [row for row in results.rows if row.scenario == scenario]
        rows = [
            row for row in rows if row == results.row(row.method, scenario)
        ]  # of 68 points where there are
        dots = [_Dot(row.method, row.nrmse_interocular, row.stability_interocular) for row in rows]
        theirs = {} if scenario is None else _published(scenario)
        title = results.title if scenario is None else rows[0].group_title if rows else ""
        panels.append(_Panel(title, _finite(dots), theirs))
    return panels


def _published(scenario: int) -> dict[str, published.Steadiness]:
    column = NUMBERS.index(scenario)
    return {name: published.VIDEOS_68[name][column] for name in (published.FHR, published.FHR_STA)}


def _finite(dots: Sequence[_Dot]) -> list[_Dot]:
    return [dot for dot in dots if np.isfinite([dot.nrmse, dot.stability]).all()]


def _marker(method: Method) -> str:
    if method.stabilizer is None:
        return "s"
    return "^" if method.lag or method.offline else "o"


def _plain_log(axes: Any) -> None:
    """Make the x axis logarithmic, with plain numbers."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.minorticks_off()
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlim(low, high)
