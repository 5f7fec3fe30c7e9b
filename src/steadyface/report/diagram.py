"""Diagram of the mean face, to choose a landmark from and to show a figure of every landmark on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from steadyface import markup
from steadyface.geometry import bounding_box
from steadyface.measures import MEAN_FACE

_FACE = MEAN_FACE[:, :2]
_PADDING = 8.0  # mm around the face, for its dots
_STOPS = np.array([[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]])
"""Dark to bright. Source: viridis (Smith and van der Walt 2015), even to all kinds of colour vision."""


@dataclass(frozen=True)
class Dot:
    """Landmark in the diagram.

    Args:
        x, y: position, mm.
        title: number and name.
        colour: of the dot; empty for that of the style sheet.
    """

    x: float
    y: float
    title: str
    colour: str = ""


@dataclass(frozen=True)
class Diagram:
    """Contours of the face and dots on its landmarks.

    Args:
        title: what the dots show, for screen readers.
        dots: landmarks that are drawn.
        caption: text below.
    """

    title: str
    dots: list[Dot]
    caption: str = ""

    @property
    def view_box(self) -> str:
        """Left, top, width and height of the drawing, mm."""
        x0, y0, x1, y1 = bounding_box(_FACE)
        return f"{x0 - _PADDING:g} {y0 - _PADDING:g} {x1 - x0 + 2 * _PADDING:g} {y1 - y0 + 2 * _PADDING:g}"

    @property
    def contours(self) -> list[str]:
        """SVG path data of jaw, brows, nose, eyes and lips."""
        return [
            "M"
            + "L".join(f"{x:g} {y:g}" for x, y in _FACE[list(members)])
            + "Z" * (group in markup.CLOSED_GROUPS)
            for group, members in markup.GROUPS.items()
        ]


def chooser() -> Diagram:
    """Diagram whose landmarks can be clicked."""
    dots = [Dot(x, y, _title(i)) for i, (x, y) in enumerate(_FACE.tolist())]
    return Diagram("Landmarks to choose from", dots)


@dataclass(frozen=True)
class JitterDiagrams:
    """Raw and stabilised jitter side by side on one colour scale from 0 to `top` %."""

    diagrams: list[Diagram]
    top: float

    @property
    def ramp(self) -> str:
        """The colour scale as stops of a CSS gradient."""
        return ", ".join(f"rgb{tuple(stop)}" for stop in _STOPS.tolist())


def jitter_diagrams(raw: Float[np.ndarray, "68"], stabilised: Float[np.ndarray, "68"]) -> JitterDiagrams:
    """Colour each landmark by its jitter, % of the inter-ocular distance; NaN leaves it out."""
    top = float(np.nanmax(np.concatenate([raw, stabilised]), initial=0.0)) or 1.0
    diagrams = [
        Diagram(f"Jitter, {name}", _coloured(values, top), f"{name}: {_spread(values)}")
        for name, values in (("raw", raw), ("stabilised", stabilised))
    ]
    return JitterDiagrams(diagrams, top)


def _coloured(values: Float[np.ndarray, "68"], top: float) -> list[Dot]:
    return [
        Dot(x, y, f"{_title(i)}: {value:.3f} %", _colour(value / top))
        for i, ((x, y), value) in enumerate(zip(_FACE.tolist(), values.tolist(), strict=True))
        if not np.isnan(value)
    ]


def _colour(ratio: float) -> str:
    position = min(max(ratio, 0.0), 1.0) * (len(_STOPS) - 1)
    mixed = [np.interp(position, np.arange(len(_STOPS)), channel) for channel in _STOPS.T]
    return "#" + "".join(f"{round(value):02x}" for value in mixed)


def _spread(values: Float[np.ndarray, "68"]) -> str:
    if np.isnan(values).all():
        return "no three successive frames"
    return f"{np.nanmin(values):.3f} to {np.nanmax(values):.3f} %"


def _title(landmark: int) -> str:
    return f"{landmark}, {markup.NAMES[landmark].rsplit('_', 1)[0].replace('_', ' ')}"
