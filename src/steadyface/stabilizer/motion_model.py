"""Damped motion of position and velocity over any time: the Kalman prediction shared by the filters.

A mean is stacked as (x, v) along its first axis, a covariance as (xx, xv, vv): the variances of position and
velocity with their covariance between them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import exprel

ROWS, COLUMNS = np.array([0, 0, 1]), np.array([0, 1, 1])
"""Of the entries xx, xv and vv: `a[ROWS] * b[COLUMNS]` is the stacked outer product of two (x, v)."""

_SLOW = 5e-3  # decay below which five terms of the series of G_xx are more exact than its closed form


class Passage(NamedTuple):
    """Prediction of mean and covariance over a time.

    Args:
        mean_map: (2, 2, …) Φ, so that the mean moves to Φ·(x, v).
        covariance_map: (3, 3, …) the same for a stacked covariance: ΦCΦᵀ.
        growth: (3, …) G, by which the stacked covariance grows for q = 1.
    """

    mean_map: Float[np.ndarray, "2 2 *shape"]
    covariance_map: Float[np.ndarray, "3 3 *shape"]
    growth: Float[np.ndarray, "3 *shape"]


def passage(damping: float | Float[np.ndarray, "*shape"], frames: float) -> Passage:
    """Predict over `frames` frames; the trailing axes of the result are those of `damping`.

    Equation: dx = v·dt, dv = -λv·dt + √q·dW, λ = -log damping, time in frames. With d = 1 - exp(-λf) after f
    frames and h = d/λ, x moves by hv and v becomes (1-d)v; the covariance grows by q·G, G_xv = h²/2,
    G_vv = h(1 - d/2) and G_xx = (λf - d - d²/2)/λ³ = h³Σ_k dᵏ/(k+3).
    Source: Singer 1970.

    Args:
        damping: ratio of the velocity that is left after a frame, in (0, 1].
        frames: at least 0.
    """
    decay = -np.log(damping) * frames
    lost = -np.expm1(-decay)
    h, kept = frames * exprel(-decay), 1 - lost
    squared = h * h
    mean_map = np.zeros((2, 2, *h.shape))
    mean_map[0, 0], mean_map[0, 1], mean_map[1, 1] = 1, h, kept
    covariance_map = np.zeros((3, 3, *h.shape))
    covariance_map[0] = np.ones_like(h), 2 * h, squared
    covariance_map[1, 1], covariance_map[1, 2], covariance_map[2, 2] = kept, h * kept, kept * kept
    series = 1 / 3 + lost * (1 / 4 + lost * (1 / 5 + lost * (1 / 6 + lost / 7)))
    closed = (decay - lost - lost * lost / 2) / np.maximum(lost, _SLOW / 2) ** 3
    growth = np.empty((3, *h.shape))
    growth[:] = squared * h * np.where(decay < _SLOW, series, closed), squared / 2, h * (1 - lost / 2)
    return Passage(mean_map, covariance_map, growth)
