"""The usual filters, under the same rules as the stabilisers that they are compared with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, NoReturn

import numpy as np
from jaxtyping import Float
from scipy.signal import savgol_filter
from scipy.special import exprel, hyp2f1

from steadyface.errors import ConfigError
from steadyface.stabilizer.base import (
    Clips,
    Observation,
    Points,
    Scores,
    Sequence,
    Stabilizer,
    Times,
)
from steadyface.stabilizer.outliers import look_through, repeat_skipped, unbroken

_SHARE, _AMOUNT, _POSITIVE = (0.0, 1.0), (0.0, 1e9), (1e-9, 1e9)  # ranges of parameters
_SPEED = 1.0  # (percent of face size per frame)²: variance of the velocity of a face that was just found


@dataclass(frozen=True, eq=False)
class Baseline(Stabilizer):
    """A filter whose few numbers lie in known ranges."""

    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, (low, high) in self.ranges.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise ConfigError(f"{name} of {self.kind} must be from {low:g} to {high:g}, got {value}")


class Trend(NamedTuple):
    """The last output, px, and its velocity, px per frame, or per second with One-Euro."""

    place: Points
    velocity: Points


@dataclass(frozen=True, eq=False)
class MovingAverage(Baseline):
    """x(t) = mean of z(t), …, z(t-n+1), n = `frames`: (n-1)/2 frames late. It takes no notice of time."""

    kind: ClassVar[str] = "moving-average"
    ranges: ClassVar = {"frames": (1, 1e9)}
    frames: int

    def begin(self, points: Points) -> tuple[Points, ...]:
        return (points,)

    def advance(self, memory: tuple[Points, ...], seen: Observation) -> tuple[tuple[Points, ...], Points]:
        window = (*memory, seen.points)[-self.frames :]
        return window, np.mean(window, axis=0)


@dataclass(frozen=True, eq=False)
class FirstOrder(Baseline):
    """x(t) = w·z(t) + (1-w)·x(t-1), w = `weight`, 1-(1-w)ᶠ after f frames: (1-w)/w frames late.

    Source: exponential smoothing, Brown 1959.
    """

    kind: ClassVar[str] = "first-order"
    ranges: ClassVar = {"weight": _SHARE}
    weight: float

    def begin(self, points: Points) -> Points:
        return points

    def advance(self, memory: Points, seen: Observation) -> tuple[Points, Points]:
        place = memory + _share(self.weight, seen.frames) * (seen.points - memory)
        return place, place


@dataclass(frozen=True, eq=False)
class SecondOrder(Baseline):
    """A level and a trend: not late behind steady motion, but it overshoots where motion ends.

    Equation: x(t) = w·z(t) + (1-w)(x(t-1) + b(t-1)), b(t) = g(x(t) - x(t-1)) + (1-g)b(t-1), with w = `weight`
    and g = `trend` per frame.
    Source: Holt 1957. Differs from it in: after f frames b counts f times, w is 1-(1-w)ᶠ and g is 1-(1-g)ᶠ.
    """

    kind: ClassVar[str] = "second-order"
    ranges: ClassVar = {"weight": _SHARE, "trend": _SHARE}
    weight: float
    trend: float

    def begin(self, points: Points) -> Trend:
        return Trend(points, np.zeros_like(points))

    def advance(self, memory: Trend, seen: Observation) -> tuple[Trend, Points]:
        frames = seen.frames
        expected = memory.place + frames * memory.velocity
        correction = _share(self.weight, frames) * (seen.points - expected)
        gain = _share(self.trend, frames) / frames if frames else 0.0
        place = expected + correction
        return Trend(place, memory.velocity + gain * correction), place


class KalmanState(NamedTuple):
    """Place and velocity of every coordinate, px and px per frame, and their shared (2, 2) covariance."""

    place: Points
    velocity: Points
    covariance: Float[np.ndarray, "2 2"]


@dataclass(frozen=True, eq=False)
class ConstantVelocity(Baseline):
    """The Kalman filter of a velocity that is pushed by white noise and decays, each coordinate alone.

    Equation: dx = v·dt, dv = -λv·dt + √q·dW, z ~ N(x, r), λ = -log damping, time in frames; the first frame
    leaves x ~ N(z, r), v ~ N(0, 1). The covariance is shared, since it does not depend on the data.
    Source: Kalman 1960; Singer 1970 for the motion over any time.

    Args:
        process: q, (percent of face size per frame)² per frame.
        noise: r, (percent of face size)².
        damping: share of the velocity that is left after a frame.
    """

    kind: ClassVar[str] = "constant-velocity"
    ranges: ClassVar = {"process": _AMOUNT, "noise": _POSITIVE, "damping": (1e-9, 1.0)}
    process: float
    noise: float
    damping: float = 1.0

    def begin(self, points: Points) -> KalmanState:
        return KalmanState(points, np.zeros_like(points), np.diag([self.noise, _SPEED]))

    def advance(self, memory: KalmanState, seen: Observation) -> tuple[KalmanState, Points]:
        motion, growth = _damped_motion(self.damping, seen.frames)
        covariance = motion @ memory.covariance @ motion.T + self.process * growth
        gain = covariance[:, 0] / (covariance[0, 0] + self.noise)
        expected = memory.place + motion[0, 1] * memory.velocity
        surprise = seen.points - expected
        velocity = motion[1, 1] * memory.velocity + gain[1] * surprise
        place = expected + gain[0] * surprise
        return KalmanState(place, velocity, covariance - np.outer(gain, covariance[0])), place


@dataclass(frozen=True, eq=False)
class OneEuro(Baseline):
    """A low-pass filter whose cutoff rises with a point's speed: steady at rest, prompt in motion.

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

    def begin(self, points: Points) -> Trend:
        return Trend(points, np.zeros_like(points))

    def advance(self, memory: Trend, seen: Observation) -> tuple[Trend, Points]:
        moved, dt = seen.points - memory.place, seen.frames / self.fps
        pace = 2 * math.pi * self.derivate_cutoff
        velocity = memory.velocity + pace / (1 + pace * dt) * (moved - dt * memory.velocity)  # dt may be 0
        speed = np.linalg.norm(velocity, axis=-1, keepdims=True) / (100 * seen.unit)
        turns = 2 * math.pi * (self.min_cutoff + self.beta * speed) * dt
        place = memory.place + turns / (1 + turns) * moved
        return Trend(place, velocity), place


@dataclass(frozen=True, eq=False)
class SavitzkyGolay(Baseline):
    """The least-squares polynomial of an `order` in an odd `window` of frames around each frame: no step.

    Frames count as evenly spaced; a shorter sequence gets the longest window that it has room for.
    Source: Savitzky and Golay 1964; at both ends the polynomial of the outermost window.
    """

    kind: ClassVar[str] = "savitzky-golay"
    offline: ClassVar[bool] = True
    ranges: ClassVar = {"window": (1, 1e9), "order": (0, 1e9)}
    window: int
    order: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window % 2 == 0 or self.order >= self.window:
            got = f"{self.window}, {self.order}"
            raise ConfigError(f"{self.kind} needs an odd window above its order, got {got}")

    def begin(self, points: Points) -> NoReturn:
        """Raises ConfigError: there is no step without the future."""
        raise ConfigError(f"{self.kind} needs the future, so it cannot filter frame by frame")

    def smooth(
        self,
        points: Sequence,
        seconds: Times | None = None,
        scores: Scores | None = None,
        lag: int | None = None,
    ) -> Sequence:
        """Smooth a whole sequence, part by part; see `Stabilizer.smooth`."""
        if lag is not None:
            raise ConfigError(f"{self.kind} has no fixed lag")
        seen = look_through(np.asarray(points, float), 1.0)
        outputs = np.array(
            [raw if frame is None else frame.points for raw, frame in zip(points, seen, strict=True)]
        ).reshape(np.shape(points))
        for run in unbroken(seen):
            outputs[run] = self.run(outputs[run])
        repeat_skipped(outputs, seen)
        return outputs

    def run(
        self,
        points: Clips,
        scores: Float[np.ndarray, "frames *clips landmarks"] | None = None,
        frames: float = 1.0,
    ) -> Clips:
        window = min(self.window, len(points) - 1 + len(points) % 2)
        order = min(self.order, window - 1)
        return savgol_filter(points, window, order, axis=0) if len(points) else points


def _share(weight: float, frames: float) -> float:
    """What a weight per frame comes to after `frames` frames."""
    return 1 - (1 - weight) ** frames


def _damped_motion(damping: float, frames: float) -> tuple[np.ndarray, np.ndarray]:
    """The matrix that moves (x, v) by f frames, and the covariance that comes with it for q = 1.

    Equation: with d = 1 - exp(-λf) and h = d/λ, x moves by hv and v to (1-d)v; the variance of x grows by
    h³Σ_k dᵏ/(k+3), that of v by h(1 - d/2), and the covariance by h²/2.
    """
    decay = -math.log(damping) * frames
    d, h = -math.expm1(-decay), frames * float(exprel(-decay))
    # Σ_k dᵏ/(k+3) = 2F1(1, 3; 4; d)/3 = (λf - d - d²/2)/d³; each is exact where the other is not.
    tail = hyp2f1(1, 3, 4, d) / 3 if decay < 0.5 else (decay - d - d**2 / 2) / d**3
    growth = np.array([[h**3 * tail, h**2 / 2], [h**2 / 2, h * (1 - d / 2)]])
    return np.array([[1.0, h], [0.0, 1 - d]]), growth
