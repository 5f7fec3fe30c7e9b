"""What the figures have in common: colours, a blank figure, which results, and how they are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steadyface.errors import MissingExtraError
from steadyface.evaluation.protocols import CHR, FHR
from steadyface.evaluation.results import RAW, RAW_CHR, RAW_FHR, Results
from steadyface.evaluation.tables.words import amount

INK = "#1f2329"
"""Colour of text and axes; a page may replace it by its own."""

PAPER_WHITE = "#ffffff"
"""Colour of the ground."""

STA, SECOND = "sta", "second-order"
COLOURS = {
    RAW_CHR: "#8c6bb1",
    RAW_FHR: "#e08214",
    RAW: "#d6604d",
    CHR: "#8c6bb1",
    FHR: "#e08214",
    STA: "#1b9e77",
    "sta-paper": "#66a61e",
    SECOND: "#3f83c4",
    "one-euro": "#d63f8c",
    "moving-average": "#a6761d",
    "first-order": "#5aa9c9",
    "constant-velocity": "#7570b3",
    "sta, 2 frames later": "#8fd3bb",
    "sta, 5 frames later": "#4fb595",
    "sta-offline": "#0d6b50",
    "truth": "#9aa1a9",
}
"""By row."""

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
    "grid.color": COLOURS["truth"],
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "axes.edgecolor": COLOURS["truth"],
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
    """No result holds what a figure shows; the message says what that is."""


def preferred(results: Sequence[Results], *protocols: str) -> list[Results]:
    """The results of these protocols, those of the first one first."""
    return [each for protocol in protocols for each in results if each.protocol == protocol]


def measured(results: Results) -> str:
    """Title, amount and weights, with what is not there."""
    gaps = {"left out": len(results.skipped), "missing": len(results.missing)}
    parts = [f"{count} {gap}" for gap, count in gaps.items() if count]
    return ", ".join([results.title, amount(results), *parts, results.weights])


def new_figure(height: float) -> Any:
    """A blank figure, `height` inches high; within `style`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(_WIDTH, height), layout="constrained")


def style() -> Any:
    """The context in which figures are drawn and written.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plots") from error
    return rc_context(_RC)
