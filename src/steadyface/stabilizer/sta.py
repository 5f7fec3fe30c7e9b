"""STA with velocity: the default stabiliser.

It adds two things to the paper's form (`paper`). The prior's mean carries a velocity, so that steady motion
costs no delay; and the basis makes the network's errors uncorrelated as well as the face's motion, so that
the two are told apart where they differ most. The step is the paper's otherwise: a Gaussian-mixture prior
from the past outputs, a Gaussian likelihood of the new points, the posterior's mean as output, O(1) a frame.

Source: Tai et al. 2019, Eq. (5)-(10). Differs from it in: the mean moves on by a damped velocity; the prior's
covariance is that of the last posterior, moved on, in place of the scatter of past outputs; each direction
has its own mixture; uncertain landmarks count less; measured motion (`picture`) is one more likelihood.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

from steadyface.arrays import PointBatch, Points, PointSequence, ScoreSequence, Times
from steadyface.errors import ConfigError
from steadyface.geometry import face_size
from steadyface.motion import Displacements
from steadyface.stabilizer.base import CausalFilter, Measurement, OneOfMany, Smoother, State
from steadyface.stabilizer.motion_model import COLUMNS, ROWS, passage
from steadyface.stabilizer.outliers import Screened, repeat_over_rejected, screen_sequence, unbroken_runs
from steadyface.stabilizer.paper import flatten
from steadyface.stabilizer.picture import PictureModel, Skin, anchor_skin, begin_skin, move_skin

Flat = Float[np.ndarray, "*batch D"]

_LEAST_DOUBT = 1e-3  # added to 1 - score: the doubt that is left when the network has none
_ABREAST = 32  # sequences filtered side by side; more of them differ too much in length
_FIRST_FRAMES = 4.0  # frames' worth of pushes: the variance of the velocity of a face that was just found

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
        skin: the landmarks' own belief, once a picture has been seen.
    """

    mean: Float[np.ndarray, "2 *batch D"]
    covariance: Float[np.ndarray, "3 *batch D"]
    weights: Float[np.ndarray, "K *batch D"]
    expected: Float[np.ndarray, "2 *batch D"]
    prior: Float[np.ndarray, "3 K *batch D"]
    mean_map: Float[np.ndarray, "2 2 ..."]
    skin: Skin | None = None


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
class STA(CausalFilter, Smoother):
    """Θ of the default stabiliser, and its step. All variances are in (percent of face size)².

    Args:
        damping: (D,) ratio of the velocity along each direction that is left after a frame, in (0, 1).
        alphas: (K,) prior probabilities of the components, summing to 1.
        noise: (D,) variance of the network's error along each direction, for landmarks of usual score.
        pushes: (K, D) by how much component k makes the variance of the velocity grow a frame.
        basis: (D, D) whose columns take a face to its coordinates y = basisᵀ·z along the directions;
            D = 2·68, coordinates in order x₀, y₀, x₁, …
        doubts: (D / 2,) each landmark's usual 1 - score (geometric mean).
        trust: κ ≥ 0: a landmark's variance grows as (1 - score)^κ; 0 ignores scores.
        picture: how displacements measured in the picture are taken in, where there are any.
    """

    kind: ClassVar[str] = "sta"
    fixed_lag: ClassVar[bool] = True
    uses_motion: ClassVar[bool] = True
    damping: Float[np.ndarray, "D"]
    alphas: Float[np.ndarray, "K"]
    noise: Float[np.ndarray, "D"]
    pushes: Float[np.ndarray, "K D"]
    basis: Float[np.ndarray, "D D"]
    doubts: Float[np.ndarray, "landmarks"]
    trust: float
    picture: PictureModel = field(default=PictureModel(), kw_only=True)

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

    def begin(self, points: PointBatch) -> Belief:
        return self._begin(flatten(points) @ self.basis)

    def advance(self, memory: Belief, measurement: Measurement) -> tuple[Belief, PointBatch]:
        """Predict and condition, along each direction alone.

        Equation: x is the position and v the velocity. The mean moves on to x + hv and φv; in component k the
        covariance C becomes P_k = ΦCΦᵀ + q_k·G (`motion_model.passage`). With r = y - x, S_k = P_k,xx + Γ and
        the gains g_k = (P_k,xx, P_k,xv)/S_k: the weight of component k is proportional to
        α_k·S_k^-½·exp(-r²/2S_k), its mean is (x, v) + g_k·r, its covariance P_k - S_k·g_k·g_kᵀ; the mean and
        the covariance of the mixture are kept.
        Source: Tai et al. 2019, Eq. (6)-(10); Kalman 1960; Bar-Shalom and Tse 1975 for the last.
        """
        prediction = _predict(self, round(measurement.frames, 6), memory.mean.ndim - 2)
        observed, noise = flatten(measurement.points) @ self.basis, self._noise_of(measurement.scores)
        belief = self._condition(memory, observed, noise, measurement.unit, prediction)
        points = self._points_at(belief.mean[0])
        if measurement.displacements is None and memory.skin is None:
            return belief, points
        skin = self._stick(memory, points, measurement)
        return belief._replace(skin=skin), skin.points

    def coast(
        self, memory: Belief, points: Points, size: float, displacements: Displacements | None
    ) -> tuple[Belief, Points]:
        if displacements is None:
            return memory, points
        noise, unit = self._relative_noise, size / 100
        skin = memory.skin or begin_skin(self.picture, points, noise, unit)
        skin = move_skin(self.picture, skin, displacements, None, noise, unit, 1.0)
        return memory._replace(skin=skin), skin.points

    def _stick(self, before: Belief, points: Points, measurement: Measurement) -> Skin:
        """Points on the skin: the picture's displacements, anchored by the network's points.

        `points` are those without a picture. Their step carries what the picture leaves open.
        """
        model, unit, displacements = self.picture, float(measurement.unit), measurement.displacements
        noise = self._relative_noise
        last = self._points_at(before.mean[0])
        skin = before.skin or begin_skin(model, last, noise, unit)
        if measurement.scores is not None:
            noise = noise * (doubt(measurement.scores) / self.doubts) ** self.trust
        step = None if skin.coasted else points - last
        skin = move_skin(model, skin, displacements, step, noise, unit, measurement.frames)
        valid = None if displacements is None else displacements.valid
        return anchor_skin(model, skin, measurement.points, valid, noise, unit)

    def filter(
        self,
        points: PointSequence,
        seconds: Times | None = None,
        scores: ScoreSequence | None = None,
        motion: Sequence[Displacements | None] | None = None,
    ) -> PointSequence:
        """`CausalFilter.filter`; without a picture all frames go to the directions and back at once."""
        if motion is not None:
            return super().filter(points, seconds, scores, motion)
        screened = list(self._screen(points, seconds))
        positions = np.zeros((len(points), len(self.noise)))
        for position, belief in zip(positions, self._beliefs(screened, scores), strict=True):
            if belief is not None:
                position[...] = belief.mean[0]
        filtered = self._points_at(positions)
        outputs = np.array(points, float)
        for t, frame in enumerate(screened):
            if frame is not None:
                outputs[t] = frame.points if frame.restarts else filtered[t]
        repeat_over_rejected(outputs, screened)
        return outputs

    def smooth(
        self,
        points: PointSequence,
        seconds: Times | None = None,
        scores: ScoreSequence | None = None,
        lag: int | None = None,
    ) -> PointSequence:
        """Smooth with the same model and a backward pass; see `Smoother.smooth`.

        Equation: x(t | t+n) = x(t) + J(t)(x(t+1 | t+n) - x⁻(t+1)), J(t) = C(t)Φᵀ·P(t+1)⁻¹, where x⁻ is the
        predicted mean and P the mixture's predicted covariance under the posterior weights.
        Source: Rauch, Tung and Striebel 1965; Kim 1994 for mixtures.
        """
        self.check_lag(lag)
        screened = list(self._screen(points, seconds))
        beliefs = list(self._beliefs(screened, scores))
        outputs = np.array(points, float)
        for run in unbroken_runs(screened):
            believed = [belief for t in run if (belief := beliefs[t]) is not None]
            outputs[run] = self._points_at(_smoothed_positions(believed, len(run) if lag is None else lag))
        repeat_over_rejected(outputs, screened)
        return outputs

    def look_back(self, states: list[State]) -> Points:
        """Smooth the first of some successive states by the later ones, for a live fixed lag.

        For a lag of n frames keep the last n + 1 states that `step` gave, and ask at each frame. States
        before the newest cut or new face say nothing about later frames, and stay as they are.

        Returns:
            (landmarks, 2) image px.
        """
        run = next(unbroken_runs([state.screened for state in states]), [])
        if states[0].screened.rejected or len(run) < 2:
            return states[0].points
        return self._points_at(_smoothed_positions([states[t].memory for t in run], len(run))[0])

    def filter_all(self, sequences: list[OneOfMany]) -> list[OneOfMany]:
        """`CausalFilter.filter_all`, some sequences of about one length side by side."""
        outputs = [np.array(points, float) for points in sequences]
        screened = [list(screen_sequence(points)) for points in outputs]
        for points, frames in zip(outputs, screened, strict=True):
            for t, frame in enumerate(frames):
                points[t] = points[t] if frame is None else frame.points
        runs = [
            (points, run)
            for points, frames in zip(outputs, screened, strict=True)
            for run in unbroken_runs(frames)
        ]
        runs.sort(key=lambda each: -len(each[1]))
        for first in range(0, len(runs), _ABREAST):
            self._filter_abreast(runs[first : first + _ABREAST])
        for points, frames in zip(outputs, screened, strict=True):
            repeat_over_rejected(points, frames)
        return outputs

    def _filter_abreast(self, runs: list[tuple[OneOfMany, list[int]]]) -> None:
        """Filter some frames of each of some sequences, in place; shorter ones repeat their last frame."""
        longest = max(len(run) for _, run in runs)
        times = np.stack([np.pad(run, (0, longest - len(run)), mode="edge") for _, run in runs], axis=1)
        frames = np.maximum(np.diff(times, axis=0), 1).astype(float)
        abreast = np.stack([points[time] for (points, _), time in zip(runs, times.T, strict=True)], axis=1)
        units = np.maximum(face_size(abreast), 1.0)[..., None] / 100
        observed = flatten(abreast) @ self.basis
        belief = self._begin(observed[0])
        for t in range(1, longest):
            prediction = self._predict_each(frames[t - 1])
            belief = self._condition(belief, observed[t], self.noise, units[t], prediction)
            abreast[t] = self._points_at(belief.mean[0])
        for row, (points, run) in enumerate(runs):
            points[run] = abreast[: len(run), row]

    def _predict_each(self, frames: Float[np.ndarray, "faces"]) -> Prediction:
        """`_predict` for a batch of faces, each over its own time."""
        if (frames == frames[0]).all():
            return _predict(self, float(frames[0]), 1)
        each = [_predict(self, time, 0) for time in frames.tolist()]
        return Prediction(*(np.stack(parts, axis=-2) for parts in zip(*each, strict=True)))

    def _beliefs(
        self, screened: list[Screened | None], scores: ScoreSequence | None
    ) -> Iterator[Belief | None]:
        """Belief after each frame; that before it if the frame is rejected."""
        missing = np.zeros((len(self.doubts), 2))
        points = np.array([missing if frame is None else frame.points for frame in screened])
        observed = points.reshape(-1, len(self.noise)) @ self.basis
        noises = np.broadcast_to(self._noise_of(scores), observed.shape)
        belief = None
        for frame, along, noise in zip(screened, observed, noises, strict=True):
            if frame is not None and (belief is None or frame.restarts):
                belief = self._begin(along)
            elif frame is not None and belief is not None and not frame.rejected:
                prediction = _predict(self, round(frame.elapsed, 6), 0)
                belief = self._condition(belief, along, noise, frame.size / 100, prediction)
            yield belief

    def _begin(self, observed: Flat) -> Belief:
        """Belief after the first frame, given along the directions."""
        one, zero = np.ones_like(observed), np.zeros_like(observed)
        mean = np.stack([observed, zero])
        first_speed = _FIRST_FRAMES * self.pushes.max(axis=0)
        covariance = np.stack([self.noise * one, zero, first_speed * one])
        weights = self.alphas.reshape(-1, *(1,) * observed.ndim) * one
        prior = np.stack([covariance] * len(weights), axis=1)
        return Belief(mean, covariance, weights, mean, prior, _predict(self, 0.0, observed.ndim - 1).mean_map)

    def _condition(
        self,
        before: Belief,
        observed: Flat,
        noise: Float[np.ndarray, "... D"],
        unit: float | Float[np.ndarray, "*batch 1"],
        prediction: Prediction,
    ) -> Belief:
        """Belief after another frame, given along the directions; see `advance`."""
        mean_map, covariance_map, growth, log_alphas = prediction
        expected = np.einsum("ij...,j...->i...", mean_map, before.mean)
        prior = growth + np.einsum("ij...,j...->i...", covariance_map, before.covariance)[:, None]
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

    def _points_at(self, positions: Flat) -> PointBatch:
        """Points of positions along the directions, (…, D) → (…, landmarks, 2)."""
        return (positions @ self._back).reshape(*positions.shape[:-1], len(self.doubts), 2)

    def _noise_of(self, scores: Float[np.ndarray, "*batch landmarks"] | None) -> Float[np.ndarray, "... D"]:
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
    def _relative_noise(self) -> Float[np.ndarray, "landmarks"]:
        """Variance of the network's error at each landmark over the geometric mean of all."""
        own = (self._back**2).sum(axis=0).reshape(-1, 2).mean(axis=1)
        return own / np.exp(np.log(own).mean())

    @cached_property
    def _noise_of_landmarks(self) -> Float[np.ndarray, "landmarks D"]:
        """Contribution of each landmark to Γ: the basis makes the noise's covariance N the identity."""
        own = (self._back**2).sum(axis=0)  # the diagonal of N = basis⁻ᵀ·basis⁻¹
        parts = (self.basis**2 * own[:, None]).reshape(len(self.doubts), 2, -1).sum(axis=1)
        return self.noise * parts / parts.sum(axis=0)


def doubt(scores: Float[np.ndarray, "*batch landmarks"]) -> Float[np.ndarray, "*batch landmarks"]:
    """1 - score, and a little more: none is certain."""
    return 1 + _LEAST_DOUBT - scores


@lru_cache(maxsize=64)
def _predict(stabilizer: STA, frames: float, batch: int) -> Prediction:
    """Prediction over `frames` frames, with `batch` axes before the last."""
    mean_map, covariance_map, growth = passage(stabilizer.damping, frames)
    parts = mean_map, covariance_map, growth[:, None] * stabilizer.pushes
    inner = (1,) * batch
    log_alphas = np.log(stabilizer.alphas).reshape(-1, *inner, 1) * np.ones(len(stabilizer.noise))
    mean_map, covariance_map, growth = (part.reshape(*part.shape[:2], *inner, -1) for part in parts)
    return Prediction(mean_map, covariance_map, growth, log_alphas)


def _smoothed_positions(beliefs: list[Belief], lag: int) -> Float[np.ndarray, "frames D"]:
    """Position at each frame, given up to `lag` later frames."""
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
    gain = np.einsum("ijtd,jktd->tikd", moved, inverse)
    smooth = mean.copy()
    if lag < len(beliefs) - 1:
        for _ in range(lag):
            smooth[:-1] = mean[:-1] + np.einsum("tijd,tjd->tid", gain, smooth[1:] - expected[1:])
        return smooth[:, 0]
    for t in range(len(beliefs) - 2, -1, -1):
        smooth[t] += np.einsum("ijd,jd->id", gain[t], smooth[t + 1] - expected[t + 1])
    return smooth[:, 0]
