"""The usual filters against their textbook forms."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import savgol_filter
from stabilizer_cases import EXACT, make_face, make_times, seeds

from steadyface.errors import ConfigError
from steadyface.geometry import face_size
from steadyface.stabilizer.base import Measurement
from steadyface.stabilizer.baselines import (
    Baseline,
    ConstantVelocity,
    FirstOrder,
    KalmanState,
    MovingAverage,
    OneEuro,
    SavitzkyGolay,
    SecondOrder,
)

some = settings(max_examples=25)


@given(seeds, st.integers(1, 15))
@some
def test_moving_average_is_a_convolution(seed: int, frames: int) -> None:
    points = make_face(seed)
    kernel = np.ones(frames)
    count = np.convolve(np.ones(len(points)), kernel)[: len(points)]
    output = MovingAverage(frames).filter(points).reshape(len(points), -1)
    for x, z in zip(output.T, points.reshape(len(points), -1).T, strict=True):
        np.testing.assert_allclose(x, np.convolve(z, kernel)[: len(z)] / count, rtol=0, atol=EXACT)


@given(seeds, st.floats(0.01, 1))
@some
def test_first_order_is_a_sum_of_powers(seed: int, weight: float) -> None:
    points = make_face(seed)
    output = FirstOrder(weight).filter(points)
    for t in range(len(points)):
        powers = weight * (1 - weight) ** np.arange(t + 1)
        powers[t] = (1 - weight) ** t
        expected = np.tensordot(powers[::-1], points[: t + 1], axes=1)
        np.testing.assert_allclose(output[t], expected, rtol=0, atol=EXACT)


@given(st.floats(0.05, 0.9), st.integers(1, 7))
@some
def test_first_order_forgets_alike_at_any_rate(weight: float, parts: int) -> None:
    start, end = make_face(1)[:2]
    steps = np.concatenate([start[None], np.repeat(end[None], parts, axis=0)])
    once = FirstOrder(weight).filter(np.stack([start, end]))[-1]
    often = FirstOrder(weight).filter(steps, np.arange(parts + 1) / 30 / parts)[-1]
    np.testing.assert_allclose(often, once, rtol=0, atol=EXACT)


@given(seeds, st.floats(0.01, 1), st.floats(0.01, 1))
@some
def test_second_order_is_holts(seed: int, weight: float, trend: float) -> None:
    points = make_face(seed)
    level, slope = points[0], np.zeros((68, 2))
    expected = [level]
    for z in points[1:]:
        before = level
        level = weight * z + (1 - weight) * (level + slope)
        slope = trend * (level - before) + (1 - trend) * slope
        expected.append(level)
    np.testing.assert_allclose(SecondOrder(weight, trend).filter(points), expected, rtol=0, atol=EXACT)


@given(seeds, st.floats(0.1, 0.9))
@some
def test_second_order_without_trend_is_first_order(seed: int, weight: float) -> None:
    points, seconds = make_face(seed), make_times(seed)
    expected = FirstOrder(weight).filter(points, seconds)
    np.testing.assert_allclose(SecondOrder(weight, 0.0).filter(points, seconds), expected, rtol=0, atol=EXACT)


class TestLag:
    """Frames behind a ramp of 1 px a frame, after the 400 frames in which any start is forgotten."""

    def lag(self, filter_: Baseline, fps: float = 30.0) -> float:
        ramp = make_face(1)[0] + np.arange(400)[:, None, None]
        return float((ramp - filter_.filter(ramp, np.arange(400) / fps))[-1].mean())

    @pytest.mark.parametrize("weight", [0.1, 0.4, 0.9, 1.0])
    def test_first_order(self, weight: float) -> None:
        # (0.9)⁴⁰⁰ is 1e-19.
        assert self.lag(FirstOrder(weight)) == pytest.approx((1 - weight) / weight, abs=EXACT)

    @pytest.mark.parametrize("frames", [1, 2, 5, 8])
    def test_moving_average(self, frames: int) -> None:
        assert self.lag(MovingAverage(frames)) == pytest.approx((frames - 1) / 2, abs=EXACT)

    @pytest.mark.parametrize("fps", [24.0, 30.0, 60.0])
    @pytest.mark.parametrize(
        "filter_", [SecondOrder(0.4, 0.2), ConstantVelocity(0.01, 0.3)], ids=lambda each: each.kind
    )
    def test_a_velocity_has_none(self, filter_: Baseline, fps: float) -> None:
        assert self.lag(filter_, fps) == pytest.approx(0, abs=EXACT)

    def test_one_euro_lags_less_the_faster(self) -> None:
        slow, fast = OneEuro(1.0, 1.0), OneEuro(1.0, 100.0)
        assert 0 < self.lag(fast) < 0.5 * self.lag(slow)


def damped_motion(damping: float, frames: float) -> tuple[np.ndarray, np.ndarray]:
    """The motion of (x, v), and its covariance for q = 1 as the integral over the moments of the pushes."""
    rate = -math.log(damping)

    def response(age: np.ndarray) -> np.ndarray:
        return np.array([age if rate == 0 else -np.expm1(-rate * age) / rate, np.exp(-rate * age)])

    nodes, weights = np.polynomial.legendre.leggauss(40)  # exact to 1e-15 for sums of such exponentials
    pushed = response(frames * (nodes + 1) / 2)
    covariance = (pushed * weights * frames / 2) @ pushed.T
    return np.column_stack([[1.0, 0.0], response(np.array(frames))]), covariance


def posterior_places(filter_: ConstantVelocity, observed: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """x(t) given z(1..t), for every t, from the joint Gaussian of all states written out in full.

    The state at 1 has x ~ N(z(1), r) and v ~ N(0, 1); those after it are sums of it and of the pushes.
    """
    count = len(observed)
    mean, joint = np.zeros(2 * count), np.zeros((2 * count, 2 * count))
    mean[0] = observed[0]
    joint[:2, :2] = np.diag([filter_.noise, 1.0])
    for t in range(1, count):
        motion, growth = damped_motion(filter_.damping, frames[t])
        new, old = slice(2 * t, 2 * t + 2), slice(2 * t - 2, 2 * t)
        mean[new] = motion @ mean[old]
        joint[new, : 2 * t] = motion @ joint[old, : 2 * t]
        joint[: 2 * t, new] = joint[new, : 2 * t].T
        joint[new, new] = motion @ joint[old, old] @ motion.T + filter_.process * growth
    places = [observed[0]]
    for t in range(1, count):
        seen = 2 * np.arange(1, t + 1)
        total = joint[np.ix_(seen, seen)] + filter_.noise * np.eye(t)
        gain = np.linalg.solve(total, joint[seen, 2 * t])
        places.append(mean[2 * t] + gain @ (observed[1 : t + 1] - mean[seen]))
    return np.array(places)


class TestConstantVelocity:
    @pytest.mark.parametrize("damping", [1.0, 1 - 1e-9, 0.99, 0.8, 0.1])
    @given(seed=seeds, count=st.integers(1, 8), process=st.floats(1e-4, 10), noise=st.floats(0.01, 10))
    @some
    def test_is_the_posterior(
        self, damping: float, seed: int, count: int, process: float, noise: float
    ) -> None:
        filter_ = ConstantVelocity(process, noise, damping)
        rng = np.random.default_rng(seed)
        observed, frames = rng.normal(0, 3, (count, 3, 2)), rng.uniform(0.2, 4, count)
        memory, outputs = filter_.begin(observed[0]), [observed[0]]
        for z, step in zip(observed[1:], frames[1:], strict=True):
            memory, output = filter_.advance(memory, Measurement(z, 1.0, float(step)))
            outputs.append(output)
        for i in np.ndindex(3, 2):
            expected = posterior_places(filter_, observed[:, *i], frames)
            # Positions of some 3 %, and a joint covariance of condition below 1e6.
            np.testing.assert_allclose(np.array(outputs)[:, *i], expected, rtol=0, atol=1e-9)

    @pytest.mark.parametrize("damping", [1.0, 0.95, 0.5, 1e-3])
    @given(parts=st.lists(st.floats(0.01, 20), min_size=2, max_size=4))
    @some
    def test_a_time_is_the_sum_of_its_parts(self, damping: float, parts: list[float]) -> None:
        # Without a measurement (of no precision), one long prediction is several short ones.
        filter_ = ConstantVelocity(0.3, 1e9, damping)
        nowhere = np.zeros((1, 2))
        start = KalmanState(np.array([nowhere, [[1.0, -2.0]]]), np.array([0.5, 0.1, 0.4]))
        once, _ = filter_.advance(start, Measurement(nowhere, 1.0, sum(parts)))
        often = start
        for part in parts:
            often, _ = filter_.advance(often, Measurement(nowhere, 1.0, part))
        # A measurement of variance 1e9 moves anything by some 1e-4 of itself at the most.
        for one, other in zip(once, often, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-3)

    def test_without_pushes_it_is_the_line_through_all_points(self) -> None:
        filter_ = ConstantVelocity(0.0, 1e-9)  # so precise that the first velocity hardly counts
        points = np.random.default_rng(0).normal(0, 3, (8, 3, 2))
        line = np.polynomial.polynomial.polyfit(np.arange(8), points.reshape(8, -1), 1)
        expected = (line[0] + 7 * line[1]).reshape(3, 2)
        # Of the first velocity's variance the points' is 1e-9.
        np.testing.assert_allclose(filter_.run(points)[-1], expected, rtol=0, atol=1e-6)


@given(seeds, st.floats(0.01, 10), st.floats(0, 100), st.floats(0.1, 10))
@some
def test_one_euro_is_ten_lines(seed: int, min_cutoff: float, beta: float, derivate_cutoff: float) -> None:
    points, seconds = make_face(seed), make_times(seed)
    x, v, expected = points[0], np.zeros((68, 2)), [points[0]]
    for z, dt in zip(points[1:], np.diff(seconds), strict=True):
        size = float(face_size(z))
        smoothing = 1 / (1 + 1 / (2 * np.pi * derivate_cutoff) / dt)
        v = smoothing * (z - x) / dt + (1 - smoothing) * v
        cutoff = min_cutoff + beta * np.hypot(v[:, :1], v[:, 1:]) / size
        smoothing = 1 / (1 + 1 / (2 * np.pi * cutoff) / dt)
        x = smoothing * z + (1 - smoothing) * x
        expected.append(x)
    output = OneEuro(min_cutoff, beta, derivate_cutoff).filter(points, seconds)
    np.testing.assert_allclose(output, expected, rtol=0, atol=EXACT)


class TestSavitzkyGolay:
    @given(seeds, st.sampled_from([(1, 0), (3, 1), (5, 2), (11, 3)]))
    @some
    def test_is_scipys(self, seed: int, numbers: tuple[int, int]) -> None:
        points = make_face(seed)
        np.testing.assert_array_equal(
            SavitzkyGolay(*numbers).smooth(points), savgol_filter(points, *numbers, axis=0)
        )

    @given(seeds, st.integers(1, 12))
    @some
    def test_a_polynomial_of_its_order_passes(self, seed: int, frames: int) -> None:
        rng, t = np.random.default_rng(seed), np.arange(frames)[:, None, None]
        points = make_face(seed)[0] + rng.normal(0, 0.5, (68, 2)) * t + rng.normal(0, 0.02, (68, 2)) * t**2
        # A single frame leaves room for no slope, and two for no curve: then the window is one frame.
        np.testing.assert_allclose(SavitzkyGolay(7, 2).smooth(points), points, rtol=0, atol=1e-8)

    def test_has_no_fixed_lag(self) -> None:
        with pytest.raises(ConfigError, match="savitzky-golay has no fixed lag"):
            SavitzkyGolay(5, 2).smooth(make_face(1), lag=2)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: FirstOrder(1.1), "weight of first-order must be from 0 to 1, got 1.1"),
        (lambda: FirstOrder(math.nan), "weight of first-order must be from 0 to 1, got nan"),
        (lambda: FirstOrder(0.5, fps=0.0), "fps of first-order must be positive and finite, got 0.0"),
        (lambda: MovingAverage(0), "frames of moving-average must be from 1 to 10000, got 0"),
        (lambda: SecondOrder(0.5, -0.1), "trend of second-order must be from 0 to 1, got -0.1"),
        (lambda: ConstantVelocity(-1.0, 1.0), "process of constant-velocity"),
        (lambda: ConstantVelocity(1.0, 0.0), "noise of constant-velocity"),
        (lambda: ConstantVelocity(1.0, 1.0, 0.0), "damping of constant-velocity"),
        (lambda: OneEuro(-1.0, 1.0), "min_cutoff of one-euro"),
        (lambda: OneEuro(1.0, 1.0, math.inf), "derivate_cutoff of one-euro"),
        (lambda: SavitzkyGolay(4, 2), "odd window above its order, got 4, 2"),
        (lambda: SavitzkyGolay(5, 5), "odd window above its order, got 5, 5"),
    ],
)
def test_out_of_range(make: Callable[[], Baseline], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()
