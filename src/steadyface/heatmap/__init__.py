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
from numbers import Real
from typing import Any

from array_api_compat import array_namespace
from jaxtyping import Float

from steadyface.errors import ConfigError
from steadyface.heatmap.peak import BEYOND, Peak, find_peak, mass_near_peak
from steadyface.heatmap.steps import continue_beyond, covariance, find_step

METHODS = ("argmax", "quarter", "fhr", "fhr_symmetric", "least_squares", "dark")
DEFAULT_METHOD = "dark"

_LOWEST = -1e30  # stands for the logarithm of 0; finite, so that differences stay finite


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
    xp = _namespace(points, "points")
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
    - `dark`: the mode of the blurred map by Newton's method on its logarithm (Zhang et al. 2020). Beyond the
      border the Gaussian of `least_squares` goes on: zeros would pull points within 2σ of it inwards.

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
    peak = find_peak(xp, maps, _radius(method, sigma, reach))
    usable = (peak.beyond == 0) & (peak.patch > 0)
    top = xp.where(peak.height > 0, peak.height, 1.0)[..., None, None]
    logs = xp.where(usable, xp.log(xp.where(usable, peak.patch, top)) - xp.log(top), BEYOND)
    scores = xp.clip(peak.height, 0, 1) * xp.astype(peak.evident, maps.dtype)
    if method == "dark":
        logs = continue_beyond(xp, logs, usable, peak.beyond < 0, sigma)
    return _refine(xp, peak, logs, usable, scores, method, sigma, reach)


def decode_logits(
    logits: Any, *, sigma: float, method: str = DEFAULT_METHOD, reach: int = 1, finite: bool = False
) -> Decoded:
    """Decode maps of log values, known up to a constant, without leaving the logarithm.

    Scores are the fraction of softmax(logits) within ⌈3σ⌉ cells of the peak: the network's own probability
    that the point is there. A NaN or infinite cell counts as a probability of 0.

    Args:
        logits: (…, h, w), numpy or torch, any float type.
        sigma, method, reach: as of `decode`.
        finite: the caller promises that all cells are finite. It is faster, for exported graphs, but with
            `dark` the map is 0 beyond its border, which pulls points within 2σ of it inwards.

    Returns:
        As of `decode`.

    Raises:
        ConfigError: as of `decode`.

    >>> import numpy as np
    >>> logits = np.log(encode(np.array([[5.3, 6.8]]), (16, 16), sigma=1.0)) + 7.0
    >>> decode_logits(logits, sigma=1.0, method="fhr_symmetric").points.round(6)
    array([[5.3, 6.8]])
    """
    xp, maps = _as_float(logits)
    if not finite:
        maps = xp.clip(xp.where(xp.isfinite(maps), maps, _LOWEST), _LOWEST, -_LOWEST)
    around = max(1, math.ceil(3 * sigma))
    peak = find_peak(xp, maps, max(_radius(method, sigma, reach), around))
    logs = peak.patch - peak.height[..., None, None] + peak.beyond
    usable = logs > BEYOND / 2
    scores = mass_near_peak(xp, maps, peak, logs, around)
    if method == "dark" and not finite:
        logs = continue_beyond(xp, logs, usable, peak.beyond < 0, sigma)
    return _refine(xp, peak, logs, usable, scores, method, sigma, reach)


def _refine(
    xp: Any, peak: Peak, logs: Any, usable: Any, scores: Any, method: str, sigma: float, reach: int
) -> Decoded:
    """Add the chosen decoder's step, in cells, to the brightest cell."""
    step = find_step(xp, peak, logs, usable, method, sigma, reach)
    cell = xp.astype(xp.stack([peak.x, peak.y], axis=-1), scores.dtype)
    return Decoded(cell + step, scores, covariance(xp, logs, usable, peak.evident))


def _as_float(heatmaps: Any) -> tuple[Any, Any]:
    xp = _namespace(heatmaps, "heatmaps")
    if heatmaps.ndim < 2 or 0 in heatmaps.shape[-2:]:
        raise ConfigError(f"heatmaps must be (…, h, w) with h, w ≥ 1, got shape {tuple(heatmaps.shape)}")
    wide = heatmaps.dtype in (xp.float32, xp.float64)
    return xp, heatmaps if wide else xp.astype(heatmaps, xp.float32)


def _namespace(values: Any, name: str) -> Any:
    """Array functions for numpy or torch.

    Raises:
        ConfigError: the values are no array of real numbers.
    """
    try:
        xp = array_namespace(values)
    except TypeError as error:
        raise ConfigError(
            f"{name} must be an array of numpy or torch, got {type(values).__name__}"
        ) from error
    if not xp.isdtype(values.dtype, ("bool", "real floating", "integral")):
        raise ConfigError(f"{name} must be real numbers, got {values.dtype}")
    return xp


def _radius(method: str, sigma: float, reach: int) -> int:
    """Number of cells around the peak that a decoder reads."""
    _check_sigma(sigma)
    if reach < 1 or reach % 1:
        raise ConfigError(f"reach must be a whole number of cells from 1, got {reach}")
    if method not in METHODS:
        raise ConfigError.choice("decoder", method, METHODS)
    return {"fhr_symmetric": reach, "least_squares": 3, "dark": 2 + math.ceil(3 * sigma)}.get(method, 1)


def _check_sigma(sigma: float) -> None:
    if not (isinstance(sigma, Real) and sigma > 0):
        raise ConfigError(f"sigma must be positive, got {sigma}")
