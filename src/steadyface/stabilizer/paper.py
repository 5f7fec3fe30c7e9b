"""STA in the paper's form: a Gaussian-mixture prior from past outputs, a Gaussian likelihood of the points.

See `base` for units. All variances are in (percent of face size)².

Source: Tai et al. 2019, Eq. (5)-(10). Differs from it in: the basis has eigenvectors as columns (the printed
VᵀΓV is right only for rows); the argmax of a mixture, which has no closed form, is replaced by one of three
`READINGS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

from steadyface.arrays import PointBatch, Points
from steadyface.errors import ConfigError
from steadyface.stabilizer.base import CausalFilter, Measurement

READINGS = ("mean", "heaviest", "map")

Flat = Float[np.ndarray, "*batch D"]

_MODE_STEPS = 200  # at most, of the search for a mixture's mode
_LEAST = 1e-12  # (percent of face size)²: a prior variance of zero would make a density infinite


class Memory(NamedTuple):
    """Weighted moments of the past outputs; arrays may carry leading axes (several sequences at once).

    Args:
        mean: (…, D) μ, their weighted mean, px.
        spread: C in U's basis, px²: (…, D), its diagonal, or (…, D, D).
        weight: s, the sum of their weights, the newest counting 1.
    """

    mean: Flat
    spread: Float[np.ndarray, "..."]
    weight: float


@dataclass(frozen=True, eq=False)
class PaperSTA(CausalFilter):
    """Stabiliser in the paper's form.

    Args:
        gamma: γ, weight of a past output per frame of age, in [0, 1].
        alphas: (K,) α_k, prior probabilities of the components, summing to 1.
        betas: (K,) β_k in [0, 1], ratio of the fixed covariance in component k.
        noise: (D,) Γ_n, variance of the network's error along each basis vector.
        walks: (K, D) Γ_k, fixed variance of component k along each basis vector.
        basis: (D, D) U, orthonormal columns; D = 2·68, coordinates in order x₀, y₀, x₁, …
        reading: point of the posterior mixture that is taken: its `mean`, the mean of its `heaviest`
            component, or its highest mode (`map`), found from every component's mean.
        full: keep the whole of C instead of its diagonal in U's basis; D³ operations a frame.
    """

    kind: ClassVar[str] = "sta-paper"
    gamma: float
    alphas: Float[np.ndarray, "K"]
    betas: Float[np.ndarray, "K"]
    noise: Float[np.ndarray, "D"]
    walks: Float[np.ndarray, "K D"]
    basis: Float[np.ndarray, "D D"]
    reading: str = "mean"
    full: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reading not in READINGS:
            raise ConfigError.choice("reading", self.reading, READINGS)
        components, dimension = self.walks.shape
        shapes = self.alphas.shape, self.betas.shape, self.noise.shape, self.basis.shape
        if shapes != ((components,), (components,), (dimension,), (dimension, dimension)):
            raise ConfigError(f"shapes of the stabiliser's parameters do not fit together: {shapes}")
        in_range = (
            0 <= self.gamma <= 1
            and (self.alphas >= 0).all()
            and abs(self.alphas.sum() - 1) < 1e-6
            and ((self.betas >= 0) & (self.betas <= 1)).all()
            and (self.noise > 0).all()
            and (self.walks >= 0).all()
        )
        if not in_range:
            raise ConfigError(f"parameters of {self.kind} out of range")
        if not np.allclose(self.basis.T @ self.basis, np.eye(dimension), atol=1e-3):
            raise ConfigError(f"the basis of {self.kind} is not orthonormal")

    @property
    def landmarks(self) -> int:
        """Number of landmarks that the parameters are for."""
        return len(self.noise) // 2

    def begin(self, points: PointBatch) -> Memory:
        flat = flatten(points)
        shape = (*flat.shape, flat.shape[-1]) if self.full else flat.shape
        return Memory(flat, np.zeros(shape), 1.0)

    def advance(self, memory: Memory, measurement: Measurement) -> tuple[Memory, PointBatch]:
        """Condition the prior on the new points, in closed form.

        Equation: with r = Uᵀ(z - μ), P_k = β_kΓ_k + (1 - β_k)C and S_k = P_k + Γ_n,
        log w_k = log α_k - ½(log |S_k| + rᵀS_k⁻¹r), m_k = P_k S_k⁻¹ r, x = μ + U Σ_k w_k m_k. Then, with
        s ← γˡs after l frames, w = 1/(1 + s) and δ = Uᵀ(x - μ): μ ← μ + wUδ, C ← (1 - w)(C + wδδᵀ),
        s ← 1 + s. Γ_k counts l² times, since the path of a moving face grows with time.
        Source: Tai et al. 2019, Eq. (6)-(10).
        """
        residual = (flatten(measurement.points) - memory.mean) @ self.basis
        logs, means, spreads = self._posterior(memory.spread, residual, measurement)
        move = _read(logs, means, spreads, self.reading)
        output = memory.mean + move @ self.basis.T
        aged = self.gamma**measurement.frames * memory.weight
        weight = 1 / (1 + aged)
        scatter = move[..., :, None] * move[..., None, :] if self.full else move**2
        newer = Memory(
            mean=memory.mean + weight * (output - memory.mean),
            spread=(1 - weight) * (memory.spread + weight * scatter),
            weight=1 + aged,
        )
        return newer, output.reshape(measurement.points.shape)

    def shift(self, memory: Memory, points: Points, offset: Points) -> Memory:
        return memory._replace(mean=memory.mean + flatten(offset))

    def _posterior(
        self, spread: np.ndarray, residual: Flat, measurement: Measurement
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log-weight (K, …), mean (K, …, D) and covariance of each component, in U's basis."""
        squared = measurement.unit**2
        per_component = (-1, *(1,) * (spread.ndim - 1 if self.full else spread.ndim))
        betas = self.betas.reshape(*per_component, 1) if self.full else self.betas.reshape(per_component)
        walks = self.walks.reshape(len(self.betas), *(1,) * (residual.ndim - 1), -1)
        with np.errstate(divide="ignore"):
            logs = np.log(self.alphas).reshape(-1, *(1,) * (residual.ndim - 1))
        fixed, noise = walks * squared * measurement.frames**2, self.noise * squared
        if not self.full:
            prior = betas * fixed + (1 - betas) * spread
            total = prior + noise
            logs = logs - 0.5 * (np.log(total) + residual**2 / total).sum(axis=-1)
            return logs, prior / total * residual, prior * noise / total
        eye = np.eye(len(self.noise))
        prior = betas * fixed[..., None] * eye + (1 - betas) * spread
        total = prior + noise * eye
        gain = np.linalg.solve(total, prior).mT  # P S⁻¹, both symmetric
        whitened = np.linalg.solve(total, np.broadcast_to(residual, total.shape[:-1])[..., None])[..., 0]
        logs = logs - 0.5 * (np.linalg.slogdet(total)[1] + (residual * whitened).sum(axis=-1))
        means = (gain @ residual[..., None])[..., 0]
        return logs, means, prior - gain @ prior


def flatten(points: PointBatch) -> Flat:
    """Reshape (…, landmarks, 2) to (…, D), coordinates in order x₀, y₀, x₁, …."""
    return np.asarray(points, float).reshape(*points.shape[:-2], -1)


def _read(logs: np.ndarray, means: np.ndarray, spreads: np.ndarray, reading: str) -> Flat:
    """Choose one point of a mixture of Gaussians: its mean, its heaviest component's mean, or its mode."""
    if len(logs) == 1:
        return means[0]
    if reading == "heaviest":
        return np.take_along_axis(means, logs.argmax(axis=0)[None, ..., None], axis=0)[0]
    weights = _softmax(logs)
    if reading == "mean":
        return (weights[..., None] * means).sum(axis=0)
    if spreads.ndim > means.ndim:
        precisions = np.linalg.inv(spreads + _LEAST * np.eye(spreads.shape[-1]))
        return _highest_mode(logs, means, precisions)
    precisions = np.eye(spreads.shape[-1]) / (spreads + _LEAST)[..., None]
    return _highest_mode(logs, means, precisions)


def _highest_mode(logs: np.ndarray, means: np.ndarray, precisions: np.ndarray) -> Flat:
    """Highest of the modes that the fixed-point iteration reaches from the components' means.

    Equation: x ← (Σ r_k V_k⁻¹)⁻¹ Σ r_k V_k⁻¹ m_k, r_k the components' posterior probabilities at x.
    Source: Carreira-Perpiñán 2000.
    """
    heights = logs + 0.5 * np.linalg.slogdet(precisions)[1]
    pulls = (precisions @ means[..., None])[..., 0]

    def log_densities(x: Flat) -> np.ndarray:
        away = x - means
        return heights - 0.5 * (away * (precisions @ away[..., None])[..., 0]).sum(axis=-1)

    best, level = means[0], np.full(logs.shape[1:], -np.inf)
    for start in means:
        x = start
        for _ in range(_MODE_STEPS):
            weights = _softmax(log_densities(x))[..., None]
            newer = np.linalg.solve(
                (weights[..., None] * precisions).sum(0), (weights * pulls).sum(0)[..., None]
            )
            moved, x = np.abs(newer[..., 0] - x).max(), newer[..., 0]
            if moved < 1e-10:
                break
        found = np.logaddexp.reduce(log_densities(x), axis=0)
        better = found > level
        best, level = np.where(better[..., None], x, best), np.where(better, found, level)
    return best


def _softmax(logs: np.ndarray) -> np.ndarray:
    weights = np.exp(logs - logs.max(axis=0))
    return weights / weights.sum(axis=0)
