"""Fit the stabiliser's parameters to sequences of raw points with their truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.special import expit, logit

from steadyface.errors import ConfigError
from steadyface.geometry import face_size
from steadyface.stabilizer.loss import Weights, loss
from steadyface.stabilizer.model import Parameters, State, advance


@dataclass(frozen=True)
class Pair:
    """A sequence of raw points and its truth, (frames, 68, 2) each, in image px."""

    raw: Float[np.ndarray, "frames landmarks 2"]
    truth: Float[np.ndarray, "frames landmarks 2"]


def fit(
    pairs: list[Pair],
    fps: float,
    *,
    weights: Weights | None = None,
    clip: int = 100,
    evaluations: int = 900,
    report: Callable[[str], None] = print,
    fitted: str = "",
) -> Parameters:
    """Find the parameters with the least loss.

    Ten numbers are searched by Nelder-Mead (Lagarias et al. 1998): γ, α, β1, β2, and for noise and both
    components a height a and a slope b of Γ_j = ρ·eᵃ·(λ_j/λ̄)ᵇ over the eigenvalues λ_j of the truth's motion.
    The raw 412 numbers of the paper hardly move under that method.

    Args:
        pairs: sequences; each is scaled to percent of its own mean face size and cut into clips.
        fps: their common frame rate.
        weights: of the loss; None takes the paper's.
        clip: frames per clip; a shorter rest is left out.
        evaluations: of the loss.
        report: is given a line now and then.
        fitted: kept in the parameters, for people.

    Raises:
        ConfigError: no sequence is as long as a clip.
    """
    raw, truth = _clips(pairs, clip)
    basis, eigenvalues = _motion_basis(truth)
    error = (raw - truth).reshape(-1, raw.shape[-2] * 2)
    rho = float(np.median(np.abs(error)) / 0.6745) ** 2
    slopes = np.maximum(eigenvalues, eigenvalues.max() * 1e-6)
    slopes = slopes / np.exp(np.log(slopes).mean())
    count = 0

    def parameters(values: Float[np.ndarray, "10"]) -> Parameters:
        gamma, alpha, beta1, beta2 = expit(values[:4])
        heights = [rho * np.exp(a) * slopes**b for a, b in values[4:].reshape(3, 2)]
        return Parameters(
            gamma=float(gamma),
            alphas=np.array([alpha, 1 - alpha]),
            betas=np.array([beta1, beta2]),
            noise=heights[0],
            walks=np.stack(heights[1:]),
            basis=basis,
            fps=fps,
            fitted=fitted,
        )

    def objective(values: Float[np.ndarray, "10"]) -> float:
        nonlocal count
        value = loss(run(parameters(values), raw), truth, weights)
        count += 1
        if count % 100 == 0:
            report(f"{count} evaluations: loss {value:.4f}")
        return value

    start = np.array([*logit([0.5, 0.5, 0.5, 0.5]), 0.0, 0.0, -2.0, 1.0, 2.0, 1.0])
    simplex = np.vstack([start, start + np.eye(len(start))])  # the usual one hardly leaves a start of zero
    options = {"maxfev": evaluations, "adaptive": True, "initial_simplex": simplex}
    found = minimize(objective, start, method="Nelder-Mead", options=options)
    report(f"loss: raw {loss(raw, truth, weights):.4f}, stabilised {found.fun:.4f}")
    return parameters(found.x)


def run(
    parameters: Parameters, raw: Float[np.ndarray, "frames clips landmarks 2"]
) -> Float[np.ndarray, "frames clips landmarks 2"]:
    """Stabilise many sequences of equal length at once; points in percent of face size."""
    flat = raw.reshape(*raw.shape[:2], -1)
    state = State(flat[0], np.zeros_like(flat[0]), 1.0, flat[0])
    outputs = [flat[0]]
    for observed in flat[1:]:
        state = advance(parameters, state, observed, np.float64(1.0))
        outputs.append(state.last)
    return np.stack(outputs).reshape(raw.shape)


def _clips(pairs: list[Pair], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Both members of every pair in percent of face size, as (length, clips, 68, 2)."""
    raws, truths = [], []
    for pair in pairs:
        unit = float(face_size(pair.truth).mean()) / 100
        for start in range(0, len(pair.raw) - length + 1, length):
            part = slice(start, start + length)
            raws.append(pair.raw[part] / unit)
            truths.append(pair.truth[part] / unit)
    if not raws:
        raise ConfigError(f"no sequence has the {length} frames of a clip")
    return np.stack(raws, axis=1).astype(float), np.stack(truths, axis=1).astype(float)


def _motion_basis(truth: Float[np.ndarray, "frames clips landmarks 2"]) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvectors (columns) and eigenvalues of the covariance of p(t) - p(t-1), largest first."""
    moves = np.diff(truth, axis=0).reshape(-1, truth.shape[-2] * 2)
    values, vectors = np.linalg.eigh(np.cov(moves.T))
    return vectors[:, ::-1], values[::-1]
