"""The paper's Figures 3 to 7, drawn from results. Needs the extra `plots`.

Figures 1 and 2 of the paper explain; they show no results.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from steadyface import files
from steadyface.evaluation.plots.images import error_curves, mean_heatmaps
from steadyface.evaluation.plots.style import Drawn, NothingToDrawError, style
from steadyface.evaluation.plots.videos import (
    motion_error,
    trade_off,
    trajectory_second_order,
    trajectory_sta,
    turn_error,
)
from steadyface.evaluation.results import Results

_FIGURES: tuple[tuple[str, str, Callable[[Sequence[Results]], Drawn]], ...] = (
    ("3a", "Time delay: raw, stabilised and true path", trajectory_sta),
    ("3b", "Size of wrong motion by landmark", motion_error),
    ("3c", "Direction of wrong motion by landmark", turn_error),
    ("4", "Mean heatmaps of easy and of hard faces", mean_heatmaps),
    ("5", "Cumulative error", error_curves),
    ("6", "NRMSE and stability of all stabilisers", trade_off),
    ("7", "Second-order filter and STA", trajectory_second_order),
)
"""Number in the paper, title, and the function that draws it."""

_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@dataclass(frozen=True)
class Plot:
    """One figure of the paper, drawn from our results.

    Args:
        name: stem of its files.
        title: for people.
        caption: explanation; of a figure that could not be drawn, the reason.
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
        picture = out / f"{self.name}.png"
        with style(), files.atomic_write(picture) as part:
            self.figure.savefig(part, dpi=160, format="png", metadata={"Software": None})
        return [picture, files.write_text(out / f"{self.name}.svg", self.svg)]

    @cached_property
    def svg(self) -> str:
        """SVG of the figure, without a date: the same results make the same file."""
        text = io.StringIO()
        with style():
            self.figure.savefig(text, format="svg", metadata=_NO_METADATA)
        return text.getvalue()


def draw_all(results: Sequence[Results]) -> list[Plot]:
    """Draw Figures 3 to 7; one without data has no `figure`, and its caption says why.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    plots = []
    with style():
        for name, title, draw in _FIGURES:
            try:
                figure, caption = draw(results)
            except NothingToDrawError as error:
                figure, caption = None, str(error)
            plots.append(Plot(f"figure-{name}", f"Figure {name}. {title}", caption, figure))
    return plots
