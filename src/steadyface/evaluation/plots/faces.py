"""Figures 4 and 5: heatmaps of easy and hard faces, and cumulative errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from steadyface import metrics
from steadyface.evaluation import published
from steadyface.evaluation.plots.style import (
    COLOURS,
    STA,
    Drawn,
    NothingToDrawError,
    measured,
    new_figure,
    preferred,
)
from steadyface.evaluation.protocols import CHR, FAILURE, FHR, HELEN, PRIVATE
from steadyface.evaluation.results import Results
from steadyface.evaluation.tables.words import number

_CONTOUR = "#eef0f2"
_CURVE_END = 10.0  # NRMSE, % up to which a cumulative curve is drawn
_CELLS = (-5, 0, 5)


def mean_heatmaps(results: Sequence[Results]) -> Drawn:
    """Figure 4: heatmaps laid upon each other, of easy and of hard faces."""
    for each in preferred(results, PRIVATE, HELEN, "300w-full", "300w-common", "300w-challenge", "folder"):
        maps = {part: each.curves.get("mean heatmaps", {}).get(part) for part in ("easy", "hard")}
        if all(maps.values()):
            break
    else:
        raise NothingToDrawError("no result of an image protocol holds mean heatmaps")
    figure = new_figure(2.8)
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
        f"smallest errors and that with the largest. White: half the height. {measured(each)}."
    )


def error_curves(results: Sequence[Results]) -> Drawn:
    """Figure 5: the share of faces with at most an error."""
    for each in preferred(results, PRIVATE, HELEN):
        names = [name for name in dict.fromkeys((CHR, FHR, each.decoder)) if each.row(name)]
        if names and each.items:
            break
    else:
        raise NothingToDrawError("no result of the 300-W private test, nor of HELEN test")
    figure = new_figure(3.6)
    axes = figure.subplots()
    errors = np.linspace(0, _CURVE_END, 501)
    for name in names:
        own = np.array([figures.get(name, np.nan) for figures in each.items.values()], float)
        own = np.nan_to_num(own, nan=np.inf, posinf=np.inf)
        label = (
            f"{_titled(name, each.decoder)}: AUC {metrics.auc(own, FAILURE):.1f}, "
            f"failure {metrics.failure_rate(own, FAILURE):.2f}"
        )
        axes.plot(errors, metrics.ced(own, errors), color=COLOURS.get(name, COLOURS[STA]), label=label)
    axes.axvline(FAILURE, ymin=0.6, color=COLOURS["truth"], lw=0.8, ls=":")
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
        f"{measured(each)}. A face that was not found counts as infinitely wrong. The paper's curves are "
        f"not published as numbers: its AUC and failure rate stand beside.{other}"
    )


def _titled(name: str, decoder: str) -> str:
    titles = {CHR: "CHR (argmax)", FHR: "FHR"}
    return titles.get(name, f"default ({decoder})")
