"""The usual filters against their textbook forms, and the laws that all of them obey."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import savgol_filter

from steadyface.errors import ConfigError
from steadyface.geometry import face_size
from steadyface.stabilizer.baselines import (
    BASELINES,
    Baseline,
    ConstantVelocity,
    FilterState,
    FirstOrder,
    MovingAverage,
    OneEuro,
    SavitzkyGolay,
    SecondOrder,
    load_baseline,
    tune,
)
from steadyface.stabilizer.loss import Weights, loss

CAUSAL: list[Baseline] = [
    MovingAverage(4),
    FirstOrder(0.4),
    SecondOrder(0.5, 0.3),
    ConstantVelocity(0.05, 0.4, 0.9),
    OneEuro(0.5, 5.0),
]
ALL = [*CAUSAL, SavitzkyGolay(5, 2)]
EXACT = 1e-9
"""px: some ten float64 operations a frame on coordinates of some 100 px."""

seeds = st.integers(0, 2**32 - 1)
causal = pytest.mark.parametrize("filter_", CAUSAL, ids=lambda f: f.kind)
every = pytest.mark.parametrize("filter_", ALL, ids=lambda f: f.kind)


def make_face(seed: int, frames: int = 12) -> np.ndarray:
    """Points of a face of some 200 px that drifts and shakes by a few px."""
    rng = np.random.default_rng(seed)
    drift = np.cumsum(rng.normal(0, 1, (frames, 1, 2)), axis=0)
    return rng.uniform(0, 200, (68, 2)) + drift + rng.normal(0, 1, (frames, 68, 2))


def times(seed: int, frames: int = 12) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).uniform(0.005, 0.1, frames))


class TestLaws:
    @every
    def test_a_still_face_stays(self, filter_: Baseline) -> None:
        points = np.repeat(make_face(1)[:1], 30, axis=0)
        np.testing.assert_allclose(filter_.filter(points, times(1, 30)), points, rtol=0, atol=EXACT)

    @causal
    @given(seed=seeds, cut=st.integers(1, 11))
    def test_the_future_never_changes_the_past(self, filter_: Baseline, seed: int, cut: int) -> None:
        points, seconds = make_face(seed), times(seed)
        other = np.concatenate([points[:cut], make_face(seed + 1)[cut:]])
        expected = filter_.filter(points, seconds)[:cut]
        np.testing.assert_array_equal(filter_.filter(other, seconds)[:cut], expected)

    @causal
    @given(seed=seeds, lost=st.integers(0, 11))
    def test_filter_is_step_by_step(self, filter_: Baseline, seed: int, lost: int) -> None:
        points, seconds = make_face(seed), times(seed)
        points[lost], points[lost - 3, 5] = np.nan, np.nan
        state, outputs = None, []
        for t, raw in enumerate(points):
            state, output = filter_.step(state, raw, float(seconds[t] - seconds[t - 1]) if t else None)
            outputs.append(output)
        np.testing.assert_array_equal(filter_.filter(points, seconds), outputs)

    @every
    @given(seed=seeds)
    def test_no_timestamps_means_the_filters_own_rate(self, filter_: Baseline, seed: int) -> None:
        points = make_face(seed)
        expected = filter_.filter(points, np.arange(len(points)) / filter_.fps)
        np.testing.assert_allclose(filter_.filter(points), expected, rtol=0, atol=EXACT)

    @every
    @given(seed=seeds, scale=st.floats(0.05, 20))
    def test_scale(self, filter_: Baseline, seed: int, scale: float) -> None:
        points, seconds = make_face(seed), times(seed)
        expected = filter_.filter(points, seconds) * scale
        np.testing.assert_allclose(filter_.filter(points * scale, seconds), expected, rtol=0, atol=EXACT * 20)

    @every
    @given(seed=seeds, shift=st.floats(-5000, 5000))
    def test_shift(self, filter_: Baseline, seed: int, shift: float) -> None:
        points, seconds, offset = make_face(seed), times(seed), np.array([shift, -shift])
        expected = filter_.filter(points, seconds) + offset
        # Coordinates of 5,000 px carry rounding 25 times that of 200 px.
        np.testing.assert_allclose(
            filter_.filter(points + offset, seconds), expected, rtol=0, atol=EXACT * 25
        )

    @every
    @given(seed=seeds)
    def test_many_clips_are_single_ones(self, filter_: Baseline, seed: int) -> None:
        clips = np.stack([make_face(seed + i) for i in range(3)], axis=1)
        for i in range(3):
            expected = filter_.run(clips[:, i])
            np.testing.assert_allclose(filter_.run(clips)[:, i], expected, rtol=0, atol=EXACT)

    @every
    def test_run_is_filter_on_a_face_of_100_percent(self, filter_: Baseline) -> None:
        points = make_face(3, frames=30)
        points[:, 0], points[:, 1] = 0, 200  # so that every output has the same size
        points = points.clip(0, 200) / 2
        assert float(face_size(points[4])) == 100
        np.testing.assert_allclose(filter_.run(points), filter_.filter(points), rtol=0, atol=EXACT)

    @every
    def test_leaves_its_input_alone(self, filter_: Baseline) -> None:
        points = make_face(1)
        points[3, 4] = np.nan
        before = points.copy()
        filter_.filter(points)
        np.testing.assert_array_equal(points, before)

    @every
    @pytest.mark.parametrize("step", [0.0, 1e-9, 10.0])
    def test_odd_times(self, filter_: Baseline, step: float) -> None:
        assert np.isfinite(filter_.filter(make_face(3), np.arange(12) * step)).all()

    @every
    def test_no_frames(self, filter_: Baseline) -> None:
        assert filter_.filter(np.empty((0, 68, 2))).shape == (0, 68, 2)

    @every
    def test_calms_a_shaking_face(self, filter_: Baseline) -> None:
        points = make_face(2, frames=100)
        assert np.diff(filter_.filter(points), axis=0).std() < 0.8 * np.diff(points, axis=0).std()


class TestBadFrames:
    @every
    def test_lost_frame_holds_the_last_output(self, filter_: Baseline) -> None:
        points = make_face(1)
        points[5:7] = np.nan
        output = filter_.filter(points)
        np.testing.assert_array_equal(output[5], output[4])
        np.testing.assert_array_equal(output[6], output[4])
        rest = filter_.filter(np.delete(points, [5, 6], axis=0))
        np.testing.assert_array_equal(np.delete(output, [5, 6], axis=0), rest)

    @every
    def test_nothing_before_the_first_complete_frame(self, filter_: Baseline) -> None:
        points = make_face(1)
        points[0], points[1, 8], points[2] = np.nan, np.nan, np.nan
        output = filter_.filter(points)
        np.testing.assert_array_equal(output[:3], points[:3])
        np.testing.assert_array_equal(output[3:], filter_.filter(points[3:]))

    @every
    def test_no_complete_frame_at_all(self, filter_: Baseline) -> None:
        points = make_face(1)
        points[:, 8] = np.nan
        np.testing.assert_array_equal(filter_.filter(points), points)
        if not isinstance(filter_, SavitzkyGolay):
            assert filter_.step(None, points[0])[0] is None

    @causal
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_missing_landmark_counts_as_at_its_last_place(self, filter_: Baseline, value: float) -> None:
        points = make_face(1)
        points[5, 8, 0] = value
        output = filter_.filter(points)
        points[5, 8] = output[4, 8]
        np.testing.assert_array_equal(output, filter_.filter(points))

    @every
    def test_a_jump_starts_anew(self, filter_: Baseline) -> None:
        points = make_face(1)
        points[6:] += 60  # of some 200 px
        output = filter_.filter(points)
        np.testing.assert_array_equal(output[6:], filter_.filter(points[6:]))
        np.testing.assert_array_equal(output[:6], filter_.filter(points[:6]))

    @causal
    def test_a_quarter_of_the_face_is_not_a_jump_yet(self, filter_: Baseline) -> None:
        points = np.repeat(make_face(1)[:1], 2, axis=0)
        limit = 0.25 * float(face_size(points[0]))
        for away, jumps in ((0.99 * limit, False), (1.01 * limit, True)):
            points[1] = points[0] + [away, 0.0]
            assert np.array_equal(filter_.filter(points)[1], points[1]) == jumps

    @every
    def test_a_face_without_size_stays_finite(self, filter_: Baseline) -> None:
        assert np.isfinite(filter_.filter(make_face(1) * [1.0, 0.0])).all()


@given(seeds, st.integers(1, 15))
def test_moving_average_is_a_convolution(seed: int, frames: int) -> None:
    points = make_face(seed)
    kernel = np.ones(frames)
    count = np.convolve(np.ones(len(points)), kernel)[: len(points)]
    output = MovingAverage(frames).filter(points).reshape(len(points), -1)
    for x, z in zip(output.T, points.reshape(len(points), -1).T, strict=True):
        np.testing.assert_allclose(x, np.convolve(z, kernel)[: len(z)] / count, rtol=0, atol=EXACT)


@given(seeds, st.floats(0.01, 1))
def test_first_order_is_a_sum_of_powers(seed: int, weight: float) -> None:
    points = make_face(seed)
    for t in range(len(points)):
        powers = weight * (1 - weight) ** np.arange(t + 1)
        powers[t] = (1 - weight) ** t
        expected = np.tensordot(powers[::-1], points[: t + 1], axes=1)
        output = FirstOrder(weight).filter(points[: t + 1])[t]
        np.testing.assert_allclose(output, expected, rtol=0, atol=EXACT)


@given(seeds, st.floats(0.01, 1), st.floats(0.01, 1))
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
def test_second_order_without_trend_is_first_order(seed: int, weight: float) -> None:
    points, seconds = make_face(seed), times(seed)
    expected = FirstOrder(weight).filter(points, seconds)
    np.testing.assert_allclose(SecondOrder(weight, 0.0).filter(points, seconds), expected, rtol=0, atol=EXACT)


@given(st.floats(0.05, 0.9), st.integers(1, 7))
def test_first_order_forgets_alike_at_any_rate(weight: float, parts: int) -> None:
    start, end = make_face(1)[:2]
    steps = np.concatenate([start[None], np.repeat(end[None], parts, axis=0)])
    once = FirstOrder(weight).filter(np.stack([start, end]))[-1]
    often = FirstOrder(weight).filter(steps, np.arange(parts + 1) / 30 / parts)[-1]
    np.testing.assert_allclose(often, once, rtol=0, atol=EXACT)


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
        "filter_", [SecondOrder(0.4, 0.2), ConstantVelocity(0.01, 0.3)], ids=lambda f: f.kind
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
    def test_is_the_posterior(
        self, damping: float, seed: int, count: int, process: float, noise: float
    ) -> None:
        filter_ = ConstantVelocity(process, noise, damping)
        rng = np.random.default_rng(seed)
        observed, frames = rng.normal(0, 3, (count, 3, 2)), rng.uniform(0.2, 4, count)
        state = filter_.start(observed[0])
        outputs = [state.last]
        for z, step in zip(observed[1:], frames[1:], strict=True):
            state = filter_.advance(state, z, 1.0, float(step))
            outputs.append(state.last)
        for i in np.ndindex(3, 2):
            expected = posterior_places(filter_, observed[:, *i], frames)
            # Positions of some 3 %, and a joint covariance of condition below 1e6.
            np.testing.assert_allclose(np.array(outputs)[:, *i], expected, rtol=0, atol=1e-9)

    @pytest.mark.parametrize("damping", [1.0, 0.95, 0.5, 1e-3])
    @given(parts=st.lists(st.floats(0.01, 20), min_size=2, max_size=4))
    def test_a_time_is_the_sum_of_its_parts(self, damping: float, parts: list[float]) -> None:
        # Without a measurement (of no precision), one long prediction is several short ones.
        filter_ = ConstantVelocity(0.3, 1e9, damping)
        velocity = np.array([[1.0, -2.0]])
        start = FilterState(np.zeros((1, 2)), (velocity, np.array([[0.5, 0.1], [0.1, 0.4]])))
        once = filter_.advance(start, start.last, 1.0, sum(parts))
        often = start
        for part in parts:
            often = filter_.advance(often, start.last, 1.0, part)
        # A measurement of variance 1e9 moves anything by some 1e-4 of itself at the most.
        for one, other in zip((once.last, *once.memory), (often.last, *often.memory), strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-3)

    def test_without_pushes_it_is_the_line_through_all_points(self) -> None:
        filter_ = ConstantVelocity(0.0, 1e-9)  # so precise that the first velocity hardly counts
        points = np.random.default_rng(0).normal(0, 3, (8, 3, 2))
        line = np.polynomial.polynomial.polyfit(np.arange(8), points.reshape(8, -1), 1)
        expected = (line[0] + 7 * line[1]).reshape(3, 2)
        np.testing.assert_allclose(filter_.run(points)[-1], expected, rtol=0, atol=1e-6)


@given(seeds, st.floats(0.01, 10), st.floats(0, 100), st.floats(0.1, 10))
def test_one_euro_is_ten_lines(seed: int, min_cutoff: float, beta: float, derivate_cutoff: float) -> None:
    points, seconds = make_face(seed), times(seed)
    x, v, expected = points[0], np.zeros((68, 2)), [points[0]]
    for z, dt in zip(points[1:], np.diff(seconds), strict=True):
        size = float(face_size(x))
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
    def test_is_scipys(self, seed: int, numbers: tuple[int, int]) -> None:
        points = make_face(seed)
        np.testing.assert_array_equal(
            SavitzkyGolay(*numbers).filter(points), savgol_filter(points, *numbers, axis=0)
        )

    @given(seeds, st.integers(1, 12))
    def test_a_polynomial_of_its_order_passes(self, seed: int, frames: int) -> None:
        rng, t = np.random.default_rng(seed), np.arange(frames)[:, None, None]
        points = make_face(seed)[0] + rng.normal(0, 1, (68, 2)) * t + rng.normal(0, 0.1, (68, 2)) * t**2
        # A single frame leaves room for no slope, and two for no curve: then the window is one frame.
        np.testing.assert_allclose(SavitzkyGolay(7, 2).filter(points), points, rtol=0, atol=1e-8)

    def test_has_no_step(self) -> None:
        with pytest.raises(ConfigError, match="savitzky-golay needs the future"):
            SavitzkyGolay(5, 2).step(None, make_face(1)[0])


class TestParameters:
    def test_names(self) -> None:
        assert list(BASELINES) == [f.kind for f in ALL]
        assert [type(f) for f in ALL] == list(BASELINES.values())

    @every
    def test_survive_json(self, filter_: Baseline) -> None:
        assert load_baseline(json.loads(json.dumps(filter_.as_dict()))) == filter_

    @pytest.mark.parametrize(
        ("values", "said"),
        [
            ({}, "kind of filter 'None'.*moving-average, first-order"),
            ({"kind": "median"}, "median"),
            ({"kind": ["first-order"], "weight": 0.5}, "kind of filter"),
            ({"kind": "first-order"}, "first-order.*weight"),
            ({"kind": "first-order", "weight": 0.5, "wait": 0.5}, "wait"),
            ({"kind": "first-order", "weight": "half"}, "weight"),
            ({"kind": "first-order", "weight": 1.1}, "weight of first-order must be from 0 to 1, got 1.1"),
            ({"kind": "first-order", "weight": float("nan")}, "got nan"),
            ({"kind": "first-order", "weight": 0.5, "fps": 0.0}, "fps"),
            ({"kind": "moving-average", "frames": 0}, "frames"),
            ({"kind": "second-order", "weight": 0.5, "trend": -0.1}, "trend"),
            ({"kind": "constant-velocity", "process": -1.0, "noise": 1.0}, "process"),
            ({"kind": "constant-velocity", "process": 1.0, "noise": 0.0}, "noise"),
            ({"kind": "constant-velocity", "process": 1.0, "noise": 1.0, "damping": 0.0}, "damping"),
            ({"kind": "one-euro", "min_cutoff": -1.0, "beta": 1.0}, "min_cutoff"),
            ({"kind": "savitzky-golay", "window": 4, "order": 2}, "odd window above its order, got 4, 2"),
            ({"kind": "savitzky-golay", "window": 5, "order": 5}, "got 5, 5"),
        ],
    )
    def test_wrong_ones(self, values: Mapping[str, object], said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            load_baseline(values)


def talking_heads(frames: int = 80, clips: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Faces of 100 % that sway as a whole, with noise of half a percent on each point alone."""
    rng = np.random.default_rng(0)
    sway = np.cumsum(np.cumsum(rng.normal(0, 0.15, (frames, clips, 1, 2)), axis=0) * 0.2, axis=0)
    truth = rng.uniform(0, 100, (68, 2)) + sway
    return truth + rng.normal(0, 0.5, truth.shape), truth


class TestTune:
    @pytest.mark.parametrize("kind", BASELINES)
    def test_helps_and_nothing_near_is_better(self, kind: str) -> None:
        raw, truth = talking_heads()
        tuned = tune(kind, raw, truth, fps=25.0)
        assert tuned.kind == kind
        assert tuned.fps == 25
        best = loss(tuned.run(raw), truth)
        assert best < 0.95 * loss(raw, truth)
        for name in set(tuned.ranges) - {"frames", "window", "order", "noise"}:
            for factor in (0.97, 1.03):
                low, high = tuned.ranges[name]
                value = min(max(getattr(tuned, name) * factor, low), high)
                other = load_baseline(tuned.as_dict() | {name: value})
                # The search ends where the loss is flat to 1e-6.
                assert loss(other.run(raw), truth) > best - 1e-5

    @pytest.mark.parametrize("ratio", [0.05, 0.5, 4.0])
    def test_first_order_on_a_random_walk_is_the_steady_kalman_gain(self, ratio: float) -> None:
        rng = np.random.default_rng(1)
        truth = np.cumsum(rng.normal(0, math.sqrt(ratio), (400, 2, 68, 2)), axis=0)
        raw = truth + rng.normal(0, 1, truth.shape)
        tuned = tune("first-order", raw, truth, Weights(smooth=0, delay=0))
        assert isinstance(tuned, FirstOrder)
        # Muth 1960; 400 · 272 samples are good for 1 %, and the start from one frame asks for a little more.
        assert tuned.weight == pytest.approx((math.sqrt(ratio**2 + 4 * ratio) - ratio) / 2, rel=0.03)

    def test_constant_velocity_finds_what_was_simulated(self) -> None:
        rng, process, damping = np.random.default_rng(2), 0.02, 0.9
        motion, growth = damped_motion(damping, 1.0)
        pushes = rng.multivariate_normal(np.zeros(2), process * growth, (400, 2, 68, 2))
        state, truth = np.zeros((2, 68, 2, 2)), []
        for push in pushes:
            state = state @ motion.T + push
            truth.append(state[..., 0])
        raw = np.array(truth) + rng.normal(0, 0.5, (400, 2, 68, 2))
        tuned = tune("constant-velocity", raw, np.array(truth), Weights(smooth=0, delay=0))
        assert isinstance(tuned, ConstantVelocity)
        # 1e5 samples give a median to 1 %; process and damping pull against each other around a flat minimum.
        assert tuned.noise == pytest.approx(0.25, rel=0.02)
        assert tuned.process == pytest.approx(process, rel=0.2)
        assert tuned.damping == pytest.approx(damping, abs=0.03)

    def test_a_moving_average_of_white_noise_is_long_and_of_none_is_short(self) -> None:
        rng = np.random.default_rng(3)
        still = np.broadcast_to(rng.uniform(0, 100, (68, 2)), (60, 2, 68, 2)).astype(float)
        assert tune("moving-average", still + rng.normal(0, 1, still.shape), still) == MovingAverage(15)
        moving = still + np.arange(60)[:, None, None, None]
        assert tune("moving-average", moving, moving) == MovingAverage(1)

    @pytest.mark.parametrize("kind", BASELINES)
    def test_where_nothing_is_wrong_nothing_is_made_much_worse(self, kind: str) -> None:
        _, truth = talking_heads(20, 1)
        # What is left is the truth's own bend, which smoothing may still buy off.
        assert loss(tune(kind, truth, truth).run(truth), truth) < loss(truth, truth) + 1e-5

    def test_unknown_kind(self) -> None:
        with pytest.raises(ConfigError, match="median"):
            tune("median", *talking_heads(10, 1))
