"""Figure 6: NRMSE against stability."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
from steadyface.evaluation.protocols import MOTION, SCENARIO_GROUPS, TALKING, VIDEOS
from steadyface.evaluation.results import ALL, RAW, RAW_FHR, Results, Row

_OTHER = "#7f868d"  # stabilisers without a colour of their own
_TICKS = [digit * 10.0**power for power in (-2, -1, 0, 1) for digit in (1, 2, 3, 5)]


@dataclass(frozen=True)
class _Panel:
    """Error against unsteadiness of every way, for one set of videos."""

    title: str
    rows: list[Row]
    theirs: dict[str, published.Steadiness]


def trade_off(results: Sequence[Results]) -> Drawn:
    """Figure 6: NRMSE and stability of every way, a panel for each scenario."""
    for each in preferred(results, VIDEOS, TALKING, MOTION):
        key = "moving" if each.protocol == MOTION else "stability"
        if panels := _panels(each, key):
            break
    else:
        raise NothingToDrawError("no result of a video")
    figure = new_figure(3.9 if len(panels) > 1 else 4.2)
    for axes, panel in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        for name, theirs in panel.theirs.items():
            colour = COLOURS[STA if name == published.FHR_STA else RAW_FHR]
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
                s=60 if row.name == STA else 26,
                marker=_marker(row.name),
                color=COLOURS.get(row.name, _OTHER),
                alpha=0.9,
                linewidths=0,
                zorder=3 if row.name == STA else 2,
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
        f"{measured(each)}. Towards the lower left is better; stability on a logarithmic axis. Squares: "
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
            found = [row for name in names if (row := results.row(name, title)) is not None]
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
