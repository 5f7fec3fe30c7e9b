"""Backward passes, from the last frame to the first, over what a filter believed after each."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from steadyface.stabilizer.directions import Belief


def smooth_directions(beliefs: list[Belief], lag: int) -> Float[np.ndarray, "frames D"]:
    """Position along each direction at each of some successive frames, given up to `lag` later ones.

    Equation: x(t | t+n) = x(t) + J(t)(x(t+1 | t+n) - x⁻(t+1)), J(t) = C(t)Φᵀ·P(t+1)⁻¹, where x⁻ is the
    predicted mean and P the mixture's predicted covariance under the posterior weights.
    Source: Rauch, Tung and Striebel 1965; Kim 1994 for mixtures.
    """
    mean, covariance, expected, mean_map, weights, priors = (
        np.stack([getattr(belief, name) for belief in beliefs])
        for name in ("mean", "covariance", "expected", "mean_map", "weights", "prior")
    )
    prior = (weights[:, None] * priors).sum(axis=2)
    (position, both, velocity) = np.moveaxis(covariance[:-1], 1, 0)
    h, kept = mean_map[1:, 0, 1], mean_map[1:, 1, 1]
    moved = np.array([[position + h * both, kept * both], [both + h * velocity, kept * velocity]])
    a, b, c = np.moveaxis(prior[1:], 1, 0)
    inverse = np.array([[c, -b], [-b, a]]) / (a * c - b * b)
    gains = np.einsum("ijtd,jktd->tikd", moved, inverse)
    return _backward(mean, expected[1:], gains, lag)[:, 0]


def _backward(
    means: Float[np.ndarray, "frames 2 n"],
    expected: Float[np.ndarray, "frames-1 2 n"],
    gains: Float[np.ndarray, "frames-1 2 2 n"],
    lag: int,
) -> Float[np.ndarray, "frames 2 n"]:
    """Means of n pairs of values, given up to `lag` later frames.

    Args:
        means: after each frame.
        expected: predicted for each frame but the first.
        gains: J of each frame but the last.
        lag: at least 0.
    """
    smoothed = means.copy()
    if lag < len(means) - 1:
        for _ in range(lag):
            smoothed[:-1] = means[:-1] + np.einsum("tijd,tjd->tid", gains, smoothed[1:] - expected)
        return smoothed
    for t in range(len(means) - 2, -1, -1):
        smoothed[t] += np.einsum("ijd,jd->id", gains[t], smoothed[t + 1] - expected[t])
    return smoothed
