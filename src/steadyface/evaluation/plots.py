"""The paper's Figures 3 to 7, drawn from results. Needs the extra `plots`.

Figures 1 and 2 of the paper explain; they show no results.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from steadyface import metrics
from steadyface.errors import DataError, MissingExtraError
from steadyface.evaluation import published
from steadyface.evaluation.predict import CHR, FHR
from steadyface.evaluation.protocols import SCENARIO_GROUPS
from steadyface.evaluation.score import ALL, FAILURE, RAW, RAW_CHR, RAW_FHR, Results, Row
from steadyface.evaluation.tables import (
    HELEN,
    PRIVATE,
    TALKING,
    VIDEOS,
    amount,
    decoder_of,
    number,
    scenario_row,
    weights_of,
)
from steadyface.markup import GROUPS

MOTION = "known-motion"
INK = "#1f2329"
"""Colour of text and axes; a page may replace it by its own."""

PAPER_WHITE = "#ffffff"
"""Colour of the ground."""

_STA, _SECOND = "sta", "second-order"
_COLOURS = {
    RAW_CHR: "#8c6bb1",
    RAW_FHR: "#e08214",
    RAW: "#d6604d",
    CHR: "#8c6bb1",
    FHR: "#e08214",
    _STA: "#1b9e77",
    "sta-paper": "#66a61e",
    _SECOND: "#3f83c4",
    "one-euro": "#d63f8c",
    "moving-average": "#a6761d",
    "first-order": "#5aa9c9",
    "constant-velocity": "#7570b3",
    "sta, 2 frames later": "#8fd3bb",
    "sta, 5 frames later": "#4fb595",
    "sta-offline": "#0d6b50",
    "truth": "#9aa1a9",
}
_OTHER = "#7f868d"
_CONTOUR = "#eef0f2"
_WIDTH = 5.4  # inches
_CURVE_END = 10.0  # NRMSE, % up to which a cumulative curve is drawn
_CELLS = (-5, 0, 5)
_ZOOM = 75  # frames of a trajectory that are drawn
_TICKS = [digit * 10.0**power for power in (-2, -1, 0, 1) for digit in (1, 2, 3, 5)]
_PARTS = {
    "jaw": ("jaw",),
    "brows": ("right_brow", "left_brow"),
    "nose": ("nose_bridge", "nose_base"),
    "eyes": ("right_eye", "left_eye"),
    "lips": ("outer_lips", "inner_lips"),
}


@dataclass(frozen=True)
class Plot:
    """One figure of the paper, drawn from our results.

    Args:
        name: stem of its files.
        title: for people.
        caption: what it shows; of a figure that could not be drawn, why.
        figure: a matplotlib figure, or None.
    """

    name: str
    title: str
    caption: str
    figure: Any = None

    def save(self, out: Path) -> list[Path]:
        """Write PNG and SVG.

        Raises:
            DataError: one of them cannot be written.
        """
        picture, drawing = (out / f"{self.name}{suffix}" for suffix in (".png", ".svg"))
        try:
            with _style():
                self.figure.savefig(picture, dpi=160, metadata={"Software": None})
            drawing.write_text(self.svg, encoding="utf-8")
        except OSError as error:
            raise DataError(out, f"cannot be written: {error.strerror or error}") from error
        return [picture, drawing]

    @cached_property
    def svg(self) -> str:
        """The figure as SVG; without a date, so that the same results make the same file."""
        text = io.StringIO()
        with _style():
            self.figure.savefig(text, format="svg", metadata=_NO_METADATA)
        return text.getvalue()


_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


class _NothingToDrawError(Exception):
    """No result holds what a figure shows; the message says what that is."""


def plot_all(results: Sequence[Results], out: str | Path) -> list[Path]:
    """Draw every figure that the results allow; `draw_all` also tells which they do not, and why.

    Args:
        results: of any protocols.
        out: folder for PNG and SVG files; made if missing.

    Returns:
        The files.

    Raises:
        DataError: the folder cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(folder, f"cannot be written: {error.strerror or error}") from error
    return [path for plot in draw_all(results) if plot.figure is not None for path in plot.save(folder)]


def draw_all(results: Sequence[Results]) -> list[Plot]:
    """Figures 3 to 7; one for which no data exists has no `figure`, and its caption says why.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    plots = []
    with _style():
        for name, title, draw in _FIGURES:
            try:
                figure, caption = draw(results)
            except _NothingToDrawError as error:
                figure, caption = None, str(error)
            plots.append(Plot(f"figure-{name}", f"Figure {name}. {title}", caption, figure))
    return plots


Drawn = tuple[Any, str]


# ---------------------------------------------------------------------------------- Figures 3a and 7


def _trajectory_sta(results: Sequence[Results]) -> Drawn:
    chosen = _with_paths(results, _STA, RAW)
    paths = chosen.curves["trajectory"]["paths"]
    return _trajectory(chosen, [RAW_FHR if RAW_FHR in paths else RAW, _STA])


def _trajectory_second_order(results: Sequence[Results]) -> Drawn:
    return _trajectory(_with_paths(results, _SECOND, _STA), [_SECOND, _STA])


def _with_paths(results: Sequence[Results], *ways: str) -> Results:
    for each in _preferred(results, VIDEOS, MOTION, TALKING):
        if set(ways) <= set(each.curves.get("trajectory", {}).get("paths", {})):
            return each
    raise _NothingToDrawError(f"no result of a video holds the trajectories of {' and '.join(ways)}")


def _trajectory(results: Results, ways: Sequence[str]) -> Drawn:
    """Above: one coordinate over time. Below: how far each path is off the truth, less its mean."""
    excerpt = results.curves["trajectory"]
    part = slice(*_middle(len(excerpt["seconds"])))
    seconds = np.array(excerpt["seconds"], float)[part]
    truth = np.array(excerpt["truth"], float)[part]
    known = ~np.isnan(truth).any(axis=1)
    axis = int(np.ptp(truth[known], axis=0).argmax()) if known.any() else 0
    figure = _new_figure(3.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    above.plot(seconds, truth[:, axis], color=_COLOURS["truth"], lw=4, label="truth", solid_capstyle="round")
    below.axhline(0, color=_COLOURS["truth"], lw=4)
    for way in ways:
        path = np.array(excerpt["paths"][way], float)[part, axis]
        off = path - truth[:, axis]
        mean = np.nanmean(off) if np.isfinite(off).any() else 0.0
        above.plot(seconds, path - mean, color=_COLOURS[way], lw=1.4, label=way)
        below.plot(seconds, off - mean, color=_COLOURS[way], lw=1.4)
    above.set_ylabel(f"{'xy'[axis]}, px")
    below.set_ylabel("off the truth, px")
    below.set_xlabel("seconds")
    above.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return figure, (
        f"Tip of the nose where it moves fastest, item {excerpt['item']} of {results.title}, "
        f"{weights_of(results)}. Each path's mean distance from the truth is taken away."
    )


def _middle(length: int) -> tuple[int, int]:
    start = max(0, (length - _ZOOM) // 2)
    return start, start + _ZOOM


# --------------------------------------------------------------------------------- Figures 3b and 3c


def _motion_error(results: Sequence[Results]) -> Drawn:
    return _by_landmark(results, "motion error by landmark", "wrong motion, % a frame")


def _turn_error(results: Sequence[Results]) -> Drawn:
    return _by_landmark(results, "turn error by landmark", "wrong direction, degrees")


def _by_landmark(results: Sequence[Results], key: str, label: str) -> Drawn:
    """A figure per landmark and way, the landmarks in the markup's order."""
    chosen, values = _first_curve(results, key)
    raw = RAW_FHR if RAW_FHR in values else RAW
    figure = _new_figure(2.9)
    axes = figure.subplots()
    ticks, edges = [], []
    for groups in _PARTS.values():
        first, last = GROUPS[groups[0]].start, GROUPS[groups[-1]].stop - 1
        ticks.append((first + last) / 2)
        edges.append(last + 0.5)
    for edge in edges[:-1]:
        axes.axvline(edge, color=_COLOURS["truth"], lw=0.6, alpha=0.6)
    for way in (raw, _STA):
        curve = np.array(values[way], float)
        for i, group in enumerate(GROUPS.values()):
            points = np.array(group)
            axes.plot(
                points,
                curve[points],
                marker="o",
                ms=3,
                lw=1.2,
                color=_COLOURS[way],
                label=None if i else f"{way}: mean {np.nanmean(curve):.2f}",
            )
    axes.set_xticks(ticks, list(_PARTS))
    axes.tick_params(axis="x", length=0)
    axes.set(ylabel=label, xlim=(-1.5, edges[-1] + 1))
    axes.set_ylim(0)
    axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    return figure, f"Mean over all frames of {_measured(chosen)}."


def _first_curve(results: Sequence[Results], key: str) -> tuple[Results, dict[str, Any]]:
    for each in _preferred(results, VIDEOS, MOTION):
        values = each.curves.get(key, {})
        if _STA in values and {RAW, RAW_FHR} & set(values):
            return each, values
    raise _NothingToDrawError("no result of a video in the 68-point markup: run 300vw or known-motion")


# ------------------------------------------------------------------------------------------ Figure 4


def _mean_heatmaps(results: Sequence[Results]) -> Drawn:
    for each in _preferred(results, PRIVATE, HELEN, "300w-full", "300w-common", "300w-challenge", "folder"):
        maps = {part: each.curves.get("mean heatmaps", {}).get(part) for part in ("easy", "hard")}
        if all(maps.values()):
            break
    else:
        raise _NothingToDrawError("no result of an image protocol holds mean heatmaps")
    figure = _new_figure(2.8)
    both = list(figure.subplots(1, 2, sharey=True))
    for axes, (part, values) in zip(both, maps.items(), strict=True):
        heat = np.array(values, float)
        reach = len(heat) / 2
        extent = (-reach, reach, reach, -reach)
        image = axes.imshow(heat, vmin=0, vmax=1, cmap="magma", extent=extent, interpolation="nearest")
        axes.contour(
            heat, levels=[0.5], colors=_CONTOUR, linewidths=0.9, extent=(-reach, reach, -reach, reach)
        )
        axes.set_title({"easy": "easiest quarter", "hard": "hardest quarter"}[part])
        axes.set(xlabel="cells from the peak", xticks=_CELLS, yticks=_CELLS)
        axes.grid(visible=False)
    figure.colorbar(image, ax=both, shrink=0.8)
    return figure, (
        f"Heatmaps laid upon each other at their peaks, each of height 1: the quarter of the faces with the "
        f"smallest errors and that with the largest. White: half the height. {_measured(each)}."
    )


# ------------------------------------------------------------------------------------------ Figure 5


def _error_curves(results: Sequence[Results]) -> Drawn:
    for each in _preferred(results, PRIVATE, HELEN):
        names = [name for name in dict.fromkeys((CHR, FHR, decoder_of(each))) if each.row(name)]
        if names and each.items:
            break
    else:
        raise _NothingToDrawError("no result of the 300-W private test, nor of HELEN test")
    figure = _new_figure(3.6)
    axes = figure.subplots()
    errors = np.linspace(0, _CURVE_END, 501)
    for name in names:
        own = np.array([figures.get(name, np.nan) for figures in each.items.values()], float)
        own = np.nan_to_num(own, nan=np.inf, posinf=np.inf)
        label = (
            f"{_titled(name, decoder_of(each))}: AUC {metrics.auc(own, FAILURE):.1f}, "
            f"failure {metrics.failure_rate(own, FAILURE):.2f}"
        )
        axes.plot(errors, metrics.ced(own, errors), color=_COLOURS.get(name, _COLOURS[_STA]), label=label)
    axes.axvline(FAILURE, ymin=0.6, color=_COLOURS["truth"], lw=0.8, ls=":")
    axes.plot([], [], " ", label="published, 300-W private test:")
    for name in (published.CHR, published.FHR):
        theirs = published.PRIVATE_TEST[name]
        label = f"{name}: AUC {number(theirs.auc, 1)}, failure {number(theirs.failure, 2)}"
        axes.plot([], [], " ", label=label)
    axes.set(xlabel="NRMSE, %", ylabel="faces with at most this error, %")
    axes.set(xlim=(0, _CURVE_END), ylim=(0, 101))
    axes.legend(loc="lower right", title=f"ours, {each.title}:", alignment="left")
    other = "" if each.protocol == PRIVATE else " HELEN test is another and easier data set."
    return figure, (
        f"{_measured(each)}. A face that was not found counts as infinitely wrong. The paper's curves are "
        f"not published as numbers: its AUC and failure rate stand beside.{other}"
    )


def _titled(name: str, decoder: str) -> str:
    titles = {CHR: "CHR (argmax)", FHR: "FHR"}
    return titles.get(name, f"default ({decoder})")


# ------------------------------------------------------------------------------------------ Figure 6


@dataclass(frozen=True)
class _Panel:
    """Error against unsteadiness of every way, for one set of videos."""

    title: str
    rows: list[Row]
    theirs: dict[str, published.Steadiness]


def _trade_off(results: Sequence[Results]) -> Drawn:
    for each in _preferred(results, VIDEOS, TALKING, MOTION):
        key = "moving" if each.protocol == MOTION else "stability"
        if panels := _panels(each, key):
            break
    else:
        raise _NothingToDrawError("no result of a video")
    figure = _new_figure(3.9 if len(panels) > 1 else 4.2)
    for axes, panel in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        for name, theirs in panel.theirs.items():
            colour = _COLOURS[_STA if name == published.FHR_STA else RAW_FHR]
            axes.scatter(
                theirs.stability,
                theirs.nrmse,
                s=46,
                marker="p",
                facecolors="none",
                edgecolors=colour,
                linewidths=1.4,
                label=f"{name}, published",
            )
        for row in panel.rows:
            axes.scatter(
                row.figures[key],
                row.figures["nrmse"],
                s=60 if row.name == _STA else 26,
                marker=_marker(row.name),
                color=_COLOURS.get(row.name, _OTHER),
                alpha=0.9,
                linewidths=0,
                zorder=3 if row.name == _STA else 2,
                label=row.name,
            )
        axes.set_title(panel.title)
        axes.margins(0.12)
        _plain_log(axes)
        axes.set_xlabel("stability, %" if key == "stability" else "stability while moving, %")
    figure.axes[0].set_ylabel("NRMSE, %")
    handles = {label: mark for axes in figure.axes for mark, label in zip(*_legend(axes), strict=True)}
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=3)
    hollow = any(panel.theirs for panel in panels)
    beside = "Hollow: published." if hollow else "The paper publishes no such points for these videos."
    return figure, (
        f"{_measured(each)}. Towards the lower left is better; stability on a logarithmic axis. Squares: "
        f"raw points. Circles: causal stabilisers. Triangles: those that see later frames. {beside}"
    )


def _plain_log(axes: Any) -> None:
    """A logarithmic x axis with plain numbers."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.minorticks_off()
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlim(low, high)


def _legend(axes: Any) -> tuple[list[Any], list[str]]:
    return axes.get_legend_handles_labels()


def _panels(results: Results, key: str) -> list[_Panel]:
    if results.protocol != VIDEOS:
        rows = [row for row in results.rows if row.group == ALL]
        panels = [_Panel(results.title, rows, {})]
    else:
        names = dict.fromkeys(row.name for row in results.rows)
        panels = []
        for i, title in enumerate(SCENARIO_GROUPS):
            found = [row for name in names if (row := scenario_row(results, name, i)) is not None]
            theirs = {name: published.VIDEOS_68[name][i] for name in (published.FHR, published.FHR_STA)}
            panels.append(_Panel(title, found, theirs))
    wanted = ("nrmse", key)
    panels = [
        _Panel(each.title, [row for row in each.rows if _has(row, wanted)], each.theirs) for each in panels
    ]
    return [panel for panel in panels if panel.rows]


def _has(row: Row, keys: Iterable[str]) -> bool:
    return all(np.isfinite(row.figures.get(key, np.nan)) for key in keys)


def _marker(name: str) -> str:
    if name.startswith(RAW):
        return "s"
    return "^" if "later" in name or "offline" in name else "o"


# ------------------------------------------------------------------------------------------- drawing

_FIGURES: tuple[tuple[str, str, Callable[[Sequence[Results]], Drawn]], ...] = (
    ("3a", "Time delay: raw, stabilised and true path", _trajectory_sta),
    ("3b", "Size of wrong motion by landmark", _motion_error),
    ("3c", "Direction of wrong motion by landmark", _turn_error),
    ("4", "Mean heatmaps of easy and of hard faces", _mean_heatmaps),
    ("5", "Cumulative error", _error_curves),
    ("6", "NRMSE and stability of all stabilisers", _trade_off),
    ("7", "Second-order filter and STA", _trajectory_second_order),
)
"""Number in the paper, title, and what draws it."""


def _preferred(results: Sequence[Results], *protocols: str) -> list[Results]:
    """The results of these protocols, those of the first one first."""
    return [each for protocol in protocols for each in results if each.protocol == protocol]


def _measured(results: Results) -> str:
    """Title, amount and weights, with what is not there."""
    gaps = {"left out": len(results.skipped), "missing": len(results.missing)}
    parts = [f"{count} {gap}" for gap, count in gaps.items() if count]
    return ", ".join([results.title, amount(results), *parts, weights_of(results)])


def _new_figure(height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plots") from error
    return Figure(figsize=(_WIDTH, height), layout="constrained")


def _style() -> Any:
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plots") from error
    return rc_context(_RC)


_RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "legend.title_fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _COLOURS["truth"],
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "axes.edgecolor": _COLOURS["truth"],
    "axes.facecolor": "none",
    "figure.facecolor": PAPER_WHITE,
    "savefig.facecolor": PAPER_WHITE,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.fonttype": "path",
    "svg.hashsalt": "steadyface",
}
