"""Z-buffer: the nearest triangle at every px of a picture, and values interpolated between its vertices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from steadyface.synthetic.heads.model import Triangles, Vertices


@dataclass(frozen=True, eq=False)
class Drawing:
    """The nearest triangle of every px.

    Args:
        depth: (height, width) towards the viewer, -∞ where there is no triangle.
        triangle: (height, width) its number, -1 where there is none.
        shares: (height, width, 3) barycentric coordinates in it.
    """

    depth: Float[np.ndarray, "height width"]
    triangle: Int[np.ndarray, "height width"]
    shares: Float[np.ndarray, "height width 3"]

    def spread(
        self, triangles: Triangles, values: Float[np.ndarray, "vertices channels"]
    ) -> Float[np.ndarray, "height width channels"]:
        """Interpolate values of vertices at every px; meaningless where there is no triangle."""
        corners = values[triangles[self.triangle]]
        return np.einsum("hwk,hwkc->hwc", self.shares, corners)


def draw(vertices: Vertices, triangles: Triangles, height: int, width: int) -> Drawing:
    """Draw triangles, the nearest on top.

    Args:
        vertices: (vertices, 3) x, y in px (centres at integers), and depth towards the viewer.
        triangles: (triangles, 3) vertices; both orientations are drawn.
        height, width: of the picture, px.
    """
    owner, x, y, shares = _candidates(vertices[triangles], height, width)
    depth = (shares * vertices[triangles[owner], 2]).sum(axis=1)
    order = np.argsort(depth, kind="stable")  # the nearest is written last
    pixels = y[order], x[order]
    drawing = Drawing(
        depth=np.full((height, width), -np.inf),
        triangle=np.full((height, width), -1),
        shares=np.zeros((height, width, 3)),
    )
    drawing.depth[pixels] = depth[order]
    drawing.triangle[pixels] = owner[order]
    drawing.shares[pixels] = shares[order]
    return drawing


def _candidates(corners: Float[np.ndarray, "triangles 3 3"], height: int, width: int) -> tuple[Any, ...]:
    """Triangle, x, y and barycentric coordinates of every px in every triangle."""
    flat = corners[..., :2]
    low = np.maximum(np.ceil(flat.min(axis=1) - _SLACK), 0).astype(int)
    high = np.minimum(np.floor(flat.max(axis=1) + _SLACK), [width - 1, height - 1]).astype(int)
    spans = np.maximum(high - low + 1, 0)
    counts = spans.prod(axis=1)
    owner = np.repeat(np.arange(len(corners)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    columns = spans[owner, 0]
    x, y = low[owner, 0] + within % columns, low[owner, 1] + within // columns
    first, second, third = (flat[:, k] for k in range(3))
    one, two = second - first, third - first
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    px, py = x - first[owner, 0], y - first[owner, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        b = (px * two[owner, 1] - py * two[owner, 0]) / area[owner]
        c = (py * one[owner, 0] - px * one[owner, 1]) / area[owner]
        shares = np.stack([1 - b - c, b, c], axis=1)
    kept = (shares >= -_SLACK).all(axis=1)  # not NaN, as of a triangle seen edge-on
    return owner[kept], x[kept], y[kept], shares[kept]


_SLACK = 1e-6
