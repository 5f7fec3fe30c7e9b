"""Motion of a face along directions, each filtered alone by a Kalman filter with a mixture of process noises.

A direction is one coordinate of a face in a basis in which neither its motion nor the network's errors
correlate. All functions take and give positions along the directions, px, and carry any batch axes.

Source: Tai et al. 2019, Eq. (6)-(10); Kalman 1960; Bar-Shalom and Tse 1975 for the mixture's covariance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from steadyface.stabilizer.motion_model import COLUMNS, ROWS, passage

Flat = Float[np.ndarray, "*batch D"]

_FIRST_FRAMES = 4.0  # frames whose pushes make up the variance of a new face's velocity

_sum = np.add.reduce


class Belief(NamedTuple):
    """Gaussian belief about a face's motion along each direction, after a frame.

    Args:
        mean: (2, …, D) position, px, and velocity, px per frame.
        covariance: (3, …, D) in the stacking of `motion_model`, (percent of face size)².
        weights: (K, …, D) posterior probabilities of the components.
        expected: (2, …, D) `mean` as predicted before the frame was measured.
        prior: (3, K, …, D) predicted covariances of the components.
        mean_map: (2, 2, …, D) Φ, which led from the mean before to `expected`.
    """

    mean: Float[np.ndarray, "2 *batch D"]
    covariance: Float[np.ndarray, "3 *batch D"]
    weights: Float[np.ndarray, "K *batch D"]
    expected: Float[np.ndarray, "2 *batch D"]
    prior: Float[np.ndarray, "3 K *batch D"]
    mean_map: Float[np.ndarray, "2 2 ..."]


class Prediction(NamedTuple):
    """`motion_model.Passage` for all components, with axes for a batch.

    Args:
        mean_map: (2, 2, …, D) Φ.
        covariance_map: (3, 3, …, D) ΦCΦᵀ of a stacked covariance.
        growth: (3, K, …, D) growth of each component's covariance.
        log_alphas: (K, …, D) logarithm of the components' prior probabilities.
    """

    mean_map: Float[np.ndarray, "2 2 ..."]
    covariance_map: Float[np.ndarray, "3 3 ..."]
    growth: Float[np.ndarray, "3 K ..."]
    log_alphas: Float[np.ndarray, "K ..."]


@dataclass(frozen=True, eq=False)
class DirectionModel:
    """Parameters of the motion; variances in (percent of face size)².

    Args:
        damping: (D,) ratio of the velocity along each direction that is left after a frame, in (0, 1).
        alphas: (K,) prior probabilities of the components.
        noise: (D,) usual variance of the network's error along each direction.
        pushes: (K, D) by how much component k makes the variance of the velocity grow a frame.
    """

    damping: Float[np.ndarray, "D"]
    alphas: Float[np.ndarray, "K"]
    noise: Float[np.ndarray, "D"]
    pushes: Float[np.ndarray, "K D"]


def begin(model: DirectionModel, observed: Flat) -> Belief:
    """Belief after the first frame."""
    one, zero = np.ones_like(observed), np.zeros_like(observed)
    mean = np.stack([observed, zero])
    first_speed = _FIRST_FRAMES * model.pushes.max(axis=0)
    covariance = np.stack([model.noise * one, zero, first_speed * one])
    weights = model.alphas.reshape(-1, *(1,) * observed.ndim) * one
    prior = np.stack([covariance] * len(weights), axis=1)
    return Belief(mean, covariance, weights, mean, prior, predict(model, 0.0, observed.ndim - 1).mean_map)


@lru_cache(maxsize=64)
def predict(model: DirectionModel, frames: float, batch: int = 0) -> Prediction:
    """Prediction over `frames` frames, with `batch` axes before the last."""
    mean_map, covariance_map, growth = passage(model.damping, frames)
    parts = mean_map, covariance_map, growth[:, None] * model.pushes
    inner = (1,) * batch
    log_alphas = np.log(model.alphas).reshape(-1, *inner, 1) * np.ones(len(model.noise))
    mean_map, covariance_map, growth = (part.reshape(*part.shape[:2], *inner, -1) for part in parts)
    return Prediction(mean_map, covariance_map, growth, log_alphas)


def predict_each(model: DirectionModel, frames: Float[np.ndarray, "faces"]) -> Prediction:
    """Prediction for a batch of faces, each over its own time."""
    if (frames == frames[0]).all():
        return predict(model, float(frames[0]), 1)
    each = [predict(model, time) for time in frames.tolist()]
    return Prediction(*(np.stack(parts, axis=-2) for parts in zip(*each, strict=True)))


def condition(
    mean: Float[np.ndarray, "2 *batch D"],
    covariance: Float[np.ndarray, "3 *batch D"],
    observed: Flat,
    noise: Float[np.ndarray, "... D"],
    unit: float | Float[np.ndarray, "*batch 1"],
    prediction: Prediction,
) -> Belief:
    """Belief after another frame.

    Equation: x is the position and v the velocity. The mean moves on to x + hv and φv; in component k the
    covariance C becomes P_k = ΦCΦᵀ + q_k·G (`motion_model.passage`). With r = y - x, S_k = P_k,xx + Γ and
    the gains g_k = (P_k,xx, P_k,xv)/S_k: the weight of component k is proportional to
    α_k·S_k^-½·exp(-r²/2S_k), its mean is (x, v) + g_k·r, its covariance P_k - S_k·g_k·g_kᵀ; the mean and
    the covariance of the mixture are kept.

    Args:
        mean, covariance: of the belief after the last frame.
        observed: y, px.
        noise: Γ, (percent of face size)².
        unit: px per percent of face size.
        prediction: over the time since the last frame.
    """
    mean_map, covariance_map, growth, log_alphas = prediction
    expected = _sum(mean_map * mean, 1)
    prior = growth + _sum(covariance_map * covariance, 1)[:, None]
    total = prior[0] + noise
    gains = prior[:2] / total
    surprise = observed - expected[0]
    squared = surprise * surprise / unit**2
    logs = log_alphas - 0.5 * (np.log(total) + squared / total)
    weights = np.exp(logs - np.maximum.reduce(logs))
    weights /= _sum(weights)
    weighted = weights * gains
    gain = _sum(weighted, 1)
    # The scatter of the components' means, then their own covariances P - Sggᵀ, whose first row is Γg.
    scatter = _sum(weighted.take(ROWS, 0) * gains.take(COLUMNS, 0), 1)
    scatter -= gain.take(ROWS, 0) * gain.take(COLUMNS, 0)
    covariance = squared * scatter
    covariance[:2] += noise * gain
    covariance[2] += _sum(weights * prior[2] - weighted[1] * prior[1])
    return Belief(expected + gain * surprise, covariance, weights, expected, prior, mean_map)
