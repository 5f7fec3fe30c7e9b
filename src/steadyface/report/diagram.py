"""The mean face as a diagram: to choose a landmark by, and to show a figure of every landmark on."""

from __future__ import annotations

from html import escape

import numpy as np
from jaxtyping import Float

from steadyface import markup
from steadyface.geometry import bounding_box
from steadyface.measures import MEAN_FACE

_FACE = MEAN_FACE[:, :2]
_ROOM = 8.0  # mm around the face, for its dots
_STOPS = np.array([[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]])
"""Dark to bright. Source: viridis (Smith and van der Walt 2015), even to all kinds of colour vision."""


def chooser(chosen: int) -> str:
    """A face diagram whose landmarks can be clicked, and a list of their names that says the same."""
    x, y = _FACE.T
    dots = "".join(
        f'<circle cx="{x[i]:g}" cy="{y[i]:g}" r="{3.6 if i == chosen else 2.2}"'
        f"{' class=chosen' if i == chosen else ''}><title>{_title(i)}</title></circle>"
        for i in range(markup.COUNT)
    )
    options = "".join(
        f'<option value="{i}"{" selected" if i == chosen else ""}>{_title(i)}</option>'
        for i in range(markup.COUNT)
    )
    return (
        f"{_diagram('Landmarks to choose from', dots, 'choose')}"
        f"<label>Landmark <select>{options}</select></label>"
    )


def jitter_diagrams(raw: Float[np.ndarray, "68"], stabilised: Float[np.ndarray, "68"]) -> str:
    """Two faces side by side, each landmark coloured by its jitter (%), on one scale; and that scale."""
    top = float(np.nanmax(np.concatenate([raw, stabilised]), initial=0.0)) or 1.0
    both = "".join(
        f"<figure>{_diagram(f'Jitter, {name}', _coloured(values, top))}"
        f"<figcaption>{name}: {_spread(values)}</figcaption></figure>"
        for name, values in (("raw", raw), ("stabilised", stabilised))
    )
    ramp = ", ".join(f"rgb{tuple(stop)}" for stop in _STOPS.tolist())
    return (
        f'<div class="pair">{both}</div><div class="ramp"><span>0</span>'
        f'<i style="background:linear-gradient(90deg, {ramp})"></i><span>{top:.2g} %</span></div>'
    )


def _coloured(values: Float[np.ndarray, "68"], top: float) -> str:
    x, y = _FACE.T
    return "".join(
        f'<circle cx="{x[i]:g}" cy="{y[i]:g}" r="3.4" fill="{_colour(values[i] / top)}">'
        f"<title>{_title(i)}: {values[i]:.3f} %</title></circle>"
        for i in range(markup.COUNT)
        if values[i] == values[i]
    )


def _colour(share: float) -> str:
    place = min(max(share, 0.0), 1.0) * (len(_STOPS) - 1)
    mixed = [np.interp(place, np.arange(len(_STOPS)), channel) for channel in _STOPS.T]
    return "#" + "".join(f"{round(value):02x}" for value in mixed)


def _spread(values: Float[np.ndarray, "68"]) -> str:
    if np.isnan(values).all():
        return "no three successive frames"
    return f"{np.nanmin(values):.3f} to {np.nanmax(values):.3f} %"


def _diagram(name: str, dots: str, kind: str = "") -> str:
    x0, y0, x1, y1 = bounding_box(_FACE)
    box = f"{x0 - _ROOM:g} {y0 - _ROOM:g} {x1 - x0 + 2 * _ROOM:g} {y1 - y0 + 2 * _ROOM:g}"
    return (
        f'<svg class="face {kind}" viewBox="{box}" role="img" aria-label="{name}">{_contours()}{dots}</svg>'
    )


def _contours() -> str:
    lines = []
    for group, members in markup.GROUPS.items():
        points = " ".join(f"{x:g},{y:g}" for x, y in _FACE[list(members)])
        lines.append(
            f'<{"polygon" if group in markup.CLOSED_GROUPS else "polyline"} class="part" points="{points}"/>'
        )
    return "".join(lines)


def _title(landmark: int) -> str:
    return escape(f"{landmark}, {markup.NAMES[landmark].rsplit('_', 1)[0].replace('_', ' ')}")
