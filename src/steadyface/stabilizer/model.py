"""The stabiliser: a Gaussian-mixture prior from the past outputs, a Gaussian likelihood of the new points.

What is normalised, and why: all variances in the parameters are in (percent of face size)², so one set of
parameters serves a 200-px face and a 4K face; they are per frame at `fps` and are rescaled by the real time
between frames, so 24 and 60 frames a second smooth alike in seconds. Points go in and come out in image px.

Source: Tai et al. 2019, Eq. (5)-(10). Differs from it in: the basis has eigenvectors as columns (the printed
VᵀΓV is right only for rows); C is kept on the diagonal of that basis, which costs O(D) a frame; the output is
the posterior's mean, since the argmax of a mixture has no closed form.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from steadyface.errors import ConfigError, WeightsError
from steadyface.geometry import face_size

VERSION = 1

_OUTLIER = 0.15  # of face size: no landmark leaves the others by this much within a frame
_JUMP = 0.25  # of face size: if most landmarks move this far, it is another shot or another face


@dataclass(frozen=True)
class Parameters:
    """Θ, everything that was fitted.

    Args:
        gamma: γ, weight of a past output per frame of age, in [0, 1].
        alphas: (K,) α_k, prior probabilities of the components, summing to 1.
        betas: (K,) β_k in [0, 1], share of the fixed covariance in component k.
        noise: (D,) Γ_n, variance of the network's error along each basis vector, (percent of face size)².
        walks: (K, D) Γ_k, fixed variance of component k along each basis vector, same unit.
        basis: (D, D) U, orthonormal columns; D = 2·68, coordinates in order x₀, y₀, x₁, …
        fps: frame rate at which γ and Γ_k hold.
        fitted: how they came about, for people.
    """

    gamma: float
    alphas: Float[np.ndarray, "K"]
    betas: Float[np.ndarray, "K"]
    noise: Float[np.ndarray, "D"]
    walks: Float[np.ndarray, "K D"]
    basis: Float[np.ndarray, "D D"]
    fps: float
    fitted: str = ""

    def __post_init__(self) -> None:
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
            and self.fps > 0
        )
        if not in_range:
            raise ConfigError("stabiliser parameters out of range: see steadyface.stabilizer.Parameters")
        if not np.allclose(self.basis.T @ self.basis, np.eye(dimension), atol=1e-3):
            raise ConfigError("the stabiliser's basis is not orthonormal")

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        values = {key: _listed(value) for key, value in asdict(self).items()}
        Path(path).write_text(json.dumps({"version": VERSION, **values}), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Parameters:
        """Read what `save` wrote.

        Raises:
            WeightsError: not such a file, or of another version.
        """
        try:
            values: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
            version = values.pop("version")
        except OSError as error:
            raise WeightsError(f"{path}: {error.strerror}") from error
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise WeightsError(f"{path}: not a stabiliser's parameter file") from error
        if version != VERSION:
            raise WeightsError(f"{path}: version {version}, this steadyface reads version {VERSION}")
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise WeightsError(f"{path}: keys differ: {sorted(set(values) ^ names)}")
        try:
            arrays: dict[str, Any] = {
                k: np.array(v, float) if isinstance(v, list) else v for k, v in values.items()
            }
            return cls(**arrays)
        except (ValueError, TypeError, AttributeError) as error:
            raise WeightsError(f"{path}: {error}") from error


@dataclass(frozen=True)
class State:
    """What is remembered between frames; arrays may carry leading axes (several sequences at once).

    Args:
        mean: (…, D) μ, the weighted mean of the past outputs, px.
        spread: (…, D) the diagonal of UᵀCU, px².
        weight: s, the sum of the weights of the past outputs, the newest counting 1.
        last: (…, D) the newest output, px.
    """

    mean: Float[np.ndarray, "*batch D"]
    spread: Float[np.ndarray, "*batch D"]
    weight: float
    last: Float[np.ndarray, "*batch D"]


class Stabilizer:
    """Makes landmark sequences steady, frame by frame, without waiting for the future.

    >>> stabilizer = load_stabilizer()
    >>> face = np.linspace(0, 200, 136).reshape(68, 2)
    >>> points = face + np.random.default_rng(0).normal(0, 0.3, (50, 68, 2))
    >>> steady = stabilizer.filter(points)
    >>> bool(np.diff(steady, axis=0).std() < np.diff(points, axis=0).std() / 2)
    True
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    def start(self, points: Float[np.ndarray, "*batch landmarks 2"]) -> State:
        """The state after the first frame, whose output is its input (image px)."""
        flat = _flatten(points)
        return State(flat, np.zeros_like(flat), 1.0, flat)

    def step(
        self, state: State | None, points: Float[np.ndarray, "landmarks 2"], dt: float | None = None
    ) -> tuple[State | None, Float[np.ndarray, "landmarks 2"]]:
        """One frame of one face.

        Missing points (NaN) keep their last place; a single landmark far off the others is pulled back; a
        jump of the whole face starts anew.

        Args:
            state: from the last frame; None at the start.
            points: raw points, image px.
            dt: seconds since the last frame; None means one frame at the parameters' own rate.

        Returns:
            The new state (None while no complete frame has been seen) and the stabilised points, image px.
        """
        missing = ~np.isfinite(points).all(axis=-1)
        if state is None:
            return (None, points) if missing.any() else (self.start(points), points)
        last = state.last.reshape(points.shape)
        if missing.all():
            return state, last
        points = np.where(missing[:, None], last, points)
        size = max(float(face_size(last)), 1.0)
        away = points - last
        together = np.median(away, axis=0)
        if np.linalg.norm(together) > _JUMP * size:
            return self.start(points), points
        alone = away - together
        length = np.linalg.norm(alone, axis=-1, keepdims=True)
        pull = np.minimum(1.0, _OUTLIER * size / np.maximum(length, 1e-12))
        flat, frames = (
            _flatten(last + together + alone * pull),
            1.0 if dt is None else dt * self.parameters.fps,
        )
        state = advance(self.parameters, state, flat, np.float64(size / 100), frames)
        return state, state.last.reshape(points.shape)

    def filter(
        self,
        points: Float[np.ndarray, "frames landmarks 2"],
        seconds: Float[np.ndarray, "frames"] | None = None,
    ) -> Float[np.ndarray, "frames landmarks 2"]:
        """Stabilise a whole sequence causally; equal to calling `step` on each frame in turn.

        Args:
            points: raw points, image px; NaN where a frame is lost.
            seconds: each frame's timestamp; None means one frame after another at the parameters' rate.
        """
        return np.stack(list(self._outputs(points, seconds))) if len(points) else np.array(points, float)

    def _outputs(
        self, points: Float[np.ndarray, "frames landmarks 2"], seconds: Float[np.ndarray, "frames"] | None
    ) -> Iterator[Float[np.ndarray, "landmarks 2"]]:
        state = None
        for t, raw in enumerate(np.asarray(points, float)):
            dt = None if seconds is None or t == 0 else float(seconds[t] - seconds[t - 1])
            state, steady = self.step(state, raw, dt)
            yield steady


def advance(
    parameters: Parameters,
    state: State,
    observed: Float[np.ndarray, "*batch D"],
    unit: Float[np.ndarray, "*batch"] | np.floating,
    frames: float = 1.0,
) -> State:
    """The closed-form step on flat vectors.

    Equation: with r = Uᵀ(z - μ), P_k = β_kΓ_k + (1 - β_k)C and S_k = P_k + Γ_n on the diagonal of U's basis,
    log w_k = log α_k - ½ Σ(log S_k + r²/S_k), x = μ + U Σ_k w_k P_k r / S_k. Then, with s ← γˡs after l
    frames, w = 1/(1 + s) and δ = x - μ: μ ← μ + wδ, C ← (1 - w)(C + w(Uᵀδ)²), s ← 1 + s.
    Source: Tai et al. 2019, Eq. (6)-(10).

    Args:
        parameters: Θ.
        state: after the last frame.
        observed: z, px.
        unit: px per percent of face size.
        frames: time since the last frame, in frames at the parameters' rate.
    """
    squared = np.asarray(unit)[..., None] ** 2
    residual = (observed - state.mean) @ parameters.basis
    betas = parameters.betas.reshape(-1, *(1,) * observed.ndim)
    walks = parameters.walks.reshape(len(betas), *(1,) * (observed.ndim - 1), -1)
    prior = betas * walks * squared * frames**2 + (1 - betas) * state.spread
    total = prior + parameters.noise * squared
    with np.errstate(divide="ignore"):
        logs = np.log(parameters.alphas).reshape(-1, *(1,) * (observed.ndim - 1))
    logs = logs - 0.5 * (np.log(total) + residual**2 / total).sum(axis=-1)
    shares = np.exp(logs - logs.max(axis=0))
    shares = (shares / shares.sum(axis=0))[..., None]
    move = (shares * prior / total).sum(axis=0) * residual
    output = state.mean + move @ parameters.basis.T
    aged = parameters.gamma**frames * state.weight
    weight = 1 / (1 + aged)
    return State(
        mean=state.mean + weight * (output - state.mean),
        spread=(1 - weight) * (state.spread + weight * move**2),
        weight=1 + aged,
        last=output,
    )


@lru_cache
def load_stabilizer(path: str | Path | None = None) -> Stabilizer:
    """The bundled stabiliser, or the one of a parameter file.

    Raises:
        WeightsError: not a parameter file of this version.
    """
    return Stabilizer(Parameters.load(path or str(files("steadyface") / "weights" / "stabilizer.json")))


def _flatten(points: Float[np.ndarray, "*batch landmarks 2"]) -> Float[np.ndarray, "*batch D"]:
    return np.asarray(points, float).reshape(*points.shape[:-2], -1)


def _listed(value: object) -> object:
    if not isinstance(value, np.ndarray):
        return value
    return np.vectorize(lambda x: float(f"{x:.9g}"))(value).tolist()
