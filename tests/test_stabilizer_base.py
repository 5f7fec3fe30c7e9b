"""The laws that every stabiliser obeys, whatever it does."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stabilizer_cases import (
    ALL,
    CAUSAL,
    EXACT,
    make_face,
    make_times,
    make_velocity,
    seeds,
    steady,
    usual_scores,
)

from steadyface.errors import ConfigError
from steadyface.geometry import face_size
from steadyface.stabilizer.base import CausalFilter, Smoother, Stabilizer
from steadyface.stabilizer.baselines import FirstOrder, SavitzkyGolay
from steadyface.stabilizer.choice import require_smoother

causal = pytest.mark.parametrize("stabilizer", CAUSAL, ids=lambda each: each.kind)
every = pytest.mark.parametrize("stabilizer", ALL, ids=lambda each: each.kind)
few = settings(max_examples=12)

VELOCITY = make_velocity(9)
MODES: dict[str, Any] = {
    "all": VELOCITY.smooth,
    "lag": lambda points, seconds: VELOCITY.smooth(points, seconds, lag=2),
    "savitzky-golay": SavitzkyGolay(5, 2).smooth,
}
smoothing = pytest.mark.parametrize("smooth", MODES.values(), ids=MODES)


class TestLaws:
    @causal
    @given(seed=seeds, cut=st.integers(1, 11))
    @few
    def test_the_future_never_changes_the_past(self, stabilizer: CausalFilter, seed: int, cut: int) -> None:
        points, seconds = make_face(seed), make_times(seed)
        later = seconds + np.where(np.arange(12) < cut, 0.0, 1.0)
        other = np.concatenate([points[:cut], make_face(seed + 1)[cut:]])
        expected = stabilizer.filter(points, seconds)[:cut]
        np.testing.assert_array_equal(stabilizer.filter(other, later)[:cut], expected)

    @causal
    @given(seed=seeds, lost=st.integers(0, 11))
    @few
    def test_filter_is_step_by_step(self, stabilizer: CausalFilter, seed: int, lost: int) -> None:
        points, seconds = make_face(seed), make_times(seed)
        scores = np.random.default_rng(seed).uniform(0, 1, (12, 68))
        points[lost], points[lost - 3, 5] = np.nan, np.nan
        state, outputs = None, []
        for t, raw in enumerate(points):
            dt = float(seconds[t] - seconds[t - 1]) if t else None
            state, output = stabilizer.step(state, raw, dt, scores[t])
            outputs.append(output)
        # `sta` takes all frames to its directions in one product, which may round otherwise.
        np.testing.assert_allclose(stabilizer.filter(points, seconds, scores), outputs, rtol=0, atol=EXACT)

    @causal
    def test_the_first_output_is_the_first_input(self, stabilizer: CausalFilter) -> None:
        points = make_face(1)
        np.testing.assert_array_equal(stabilizer.filter(points)[0], points[0])

    @causal
    @given(seeds)
    @few
    def test_states_are_those_of_the_filter(self, stabilizer: CausalFilter, seed: int) -> None:
        points, seconds = make_face(seed), make_times(seed)
        points[0], points[7] = np.nan, np.nan
        states, outputs = list(stabilizer.states(points, seconds)), stabilizer.filter(points, seconds)
        assert states[0] is None
        for state, output in zip(states[1:], outputs[1:], strict=True):
            assert state is not None
            np.testing.assert_allclose(state.points, output, rtol=0, atol=EXACT)

    @every
    @pytest.mark.parametrize("fps", [24.0, 30.0])
    def test_no_timestamps_means_its_own_rate(self, stabilizer: Stabilizer, fps: float) -> None:
        own, points = replace(stabilizer, fps=fps), make_face(1)
        expected = steady(own, points, np.arange(12) / own.fps)
        np.testing.assert_allclose(steady(own, points), expected, rtol=0, atol=EXACT)

    @causal
    @given(seed=seeds, scale=st.floats(0.05, 20))
    @few
    def test_scale(self, stabilizer: CausalFilter, seed: int, scale: float) -> None:
        points, seconds = make_face(seed), make_times(seed)
        expected = stabilizer.filter(points, seconds) * scale
        # Coordinates of 4,000 px carry rounding 20 times that of 200 px.
        np.testing.assert_allclose(
            stabilizer.filter(points * scale, seconds), expected, rtol=0, atol=EXACT * 20
        )

    @causal
    @given(seed=seeds, shift=st.floats(-5000, 5000))
    @few
    def test_shift(self, stabilizer: CausalFilter, seed: int, shift: float) -> None:
        points, seconds, offset = make_face(seed), make_times(seed), np.array([shift, -shift])
        expected = stabilizer.filter(points, seconds) + offset
        # Coordinates of 5,000 px carry rounding 25 times that of 200 px; the share of each component of a
        # mixture, which hangs on squares of them, some more.
        np.testing.assert_allclose(
            stabilizer.filter(points + offset, seconds), expected, rtol=0, atol=EXACT * 100
        )

    @every
    def test_a_still_face_stays(self, stabilizer: Stabilizer) -> None:
        points = np.repeat(make_face(1)[:1], 30, axis=0)
        np.testing.assert_allclose(steady(stabilizer, points, make_times(1, 30)), points, rtol=0, atol=EXACT)

    @every
    def test_leaves_its_input_alone(self, stabilizer: Stabilizer) -> None:
        points = make_face(1)
        points[3, 4], points[7], points[9, 3] = np.nan, np.nan, 1e6
        before = points.copy()
        output = steady(stabilizer, points)
        output += 1
        np.testing.assert_array_equal(points, before)

    @every
    @pytest.mark.parametrize("seconds", [0.0, 1e-9, 1 / 1000, 10.0, 1e5])
    def test_any_time_step_gives_finite_outputs(self, stabilizer: Stabilizer, seconds: float) -> None:
        assert np.isfinite(steady(stabilizer, make_face(3), np.arange(12) * seconds)).all()

    @every
    def test_one_frame_of_another_length_gives_finite_outputs(self, stabilizer: Stabilizer) -> None:
        for dt in (0.0, 1e-9, 1e5):
            seconds = np.cumsum([1 / 30] * 6 + [dt] + [1 / 30] * 5)
            output = steady(stabilizer, make_face(3), seconds)
            assert np.abs(output - make_face(3)).max() < 20

    @causal
    def test_time_that_runs_backwards_stands_still(self, stabilizer: CausalFilter) -> None:
        forth, back = np.full(11, 1 / 30), np.full(11, 1 / 30)
        forth[4], back[4] = 0.0, -0.5
        still, backwards = (np.concatenate([[0.0], np.cumsum(each)]) for each in (forth, back))
        expected = stabilizer.filter(make_face(3), still)
        np.testing.assert_allclose(stabilizer.filter(make_face(3), backwards), expected, rtol=0, atol=EXACT)

    @every
    @pytest.mark.parametrize("frames", [0, 1, 2, 3])
    def test_few_frames(self, stabilizer: Stabilizer, frames: int) -> None:
        assert steady(stabilizer, make_face(1)[:frames]).shape == (frames, 68, 2)

    @every
    def test_calms_a_shaking_face(self, stabilizer: Stabilizer) -> None:
        points = make_face(2, frames=100)
        assert np.diff(steady(stabilizer, points), axis=0).std() < 0.8 * np.diff(points, axis=0).std()
        assert np.abs(steady(stabilizer, points) - points).mean() < 3

    @every
    @pytest.mark.parametrize("clips", [(3,), (2, 2)])
    def test_many_clips_are_single_ones(self, stabilizer: Stabilizer, clips: tuple[int, ...]) -> None:
        points = np.stack([make_face(i) for i in range(math.prod(clips))], axis=1).reshape(12, *clips, 68, 2)
        for frames in (1.0, 0.5):
            together = stabilizer.run(points, None, frames)
            assert together.shape == points.shape
            for i in np.ndindex(clips):
                alone = stabilizer.run(points[:, *i], None, frames)
                np.testing.assert_allclose(together[:, *i], alone, rtol=0, atol=EXACT)

    @every
    def test_run_is_the_same_on_a_face_of_100_percent(self, stabilizer: Stabilizer) -> None:
        points = make_face(3, frames=30)
        points[:, 0], points[:, 1] = 0, 200  # so that every frame has the same size
        points = points.clip(0, 200) / 2
        assert (face_size(points) == 100).all()
        np.testing.assert_allclose(stabilizer.run(points), steady(stabilizer, points), rtol=0, atol=EXACT)

    @causal
    def test_run_counts_frames_at_its_own_rate(self, stabilizer: CausalFilter) -> None:
        points = make_face(3, frames=20)
        points[:, 0], points[:, 1] = 0, 200
        points = points.clip(0, 200) / 2
        expected = stabilizer.filter(points, np.arange(20) / 60)
        np.testing.assert_allclose(stabilizer.run(points, None, 0.5), expected, rtol=0, atol=EXACT)


class TestSmoothing:
    @smoothing
    @given(seed=seeds, scale=st.floats(0.05, 20))
    @few
    def test_scale(self, smooth: Any, seed: int, scale: float) -> None:
        points, seconds = make_face(seed), make_times(seed)
        expected = smooth(points, seconds) * scale
        # Coordinates of 4,000 px carry rounding 20 times that of 200 px.
        np.testing.assert_allclose(smooth(points * scale, seconds), expected, rtol=0, atol=EXACT * 20)

    @smoothing
    @given(seed=seeds, shift=st.floats(-5000, 5000))
    @few
    def test_shift(self, smooth: Any, seed: int, shift: float) -> None:
        points, seconds, offset = make_face(seed), make_times(seed), np.array([shift, -shift])
        expected = smooth(points, seconds) + offset
        # As for the filter.
        np.testing.assert_allclose(smooth(points + offset, seconds), expected, rtol=0, atol=EXACT * 100)

    @smoothing
    def test_a_still_face_stays(self, smooth: Any) -> None:
        points = np.repeat(make_face(1)[:1], 30, axis=0)
        np.testing.assert_allclose(smooth(points, make_times(1, 30)), points, rtol=0, atol=EXACT)

    @smoothing
    @pytest.mark.parametrize("frames", [0, 1, 2])
    def test_few_frames(self, smooth: Any, frames: int) -> None:
        assert smooth(make_face(1)[:frames], None).shape == (frames, 68, 2)

    @smoothing
    def test_calms_more_than_no_future(self, smooth: Any) -> None:
        points = make_face(2, frames=100)
        causal = VELOCITY.filter(points)
        assert np.diff(smooth(points, None), axis=0).std() < np.diff(causal, axis=0).std()

    @smoothing
    def test_any_time_step_gives_finite_outputs(self, smooth: Any) -> None:
        for dt in (0.0, 1e-9, 1e5):
            assert np.isfinite(smooth(make_face(3), np.arange(12) * dt)).all()

    @smoothing
    def test_leaves_its_input_alone(self, smooth: Any) -> None:
        points = make_face(1)
        points[3, 4], points[7] = np.nan, np.nan
        before = points.copy()
        smooth(points, None)
        np.testing.assert_array_equal(points, before)

    @pytest.mark.parametrize("kind", ["all", "savitzky-golay"])
    def test_forwards_and_backwards_alike(self, kind: str) -> None:
        # Of a stationary motion; the start, where nothing is known, is not.
        points = make_face(4, frames=80)
        output, reverse = MODES[kind](points, None), MODES[kind](points[::-1], None)[::-1]
        # A damping of .99 forgets little, but the noise's share of each frame is never below some 10 %.
        np.testing.assert_allclose(output[35:45], reverse[35:45], rtol=0, atol=0.2)

    @pytest.mark.parametrize(
        "stabilizer", [each for each in CAUSAL if each.kind != "sta"], ids=lambda each: each.kind
    )
    def test_not_every_kind_can(self, stabilizer: Stabilizer) -> None:
        assert not isinstance(stabilizer, Smoother)
        with pytest.raises(ConfigError, match=f"{stabilizer.kind} has no mode that sees the future"):
            require_smoother(stabilizer)


@every
def test_a_kind_has_no_method_that_it_cannot_do(stabilizer: Stabilizer) -> None:
    causal, smoother = isinstance(stabilizer, CausalFilter), isinstance(stabilizer, Smoother)
    expected = {"savitzky-golay": (False, True), "sta": (True, True)}
    assert (causal, smoother) == expected.get(stabilizer.kind, (True, False))
    assert hasattr(stabilizer, "step") == hasattr(stabilizer, "filter") == causal
    assert hasattr(stabilizer, "smooth") == smoother


class TestLostFrames:
    @every
    def test_a_lost_frame_repeats_the_last_output(self, stabilizer: Stabilizer) -> None:
        points, seconds = make_face(1, shake=0.5), make_times(1)
        points[5:7] = np.nan
        output = steady(stabilizer, points, seconds)
        np.testing.assert_array_equal(output[5], output[4])
        np.testing.assert_array_equal(output[6], output[4])
        # Its time is not lost.
        rest = steady(stabilizer, np.delete(points, [5, 6], axis=0), np.delete(seconds, [5, 6]))
        np.testing.assert_allclose(np.delete(output, [5, 6], axis=0), rest, rtol=0, atol=EXACT)

    @smoothing
    def test_so_it_does_when_the_future_is_seen(self, smooth: Any) -> None:
        points, seconds = make_face(1, shake=0.5), make_times(1)
        points[5:7] = np.nan
        output = smooth(points, seconds)
        np.testing.assert_array_equal(output[5:7], output[[4, 4]])
        rest = smooth(np.delete(points, [5, 6], axis=0), np.delete(seconds, [5, 6]))
        np.testing.assert_allclose(np.delete(output, [5, 6], axis=0), rest, rtol=0, atol=EXACT)

    @every
    def test_a_frame_in_which_most_are_thrown_about_is_a_lost_one(self, stabilizer: Stabilizer) -> None:
        points = make_face(1, shake=0.5)
        lost = points.copy()
        points[5] += np.random.default_rng(1).normal(0, 300, (68, 2))
        lost[5] = np.nan
        expected = steady(stabilizer, lost)
        np.testing.assert_allclose(steady(stabilizer, points), expected, rtol=0, atol=EXACT)

    @every
    def test_nothing_before_the_first_landmark(self, stabilizer: Stabilizer) -> None:
        points = make_face(1)
        points[:3] = np.nan
        output = steady(stabilizer, points)
        assert np.isnan(output[:3]).all()
        np.testing.assert_allclose(output[3:], steady(stabilizer, points[3:]), rtol=0, atol=EXACT)
        if isinstance(stabilizer, CausalFilter):
            state, output = stabilizer.step(None, points[0])
            assert state is None
            np.testing.assert_array_equal(output, points[0])

    @every
    def test_a_jump_starts_anew(self, stabilizer: Stabilizer) -> None:
        points = make_face(1)
        points[6:] += 60  # of some 200 px
        output = steady(stabilizer, points)
        np.testing.assert_array_equal(output[6:], steady(stabilizer, points[6:]))
        np.testing.assert_array_equal(output[:6], steady(stabilizer, points[:6]))

    @every
    def test_another_face_starts_anew(self, stabilizer: Stabilizer) -> None:
        points = np.concatenate([make_face(1, 6), make_face(2, 10)])
        output = steady(stabilizer, points)
        np.testing.assert_array_equal(output[:6], steady(stabilizer, points[:6]))
        # Some frame must be the first one believed.
        anew = [t for t in range(6, 10) if np.array_equal(output[t:], steady(stabilizer, points[t:]))]
        assert len(anew) == 1

    @every
    @pytest.mark.parametrize("shape", [[0.0, 0.0], [1.0, 0.0]])
    def test_a_face_without_size_stays_finite(self, stabilizer: Stabilizer, shape: list[float]) -> None:
        assert np.isfinite(steady(stabilizer, make_face(1) * shape)).all()


LATE = {8: 12, 21: 3, 30: 3, 44: 1, 66: 7}
"""Landmark → the first of 12 frames that has it."""


def with_late(face: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A face without some landmarks at first, and the same face in which they moved with the others."""
    points, filled = face.copy(), face.copy()
    for landmark, first in LATE.items():
        points[:first, landmark] = np.nan
    for t in range(len(face) - 1, 0, -1):
        seen = np.isfinite(points[t - 1]).all(axis=-1)
        move = np.median((face[t] - face[t - 1])[seen], axis=0)
        filled[t - 1, ~seen] = filled[t, ~seen] - move
    return points, filled


class TestLateLandmarks:
    """One that no frame has had yet changes nothing for the others, nor later for itself."""

    @every
    def test_are_as_those_that_moved_with_the_others(self, stabilizer: Stabilizer) -> None:
        points, filled = with_late(inner_face(1))
        expected, seconds = steady(stabilizer, filled, make_times(1)), make_times(1)
        expected[np.isnan(points)] = np.nan
        np.testing.assert_allclose(steady(stabilizer, points, seconds), expected, rtol=0, atol=EXACT)

    @smoothing
    def test_so_they_are_when_the_future_is_seen(self, smooth: Any) -> None:
        points, filled = with_late(inner_face(2))
        expected = smooth(filled, make_times(1))
        expected[np.isnan(points)] = np.nan
        np.testing.assert_allclose(smooth(points, make_times(1)), expected, rtol=0, atol=EXACT)

    @causal
    def test_a_step_gives_what_the_filter_gives(self, stabilizer: CausalFilter) -> None:
        points, _ = with_late(inner_face(3))
        expected, state = stabilizer.filter(points), None
        for raw, output in zip(points, expected, strict=True):
            state, stepped = stabilizer.step(state, raw)
            np.testing.assert_allclose(stepped, output, rtol=0, atol=EXACT)

    def test_a_method_without_a_shift_begins_anew(self) -> None:
        class Plain(FirstOrder):
            shift = CausalFilter.shift

        points = inner_face(1)
        points[:4, 8] = np.nan
        output = Plain(0.4).filter(points)
        np.testing.assert_allclose(output[:4], FirstOrder(0.4).filter(points)[:4], rtol=0, atol=EXACT)
        np.testing.assert_allclose(output[4, 8], points[4, 8], rtol=0, atol=3)  # px: the noise
        assert np.isfinite(output[4:]).all()


def inner_face(seed: int) -> np.ndarray:
    """A face whose late landmarks are none of those that make its size."""
    face = make_face(seed, shake=0.5)
    face[:, list(LATE)] = (face[:, list(LATE)] + 3 * face[:, [1]]) / 4
    return face


class TestThrownOff:
    @every
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_missing_landmark_moves_with_the_others(self, stabilizer: Stabilizer, value: float) -> None:
        points = make_face(1, shake=0.5)
        filled = points.copy()
        points[5, 8, 0] = value
        others = np.delete(np.arange(68), 8)
        filled[5, 8] = filled[4, 8] + np.median((filled[5] - filled[4])[others], axis=0)
        expected = steady(stabilizer, filled)
        np.testing.assert_allclose(steady(stabilizer, points), expected, rtol=0, atol=EXACT)

    @every
    @pytest.mark.parametrize("frames", [1, 3, 30])
    @given(seed=seeds, far=st.floats(math.log(0.17), math.log(1e7)).map(math.exp))
    @settings(max_examples=5)
    def test_one_landmark_stays_and_takes_none_along(
        self, stabilizer: Stabilizer, frames: int, seed: int, far: float
    ) -> None:
        rng, points = np.random.default_rng(seed), make_face(seed, frames + 8, shake=0.5)
        size, thrown = float(face_size(points[0])), points.copy()
        angles = rng.uniform(0, 2 * np.pi) if frames < 30 else rng.uniform(0, 2 * np.pi, frames)
        away = far * size * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        thrown[4 : 4 + frames, 8] += away
        apart = np.linalg.norm(steady(stabilizer, thrown) - steady(stabilizer, points), axis=-1) / size
        assert apart[:, 8].max() < 0.05
        # What stands for it differs from it by noise, of some .3 % of the face, and drifts like it.
        assert np.delete(apart, 8, axis=1).max() < 0.01

    @causal
    def test_a_landmark_that_stays_elsewhere_is_followed_in_the_end(self, stabilizer: CausalFilter) -> None:
        points = make_face(1, frames=60, shake=0.5)
        size = float(face_size(points[0]))
        points[10:, 8] += [0.4 * size, 0.0]
        output = stabilizer.filter(points)
        beside = output[:, 8] - np.median(output, axis=1)
        assert abs(beside[14, 0] - beside[9, 0]) < 0.05 * size
        # 4 % of the face a frame and what its own motion adds; methods with a velocity overshoot a little.
        assert np.linalg.norm(np.diff(beside, axis=0), axis=-1).max() < 0.1 * size
        assert math.dist(output[-1, 8], points[-1, 8]) < 0.05 * size


class TestTogether:
    @causal
    @given(seeds)
    @settings(max_examples=6)
    def test_many_sequences_are_single_ones(self, stabilizer: CausalFilter, seed: int) -> None:
        rng = np.random.default_rng(seed)
        sequences = [make_face(seed + i, int(frames)) for i, frames in enumerate(rng.integers(1, 25, 5))]
        sequences += [np.empty((0, 68, 2)), np.full((3, 68, 2), np.nan), np.repeat(make_face(seed, 1), 4, 0)]
        for points in sequences[:5]:
            points[rng.integers(len(points))] = np.nan
            points[rng.integers(len(points)), 5] = rng.choice([np.nan, np.inf, 1e4])
            points[rng.integers(len(points)) :] += rng.choice([0.0, 100.0])
        before = [points.copy() for points in sequences]
        together = stabilizer.filter_all(sequences)
        for points, output, untouched in zip(sequences, together, before, strict=True):
            np.testing.assert_array_equal(points, untouched)
            np.testing.assert_allclose(output, stabilizer.filter(points), rtol=0, atol=EXACT)

    def test_more_sequences_than_go_side_by_side(self) -> None:
        sequences = [make_face(i, 3 + i % 4) for i in range(70)]
        for points, output in zip(sequences, VELOCITY.filter_all(sequences), strict=True):
            np.testing.assert_allclose(output, VELOCITY.filter(points), rtol=0, atol=EXACT)

    def test_none(self) -> None:
        assert VELOCITY.filter_all([]) == []
        assert FirstOrder(0.5).filter_all([]) == []


class TestScores:
    @pytest.mark.parametrize(
        "stabilizer", [each for each in ALL if each.kind != "sta"], ids=lambda each: each.kind
    )
    def test_most_kinds_take_no_notice(self, stabilizer: Stabilizer) -> None:
        points, scores = make_face(1), np.random.default_rng(1).uniform(0, 1, (12, 68))
        method = stabilizer.filter if isinstance(stabilizer, CausalFilter) else stabilizer.smooth
        np.testing.assert_array_equal(method(points, scores=scores), method(points))

    def test_those_of_later_frames_never_count(self) -> None:
        points, scores = make_face(1), np.random.default_rng(1).uniform(0, 1, (12, 68))
        other = np.concatenate([scores[:6], np.tile(usual_scores(VELOCITY), (6, 1))])
        expected = VELOCITY.filter(points, scores=scores)
        np.testing.assert_array_equal(VELOCITY.filter(points, scores=other)[:6], expected[:6])
        assert not np.array_equal(VELOCITY.filter(points, scores=other)[6], expected[6])


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan")])
def test_a_rate_is_positive(fps: float) -> None:
    with pytest.raises(ConfigError, match="fps of first-order must be positive"):
        FirstOrder(0.5, fps=fps)
