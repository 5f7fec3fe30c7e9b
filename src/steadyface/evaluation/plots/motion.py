"""Figures 3 and 7: paths of a landmark, and the size and direction of wrong motion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from steadyface.evaluation.plots.style import (
    COLOURS,
    SECOND,
    STA,
    Drawn,
    NothingToDrawError,
    measured,
    new_figure,
    preferred,
)
from steadyface.evaluation.protocols import MOTION, TALKING, VIDEOS
from steadyface.evaluation.results import RAW, RAW_FHR, Results
from steadyface.markup import GROUPS

_ZOOM = 75  # frames of a trajectory that are drawn
_PARTS = {
    "jaw": ("jaw",),
    "brows": ("right_brow", "left_brow"),
    "nose": ("nose_bridge", "nose_base"),
    "eyes": ("right_eye", "left_eye"),
    "lips": ("outer_lips", "inner_lips"),
}


def trajectory_sta(results: Sequence[Results]) -> Drawn:
    """Figure 3a: the raw, the stabilised and the true path."""
    chosen = _with_paths(results, STA, RAW)
    paths = chosen.curves["trajectory"]["paths"]
    return _trajectory(chosen, [RAW_FHR if RAW_FHR in paths else RAW, STA])


def trajectory_second_order(results: Sequence[Results]) -> Drawn:
    """Figure 7: the path of a second-order filter and that of STA."""
    return _trajectory(_with_paths(results, SECOND, STA), [SECOND, STA])


def _with_paths(results: Sequence[Results], *ways: str) -> Results:
    for each in preferred(results, VIDEOS, MOTION, TALKING):
        if set(ways) <= set(each.curves.get("trajectory", {}).get("paths", {})):
            return each
    raise NothingToDrawError(f"no result of a video holds the trajectories of {' and '.join(ways)}")


def _trajectory(results: Results, ways: Sequence[str]) -> Drawn:
    """Above: one coordinate over time. Below: how far each path is off the truth, less its mean."""
    excerpt = results.curves["trajectory"]
    part = slice(*_middle(len(excerpt["seconds"])))
    seconds = np.array(excerpt["seconds"], float)[part]
    truth = np.array(excerpt["truth"], float)[part]
    known = ~np.isnan(truth).any(axis=1)
    axis = int(np.ptp(truth[known], axis=0).argmax()) if known.any() else 0
    figure = new_figure(3.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    above.plot(seconds, truth[:, axis], color=COLOURS["truth"], lw=4, label="truth", solid_capstyle="round")
    below.axhline(0, color=COLOURS["truth"], lw=4)
    for way in ways:
        path = np.array(excerpt["paths"][way], float)[part, axis]
        off = path - truth[:, axis]
        mean = np.nanmean(off) if np.isfinite(off).any() else 0.0
        above.plot(seconds, path - mean, color=COLOURS[way], lw=1.4, label=way)
        below.plot(seconds, off - mean, color=COLOURS[way], lw=1.4)
    above.set_ylabel(f"{'xy'[axis]}, px")
    below.set_ylabel("off the truth, px")
    below.set_xlabel("seconds")
    above.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return figure, (
        f"Tip of the nose where it moves fastest, item {excerpt['item']} of {results.title}, "
        f"{results.weights}. Each path's mean distance from the truth is taken away."
    )


def _middle(length: int) -> tuple[int, int]:
    start = max(0, (length - _ZOOM) // 2)
    return start, start + _ZOOM


def motion_error(results: Sequence[Results]) -> Drawn:
    """Figure 3b: the size of wrong motion by landmark."""
    return _by_landmark(results, "motion error by landmark", "wrong motion, % a frame")


def turn_error(results: Sequence[Results]) -> Drawn:
    """Figure 3c: the direction of wrong motion by landmark."""
    return _by_landmark(results, "turn error by landmark", "wrong direction, degrees")


def _by_landmark(results: Sequence[Results], key: str, label: str) -> Drawn:
    """A figure per landmark and way, the landmarks in the markup's order."""
    chosen, values = _first_curve(results, key)
    raw = RAW_FHR if RAW_FHR in values else RAW
    figure = new_figure(2.9)
    axes = figure.subplots()
    ticks, edges = [], []
    for groups in _PARTS.values():
        first, last = GROUPS[groups[0]].start, GROUPS[groups[-1]].stop - 1
        ticks.append((first + last) / 2)
        edges.append(last + 0.5)
    for edge in edges[:-1]:
        axes.axvline(edge, color=COLOURS["truth"], lw=0.6, alpha=0.6)
    for way in (raw, STA):
        curve = np.array(values[way], float)
        for i, group in enumerate(GROUPS.values()):
            points = np.array(group)
            axes.plot(
                points,
                curve[points],
                marker="o",
                ms=3,
                lw=1.2,
                color=COLOURS[way],
                label=None if i else f"{way}: mean {np.nanmean(curve):.2f}",
            )
    axes.set_xticks(ticks, list(_PARTS))
    axes.tick_params(axis="x", length=0)
    axes.set(ylabel=label, xlim=(-1.5, edges[-1] + 1))
    axes.set_ylim(0)
    axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    return figure, f"Mean over all frames of {measured(chosen)}."


def _first_curve(results: Sequence[Results], key: str) -> tuple[Results, dict[str, Any]]:
    for each in preferred(results, VIDEOS, MOTION):
        values = each.curves.get(key, {})
        if STA in values and {RAW, RAW_FHR} & set(values):
            return each, values
    raise NothingToDrawError("no result of a video in the 68-point markup: run 300vw or known-motion")
