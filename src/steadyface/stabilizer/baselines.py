"""The usual filters, with the stabiliser's face, so that it can be compared with them under the same rules.

Whatever is in percent of face size refers to `geometry.face_size` of the last output; what is per frame holds
at a filter's own `fps` and is rescaled by the real time between frames. Points go in and come out in px.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, NoReturn

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.signal import savgol_filter
from scipy.special import expit, exprel, hyp2f1, logit

from steadyface.errors import ConfigError
from steadyface.geometry import face_size
from steadyface.stabilizer.loss import Weights, loss
from steadyface.stabilizer.model import _JUMP  # one rule for all that are compared

Points = Float[np.ndarray, "*batch landmarks 2"]
Sequence = Float[np.ndarray, "frames landmarks 2"]
Clips = Float[np.ndarray, "frames *clips landmarks 2"]

_SHARE, _AMOUNT, _POSITIVE = (0.0, 1.0), (0.0, 1e9), (1e-9, 1e9)  # ranges of parameters
_SPEED = 1.0  # (percent of face size per frame)²: variance of the velocity of a face that was just found


@dataclass(frozen=True)
class FilterState:
    """What is remembered between frames: the newest output, px, and what the filter itself needs."""

    last: Points
    memory: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Baseline:
    """A filter and its parameters, of which `fps` is the frame rate at which those per frame hold."""

    kind: ClassVar[str]
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {}
    fps: float = field(default=30.0, kw_only=True)

    def __post_init__(self) -> None:
        for name, (low, high) in {"fps": _POSITIVE, **self.ranges}.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise ConfigError(f"{name} of {self.kind} must be from {low:g} to {high:g}, got {value}")

    def start(self, points: Points) -> FilterState:
        """The state after the first complete frame, whose output is its input: a face at rest."""
        return FilterState(points, (np.zeros_like(points),))

    def advance(self, state: FilterState, observed: Points, unit: float, frames: float) -> FilterState:
        """A complete frame, `frames` frames after the last; `unit` is px per percent of face size."""
        raise NotImplementedError

    def step(
        self, state: FilterState | None, points: Float[np.ndarray, "landmarks 2"], dt: float | None = None
    ) -> tuple[FilterState | None, Float[np.ndarray, "landmarks 2"]]:
        """One frame of one face.

        Missing points (NaN) keep their last place; a wholly missing frame repeats the last output; a jump of
        the whole face by more than 25 % of its size starts anew.

        Args:
            state: from the last frame; None at the start.
            points: raw points, image px.
            dt: seconds since the last frame; None means one frame at `fps`.

        Returns:
            The new state (None while no complete frame has been seen) and the filtered points, image px.
        """
        points = np.array(points, float)
        missing = ~np.isfinite(points).all(axis=-1)
        if state is None:
            return (None if missing.any() else self.start(points)), points
        if missing.all():
            return state, state.last
        points = np.where(missing[:, None], state.last, points)
        if _jumped(state.last, points):
            return self.start(points), points
        frames = 1.0 if dt is None else dt * self.fps
        state = self.advance(state, points, _size(state.last) / 100, frames)
        return state, state.last

    def filter(self, points: Sequence, seconds: Float[np.ndarray, "frames"] | None = None) -> Sequence:
        """Filter a whole sequence; equal to calling `step` on each frame in turn.

        Args:
            points: raw points, image px; NaN where a frame is lost.
            seconds: each frame's timestamp; None means one frame after another at `fps`.
        """
        state, outputs = None, np.array(points, float)
        for t, raw in enumerate(points):
            dt = None if seconds is None or t == 0 else float(seconds[t] - seconds[t - 1])
            state, outputs[t] = self.step(state, raw, dt)
        return outputs

    def run(self, points: Clips) -> Clips:
        """Filter many complete sequences at once, in percent of face size, a frame at `fps` each step."""
        states = [self.start(points[0])]
        for observed in points[1:]:
            states.append(self.advance(states[-1], observed, 1.0, 1.0))
        return np.stack([state.last for state in states])

    def as_dict(self) -> dict[str, Any]:
        """The kind and the parameters, ready for JSON; `load_baseline` reads it."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class MovingAverage(Baseline):
    """x(t) = mean of z(t), …, z(t-n+1), n = `frames`: (n-1)/2 frames late. It takes no notice of time."""

    kind: ClassVar[str] = "moving-average"
    ranges: ClassVar = {"frames": (1, 1e9)}
    frames: int

    def start(self, points: Points) -> FilterState:
        return FilterState(points, (points,))

    def advance(self, state: FilterState, observed: Points, unit: float, frames: float) -> FilterState:
        window = (*state.memory, observed)[-self.frames :]
        return FilterState(np.mean(window, axis=0), window)


@dataclass(frozen=True)
class FirstOrder(Baseline):
    """x(t) = w·z(t) + (1-w)·x(t-1), w = `weight`, 1-(1-w)ᶠ after f frames: (1-w)/w frames late.

    Source: exponential smoothing, Brown 1959.
    """

    kind: ClassVar[str] = "first-order"
    ranges: ClassVar = {"weight": _SHARE}
    weight: float

    def advance(self, state: FilterState, observed: Points, unit: float, frames: float) -> FilterState:
        return replace(state, last=state.last + _share(self.weight, frames) * (observed - state.last))


@dataclass(frozen=True)
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

    def advance(self, state: FilterState, observed: Points, unit: float, frames: float) -> FilterState:
        (trend,) = state.memory
        expected = state.last + frames * trend
        correction = _share(self.weight, frames) * (observed - expected)
        gain = _share(self.trend, frames) / frames if frames else 0.0
        return FilterState(expected + correction, (trend + gain * correction,))


@dataclass(frozen=True)
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

    def start(self, points: Points) -> FilterState:
        return FilterState(points, (np.zeros_like(points), np.diag([self.noise, _SPEED])))

    def advance(self, state: FilterState, observed: Points, unit: float, frames: float) -> FilterState:
        velocity, covariance = state.memory
        motion, growth = _damped_motion(self.damping, frames)
        covariance = motion @ covariance @ motion.T + self.process * growth
        gain = covariance[:, 0] / (covariance[0, 0] + self.noise)
        expected = state.last + motion[0, 1] * velocity
        surprise = observed - expected
        velocity = motion[1, 1] * velocity + gain[1] * surprise
        covariance = covariance - np.outer(gain, covariance[0])
        return FilterState(expected + gain[0] * surprise, (velocity, covariance))


@dataclass(frozen=True)
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

    def advance(self, state: FilterState, observed: Points, unit: float, frames: float) -> FilterState:
        (velocity,), moved, dt = state.memory, observed - state.last, frames / self.fps
        pace = 2 * math.pi * self.derivate_cutoff
        velocity = velocity + pace / (1 + pace * dt) * (moved - dt * velocity)  # dt may be 0
        speed = np.linalg.norm(velocity, axis=-1, keepdims=True) / (100 * unit)
        turns = 2 * math.pi * (self.min_cutoff + self.beta * speed) * dt
        return FilterState(state.last + turns / (1 + turns) * moved, (velocity,))


@dataclass(frozen=True)
class SavitzkyGolay(Baseline):
    """The least-squares polynomial of an `order` in an odd `window` of frames around each frame: no step.

    Frames count as evenly spaced; a shorter sequence gets the longest window that it has room for.
    Source: Savitzky and Golay 1964; at both ends the polynomial of the outermost window.
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

    def step(self, state: object, points: object, dt: object = None) -> NoReturn:
        """Raises ConfigError: there is no step without the future."""
        raise ConfigError(f"{self.kind} needs the future, so it cannot filter frame by frame")

    def filter(self, points: Sequence, seconds: Float[np.ndarray, "frames"] | None = None) -> Sequence:
        """Smooth a whole sequence, under the rules of `Baseline.step` for what is missing and for jumps."""
        outputs = MovingAverage(1).filter(points)  # those rules and nothing else
        complete = np.isfinite(outputs).all(axis=(1, 2))
        seen = complete & np.isfinite(points).all(axis=-1).any(axis=-1)
        index = np.flatnonzero(seen)
        cuts = [k for k in range(1, len(index)) if _jumped(outputs[index[k - 1]], outputs[index[k]])]
        for part in np.split(index, cuts):
            outputs[part] = self.run(outputs[part])
        newest = np.where(seen | ~complete, np.arange(len(outputs)), 0)
        return outputs[np.maximum.accumulate(newest)]

    def run(self, points: Clips) -> Clips:
        window = min(self.window, len(points) - 1 + len(points) % 2)
        order = min(self.order, window - 1)
        return savgol_filter(points, window, order, axis=0) if len(points) else points


BASELINES: dict[str, type[Baseline]] = {
    each.kind: each
    for each in (MovingAverage, FirstOrder, SecondOrder, ConstantVelocity, OneEuro, SavitzkyGolay)
}


def load_baseline(values: Mapping[str, Any]) -> Baseline:
    """The filter that `as_dict` described.

    Raises:
        ConfigError: an unknown kind, a missing or unknown parameter, or one out of range.

    >>> load_baseline({"kind": "first-order", "weight": 0.5, "fps": 25.0})
    FirstOrder(fps=25.0, weight=0.5)
    """
    kind = str(values.get("kind"))
    if kind not in BASELINES:
        raise ConfigError.choice("kind of filter", kind, BASELINES)
    try:
        return BASELINES[kind](**{name: value for name, value in values.items() if name != "kind"})
    except TypeError as error:
        raise ConfigError(f"{kind}: {error}") from error


def tune(
    kind: str, raw: Clips, truth: Clips, weights: Weights | None = None, *, fps: float = 30.0
) -> Baseline:
    """The filter of a kind with the least loss, which is `loss(tuned.run(raw), truth, weights)`.

    Whole numbers are tried one by one, others searched by Nelder-Mead from two starts; the noise of
    `constant-velocity` is not searched but measured, as the robust variance of raw - truth.

    Args:
        kind: a key of `BASELINES`.
        raw: complete, percent of face size.
        truth: percent of face size.
        weights: of the loss; None takes the paper's.
        fps: the clips' frame rate.

    Raises:
        ConfigError: an unknown kind.
    """
    noise = max(float(np.median(np.abs(raw - truth)) / 0.6745) ** 2, 1e-3)
    trials: dict[str, tuple[list[Baseline], tuple[str, ...]]] = {
        "moving-average": ([MovingAverage(n) for n in range(1, 16)], ()),
        "first-order": ([FirstOrder(0.3), FirstOrder(0.8)], ("weight",)),
        "second-order": ([SecondOrder(0.3, 0.1), SecondOrder(0.8, 0.5)], ("weight", "trend")),
        "constant-velocity": (
            [ConstantVelocity(q * noise, noise, 0.9) for q in (0.01, 1)],
            ("process", "damping"),
        ),
        "one-euro": ([OneEuro(0.1, 50.0), OneEuro(2.0, 10.0)], tuple(OneEuro.ranges)),
        "savitzky-golay": ([SavitzkyGolay(n, k) for n in range(3, 32, 2) for k in range(min(n, 6))], ()),
    }
    if kind not in trials:
        raise ConfigError.choice("kind of filter", kind, BASELINES)

    def score(candidate: Baseline) -> float:
        return loss(candidate.run(raw), truth, weights)

    starts, searched = trials[kind]
    found = [_search(replace(start, fps=fps), searched, score) for start in starts]
    return min(found, key=score)


def _search(start: Baseline, names: tuple[str, ...], score: Callable[[Baseline], float]) -> Baseline:
    """Nelder-Mead over the logits of what lies below 1 and the logarithms of all else."""
    if not names:
        return start
    shares = np.array([start.ranges[name][1] == 1 for name in names])

    def at(free: Float[np.ndarray, "N"]) -> Baseline:
        values = np.where(shares, expit(free), np.exp(free))
        return replace(start, **dict(zip(names, values.tolist(), strict=True)))

    values = np.array([getattr(start, name) for name in names])
    free = np.where(shares, logit(values), np.log(values))
    simplex = np.vstack([free, free + np.eye(len(free))])
    bounds = [(-14.0, 14.0)] * len(free)  # where the loss is flat long before
    options = {"initial_simplex": simplex, "maxfev": 300, "xatol": 1e-3, "fatol": 1e-6}
    found = minimize(lambda x: score(at(x)), free, method="Nelder-Mead", bounds=bounds, options=options)
    return at(found.x)


def _size(points: Points) -> float:
    return max(float(face_size(points)), 1.0)


def _jumped(last: Points, points: Points) -> bool:
    """Whether most landmarks moved so far that it is another shot or another face."""
    return bool(np.linalg.norm(np.median(points - last, axis=0)) > _JUMP * _size(last))


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
