"""Steps from the brightest cell of a heatmap to the point, in cells, by each decoder."""

from __future__ import annotations

from typing import Any

import numpy as np

from steadyface.heatmap.peak import Peak, offsets, weigh

_CELL = 0.5  # cells: a three-point step stays within the brightest cell
_NEIGHBOURHOOD = 1.5  # cells: noise can raise a neighbour of the true peak, which a wider fit may correct
_LEAST = 1e-20  # least mass of a map near its peak by which sums are divided
_LEAST_CURVED = 1e-3  # determinant of 1 - C/σ² from which on a blurred map has a peak
_VARIANCE_RANGE = (0.05, 100.0)  # cells²; range in which the curvature of a peak is trusted


def find_step(xp: Any, peak: Peak, logs: Any, usable: Any, method: str, sigma: float, reach: int) -> Any:
    """(…, 2) x, y from the brightest cell to the point; 0 where nothing is evident."""
    step = _step(xp, logs, usable, method, sigma, reach)
    bound = _CELL if method == "fhr" else _NEIGHBOURHOOD
    return xp.clip(xp.where(peak.evident[..., None], step, 0.0), -bound, bound)


def _step(xp: Any, logs: Any, usable: Any, method: str, sigma: float, reach: int) -> Any:
    r = logs.shape[-1] // 2
    lines = (logs[..., r, :], usable[..., r, :]), (logs[..., :, r], usable[..., :, r])
    if method == "dark":
        return _dark(xp, logs, sigma)
    if method == "least_squares":
        return xp.stack(_least_squares(xp, logs, usable, sigma), axis=-1)
    if method == "argmax":
        return xp.zeros(2, dtype=logs.dtype, device=logs.device)
    if method == "quarter":
        return xp.stack([_quarter(xp, *line) for line in lines], axis=-1)
    if method == "fhr":
        return xp.stack([_three_point(xp, *line, sigma) for line in lines], axis=-1)
    return xp.stack([_symmetric(xp, *line, sigma, reach) for line in lines], axis=-1)


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


def continue_beyond(xp: Any, logs: Any, usable: Any, beyond: Any, sigma: float) -> Any:
    """Fill cells beyond the border by the fitted Gaussian: ln h(q) - ln h₀ = (2 q·c - ‖q‖²)/2σ²."""
    q = xp.asarray(offsets(logs.shape[-1] // 2), dtype=logs.dtype, device=logs.device)
    c = xp.clip(xp.stack(_least_squares(xp, logs, usable, sigma), axis=-1), -_NEIGHBOURHOOD, _NEIGHBOURHOOD)
    fitted = (xp.matmul(2 * c, q) - xp.sum(q**2, axis=0)) / (2 * sigma**2)
    return xp.where(beyond, xp.reshape(fitted, logs.shape), logs)


def _dark(xp: Any, logs: Any, sigma: float) -> Any:
    """Newton's method on the logarithm of the map blurred with its own width, from the brightest cell.

    With m and C the mean (from the current position u) and covariance of the map under a Gaussian window on
    u, the gradient of the log of the blurred map is m/σ² and its Hessian (C - σ²)/σ⁴; hence the step
    (1 - C/σ²)⁻¹ m. A second step makes the result independent of which of two equal cells was the brightest.

    All lengths inside are in units of σ. The window on u is the window on the brightest cell times exp(u·c)
    at the offset c, up to a factor that changes neither the mean nor the covariance.
    """
    x, y = offsets(logs.shape[-1] // 2) / sigma
    window = (x**2 + y**2) / -2
    powers = np.stack([x, y, x, x, y, y, x * x, y * y, x * y, np.ones_like(x)], axis=-1)
    values = xp.exp(logs)
    start = xp.zeros(2, dtype=logs.dtype, device=logs.device)
    position = _newton_step(xp, weigh(xp, values, np.exp(window)[:, None] * powers), start, sigma)
    tilt, window = (
        xp.asarray(each, dtype=logs.dtype, device=logs.device) for each in (np.stack([x, y]), window)
    )
    tilted = xp.reshape(xp.exp(xp.matmul(position, tilt) + window), logs.shape) * values
    return sigma * _newton_step(xp, weigh(xp, tilted, powers), position, sigma)


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


def covariance(xp: Any, logs: Any, usable: Any, evident: Any) -> Any:
    """(-Hessian of the log-map)⁻¹ at the peak's cell, its variances held inside `_VARIANCE_RANGE`."""
    x, y = offsets(logs.shape[-1] // 2)
    kernels = [(y == 0) * (3 * abs(x) - 2), (x == 0) * (3 * abs(y) - 2), x * y / 4]  # second differences
    differences = np.stack(kernels, axis=-1) * (np.maximum(abs(x), abs(y)) <= 1)[:, None]
    low, high = _VARIANCE_RANGE
    unusable = weigh(xp, xp.astype(~usable, logs.dtype), abs(differences))
    flat = xp.asarray((1 / high, 1 / high, 0.0), dtype=logs.dtype, device=logs.device)
    curvature = xp.where((unusable == 0) & evident[..., None], weigh(xp, logs, -differences), flat)
    along_axes = xp.clip(curvature[..., :2], 1 / high, 1 / low)
    xx, yy = along_axes[..., 0:1], along_axes[..., 1:2]
    product = xx * yy
    bound = 0.9 * xp.sqrt(product)
    xy = xp.minimum(xp.maximum(curvature[..., 2:], -bound), bound)
    inverse = xp.concat([yy, -xy, -xy, xx], axis=-1) / (product - xy * xy)
    return xp.reshape(inverse, (*inverse.shape[:-1], 2, 2))
