"""What all stabilisers share: one frame of one face, a sequence, many sequences at once.

Whatever is in percent of face size refers to `geometry.face_size` of the observed points, and whatever is per
frame to a stabiliser's own `fps`: with the real time between frames it comes to the same per second. So one
set of parameters serves a face of 200 px and one of 2,000, at 24, 30 or 60 frames/s and over gaps. Points go
in and come out in image px.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

from steadyface.errors import ConfigError
from steadyface.stabilizer.outliers import Seen, look

Points = Float[np.ndarray, "*batch landmarks 2"]
Sequence = Float[np.ndarray, "frames landmarks 2"]
OneOfMany = Float[np.ndarray, "_ landmarks 2"]  # a sequence beside others of other lengths
Scores = Float[np.ndarray, "frames landmarks"]
Times = Float[np.ndarray, "frames"]
Clips = Float[np.ndarray, "frames *clips landmarks 2"]


class Observation(NamedTuple):
    """A complete frame, ready to be filtered.

    Args:
        points: (…, landmarks, 2) image px.
        unit: px per percent of face size; (…, 1) where faces differ.
        frames: time since the last observation, in frames at the stabiliser's own rate.
        scores: (…, landmarks) in [0, 1], the network's own; None where they are not known.
    """

    points: Points
    unit: float | Float[np.ndarray, "*batch 1"] = 1.0
    frames: float = 1.0
    scores: Float[np.ndarray, "*batch landmarks"] | None = None


class State(NamedTuple):
    """What is remembered between frames.

    Args:
        points: the newest output, image px.
        memory: what the method itself keeps.
        seen: what the newest observation came to.
        waited: seconds since the newest observation that was used.
    """

    points: Float[np.ndarray, "landmarks 2"]
    memory: Any
    seen: Seen
    waited: float = 0.0


@dataclass(frozen=True, eq=False)
class Stabilizer:
    """Makes landmark sequences steady, frame by frame, without waiting for the future.

    A stabiliser is its parameters; `fps` is the frame rate at which those per frame hold, and `fitted` says
    how they came about. A method defines `begin` and `advance`; all else is here.
    """

    kind: ClassVar[str]
    offline: ClassVar[bool] = False  # whether it needs the future, so that it has no `step`
    fps: float = field(default=30.0, kw_only=True)
    fitted: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        if not self.fps > 0:
            raise ConfigError(f"fps of {self.kind} must be positive, got {self.fps}")

    def begin(self, points: Points) -> Any:
        """The memory after the first frame, whose output is its input (image px)."""
        raise NotImplementedError

    def advance(self, memory: Any, seen: Observation) -> tuple[Any, Points]:
        """The memory after the next frame, and its output (image px)."""
        raise NotImplementedError

    def step(
        self,
        state: State | None,
        points: Float[np.ndarray, "landmarks 2"],
        dt: float | None = None,
        scores: Float[np.ndarray, "landmarks"] | None = None,
    ) -> tuple[State | None, Float[np.ndarray, "landmarks 2"]]:
        """One frame of one face.

        A missing landmark (NaN), and one that is thrown off the others, moves with the others; a frame in
        which all are missing or most are thrown off repeats the last output; a jump of the whole face starts
        anew. See `guard`.

        Args:
            state: from the last frame; None at the start.
            points: raw points, image px.
            dt: seconds since the last frame, below zero as good as zero; None means one frame at `fps`.
            scores: in [0, 1], for those methods that trust some landmarks more than others.

        Returns:
            The new state (None while no complete frame has been seen) and the stabilised points, image px.
        """
        points = np.asarray(points, float)
        if state is None:
            seen = look(None, points)
            return (None if seen is None else self._start(seen)), points
        waited = state.waited + (1 / self.fps if dt is None else max(0.0, dt))
        seen = look(state.seen, points, waited * self.fps)
        assert seen is not None
        if seen.skipped:
            return State(state.points, state.memory, seen, waited), state.points
        if seen.fresh:
            return self._start(seen), seen.points
        observation = Observation(seen.points, seen.size / 100, waited * self.fps, scores)
        memory, output = self.advance(state.memory, observation)
        return State(output, memory, seen), output

    def filter(
        self, points: Sequence, seconds: Times | None = None, scores: Scores | None = None
    ) -> Sequence:
        """Stabilise a whole sequence causally: `step` on each frame in turn.

        Args:
            points: raw points, image px; NaN where a frame is lost.
            seconds: each frame's timestamp; None means one frame after another at `fps`.
            scores: in [0, 1].
        """
        outputs = np.array(points, float)
        for t, state in enumerate(self.states(points, seconds, scores)):
            if state is not None:
                outputs[t] = state.points
        return outputs

    def filter_all(self, sequences: list[OneOfMany]) -> list[OneOfMany]:
        """`filter` on each of many sequences without timestamps; some methods do them side by side."""
        return [self.filter(points) for points in sequences]

    def smooth(
        self,
        points: Sequence,
        seconds: Times | None = None,
        scores: Scores | None = None,
        lag: int | None = None,
    ) -> Sequence:
        """Stabilise a whole sequence with sight of the future, under the rules of `step`.

        Args:
            points: raw points, image px; NaN where a frame is lost.
            seconds: each frame's timestamp; None means one frame after another at `fps`.
            scores: in [0, 1].
            lag: how many later frames each output may depend on; None means all, 0 is `filter`.

        Raises:
            ConfigError: the method has no such mode.
        """
        raise ConfigError(f"{self.kind} has no mode that sees the future")

    def states(
        self, points: Sequence, seconds: Times | None = None, scores: Scores | None = None
    ) -> Iterator[State | None]:
        """The state after each frame of a sequence; None before the first complete frame."""
        state = None
        for t, raw in enumerate(points):
            dt = None if seconds is None or t == 0 else float(seconds[t] - seconds[t - 1])
            state, _ = self.step(state, raw, dt, None if scores is None else scores[t])
            yield state

    def run(
        self,
        points: Clips,
        scores: Float[np.ndarray, "frames *clips landmarks"] | None = None,
        frames: float = 1.0,
    ) -> Clips:
        """Filter many complete sequences at once, whatever is in them.

        Args:
            points: percent of face size.
            scores: in [0, 1].
            frames: time from one frame to the next, in frames at `fps`.
        """
        memory, outputs = self.begin(points[0]), [points[0]]
        for t in range(1, len(points)):
            seen = Observation(points[t], 1.0, frames, None if scores is None else scores[t])
            memory, output = self.advance(memory, seen)
            outputs.append(output)
        return np.stack(outputs)

    def as_dict(self) -> dict[str, Any]:
        """The kind and the parameters, ready for JSON."""
        return {"kind": self.kind, **{name: _plain(value) for name, value in asdict(self).items()}}

    def _start(self, seen: Seen) -> State:
        return State(seen.points, self.begin(seen.points), seen)


def _plain(value: object) -> object:
    if not isinstance(value, np.ndarray):
        return value
    return np.vectorize(lambda number: float(f"{number:.7g}"), otypes=[float])(value).tolist()
