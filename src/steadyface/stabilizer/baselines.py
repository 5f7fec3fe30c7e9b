"""The usual filters, under the same rules as the stabilisers that they are compared with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

from steadyface.arrays import PointBatch, Points, PointSequence, ScoreSequence, Times
from steadyface.errors import ConfigError
from steadyface.motion import Motion
from steadyface.shapes import as_numbers
from steadyface.stabilizer.base import (
    CausalFilter,
    Clips,
    ClipScores,
    Measurement,
    Smoother,
    Stabilizer,
)
from steadyface.stabilizer.checks import checked_points, frames_between
from steadyface.stabilizer.motion_model import COLUMNS, ROWS, passage
from steadyface.stabilizer.outliers import complete_runs, hide_unseen, repeat_over_rejected, screen_sequence

_RATIO, _AMOUNT, _POSITIVE = (0.0, 1.0), (0.0, 1e9), (1e-9, 1e9)  # ranges of parameters
_FIRST_SPEED = 1.0  # (percent of face size per frame)²: variance of the velocity of a new face


@dataclass(frozen=True, eq=False)
class Baseline(Stabilizer):
    """A method with a few numbers, each in a known range.

    Raises:
        ConfigError: a number out of its range.
    """

    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, (low, high) in self.ranges.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise ConfigError(f"{name} of {self.kind} must be from {low:g} to {high:g}, got {value}")


class Trend(NamedTuple):
    """The last output, px, and its velocity, px per frame, or per second with One-Euro."""

    position: PointBatch
    velocity: PointBatch


@dataclass(frozen=True, eq=False)
class MovingAverage(Baseline, CausalFilter):
    """The mean of the last n = `frames` points, (n-1)/2 frames late; it ignores time.

    Equation: x(t) = mean of z(t), …, z(t-n+1).
    """

    kind: ClassVar[str] = "moving-average"
    ranges: ClassVar = {"frames": (1, 10_000)}
    frames: int

    def begin(self, points: PointBatch) -> tuple[PointBatch, ...]:
        return (points,)

    def advance(
        self, memory: tuple[PointBatch, ...], measurement: Measurement
    ) -> tuple[tuple[PointBatch, ...], PointBatch]:
        window = (*memory, measurement.points)[-self.frames :]
        return window, np.mean(window, axis=0)

    def shift(self, memory: tuple[PointBatch, ...], points: Points, offset: Points) -> tuple[PointBatch, ...]:
        return tuple(each + offset for each in memory)


@dataclass(frozen=True, eq=False)
class FirstOrder(Baseline, CausalFilter):
    """Exponential smoothing, (1-w)/w frames late, w = `weight`.

    Equation: x(t) = w·z(t) + (1-w)·x(t-1); after f frames w becomes 1-(1-w)ᶠ.
    Source: Brown 1959.
    """

    kind: ClassVar[str] = "first-order"
    ranges: ClassVar = {"weight": _RATIO}
    weight: float

    def begin(self, points: PointBatch) -> PointBatch:
        return points

    def advance(self, memory: PointBatch, measurement: Measurement) -> tuple[PointBatch, PointBatch]:
        position = memory + _weight_after(self.weight, measurement.frames) * (measurement.points - memory)
        return position, position

    def shift(self, memory: PointBatch, points: Points, offset: Points) -> PointBatch:
        return memory + offset


@dataclass(frozen=True, eq=False)
class SecondOrder(Baseline, CausalFilter):
    """Smoothing of level and trend: no delay in steady motion, but overshoot where motion ends.

    Equation: x(t) = w·z(t) + (1-w)(x(t-1) + b(t-1)), b(t) = g(x(t) - x(t-1)) + (1-g)b(t-1), with w = `weight`
    and g = `trend` per frame.
    Source: Holt 1957. Differs from it in: after f frames b counts f times, w is 1-(1-w)ᶠ and g is 1-(1-g)ᶠ.
    """

    kind: ClassVar[str] = "second-order"
    ranges: ClassVar = {"weight": _RATIO, "trend": _RATIO}
    weight: float
    trend: float

    def begin(self, points: PointBatch) -> Trend:
        return Trend(points, np.zeros_like(points))

    def advance(self, memory: Trend, measurement: Measurement) -> tuple[Trend, PointBatch]:
        frames = measurement.frames
        expected = memory.position + frames * memory.velocity
        correction = _weight_after(self.weight, frames) * (measurement.points - expected)
        gain = _weight_after(self.trend, frames) / frames if frames else 0.0
        position = expected + correction
        return Trend(position, memory.velocity + gain * correction), position

    def shift(self, memory: Trend, points: Points, offset: Points) -> Trend:
        return memory._replace(position=memory.position + offset)


class KalmanState(NamedTuple):
    """Belief about every coordinate.

    Args:
        mean: (2, …, landmarks, 2) position, px, and velocity, px per frame.
        covariance: (3,) shared by all, in the stacking of `motion_model`, (percent of face size)².
    """

    mean: Float[np.ndarray, "2 *batch landmarks 2"]
    covariance: Float[np.ndarray, "3"]


@dataclass(frozen=True, eq=False)
class ConstantVelocity(Baseline, CausalFilter):
    """The Kalman filter of a velocity that is driven by white noise and decays, each coordinate alone.

    Equation: the motion of `motion_model.passage`, z ~ N(x, r); the first frame leaves x ~ N(z, r),
    v ~ N(0, 1). The covariance is shared, since it does not depend on the data.
    Source: Kalman 1960; Singer 1970 for the motion over any time.

    Args:
        process: q, (percent of face size per frame)² per frame. Increasing it follows sudden motion sooner,
            but lets more noise through.
        noise: r, (percent of face size)². Increasing it smooths more, but follows later.
        damping: ratio of the velocity that is left after a frame. Increasing it removes delay in steady
            motion, but overshoots farther where motion ends.
    """

    kind: ClassVar[str] = "constant-velocity"
    ranges: ClassVar = {"process": _AMOUNT, "noise": _POSITIVE, "damping": (1e-9, 1.0)}
    process: float
    noise: float
    damping: float = 1.0

    def begin(self, points: PointBatch) -> KalmanState:
        covariance = np.array([self.noise, 0.0, _FIRST_SPEED])
        return KalmanState(np.stack([points, np.zeros_like(points)]), covariance)

    def advance(self, memory: KalmanState, measurement: Measurement) -> tuple[KalmanState, PointBatch]:
        mean_map, covariance_map, growth = passage(self.damping, measurement.frames)
        expected = np.tensordot(mean_map, memory.mean, 1)
        covariance = covariance_map @ memory.covariance + self.process * growth
        gain = covariance[:2] / (covariance[0] + self.noise)
        mean = expected + np.multiply.outer(gain, measurement.points - expected[0])
        return KalmanState(mean, covariance - gain[ROWS] * covariance[COLUMNS]), mean[0]

    def shift(self, memory: KalmanState, points: Points, offset: Points) -> KalmanState:
        return memory._replace(mean=memory.mean + np.stack([offset, np.zeros_like(offset)]))


@dataclass(frozen=True, eq=False)
class OneEuro(Baseline, CausalFilter):
    """A low-pass filter whose cutoff rises with a point's speed.

    Equation: v ← v + a(d)((z - x)/dt - v), then x ← x + a(m + b|v|)(z - x), a(f) = 2πf·dt / (1 + 2πf·dt).
    Source: Casiez, Roussel and Vogel 2012, Algorithm 1. Differs from it in: |v| is a point's, not a
    coordinate's, so it does not depend on the axes, and in face sizes, so it does not depend on resolution.

    Args:
        min_cutoff: m, Hz, of a point at rest.
        beta: b, Hz per face size a second.
        derivate_cutoff: d, Hz, of the velocity's own low-pass filter.
    """

    kind: ClassVar[str] = "one-euro"
    ranges: ClassVar = {"min_cutoff": _AMOUNT, "beta": _AMOUNT, "derivate_cutoff": _AMOUNT}
    min_cutoff: float
    beta: float
    derivate_cutoff: float = 1.0

    def begin(self, points: PointBatch) -> Trend:
        return Trend(points, np.zeros_like(points))

    def advance(self, memory: Trend, measurement: Measurement) -> tuple[Trend, PointBatch]:
        moved, dt = measurement.points - memory.position, measurement.frames / self.fps
        pace = 2 * math.pi * self.derivate_cutoff
        velocity = memory.velocity + pace / (1 + pace * dt) * (moved - dt * memory.velocity)  # dt may be 0
        speed = np.linalg.norm(velocity, axis=-1, keepdims=True) / (100 * measurement.unit)
        turns = 2 * math.pi * (self.min_cutoff + self.beta * speed) * dt
        position = memory.position + turns / (1 + turns) * moved
        return Trend(position, velocity), position

    def shift(self, memory: Trend, points: Points, offset: Points) -> Trend:
        return memory._replace(position=memory.position + offset)


@dataclass(frozen=True, eq=False)
class SavitzkyGolay(Baseline, Smoother):
    """The least-squares polynomial of an `order` in an odd `window` of frames around each frame.

    Frames count as evenly spaced. A shorter sequence gets the longest window that it has room for; both ends
    take the polynomial of the outermost window.
    Source: Savitzky and Golay 1964.

    Args:
        window: frames, odd. Increasing it smooths more, but rounds off sudden motion.
        order: of the polynomial, below `window`. Increasing it keeps sudden motion, but smooths less.
    """

    kind: ClassVar[str] = "savitzky-golay"
    ranges: ClassVar = {"window": (1, 1e9), "order": (0, 1e9)}
    window: int
    order: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window % 2 == 0 or self.order >= self.window:
            got = f"{self.window}, {self.order}"
            raise ConfigError(f"{self.kind} needs an odd window above its order, got {got}")

    def smooth(
        self,
        points: PointSequence,
        seconds: Times | None = None,
        scores: ScoreSequence | None = None,
        lag: int | None = None,
        motion: Motion | None = None,
    ) -> PointSequence:
        self.check_lag(lag)
        points = as_numbers(points, "points")
        frames_between(points, seconds, self.fps)  # checks points and times
        screened = list(screen_sequence(checked_points(points, scores)))
        outputs = np.array(points, float)
        for run, whole in complete_runs(screened):
            outputs[run] = self.run(whole)
        repeat_over_rejected(outputs, screened)
        hide_unseen(outputs, screened)
        return outputs

    def run(self, points: Clips, scores: ClipScores | None = None, frames: float = 1.0) -> Clips:
        window = min(self.window, len(points) - 1 + len(points) % 2)
        order = min(self.order, window - 1)
        from scipy.signal import savgol_filter  # half a second, which only this filter needs

        return savgol_filter(points, window, order, axis=0) if len(points) else points


def _weight_after(weight: float, frames: float) -> float:
    """Weight after `frames` frames of a weight per frame."""
    return 1 - (1 - weight) ** frames
