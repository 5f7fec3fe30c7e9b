"""Common parts of the figures: colours, a blank figure, and the line that says what was measured."""

from __future__ import annotations

from typing import Any

from steadyface.errors import MissingExtraError
from steadyface.evaluation.inputs import CHR, FHR
from steadyface.evaluation.predictions import Reading
from steadyface.evaluation.results import Results
from steadyface.evaluation.trajectories import (
    ONE_EURO,
    RAW,
    RAW_CHR,
    RAW_FHR,
    SECOND_ORDER,
    STA,
    STA_MOTION,
    STA_PAPER,
    Method,
)

INK = "#1f2329"
"""Colour of text and axes; a page may replace it by its own."""

PAPER_WHITE = "#ffffff"
"""Colour of the ground."""

TRUTH = "#9aa1a9"
"""Colour of the truth, of axes and of thresholds."""

COLOURS: dict[Method | Reading, str] = {
    RAW_CHR: "#8c6bb1",
    RAW_FHR: "#e08214",
    RAW: "#d6604d",
    CHR: "#8c6bb1",
    FHR: "#e08214",
    STA: "#1b9e77",
    STA_PAPER: "#66a61e",
    SECOND_ORDER: "#3f83c4",
    ONE_EURO: "#d63f8c",
    Method(stabilizer="moving-average"): "#a6761d",
    Method(stabilizer="first-order"): "#5aa9c9",
    Method(stabilizer="constant-velocity"): "#7570b3",
    Method(stabilizer="sta", lag=2): "#8fd3bb",
    Method(stabilizer="sta", lag=5): "#4fb595",
    Method(stabilizer="sta", offline=True): "#0d6b50",
    STA_MOTION: "#00429d",
    Method(stabilizer="sta-paper", motion=True): "#4771b2",
    Method(stabilizer="one-euro", motion=True): "#8f6bbf",
}
"""Colour of each row."""

OWN = COLOURS[STA]
"""Colour of the network's own decoder on images."""

_WIDTH = 5.4  # inches

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
    "grid.color": TRUTH,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "axes.edgecolor": TRUTH,
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

Drawn = tuple[Any, str]
"""A matplotlib figure and its caption."""


class NothingToDrawError(Exception):
    """No result has the data of a figure; the message names it."""


def measured(results: Results) -> str:
    """Title, amount and weights, with the number of items left out or missing."""
    gaps = {"left out": len(results.skipped), "missing": len(results.missing)}
    parts = [f"{count} {gap}" for gap, count in gaps.items() if count]
    return ", ".join([results.title, results.amount, *parts, results.run.weights])


def new_figure(height: float) -> Any:
    """Make a blank figure, `height` inches high; within `style`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(_WIDTH, height), layout="constrained")


def style() -> Any:
    """Open the context in which figures are drawn and written.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plots") from error
    return rc_context(_RC)
