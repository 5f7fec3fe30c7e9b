"""Interfaces of the stabilisers: `CausalFilter`, frame by frame, and `Smoother`, which sees the future.

Points go in and come out in image px. Parameters in percent of face size refer to `geometry.face_size` of
the observed points, and parameters per frame to a stabiliser's own `fps`; they are scaled by the real time
between frames. So one set of parameters serves faces of any size at any frame rate.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from numbers import Integral
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

from steadyface.arrays import PointBatch, Points, PointSequence, PointStack, Scores, ScoreSequence, Times
from steadyface.errors import ConfigError
from steadyface.motion import Displacements, Motion
from steadyface.shapes import as_numbers
from steadyface.stabilizer.checks import checked_points, frames_between, frames_of
from steadyface.stabilizer.outliers import Screened, screen_frame, screen_sequence

Clips = Float[np.ndarray, "frames *clips landmarks 2"]
ClipScores = Float[np.ndarray, "frames *clips landmarks"]
OneOfMany = Float[np.ndarray, "_ landmarks 2"]  # a sequence beside others of other lengths

_CHECKED = 1024  # frames of a sequence that are checked at once, since that makes copies of them


class Measurement(NamedTuple):
    """Complete points of a frame, as a filter takes them.

    Args:
        points: (…, landmarks, 2) z, image px.
        unit: px per percent of face size; (…, 1) where faces differ.
        frames: time since the last measurement, in frames at the stabiliser's own rate.
        scores: (…, landmarks) in [0, 1], the network's own; None where they are not known.
        displacements: since the last frame, from the filter's last output; None without a picture.
    """

    points: PointBatch
    unit: float | Float[np.ndarray, "*batch 1"] = 1.0
    frames: float = 1.0
    scores: Float[np.ndarray, "*batch landmarks"] | None = None
    displacements: Displacements | None = None


class State(NamedTuple):
    """Memory of a causal filter after a frame of one face.

    Args:
        points: (landmarks, 2) the newest output, image px, with placeholders for landmarks not yet seen.
        memory: the method's own.
        screened: the newest frame after outlier rejection.
    """

    points: Points
    memory: Any
    screened: Screened

    @property
    def seen_points(self) -> Points:
        """`points`, NaN where no frame has had the landmark yet."""
        unseen = self.screened.unseen
        return self.points if unseen is None else np.where(unseen[:, None], np.nan, self.points)


Step = Callable[[State | None, int], State | None]
"""Function (state after frame t - 1 or None at the start, t) → state after frame t."""


@dataclass(frozen=True, eq=False)
class Stabilizer(ABC):
    """Method that stabilises landmarks, with its parameters; a `CausalFilter`, a `Smoother` or both.

    Args:
        fps: frame rate at which parameters per frame hold.
        fitted: note on how the parameters were fitted.

    Raises:
        ConfigError: fps is not positive.
    """

    kind: ClassVar[str]
    fps: float = field(default=30.0, kw_only=True)
    fitted: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        if not 0 < self.fps < math.inf:
            raise ConfigError(f"fps of {self.kind} must be positive and finite, got {self.fps}")

    @property
    def landmarks(self) -> int | None:
        """Number of landmarks that the parameters are for; None takes any number."""
        return None

    @abstractmethod
    def run(self, points: Clips, scores: ClipScores | None = None, frames: float = 1.0) -> Clips:
        """Stabilise many complete clips at once, without outlier rejection.

        Args:
            points: (frames, *clips, landmarks, 2) percent of face size.
            scores: (frames, *clips, landmarks) in [0, 1].
            frames: time from one frame to the next, in frames at `fps`.
        """

    def as_dict(self) -> dict[str, Any]:
        """Kind and parameters, ready for JSON."""
        return {"kind": self.kind, **{name: _plain(value) for name, value in asdict(self).items()}}


@dataclass(frozen=True, eq=False)
class CausalFilter(Stabilizer):
    """A stabiliser whose output depends on the past alone.

    A method defines `begin` and `advance`; `uses_motion` says whether it takes displacements measured in the
    picture. A missing landmark (NaN) and an outlier move with the others; it stays NaN until it is first
    seen. A frame with hardly any landmark or with many outliers repeats the last output, and a cut starts
    anew (`outliers`).
    """

    uses_motion: ClassVar[bool] = False

    @abstractmethod
    def begin(self, points: PointBatch) -> Any:
        """Memory after the first frame, whose output is its input (image px, complete)."""

    @abstractmethod
    def advance(self, memory: Any, measurement: Measurement) -> tuple[Any, PointBatch]:
        """Memory after the next frame, and its output (image px)."""

    def advance_all(
        self, memories: Sequence[Any], measurements: Sequence[Measurement]
    ) -> list[tuple[Any, PointBatch]]:
        """Advance several faces, each with its own memory; a method may do it at once (`abreast`)."""
        return list(map(self.advance, memories, measurements))

    def coast(
        self, memory: Any, points: Points, screened: Screened, displacements: Displacements | None
    ) -> tuple[Any, Points]:
        """Memory and output after a frame without usable points.

        Args:
            memory: after the last frame.
            points: the last output, image px.
            screened: the frame after outlier rejection.
            displacements: since the last frame; only some methods use them, and the output repeats otherwise.
        """
        return memory, points

    def shift(self, memory: Any, points: Points, offset: Points) -> Any:
        """Memory as if landmarks that are seen for the first time had moved to their place with the others.

        Arguments as of `coast`; `offset` is (landmarks, 2) px. A method without a `shift` begins anew.
        """
        return self.begin(points + offset)

    def step(
        self,
        state: State | None,
        points: Points,
        dt: float | None = None,
        scores: Scores | None = None,
        motion: Displacements | None = None,
    ) -> tuple[State | None, Points]:
        """Filter one frame of one face.

        Args:
            state: from the last frame; None at the start.
            points: (landmarks, 2) raw points, image px; NaN where a landmark is missing.
            dt: seconds since the last frame, at most 1e9, 0 if negative; None means one frame at `fps`.
            scores: (landmarks,) in [0, 1], for those methods that trust some landmarks more than others.
            motion: displacements of the skin since the last frame, measured from `state.points`, for those
                methods that use them (`sta`); None without a picture.

        Returns:
            The new state (None while no landmark has been seen) and the stabilised points, image px.

        Raises:
            ConfigError: another shape or number of landmarks, points that no image has, a time that is not
                finite, or scores outside [0, 1].
        """
        scores = None if scores is None else as_numbers(scores, "scores")
        points = checked_points(points, scores, self.landmarks)
        last = None if state is None else state.screened
        screened = screen_frame(last, points, frames_of(dt, self.fps), scores)
        state = self._next_state(state, screened, scores, motion)
        return state, points if state is None else state.seen_points

    def step_all(
        self,
        states: Sequence[State | None],
        points: PointStack,
        dts: Sequence[float | None],
        scores: Float[np.ndarray, "faces landmarks"],
        motions: Sequence[Displacements | None],
    ) -> list[tuple[State | None, Points]]:
        """Filter one frame of several faces; equals `step` on each, to rounding, but faster.

        Args and errors: as of `step`, one of each for every face.
        """
        points = checked_points(points, scores, self.landmarks)
        screened = [
            screen_frame(None if state is None else state.screened, each, frames_of(dt, self.fps), score)
            for state, each, dt, score in zip(states, points, dts, scores, strict=True)
        ]
        after = self._next_states(states, screened, scores, motions)
        return [
            (state, each if state is None else state.seen_points)
            for state, each in zip(after, points, strict=True)
        ]

    def filter(
        self,
        points: PointSequence,
        seconds: Times | None = None,
        scores: ScoreSequence | None = None,
        motion: Motion | None = None,
    ) -> PointSequence:
        """Filter a whole sequence: `step` on each frame in turn.

        Args:
            points: (frames, landmarks, 2) raw points, image px; NaN where a landmark is missing.
            seconds: (frames,) timestamps; None means one frame after another at `fps`.
            scores: (frames, landmarks) in [0, 1].
            motion: displacements from the frame before to each frame, as for `step`.

        Returns:
            (frames, landmarks, 2) image px; NaN for a landmark that no frame has had yet.

        Raises:
            ConfigError: as of `step`.
        """
        outputs = as_numbers(points, "points").astype(float)
        for output, state in zip(outputs, self.states(points, seconds, scores, motion), strict=True):
            if state is not None:
                output[...] = state.seen_points
        return outputs

    def filter_all(self, sequences: list[OneOfMany]) -> list[OneOfMany]:
        """Filter many sequences without timestamps, as `filter` filters each.

        Args:
            sequences: each of (frames, landmarks, 2) raw points, image px; NaN where a landmark is missing.

        Returns:
            As many sequences of the same shapes, image px; NaN for a landmark that no frame has had yet.

        Raises:
            ConfigError: as of `step`.
        """
        return [self.filter(points) for points in sequences]

    def states(
        self,
        points: PointSequence,
        seconds: Times | None = None,
        scores: ScoreSequence | None = None,
        motion: Motion | None = None,
    ) -> Iterator[State | None]:
        """State after each frame of a sequence; None before the first frame with a landmark.

        Args: as for `filter`.
        """
        step, state = self.stepper(points, seconds, scores, motion), None
        for t in range(len(points)):
            state = step(state, t)
            yield state

    def stepper(
        self,
        points: PointSequence,
        seconds: Times | None = None,
        scores: ScoreSequence | None = None,
        motion: Motion | None = None,
    ) -> Step:
        """Function that computes the state after each frame of a sequence from the state before it.

        It makes no copy of the whole sequence, which may be float32.

        Args: as for `filter`.

        Raises:
            ConfigError: as of `step`.
        """
        points = as_numbers(points, "points")
        scores = None if scores is None else as_numbers(scores, "scores")
        frames = np.broadcast_to(frames_between(points, seconds, self.fps), len(points))
        for start in range(0, max(len(points), 1), _CHECKED):
            part = slice(start, start + _CHECKED)
            checked_points(points[part], None if scores is None else scores[part], self.landmarks)

        def step(state: State | None, t: int) -> State | None:
            last = None if state is None else state.screened
            score = None if scores is None else scores[t].astype(float)
            screened = screen_frame(last, points[t].astype(float), float(frames[t]), score)
            return self._next_state(state, screened, score, None if motion is None else motion[t])

        return step

    def run(self, points: Clips, scores: ClipScores | None = None, frames: float = 1.0) -> Clips:
        memory, outputs = self.begin(points[0]), [points[0]]
        for t in range(1, len(points)):
            measurement = Measurement(points[t], 1.0, frames, None if scores is None else scores[t])
            memory, output = self.advance(memory, measurement)
            outputs.append(output)
        return np.stack(outputs)

    def _screen(
        self, points: PointSequence, seconds: Times | None, scores: ScoreSequence | None
    ) -> Iterator[Screened | None]:
        """Reject outliers in a sequence, given as to `filter`."""
        frames = frames_between(points, seconds, self.fps)
        return screen_sequence(checked_points(points, scores, self.landmarks), frames, scores)

    def _next_state(
        self,
        state: State | None,
        screened: Screened | None,
        scores: Scores | None,
        motion: Displacements | None,
    ) -> State | None:
        return self._next_states([state], [screened], [scores], [motion])[0]

    def _next_states(
        self,
        states: Sequence[State | None],
        screened: Sequence[Screened | None],
        scores: Sequence[Scores | None] | Float[np.ndarray, "faces landmarks"],
        motions: Sequence[Displacements | None],
    ) -> list[State | None]:
        """State of each face after a frame; a face restarts, coasts, or advances together with the others."""
        after: list[State | None] = [None] * len(states)
        advancing, memories, measurements = [], [], []
        for i, (state, frame, motion) in enumerate(zip(states, screened, motions, strict=True)):
            if frame is None:
                continue
            if state is None or frame.restarts:
                after[i] = State(frame.points, self.begin(frame.points), frame)
            elif frame.rejected:
                memory, output = self.coast(state.memory, state.points, frame, motion)
                after[i] = State(output, memory, frame)
            else:
                advancing.append((i, frame))
                arrived = frame.arrived
                memory = state.memory if arrived is None else self.shift(state.memory, state.points, arrived)
                memories.append(memory)
                unit = frame.size / 100
                measurements.append(Measurement(frame.points, unit, frame.elapsed, scores[i], motion))
        advanced = self.advance_all(memories, measurements)
        for (i, frame), (memory, output) in zip(advancing, advanced, strict=True):
            after[i] = State(output, memory, frame)
        return after


@dataclass(frozen=True, eq=False)
class Smoother(Stabilizer):
    """A stabiliser whose output may depend on later frames too."""

    fixed_lag: ClassVar[bool] = False  # whether `smooth` takes a lag

    @abstractmethod
    def smooth(
        self,
        points: PointSequence,
        seconds: Times | None = None,
        scores: ScoreSequence | None = None,
        lag: int | None = None,
        motion: Motion | None = None,
    ) -> PointSequence:
        """Smooth a whole sequence, with the outlier rejection of `CausalFilter`.

        Args:
            points: (frames, landmarks, 2) raw points, image px; NaN where a landmark is missing.
            seconds: (frames,) timestamps; None means one frame after another at `fps`.
            scores: (frames, landmarks) in [0, 1].
            lag: how many later frames each output may depend on; None means all, 0 makes it causal.
            motion: displacements from the frame before to each frame, measured from the outputs of
                `CausalFilter.filter`, for those methods that use them (`sta`); None without a picture.

        Returns:
            (frames, landmarks, 2) image px; NaN for a landmark that no frame has had yet.

        Raises:
            ConfigError: a negative lag, or any lag where the method has none; else as of `CausalFilter.step`.
        """

    def check_lag(self, lag: int | None) -> None:
        """Check that `smooth` takes a lag.

        Raises:
            ConfigError: it does not.
        """
        if lag is not None and not self.fixed_lag:
            raise ConfigError(f"{self.kind} has no fixed lag")
        if lag is not None and not isinstance(lag, Integral):
            raise ConfigError(f"lag must be a whole number of frames, got {lag!r}")
        if lag is not None and lag < 0:
            raise ConfigError(f"lag must be at least 0 frames, got {lag}")


def _plain(value: object) -> object:
    """Convert an array to lists of numbers with seven digits; leave other values as they are."""
    if not isinstance(value, np.ndarray):
        return value
    return np.vectorize(lambda number: float(f"{number:.7g}"), otypes=[float])(value).tolist()
