"""STA with velocity: the default stabiliser.

Two things are added to the paper's form (`model`). The prior's mean carries a velocity, so that steady
motion costs no delay; and the basis makes the network's errors uncorrelated as well as the face's motion, so
that the two are told apart where they differ most. It is the paper's step otherwise: a Gaussian-mixture prior
from the past outputs, a Gaussian likelihood of the new points, the posterior's mean as output, O(1) a frame.

Source: Tai et al. 2019, Eq. (5)-(10). Differs from it in: the mean moves on by a damped velocity; the prior's
covariance is that of the last posterior, moved on, in place of the scatter of past outputs; each direction
has a mixture of its own; an uncertain landmark counts less.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

from steadyface.errors import ConfigError
from steadyface.geometry import face_size
from steadyface.stabilizer.base import (
    Observation,
    OneOfMany,
    Points,
    Scores,
    Sequence,
    Stabilizer,
    State,
    Times,
)
from steadyface.stabilizer.outliers import look_through, repeat_skipped, unbroken
from steadyface.stabilizer.paper import flatten

Flat = Float[np.ndarray, "*batch D"]

_DOUBT = 1e-3  # added to 1 - score: the doubt that is left when the network has none
_ABREAST = 32  # sequences; more of them differ too much in length
_UNKNOWN = 4.0  # frames' worth of pushes: how fast a face may be moving when it is first seen
_SLOW = 5e-3  # a decay below which the growth's closed form loses digits, and a series has all of them

_ROWS, _COLUMNS = np.array([0, 0, 1]), np.array([0, 1, 1])  # of the entries of a symmetric 2 × 2 matrix

_sum = np.add.reduce


class Motion(NamedTuple):
    """What is believed of a face's motion along each direction; arrays may carry leading axes.

    Args:
        mean: (2, …, D) place, px, and velocity, px per frame.
        spread: (3, …, D) their covariance: place, place with velocity, velocity.
        shares: (K, …, D) posterior probabilities of the components.
        expected: (2, …, D) what `mean` was expected to be before the frame was seen.
        prior: (K, 3, …, D) the components' prior covariances.
        move: (2, 2, D) Φ, which led from the mean before to `expected`.
    """

    mean: Float[np.ndarray, "2 *batch D"]
    spread: Float[np.ndarray, "3 *batch D"]
    shares: Float[np.ndarray, "K *batch D"]
    expected: Float[np.ndarray, "2 *batch D"]
    prior: Float[np.ndarray, "K 3 *batch D"]
    move: Float[np.ndarray, "2 2 D"]


@dataclass(frozen=True, eq=False)
class VelocityStabilizer(Stabilizer):
    """Θ of the default stabiliser, and its step. All variances are in (percent of face size)².

    Args:
        damping: (D,) share of the velocity along each direction that is left after a frame, in (0, 1).
        alphas: (K,) prior probabilities of the components, summing to 1.
        noise: (D,) variance of the network's error along each direction, for landmarks of usual score.
        pushes: (K, D) by how much component k makes the variance of the velocity grow a frame.
        basis: (D, D) whose columns take a face to its coordinates y = basisᵀ·z along the directions;
            D = 2·68, coordinates in order x₀, y₀, x₁, …
        doubts: (D / 2,) each landmark's usual 1 - score (geometric mean).
        trust: κ ≥ 0: a landmark's variance grows as (1 - score)^κ; 0 ignores scores.
    """

    kind: ClassVar[str] = "sta"
    damping: Float[np.ndarray, "D"]
    alphas: Float[np.ndarray, "K"]
    noise: Float[np.ndarray, "D"]
    pushes: Float[np.ndarray, "K D"]
    basis: Float[np.ndarray, "D D"]
    doubts: Float[np.ndarray, "landmarks"]
    trust: float

    def __post_init__(self) -> None:
        super().__post_init__()
        components, dimension = self.pushes.shape
        shapes = self.alphas.shape, self.damping.shape, self.noise.shape, self.basis.shape, self.doubts.shape
        wanted = (components,), (dimension,), (dimension,), (dimension, dimension), (dimension // 2,)
        if shapes != wanted:
            raise ConfigError(f"shapes of the stabiliser's parameters do not fit together: {shapes}")
        in_range = (
            ((self.damping > 0) & (self.damping < 1)).all()
            and (self.alphas > 0).all()
            and abs(self.alphas.sum() - 1) < 1e-6
            and (self.noise > 0).all()
            and (self.pushes > 0).all()
            and (self.doubts > 0).all()
            and self.trust >= 0
            and np.linalg.matrix_rank(self.basis) == dimension
        )
        if not in_range:
            raise ConfigError(f"parameters of {self.kind} out of range")

    def begin(self, points: Points) -> Motion:
        place = flatten(points) @ self.basis
        size = np.ones_like(place)
        spread = np.stack([self.noise * size, 0 * size, _UNKNOWN * self.pushes.max(axis=0) * size])
        mean = np.stack([place, 0 * size])
        shares = self.alphas.reshape(-1, *(1,) * place.ndim) * size
        return Motion(
            mean,
            spread,
            shares,
            mean,
            np.stack([spread] * len(self.alphas)),
            _passage(self, 0.0, mean.ndim)[0],
        )

    def advance(self, memory: Motion, seen: Observation) -> tuple[Motion, Points]:
        """The closed-form step.

        Equation, along each direction alone, x the place and v the velocity: x and v move on to x + hv and
        φv; in component k their covariance C becomes P_k = ΦCΦᵀ + q_k·G (see `_passage`). With r = y - x,
        S_k = P_k,xx + Γ and the gains g_k = (P_k,xx, P_k,xv)/S_k: the weight of component k is proportional
        to α_k·S_k^-½·exp(-r²/2S_k), its mean is (x, v) + g_k·r, its covariance P_k - S_k·g_k·g_kᵀ; what is
        kept is the mean and the covariance of the mixture.
        Source: Tai et al. 2019, Eq. (6)-(10); Kalman 1960; Bar-Shalom and Tse 1975 for the last.
        """
        return self._update(memory, seen, _passage(self, round(seen.frames, 6), memory.mean.ndim))

    def _update(
        self, memory: Motion, seen: Observation, passage: tuple[np.ndarray, ...]
    ) -> tuple[Motion, Points]:
        move, carry, growth, log_alphas = passage
        expected = _sum(move * memory.mean, 1)
        prior = growth + _sum(carry * memory.spread, 1)
        total = prior[:, 0] + self._noise(seen.scores)
        gains = prior[:, :2] / total[:, None]
        surprise = flatten(seen.points) @ self.basis - expected[0]
        squared = surprise * surprise / seen.unit**2
        logs = log_alphas - 0.5 * (np.log(total) + squared / total)
        shares = np.exp(logs - np.maximum.reduce(logs))
        shares /= _sum(shares)
        gain = _sum(shares[:, None] * gains)
        # Σ w(P - Sggᵀ) and the scatter of the components' means, Σ w·ρ²(g - ḡ)(g - ḡ)ᵀ, in one.
        products = gains.take(_ROWS, 1) * gains.take(_COLUMNS, 1)
        spread = _sum(shares[:, None] * prior + (shares * (squared - total))[:, None] * products)
        spread -= squared * gain.take(_ROWS, 0) * gain.take(_COLUMNS, 0)
        motion = Motion(expected + gain * surprise, spread, shares, expected, prior, move)
        return motion, (motion.mean[0] @ self._back).reshape(seen.points.shape)

    def smooth(
        self,
        points: Sequence,
        seconds: Times | None = None,
        scores: Scores | None = None,
        lag: int | None = None,
    ) -> Sequence:
        """The same model with a backward pass; see `Stabilizer.smooth`.

        Equation: x(t | t+n) = x(t) + J(t)(x(t+1 | t+n) - x⁻(t+1)), J(t) = C(t)Φᵀ·P(t+1)⁻¹, where x⁻ is what
        was expected and P the mixture's prior covariance under the posterior weights.
        Source: Rauch, Tung and Striebel 1965; Kim 1994 for mixtures.
        """
        if lag is not None and lag < 0:
            raise ConfigError(f"lag must be at least 0 frames, got {lag}")
        states = list(self.states(points, seconds, scores))
        outputs = np.array(points, float)
        seen = [state and state.seen for state in states]
        for run in unbroken(seen):
            motions = [state.memory for t in run if (state := states[t])]
            places = _looked_back(motions, len(run) if lag is None else lag)
            outputs[run] = (places @ self._back).reshape(len(run), *outputs.shape[1:])
        repeat_skipped(outputs, seen)
        return outputs

    def look_back(self, states: list[State]) -> Float[np.ndarray, "landmarks 2"]:
        """Where the points were at the first of some successive states, in the light of the later ones.

        For a live fixed lag of n frames: keep the last n + 1 states that `step` gave, and ask at each frame.
        States before the newest cut or new face tell nothing of what came after it, and are left alone.

        Returns:
            image px.
        """
        run = next(unbroken([state.seen for state in states]), [])
        if states[0].seen.skipped or len(run) < 2:
            return states[0].points
        places = _looked_back([states[t].memory for t in run], len(run))
        return (places[0] @ self._back).reshape(states[0].points.shape)

    def filter_all(self, sequences: list[OneOfMany]) -> list[OneOfMany]:
        """`Stabilizer.filter_all`, some sequences of about one length side by side."""
        outputs = [np.array(points, float) for points in sequences]
        looked = [look_through(points, 1.0) for points in outputs]
        for points, seen in zip(outputs, looked, strict=True):
            for t, frame in enumerate(seen):
                points[t] = points[t] if frame is None else frame.points
        runs = [(points, run) for points, seen in zip(outputs, looked, strict=True) for run in unbroken(seen)]
        runs.sort(key=lambda each: -len(each[1]))
        for first in range(0, len(runs), _ABREAST):
            self._filter_abreast(runs[first : first + _ABREAST])
        for points, seen in zip(outputs, looked, strict=True):
            repeat_skipped(points, seen)
        return outputs

    def _filter_abreast(self, runs: list[tuple[OneOfMany, list[int]]]) -> None:
        """Filter some frames of each of some sequences, in place; shorter ones repeat their last frame."""
        longest = max(len(run) for _, run in runs)
        times = np.stack([np.pad(run, (0, longest - len(run)), mode="edge") for _, run in runs], axis=1)
        frames = np.maximum(np.diff(times, axis=0), 1).astype(float)
        abreast = np.stack([points[time] for (points, _), time in zip(runs, times.T, strict=True)], axis=1)
        units = np.maximum(face_size(abreast), 1.0)[..., None] / 100
        memory = self.begin(abreast[0])
        for t in range(1, longest):
            seen, passage = Observation(abreast[t], units[t]), self._passages(frames[t - 1])
            memory, abreast[t] = self._update(memory, seen, passage)
        for row, (points, run) in enumerate(runs):
            points[run] = abreast[: len(run), row]

    def _passages(self, frames: Float[np.ndarray, "faces"]) -> tuple[np.ndarray, ...]:
        """`_passage` of each face's own time."""
        if (frames == frames[0]).all():
            return _passage(self, float(frames[0]), 3)
        each = [_passage(self, time, 2)[:3] for time in frames.tolist()]
        return *(np.stack(parts, axis=-2) for parts in zip(*each, strict=True)), _passage(self, 1.0, 3)[3]

    def _noise(self, scores: Float[np.ndarray, "*batch landmarks"] | None) -> Float[np.ndarray, "... D"]:
        """Γ for landmarks of these scores: along each direction the mean of the landmarks that make it up."""
        if scores is None or not self.trust:
            return self.noise
        factors = (doubt(scores) / self.doubts) ** self.trust
        return factors @ self._noise_of_landmarks

    @cached_property
    def _back(self) -> Float[np.ndarray, "D D"]:
        """From coordinates along the directions to points: the directions themselves are its rows."""
        return np.linalg.inv(self.basis)

    @cached_property
    def _noise_of_landmarks(self) -> Float[np.ndarray, "landmarks D"]:
        """What each landmark adds to Γ: the basis makes the noise's covariance N the identity."""
        own = (self._back**2).sum(axis=0)  # the diagonal of N = basis⁻ᵀ·basis⁻¹
        parts = (self.basis**2 * own[:, None]).reshape(len(self.doubts), 2, -1).sum(axis=1)
        return self.noise * parts / parts.sum(axis=0)


def doubt(scores: Float[np.ndarray, "*batch landmarks"]) -> Float[np.ndarray, "*batch landmarks"]:
    """1 - score, and a little: none is certain."""
    return 1 + _DOUBT - scores


@lru_cache(maxsize=64)
def _passage(stabilizer: VelocityStabilizer, frames: float, axes: int) -> tuple[np.ndarray, ...]:
    """What `frames` frames do: Φ (2, 2, …, D), what it does to covariances (3, 3, …, D), by how much they
    grow (K, 3, …, D); and log α (K, …, 1).

    Equation: dx = v·dt, dv = -λv·dt + √q·dW, λ = -log φ; with d = 1 - exp(-λl) after l frames and h = d/λ, x
    moves by hv, v becomes (1-d)v, and the covariance grows by q·G, G_xv = h²/2, G_vv = h(1 - d/2) and
    G_xx = (λl - d - d²/2)/λ³ = h³Σ_k dᵏ/(k+3).
    Source: Singer 1970.
    """
    rate = -np.log(stabilizer.damping)
    decay = rate * frames
    lost = -np.expm1(-decay)
    h, kept = lost / rate, 1 - lost
    zero, one = np.zeros_like(h), np.ones_like(h)
    series = h**3 * np.polyval([1 / 7, 1 / 6, 1 / 5, 1 / 4, 1 / 3], lost)
    swing = np.where(decay < _SLOW, series, (decay - lost - lost**2 / 2) / rate**3)
    growth = np.stack([swing, h**2 / 2, h * (1 - lost / 2)])
    move = np.array([[one, h], [zero, kept]])
    carry = np.array([[one, 2 * h, h**2], [zero, kept, h * kept], [zero, zero, kept**2]])
    pushed = stabilizer.pushes[:, None] * growth
    batch = (1,) * (axes - 2)
    move, carry, pushed = (each.reshape(*each.shape[:2], *batch, -1) for each in (move, carry, pushed))
    return move, carry, pushed, np.log(stabilizer.alphas).reshape(-1, *(1,) * (axes - 1))


def _looked_back(motions: list[Motion], lag: int) -> Float[np.ndarray, "frames D"]:
    """The place at each frame, seen from up to `lag` frames later."""
    mean, spread, expected, move = (
        np.stack([getattr(motion, name) for motion in motions])
        for name in ("mean", "spread", "expected", "move")
    )
    prior = np.stack([(motion.shares[:, None] * motion.prior).sum(axis=0) for motion in motions])
    (place, both, speed), (h, kept) = np.moveaxis(spread[:-1], 1, 0), (move[1:, 0, 1], move[1:, 1, 1])
    ahead = np.array([[place + h * both, kept * both], [both + h * speed, kept * speed]])
    a, b, c = np.moveaxis(prior[1:], 1, 0)
    inverse = np.array([[c, -b], [-b, a]]) / (a * c - b * b)
    gain = np.einsum("ijtd,jktd->tikd", ahead, inverse)
    smooth = mean.copy()
    if lag < len(motions) - 1:
        for _ in range(lag):
            smooth[:-1] = mean[:-1] + np.einsum("tijd,tjd->tid", gain, smooth[1:] - expected[1:])
        return smooth[:, 0]
    for t in range(len(motions) - 2, -1, -1):
        smooth[t] += np.einsum("ijd,jd->id", gain[t], smooth[t + 1] - expected[t + 1])
    return smooth[:, 0]
