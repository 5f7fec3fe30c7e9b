"""STA with velocity: the default stabiliser.

It adds two things to the paper's form (`paper`). The prior's mean moves on with a velocity, so that steady
motion causes no delay; and in the basis both the face's motion and the network's errors are uncorrelated, so
that the filter can separate them. Otherwise the step is the paper's: a Gaussian-mixture prior from the past
outputs, a Gaussian likelihood of the new points, the posterior's mean as output, O(1) a frame.

Source: Tai et al. 2019, Eq. (5)-(10). Differs from it in: the mean moves on by a damped velocity; the prior's
covariance is that of the last posterior, moved on, in place of the scatter of past outputs; each direction
has its own mixture; uncertain landmarks count less; measured motion (`picture`) is one more likelihood.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from steadyface.arrays import PointBatch, Points, PointSequence, ScoreSequence, Times
from steadyface.errors import ConfigError
from steadyface.geometry import face_size
from steadyface.motion import Displacements, Motion
from steadyface.motion.matrices import coordinates, points_of
from steadyface.shapes import as_numbers
from steadyface.stabilizer.abreast import advance_abreast
from steadyface.stabilizer.base import CausalFilter, Measurement, OneOfMany, Smoother, State, Step
from steadyface.stabilizer.directions import (
    Belief,
    DirectionModel,
    Flat,
    begin,
    condition,
    predict,
    predict_each,
)
from steadyface.stabilizer.memory import Last, Memory, distinct_memories, last_of, shots
from steadyface.stabilizer.outliers import Screened, complete_runs, hide_unseen, repeat_over_rejected
from steadyface.stabilizer.paper import flatten
from steadyface.stabilizer.picture import PictureModel, anchor_skin, begin_skin, move_skin
from steadyface.stabilizer.smoothing import (
    BLOCK,
    NEWEST,
    Ahead,
    SkinStep,
    rewound,
    smooth_directions,
    smooth_skin,
    windows,
)

Doubts = Float[np.ndarray, "*batch landmarks"]
"""Factor of each landmark's error variance, 1 at its usual score."""

_LEAST_DOUBT = 1e-3  # added to 1 - score: the doubt that is left when the network has none
_ABREAST = 32  # sequences filtered side by side; more of them differ too much in length


@dataclass(frozen=True, eq=False)
class STA(CausalFilter, Smoother):
    """Default stabiliser: its parameters Θ and its step. All variances are in (percent of face size)².

    Args:
        damping: (D,) ratio of the velocity along each direction that is left after a frame, in (0, 1).
        alphas: (K,) prior probabilities of the components, summing to 1.
        noise: (D,) variance of the network's error along each direction, for landmarks of usual score.
        pushes: (K, D) by how much component k makes the variance of the velocity grow a frame.
        basis: (D, D) whose columns take a face to its coordinates y = basisᵀ·z along the directions;
            D = 2·68, coordinates in order x₀, y₀, x₁, …
        doubts: (D / 2,) each landmark's usual 1 - score (geometric mean).
        trust: κ ≥ 0: a landmark's variance grows as (1 - score)^κ; 0 ignores scores.
        picture: parameters of the filter of displacements measured in the picture.
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

    @property
    def landmarks(self) -> int:
        """Number of landmarks that the parameters are for."""
        return len(self.doubts)

    def begin(self, points: PointBatch) -> Memory:
        return Memory(begin(self._directions, flatten(points) @ self.basis))

    def advance(self, memory: Memory, measurement: Measurement) -> tuple[Memory, PointBatch]:
        """Predict and condition along each direction (`directions`); with a picture, also on the skin."""
        return self._advance(last_of(memory), measurement)

    def advance_all(
        self, memories: Sequence[Memory], measurements: Sequence[Measurement]
    ) -> list[tuple[Memory, PointBatch]]:
        return advance_abreast(self._advance, list(map(last_of, memories)), measurements)

    def _advance(self, last: Last, measurement: Measurement) -> tuple[Memory, PointBatch]:
        prediction = predict(self._directions, round(measurement.frames, 6), last.mean.ndim - 2)
        observed, doubts = flatten(measurement.points) @ self.basis, self._doubts_of(measurement.scores)
        noise = self._noise_of(doubts)
        belief = condition(last.mean, last.covariance, observed, noise, measurement.unit, prediction)
        if measurement.displacements is None and last.skin is None:
            return Memory(belief, late=True), self._points_at(belief.mean[0])
        skin = self._stick(last, belief, measurement, doubts)
        return Memory(belief, skin, last.late), points_of(skin.after.points)

    def coast(
        self, memory: Memory, points: Points, screened: Screened, displacements: Displacements | None
    ) -> tuple[Memory, Points]:
        if displacements is None:
            return memory, points
        model, noise, unit = self.picture, self._relative_noise, screened.size / 100
        before = memory.skin.after if memory.skin else begin_skin(model, points, noise, unit)
        moved = move_skin(model, before, displacements, None, noise, unit, 1.0)
        if screened.missing and not before.coasted:
            moved = moved._replace(coasted=False, carried=before.carried + moved.points - before.points)
        step = SkinStep(before, moved, moved, model.loose_by * unit)
        return Memory(memory.belief, step, memory.late), points_of(moved.points)

    def shift(self, memory: Memory, points: Points, offset: Points) -> Memory:
        skin = memory.skin
        if skin is not None:
            skin = skin._replace(after=skin.after.shifted(coordinates(offset)))
        return memory._replace(belief=self._shifted(memory.belief, offset), skin=skin)

    def _shifted(self, belief: Belief, offset: Points) -> Belief:
        position, velocity = belief.mean
        return belief._replace(mean=np.stack([position + flatten(offset) @ self.basis, velocity]))

    def _stick(self, last: Last, belief: Belief, measurement: Measurement, doubts: Doubts | None) -> SkinStep:
        """Move the skin by the picture's displacements, and condition it on the network's points.

        Where the picture leaves the motion open, the step of the points filtered without a picture decides;
        motion that the picture has already carried since the last points is subtracted from it.
        """
        model, unit, displacements = self.picture, measurement.unit, measurement.displacements
        noise = self._relative_noise
        skin = last.skin or begin_skin(model, self._points_at(last.mean[0]), noise, unit)
        if doubts is not None:
            noise = noise * doubts
        change = coordinates(self._points_at(belief.mean[0] - last.mean[0]))
        step = None if skin.coasted else change - skin.carried
        moved = move_skin(model, skin, displacements, step, noise, unit, measurement.frames)
        after = anchor_skin(model, moved, measurement, noise)
        return SkinStep(skin, moved, after, model.loose_by * unit)

    def filter(
        self,
        points: PointSequence,
        seconds: Times | None = None,
        scores: ScoreSequence | None = None,
        motion: Motion | None = None,
    ) -> PointSequence:
        """`CausalFilter.filter`; without a picture, all frames are mapped to directions and back at once."""
        if motion is not None:
            return super().filter(points, seconds, scores, motion)
        scores = None if scores is None else as_numbers(scores, "scores")
        screened = list(self._screen(points, seconds, scores))
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
        hide_unseen(outputs, screened)
        return outputs

    def smooth(
        self,
        points: PointSequence,
        seconds: Times | None = None,
        scores: ScoreSequence | None = None,
        lag: int | None = None,
        motion: Motion | None = None,
    ) -> PointSequence:
        """Smooth with the same model and a backward pass (`smoothing`); see `Smoother.smooth`."""
        self.check_lag(lag)
        points = as_numbers(points, "points")
        outputs = np.array(points, np.result_type(points, np.float32))
        if lag is None:
            self._smooth_by_all(outputs, self.stepper(points, seconds, scores, motion))
        else:
            self._smooth_by_few(outputs, self.states(points, seconds, scores, motion), lag)
        if not np.isfinite(points).all():
            hide_unseen(outputs, self._screen(points, seconds, scores))
        return outputs

    def _smooth_by_all(self, outputs: PointSequence, step: Step) -> None:
        """Smooth each frame by all later ones, in place, block by block from the last; see `rewound`."""
        block_start = NEWEST  # smoothed means at the first frame of the block that follows
        for start, states in rewound(step, len(outputs)):
            block_end, shot_end = start + BLOCK, start + len(states)
            newest, block_start = block_start, NEWEST
            for shot in reversed([list(shot) for shot in shots(states)]):
                shot_start, stop = shot_end - len(shot), min(shot_end, block_end)
                if shot_start < block_end:  # else the shot begins with the next block, and belongs to it
                    memories, counts = zip(*distinct_memories(shot), strict=True)
                    points, block_start = self._look_back(memories, newest=newest)
                    outputs[shot_start:stop] = points.repeat(counts, axis=0)[: stop - shot_start]
                newest, shot_end = NEWEST, shot_start

    def _smooth_by_few(self, outputs: PointSequence, states: Iterable[State | None], lag: int) -> None:
        """Smooth each frame by `lag` later ones, in place."""
        begun = np.flatnonzero(np.isfinite(outputs).all(axis=2).any(axis=1))
        row = begun[0] if len(begun) else 0  # of the first state
        for shot in shots(states):
            for window in windows(distinct_memories(shot), lag):
                memories, counts = zip(*window, strict=True)
                points, _ = self._look_back(memories, lag)
                points = points[:BLOCK].repeat(counts[:BLOCK], axis=0)
                outputs[row : row + len(points)] = points
                row += len(points)

    def _look_back(
        self, memories: Sequence[Memory], lag: int | None = None, newest: Ahead = NEWEST
    ) -> tuple[PointSequence, Ahead]:
        """Points at successive memories of one shot, given up to `lag` later ones.

        The belief about the skin reaches back to the frame before the first picture; earlier frames have only
        the directions.

        Args:
            memories: distinct ones, the oldest first.
            lag: None means all.
            newest: smoothed means at the last of them, as this function returns them of the first.

        Returns:
            (memories, landmarks, 2) image px; and the smoothed means at the first of them.
        """
        steps = [memory.skin for memory in memories[1:] if memory.skin is not None]
        last, skin, directions = memories[-1].skin, None, None
        if last is not None:
            skin = smooth_skin(steps, lag, last.after.points if newest.skin is None else newest.skin)
        if last is None or memories[-1].late:
            pairs = zip(memories[1:], memories, strict=False)
            beliefs = [memory.belief for memory, before in pairs if memory.belief is not before.belief]
            directions = smooth_directions([memories[0].belief, *beliefs], lag, newest.directions)
        without_skin = len(memories) - (0 if skin is None else len(skin))
        parts = [] if directions is None else [self._points_at(directions[:without_skin, 0])]
        points = np.concatenate([*parts, *([] if skin is None else [skin.mT])])
        first = skin[0] if skin is not None and memories[0].skin is not None else None
        return points, Ahead(first, None if directions is None else directions[0])

    def filter_all(self, sequences: list[OneOfMany]) -> list[OneOfMany]:
        """`CausalFilter.filter_all`, with sequences of similar length side by side."""
        screened = [list(self._screen(points, None, None)) for points in sequences]
        outputs = [as_numbers(points, "points").astype(float) for points in sequences]
        runs: list[tuple[OneOfMany, list[int]]] = []
        for points, frames in zip(outputs, screened, strict=True):
            for run, whole in complete_runs(frames):
                points[run] = whole
                runs.append((points, run))
        runs.sort(key=lambda each: -len(each[1]))
        for first in range(0, len(runs), _ABREAST):
            self._filter_abreast(runs[first : first + _ABREAST])
        for points, frames in zip(outputs, screened, strict=True):
            repeat_over_rejected(points, frames)
            hide_unseen(points, frames)
        return outputs

    def _filter_abreast(self, runs: list[tuple[OneOfMany, list[int]]]) -> None:
        """Filter runs of frames of several sequences at once, in place; shorter runs repeat their last frame.

        Args:
            runs: sequences with the indices of the frames of a run without a cut.
        """
        longest = max(len(run) for _, run in runs)
        times = np.stack([np.pad(run, (0, longest - len(run)), mode="edge") for _, run in runs], axis=1)
        frames = np.maximum(np.diff(times, axis=0), 1).astype(float)
        abreast = np.stack([points[time] for (points, _), time in zip(runs, times.T, strict=True)], axis=1)
        units = np.maximum(face_size(abreast), 1.0)[..., None] / 100
        observed = flatten(abreast) @ self.basis
        belief = begin(self._directions, observed[0])
        for t in range(1, longest):
            prediction = predict_each(self._directions, frames[t - 1])
            belief = condition(*belief[:2], observed[t], self.noise, units[t], prediction)
            abreast[t] = self._points_at(belief.mean[0])
        for row, (points, run) in enumerate(runs):
            points[run] = abreast[: len(run), row]

    def _beliefs(
        self, screened: list[Screened | None], scores: ScoreSequence | None
    ) -> Iterator[Belief | None]:
        """Belief after each frame; a rejected frame keeps the belief before it."""
        missing = np.zeros((len(self.doubts), 2))
        points = np.array([missing if frame is None else frame.points for frame in screened])
        observed = points.reshape(-1, len(self.noise)) @ self.basis
        noises = np.broadcast_to(self._noise_of(self._doubts_of(scores)), observed.shape)
        belief = None
        for frame, position, noise in zip(screened, observed, noises, strict=True):
            if frame is not None and (belief is None or frame.restarts):
                belief = begin(self._directions, position)
            elif frame is not None and belief is not None and not frame.rejected:
                belief = belief if frame.arrived is None else self._shifted(belief, frame.arrived)
                prediction = predict(self._directions, round(frame.elapsed, 6))
                belief = condition(*belief[:2], position, noise, frame.size / 100, prediction)
            yield belief

    def _points_at(self, positions: Flat) -> PointBatch:
        """Points of positions along the directions, (…, D) → (…, landmarks, 2)."""
        return (positions @ self._back).reshape(*positions.shape[:-1], len(self.doubts), 2)

    def _doubts_of(self, scores: Float[np.ndarray, "*batch landmarks"] | None) -> Doubts | None:
        """Factor of each landmark's variance for these scores; None where scores are ignored."""
        return None if scores is None or not self.trust else (doubt(scores) / self.doubts) ** self.trust

    def _noise_of(self, doubts: Doubts | None) -> Float[np.ndarray, "... D"]:
        """Γ for these factors: along each direction, the weighted mean over the landmarks that make it up."""
        return self.noise if doubts is None else doubts @ self._noise_of_landmarks

    @cached_property
    def _directions(self) -> DirectionModel:
        return DirectionModel(self.damping, self.alphas, self.noise, self.pushes)

    @cached_property
    def _back(self) -> Float[np.ndarray, "D D"]:
        """Matrix from coordinates along the directions to points; its rows are the directions."""
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
    """1 - score, plus a small constant, since no score is certain."""
    return 1 + _LEAST_DOUBT - scores
