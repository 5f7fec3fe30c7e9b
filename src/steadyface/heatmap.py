"""Fractional heatmap regression (FHR): points to heatmaps and back, without rounding.

`encode` draws a Gaussian at the *unrounded* position of each point. `decode` reads it back: the brightest
cell, then a closed-form step to a fraction of that cell. `decode_logits` does the same for maps of logarithms
(the output of a network trained with softmax and cross-entropy). The same code serves numpy arrays and torch
tensors on any device, by the array-API standard; a batch needs no loop.

Source: Tai et al. 2019, Eq. (1)-(4). Frame throughout: px ("cells") of the heatmap, centres at integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Float

from steadyface.errors import ConfigError

METHODS = ("argmax", "quarter", "fhr", "fhr_symmetric", "least_squares", "dark")
DEFAULT_METHOD = "dark"

_LOWEST = -1e30  # stands for the logarithm of 0; finite, so that differences stay finite
_BEYOND = -1e9  # the same for cells of a patch that lie outside the map
_CELL = 0.5  # cells: a three-point step stays within the brightest cell
_NEIGHBOURHOOD = 1.5  # cells: noise can raise a neighbour of the true peak, which a wider fit may correct
_LEAST = 1e-20  # least mass of a map near its peak by which sums are divided
_LEAST_CURVED = 1e-3  # determinant of 1 - C/σ² from which on a blurred map has a peak
_VARIANCE_RANGE = (0.05, 100.0)  # cells²; range in which the curvature of a peak is trusted


@dataclass(frozen=True, eq=False)
class Decoded:
    """Points read from heatmaps.

    Args:
        points: (…, L, 2) x, y in px of the heatmap.
        scores: (…, L) in [0, 1]; 0 for a map without evidence. `decode`: the peak's height;
            `decode_logits`: the fraction of the softmax's mass around the peak.
        covariances: (…, L, 2, 2) px² of the heatmap: the inverse curvature of the log-peak, which for a
            Gaussian peak is its covariance.
    """

    points: Any
    scores: Any
    covariances: Any


def encode(
    points: Float[Any, "*batch 2"], size: tuple[int, int], sigma: float, *, rounded: bool = False
) -> Float[Any, "*batch h w"]:
    """Draw each point as a Gaussian of peak 1 at its exact, unrounded position.

    Equation: H(c) = exp(-‖c - c₀‖² / 2σ²).
    Source: Tai et al. 2019, Eq. (1).

    Args:
        points: px of the heatmap; numpy or torch.
        size: (height, width) of the heatmaps.
        sigma: standard deviation in px of the heatmap (the paper: 3 on 128 × 128).
        rounded: round c₀ first, as conventional heatmap regression (CHR) does.

    Returns:
        The heatmaps, in the points' dtype.

    Raises:
        ConfigError: points of another shape, a size below 1, or sigma not positive.

    >>> import numpy as np
    >>> encode(np.array([1.0, 0.0]), (1, 3), sigma=1.0).round(3)
    array([[0.607, 1.   , 0.607]])
    """
    _check_sigma(sigma)
    xp = array_namespace(points)
    if rounded:
        points = xp.floor(points + 0.5)
    height, width = size
    if points.shape[-1:] != (2,):
        raise ConfigError(f"points must be (…, 2), got shape {tuple(points.shape)}")
    if any(side < 1 or side % 1 for side in size):
        raise ConfigError(f"size must be two whole numbers from 1, got {size}")
    rows = xp.arange(height, dtype=points.dtype, device=points.device)
    columns = xp.arange(width, dtype=points.dtype, device=points.device)
    along_x = xp.exp(-((columns - points[..., 0:1]) ** 2) / (2 * sigma**2))
    along_y = xp.exp(-((rows - points[..., 1:2]) ** 2) / (2 * sigma**2))
    return along_y[..., :, None] * along_x[..., None, :]


def decode(heatmaps: Any, *, sigma: float, method: str = DEFAULT_METHOD, reach: int = 1) -> Decoded:
    """Find each map's point to a fraction of a cell.

    For any map (NaN, infinities, negatives, zeros, a peak on the border) the result is finite, lies in the
    brightest cell (`fhr`) or at most one cell further, and has score 0 without evidence (nothing positive, or
    flat).

    Source: Tai et al. 2019, Eq. (3)-(4). Differs from it in: the sign at the last row and column, where the
    printed formula returns -c₀; neighbours that are not positive are never used; the step is clamped.

    - `argmax`: the brightest cell (CHR).
    - `quarter`: a quarter cell towards the brighter neighbour (Newell et al. 2016).
    - `fhr`: from the peak h₀ and its neighbour at d = ±1, z = x₀ + d/2 + (σ²/d)(ln h_d - ln h₀).
    - `fhr_symmetric`: from the pair at ±`reach`, z = x₀ + (σ²/2·reach)(ln h₊ - ln h₋); half the noise and no
      bias when the map's true width is not σ.
    - `least_squares`: ln h fitted over 7 × 7 cells with weights h², width known.
    - `dark`: the mode of the blurred map by Newton's method on its logarithm (Zhang et al. 2020).

    Args:
        heatmaps: (…, h, w), numpy or torch, any float type.
        sigma: standard deviation of the encoding, px of the heatmap.
        method: one of `METHODS`.
        reach: distance of the pair used by `fhr_symmetric`, cells.

    Returns:
        Points, scores and covariances, float32 (float64 for float64 maps).

    Raises:
        ConfigError: unknown method, sigma or reach not positive.

    >>> import numpy as np
    >>> maps = encode(np.array([[29.55, 77.38]]), (128, 128), sigma=3.0)
    >>> decode(maps, sigma=3.0, method="fhr").points.round(6)
    array([[29.55, 77.38]])
    """
    xp, maps = _as_float(heatmaps)
    maps = xp.where(xp.isfinite(maps) & (maps > 0), maps, 0.0)
    peak = _find_peak(xp, maps, _radius(method, sigma, reach))
    usable = (peak.beyond == 0) & (peak.patch > 0)
    top = xp.where(peak.height > 0, peak.height, 1.0)[..., None, None]
    logs = xp.where(usable, xp.log(xp.where(usable, peak.patch, top)) - xp.log(top), _BEYOND)
    scores = xp.clip(peak.height, 0, 1) * xp.astype(peak.evident, maps.dtype)
    return _refine(xp, peak, logs, usable, scores, method, sigma, reach)


def decode_logits(
    logits: Any, *, sigma: float, method: str = DEFAULT_METHOD, reach: int = 1, finite: bool = False
) -> Decoded:
    """Decode maps of log values, known up to a constant, without leaving the logarithm.

    Scores are the fraction of softmax(logits) within ⌈3σ⌉ cells of the peak: the network's own probability
    that the point is there. NaN and infinite cells count as 0; `finite` promises that there are none, which
    saves a pass over the maps.

    >>> import numpy as np
    >>> logits = np.log(encode(np.array([[5.3, 6.8]]), (16, 16), sigma=1.0)) + 7.0
    >>> decode_logits(logits, sigma=1.0, method="fhr_symmetric").points.round(6)
    array([[5.3, 6.8]])
    """
    xp, maps = _as_float(logits)
    if not finite:
        maps = xp.clip(xp.where(xp.isfinite(maps), maps, _LOWEST), _LOWEST, -_LOWEST)
    around = max(1, math.ceil(3 * sigma))
    peak = _find_peak(xp, maps, max(_radius(method, sigma, reach), around))
    logs = peak.patch - peak.height[..., None, None] + peak.beyond
    usable = logs > _BEYOND / 2
    scores = _mass_near_peak(xp, maps, peak, logs, around)
    return _refine(xp, peak, logs, usable, scores, method, sigma, reach)


# ------------------------------------------------------------------------------------------- the peak


@dataclass(frozen=True)
class _Peak:
    """Brightest cell of each map and the square patch around it."""

    x: Any  # (…) integer cell
    y: Any
    height: Any  # (…) value of that cell
    patch: Any  # (…, 2r+1, 2r+1) values around it
    beyond: Any  # (…, 2r+1, 2r+1) 0 for a cell of the map, `_BEYOND` or less for one outside it
    evident: Any  # (…) whether any cell exceeds another

    @property
    def radius(self) -> int:
        return self.patch.shape[-1] // 2


def _find_peak(xp: Any, maps: Any, radius: int) -> _Peak:
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
        _BEYOND * xp.astype(cells != there, maps.dtype) for cells, there in ((rows, row), (columns, column))
    )
    cells = row[..., :, None] * width + column[..., None, :]
    patch = _gather(xp, flat, xp.reshape(cells, (*batch, span * span)))
    top = patch[..., span * span // 2]
    return _Peak(
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


def _mass_near_peak(xp: Any, maps: Any, peak: _Peak, logs: Any, around: int) -> Any:
    """Fraction of the softmax's mass within `around` cells of the peak."""
    x, y = _offsets(peak.radius)
    window = np.where(np.maximum(abs(x), abs(y)) <= around, 1.0, 0.0)
    near = _weigh(xp, xp.exp(logs), window[:, None])[..., 0]
    total = xp.sum(xp.exp(maps - peak.height[..., None, None]), axis=(-2, -1))
    return xp.clip(near / total, 0, 1) * xp.astype(peak.evident, maps.dtype)


def _offsets(radius: int) -> Float[np.ndarray, "2 cells"]:
    """x and y of a patch's cells from its middle, row by row."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return np.stack([x.ravel(), y.ravel()]).astype(float)


def _weigh(xp: Any, patch: Any, weights: Float[np.ndarray, "cells sums"]) -> Any:
    """Weighted sums over a patch's cells, (…, sums), as one matrix product, which a graph runs fast."""
    flat = xp.reshape(patch, (*patch.shape[:-2], len(weights)))
    return xp.matmul(flat, xp.asarray(weights, dtype=patch.dtype, device=patch.device))


# ------------------------------------------------------------------------------- a fraction of a cell


def _refine(
    xp: Any, peak: _Peak, logs: Any, usable: Any, scores: Any, method: str, sigma: float, reach: int
) -> Decoded:
    """Add the chosen decoder's step, in cells, to the brightest cell."""
    r = peak.radius
    lines = (logs[..., r, :], usable[..., r, :]), (logs[..., :, r], usable[..., :, r])
    if method == "dark":
        step = _dark(xp, logs, sigma)
    elif method == "least_squares":
        step = xp.stack(_least_squares(xp, logs, usable, sigma), axis=-1)
    elif method == "argmax":
        step = xp.zeros(2, dtype=logs.dtype, device=logs.device)
    elif method == "quarter":
        step = xp.stack([_quarter(xp, *line) for line in lines], axis=-1)
    elif method == "fhr":
        step = xp.stack([_three_point(xp, *line, sigma) for line in lines], axis=-1)
    else:
        step = xp.stack([_symmetric(xp, *line, sigma, reach) for line in lines], axis=-1)
    bound = _CELL if method == "fhr" else _NEIGHBOURHOOD
    step = xp.clip(xp.where(peak.evident[..., None], step, 0.0), -bound, bound)
    cell = xp.astype(xp.stack([peak.x, peak.y], axis=-1), scores.dtype)
    return Decoded(cell + step, scores, _covariance(xp, logs, usable, peak.evident))


def _quarter(xp: Any, line: Any, usable: Any) -> Any:
    centre = line.shape[-1] // 2
    both = usable[..., centre + 1] & usable[..., centre - 1]
    step = 0.25 * xp.sign(line[..., centre + 1] - line[..., centre - 1])
    return xp.where(both, step, 0.0)


def _three_point(xp: Any, line: Any, usable: Any, sigma: float) -> Any:
    """Eq. (4) with d = +1, or d = -1 where the cell at +1 is outside the map or not positive."""
    centre = line.shape[-1] // 2
    forward = 0.5 + sigma**2 * (line[..., centre + 1] - line[..., centre])
    backward = -0.5 - sigma**2 * (line[..., centre - 1] - line[..., centre])
    step = xp.where(usable[..., centre - 1], backward, 0.0)
    return xp.where(usable[..., centre + 1], forward, step)


def _symmetric(xp: Any, line: Any, usable: Any, sigma: float, reach: int) -> Any:
    centre = line.shape[-1] // 2
    both = usable[..., centre - reach] & usable[..., centre + reach]
    step = sigma**2 / (2 * reach) * (line[..., centre + reach] - line[..., centre - reach])
    return xp.where(both, step, _three_point(xp, line, usable, sigma))


def _least_squares(xp: Any, logs: Any, usable: Any, sigma: float) -> tuple[Any, Any]:
    """Fit ln h + ‖q‖²/2σ² = a + q·c/σ² over the window by weighted least squares; q is the cell, c the step.

    The variance of ln h is that of the noise over h², hence the weights h².
    """
    centre = logs.shape[-1] // 2
    window = slice(centre - 3, centre + 4)
    logs, usable = logs[..., window, window], usable[..., window, window]
    offset = xp.arange(-3, 4, dtype=logs.dtype, device=logs.device)
    x, y = offset[None, :], offset[:, None]
    height = logs - logs[..., 3:4, 3:4]
    weight = xp.where(usable, xp.exp(2 * height), 0.0)
    total = xp.sum(weight, axis=(-2, -1), keepdims=True)
    weight = weight / xp.where(total > 0, total, 1.0)
    target = sigma**2 * height + (x**2 + y**2) / 2

    def mean(values: Any) -> Any:
        return xp.sum(weight * values, axis=(-2, -1))

    mx, my, mt = mean(x), mean(y), mean(target)
    xx, yy, xy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    xt, yt = mean(x * target) - mx * mt, mean(y * target) - my * mt
    determinant = xx * yy - xy**2
    solvable = determinant > 1e-9
    determinant = xp.where(solvable, determinant, 1.0)
    step_x = xp.where(solvable, (yy * xt - xy * yt) / determinant, 0.0)
    step_y = xp.where(solvable, (xx * yt - xy * xt) / determinant, 0.0)
    return step_x, step_y


def _dark(xp: Any, logs: Any, sigma: float) -> Any:
    """Newton's method on the logarithm of the map blurred with its own width, from the brightest cell.

    With m and C the mean (from the current position u) and covariance of the map under a Gaussian window on
    u, the gradient of the log of the blurred map is m/σ² and its Hessian (C - σ²)/σ⁴; hence the step
    (1 - C/σ²)⁻¹ m. A second step makes the result independent of which of two equal cells was the brightest.

    All lengths inside are in units of σ. The window on u is the window on the brightest cell times exp(u·c)
    at the offset c, up to a factor that changes neither the mean nor the covariance.
    """
    x, y = _offsets(logs.shape[-1] // 2) / sigma
    window = (x**2 + y**2) / -2
    powers = np.stack([x, y, x, x, y, y, x * x, y * y, x * y, np.ones_like(x)], axis=-1)
    values = xp.exp(logs)
    start = xp.zeros(2, dtype=logs.dtype, device=logs.device)
    position = _newton_step(xp, _weigh(xp, values, np.exp(window)[:, None] * powers), start, sigma)
    tilt, window = (
        xp.asarray(each, dtype=logs.dtype, device=logs.device) for each in (np.stack([x, y]), window)
    )
    tilted = xp.reshape(xp.exp(xp.matmul(position, tilt) + window), logs.shape) * values
    return sigma * _newton_step(xp, _weigh(xp, tilted, powers), position, sigma)


def _newton_step(xp: Any, moments: Any, position: Any, sigma: float) -> Any:
    """Move a position by (1 - C)⁻¹ m; it stays where the blurred map is not curved like a peak.

    Args:
        moments: (…, 10) sums under the window: x, y, x, x, y, y, x², y², xy and 1.
        position: (…, 2) x, y before the step, in units of σ from the brightest cell.
    """
    moments = moments[..., :9] / xp.clip(moments[..., 9:], _LEAST, None)
    first, second, squares = moments[..., 0:3], moments[..., 3:6], moments[..., 6:9]
    bend = xp.asarray((1.0, 1.0, 0.0), dtype=first.dtype, device=first.device) - (squares - first * second)
    xx, yy, xy = bend[..., 0:1], bend[..., 1:2], bend[..., 2:3]
    determinant = xx * yy - xy * xy
    peaked = (xx > 0) & (determinant > _LEAST_CURVED)
    swapped = first[..., 1:] - xp.flip(position, axis=-1)  # y, x
    step = (first[..., :2] - position) * xp.concat([yy, xx], axis=-1) - xy * swapped
    step = step / xp.clip(determinant, _LEAST_CURVED, None)
    bound = _NEIGHBOURHOOD / sigma
    return xp.clip(position + xp.where(peaked, step, 0.0), -bound, bound)


def _covariance(xp: Any, logs: Any, usable: Any, evident: Any) -> Any:
    """(-Hessian of the log-map)⁻¹ at the peak's cell, its variances held inside `_VARIANCE_RANGE`."""
    x, y = _offsets(logs.shape[-1] // 2)
    kernels = [(y == 0) * (3 * abs(x) - 2), (x == 0) * (3 * abs(y) - 2), x * y / 4]  # second differences
    differences = np.stack(kernels, axis=-1) * (np.maximum(abs(x), abs(y)) <= 1)[:, None]
    low, high = _VARIANCE_RANGE
    unusable = _weigh(xp, xp.astype(~usable, logs.dtype), abs(differences))
    flat = xp.asarray((1 / high, 1 / high, 0.0), dtype=logs.dtype, device=logs.device)
    curvature = xp.where((unusable == 0) & evident[..., None], _weigh(xp, logs, -differences), flat)
    along_axes = xp.clip(curvature[..., :2], 1 / high, 1 / low)
    xx, yy = along_axes[..., 0:1], along_axes[..., 1:2]
    product = xx * yy
    bound = 0.9 * xp.sqrt(product)
    xy = xp.minimum(xp.maximum(curvature[..., 2:], -bound), bound)
    inverse = xp.concat([yy, -xy, -xy, xx], axis=-1) / (product - xy * xy)
    return xp.reshape(inverse, (*inverse.shape[:-1], 2, 2))


# --------------------------------------------------------------------------------------------- checks


def _as_float(heatmaps: Any) -> tuple[Any, Any]:
    xp = array_namespace(heatmaps)
    if heatmaps.ndim < 2 or 0 in heatmaps.shape[-2:]:
        raise ConfigError(f"heatmaps must be (…, h, w) with h, w ≥ 1, got shape {tuple(heatmaps.shape)}")
    wide = heatmaps.dtype in (xp.float32, xp.float64)
    return xp, heatmaps if wide else xp.astype(heatmaps, xp.float32)


def _radius(method: str, sigma: float, reach: int) -> int:
    """Number of cells around the peak that a decoder reads."""
    _check_sigma(sigma)
    if reach < 1:
        raise ConfigError(f"reach must be at least 1 cell, got {reach}")
    if method not in METHODS:
        raise ConfigError.choice("decoder", method, METHODS)
    return {"fhr_symmetric": reach, "least_squares": 3, "dark": 2 + math.ceil(3 * sigma)}.get(method, 1)


def _check_sigma(sigma: float) -> None:
    if not sigma > 0:
        raise ConfigError(f"sigma must be positive, got {sigma}")
