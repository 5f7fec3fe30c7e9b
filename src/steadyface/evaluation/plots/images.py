"""Figures 4 and 5: heatmaps of easy and of hard faces, and cumulative errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from steadyface import metrics
from steadyface.evaluation import published
from steadyface.evaluation.images import (
    CHALLENGE,
    COMMON,
    FOLDER,
    FULL,
    HELEN,
    PRIVATE,
    ImageBenchmark,
    ImageResults,
)
from steadyface.evaluation.inputs import CHR, FAILURE, FHR
from steadyface.evaluation.plots.style import (
    COLOURS,
    OWN,
    TRUTH,
    Drawn,
    NothingToDrawError,
    measured,
    new_figure,
)
from steadyface.evaluation.results import Results
from steadyface.evaluation.text import number

_CONTOUR = "#eef0f2"
_CURVE_END = 10.0  # NRMSE up to which a cumulative curve is drawn, %
_CELLS = (-5, 0, 5)


def mean_heatmaps(results: Sequence[Results]) -> Drawn:
    """Figure 4: mean heatmaps of easy and of hard faces."""
    for each in _preferred(results, PRIVATE, HELEN, FULL, COMMON, CHALLENGE, FOLDER):
        if (maps := each.heatmaps) and maps.easy and maps.hard:
            break
    else:
        raise NothingToDrawError("no result of an image protocol holds mean heatmaps")
    figure = new_figure(2.8)
    both = list(figure.subplots(1, 2, sharey=True))
    parts = {"easiest quarter": maps.easy, "hardest quarter": maps.hard}
    for axes, (title, values) in zip(both, parts.items(), strict=True):
        heat = np.array(values, float)
        reach = len(heat) / 2
        extent = (-reach, reach, reach, -reach)
        image = axes.imshow(heat, vmin=0, vmax=1, cmap="magma", extent=extent, interpolation="nearest")
        axes.contour(
            heat, levels=[0.5], colors=_CONTOUR, linewidths=0.9, extent=(-reach, reach, -reach, reach)
        )
        axes.set_title(title)
        axes.set(xlabel="cells from the peak", xticks=_CELLS, yticks=_CELLS)
        axes.grid(visible=False)
    figure.colorbar(image, ax=both, shrink=0.8)
    return figure, (
        f"Mean of the heatmaps around their peaks, each of height 1: the quarter of the faces with the "
        f"smallest errors and that with the largest. White: half the height. {measured(each)}."
    )


def error_curves(results: Sequence[Results]) -> Drawn:
    """Figure 5: the share of faces with at most an error."""
    for each in _preferred(results, PRIVATE, HELEN):
        own = each.run.decoder
        readings = [reading for reading in dict.fromkeys((CHR, FHR, own)) if each.row(reading)]
        if readings and each.errors:
            break
    else:
        raise NothingToDrawError("no result of the 300-W private test, nor of HELEN test")
    figure = new_figure(3.6)
    axes = figure.subplots()
    ticks = np.linspace(0, _CURVE_END, 501)
    titles = {CHR: "CHR (argmax)", FHR: "FHR"}
    for reading in readings:
        errors = np.array([face.get(reading, np.nan) for face in each.errors.values()], float)
        title = titles.get(reading, f"default ({own})")
        label = (
            f"{title}: AUC {metrics.auc(errors, FAILURE):.1f}, "
            f"failure {metrics.failure_rate(errors, FAILURE):.2f}"
        )
        axes.plot(ticks, metrics.ced(errors, ticks), color=COLOURS.get(reading, OWN), label=label)
    axes.axvline(FAILURE, ymin=0.6, color=TRUTH, lw=0.8, ls=":")
    axes.plot([], [], " ", label="published, 300-W private test:")
    for name in (published.CHR, published.FHR):
        theirs = published.PRIVATE_TEST[name]
        label = f"{name}: AUC {number(theirs.auc, 1)}, failure {number(theirs.failure, 2)}"
        axes.plot([], [], " ", label=label)
    axes.set(xlabel="NRMSE, %", ylabel="faces with at most this error, %")
    axes.set(xlim=(0, _CURVE_END), ylim=(0, 101))
    axes.legend(loc="lower right", title=f"ours, {each.title}:", alignment="left")
    other = "" if each.benchmark is PRIVATE else " HELEN test is another and easier data set."
    return figure, (
        f"{measured(each)}. A face that was not found counts as infinitely wrong. The paper's curves are "
        f"not published as numbers: its AUC and failure rate stand beside.{other}"
    )


def _preferred(results: Sequence[Results], *benchmarks: ImageBenchmark) -> list[ImageResults]:
    """Results of these benchmarks, those of the first one first."""
    images = [each for each in results if isinstance(each, ImageResults)]
    return [each for benchmark in benchmarks for each in images if each.benchmark is benchmark]
