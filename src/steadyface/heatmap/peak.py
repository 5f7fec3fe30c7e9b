"""The brightest cell of a heatmap, and what lies around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

BEYOND = -1e9
"""Stands for the logarithm of 0 in cells of a patch outside the map; finite, so that differences are."""


@dataclass(frozen=True)
class Peak:
    """Brightest cell of each map and the square patch around it."""

    x: Any  # (…) integer cell
    y: Any
    height: Any  # (…) value of that cell
    patch: Any  # (…, 2r+1, 2r+1) values around it
    beyond: Any  # (…, 2r+1, 2r+1) 0 for a cell of the map, `BEYOND` or less for one outside it
    evident: Any  # (…) whether any cell exceeds another

    @property
    def radius(self) -> int:
        return self.patch.shape[-1] // 2


def find_peak(xp: Any, maps: Any, radius: int) -> Peak:
    """Find the brightest cell of each map (…, h, w), and the patch of `radius` cells to each side of it."""
    *batch, height, width = maps.shape
    y = xp.argmax(xp.max(maps, axis=-1), axis=-1)  # finding the row first takes a third of the time
    flat = xp.reshape(maps, (*batch, height * width))
    across = xp.arange(width, dtype=y.dtype, device=y.device)
    x = xp.argmax(_gather(xp, flat, y[..., None] * width + across), axis=-1)
    span = 2 * radius + 1
    reach = xp.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
    rows, columns = y[..., None] + reach, x[..., None] + reach
    row, column = xp.clip(rows, 0, height - 1), xp.clip(columns, 0, width - 1)
    beyond_rows, beyond_columns = (
        BEYOND * xp.astype(cells != there, maps.dtype) for cells, there in ((rows, row), (columns, column))
    )
    cells = row[..., :, None] * width + column[..., None, :]
    patch = _gather(xp, flat, xp.reshape(cells, (*batch, span * span)))
    top = patch[..., span * span // 2]
    return Peak(
        x=x,
        y=y,
        height=top,
        patch=xp.reshape(patch, (*batch, span, span)),
        beyond=beyond_rows[..., :, None] + beyond_columns[..., None, :],
        evident=top > xp.min(flat, axis=-1),
    )


def _gather(xp: Any, flat: Any, cells: Any) -> Any:
    """`take_along_axis` on the last axis; torch's own would fix the batch size of an exported graph."""
    if hasattr(xp, "gather"):
        return xp.gather(flat, -1, cells)
    return xp.take_along_axis(flat, cells, axis=-1)


def mass_near_peak(xp: Any, maps: Any, peak: Peak, logs: Any, around: int) -> Any:
    """Fraction of the softmax's mass within `around` cells of the peak."""
    x, y = offsets(peak.radius)
    window = np.where(np.maximum(abs(x), abs(y)) <= around, 1.0, 0.0)
    near = weigh(xp, xp.exp(logs), window[:, None])[..., 0]
    total = xp.sum(xp.exp(maps - peak.height[..., None, None]), axis=(-2, -1))
    return xp.clip(near / total, 0, 1) * xp.astype(peak.evident, maps.dtype)


def offsets(radius: int) -> Float[np.ndarray, "2 cells"]:
    """x and y of a patch's cells from its middle, row by row."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return np.stack([x.ravel(), y.ravel()]).astype(float)


def weigh(xp: Any, patch: Any, weights: Float[np.ndarray, "cells sums"]) -> Any:
    """Weighted sums over a patch's cells, (…, sums), as one matrix product, which a graph runs fast."""
    flat = xp.reshape(patch, (*patch.shape[:-2], len(weights)))
    return xp.matmul(flat, xp.asarray(weights, dtype=patch.dtype, device=patch.device))
