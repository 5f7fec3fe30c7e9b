"""Loss of a stabiliser: distance from the truth, delay, roughness.

All lengths are in percent of face size and all squared norms are divided by the number of landmarks M, on
which the weights λ depend.

Source: Tai et al. 2019, Eq. (11)-(15).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from steadyface.errors import ConfigError

Sequence = Float[np.ndarray, "frames *batch landmarks 2"]
Losses = Float[np.ndarray | np.floating, "*batch"]

_RESTING = 0.2  # percent of face size per frame: below that a landmark's motion has no direction to lag along


@dataclass(frozen=True)
class LossWeights:
    """Weights λ1 (smoothness), λ2 (delay) and λ3 (of a point's distance from the middle of its neighbours).

    The defaults are the paper's, which does not say their unit; `fit.WEIGHTS` are those used here.
    """

    smooth: float = 1.0
    delay: float = 10.0
    midpoint: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.smooth < np.inf and 0 <= self.delay < np.inf and self.midpoint >= 0):
            raise ConfigError(
                "smooth, delay and midpoint must be at least 0, and only midpoint may be inf, "
                f"got {self.smooth:g}, {self.delay:g} and {self.midpoint:g}"
            )


def loss(outputs: Sequence, truth: Sequence, weights: LossWeights | None = None) -> Losses:
    """L = L_reg + λ1·L_tm, of each sequence.

    Source: Tai et al. 2019, Eq. (11).

    Args:
        outputs: x, percent of face size.
        truth: p, percent of face size.
        weights: the λs; None takes the paper's.
    """
    weights = weights or LossWeights()
    total = distance_loss(outputs, truth) + weights.delay * delay_loss(outputs, truth)
    return total + weights.smooth * smooth_loss(outputs, weights.midpoint)


def distance_loss(outputs: Sequence, truth: Sequence) -> Losses:
    """mean_t ‖x - p‖² / M: the first term of Eq. (12)."""
    return ((outputs - truth) ** 2).sum(axis=-1).mean(axis=(0, -1))


def delay_loss(outputs: Sequence, truth: Sequence) -> Losses:
    """mean_t (v⁺(x - p))², v = p(t) - p(t-1): the squared fraction of the last move that is still missing.

    Source: Tai et al. 2019, Eq. (12), second term. Differs from it in: v⁺ = vᵀ/(‖v‖² + ε) with
    ε = M·(0.2 % of face size)², since the plain pseudo-inverse explodes where the face rests.
    """
    velocity, error = np.diff(truth, axis=0), (outputs - truth)[1:]
    least = truth.shape[-2] * _RESTING**2
    ratio = (velocity * error).sum(axis=(-1, -2)) / ((velocity**2).sum(axis=(-1, -2)) + least)
    return (ratio**2).mean(axis=0)


def smooth_loss(outputs: Sequence, midpoint: float) -> Losses:
    """mean_t min_q (‖x(t) - q·x(t-1) - (1-q)·x(t+1)‖² + M·λ3(q - ½)²) / M.

    Equation: the minimum is ‖e‖² - (eᵀd)²/(‖d‖² + λ3), d = x(t-1) - x(t+1), e = x(t) - ½(x(t-1) + x(t+1)).
    λ3 = 0 measures the distance to the line, λ3 = ∞ that to the midpoint (Cao, Hou and Zhou 2014).
    Source: Tai et al. 2019, Eq. (13)-(15); λ3 here is divided by M like the norms.
    """
    before, now, after = outputs[:-2], outputs[1:-1], outputs[2:]
    chord, bend = before - after, now - (before + after) / 2
    squared = (bend**2).sum(axis=(-1, -2))
    if np.isfinite(midpoint):
        count = outputs.shape[-2]
        along = (bend * chord).sum(axis=(-1, -2))
        length = (chord**2).sum(axis=(-1, -2)) + midpoint * count
        squared = squared - np.divide(along**2, length, out=np.zeros_like(along), where=length > 0)
    return squared.mean(axis=0) / outputs.shape[-2]
