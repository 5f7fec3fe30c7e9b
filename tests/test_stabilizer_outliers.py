"""Rejection of missing landmarks, outliers and other shots."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stabilizer_cases import EXACT, make_face, seeds, tilting

from steadyface import markup
from steadyface.geometry import face_size
from steadyface.measures import MEAN_FACE
from steadyface.stabilizer.outliers import CONFIG, Screened, screen_frame, screen_sequence, unbroken_runs

FACE = 2.0 * MEAN_FACE[:, :2] + [300.0, 300.0]
some = settings(max_examples=20)
landmarks = st.integers(0, 67)
far = st.floats(math.log(1.1 * CONFIG.outlier), math.log(1e7)).map(math.exp)
"""Of face size: from a little more than the least that counts as thrown off."""


def screen(points: np.ndarray, frames: float = 1.0, scores: np.ndarray | None = None) -> list[Screened]:
    """One frame after the other, the first of them complete."""
    seen = list(screen_sequence(points, frames, scores))
    assert all(frame is not None for frame in seen)
    return [frame for frame in seen if frame is not None]


def throws(seed: int, distance: float) -> np.ndarray:
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    return distance * np.array([np.cos(angle), np.sin(angle)])


def size_of(points: np.ndarray) -> float:
    return float(face_size(points))


class TestPlainFrames:
    @given(seeds)
    @some
    def test_pass_as_they_are(self, seed: int) -> None:
        points = make_face(seed, shake=0.5)
        for raw, frame in zip(points, screen(points), strict=True):
            np.testing.assert_array_equal(frame.points, raw)
            assert frame.size == size_of(raw)
            assert frame.outlier_frames is None
            assert not frame.rejected
        assert [frame.restarts for frame in screen(points)] == [True] + [False] * 11

    @given(seed=seeds, step=st.floats(0, 0.9 * CONFIG.cut))
    @some
    def test_a_face_may_move_fast_as_a_whole(self, seed: int, step: float) -> None:
        points = make_face(seed, shake=0.5)
        points += np.arange(12)[:, None, None] * throws(seed, step * size_of(points[0]) * 0.9)
        for raw, frame in zip(points, screen(points), strict=True):
            np.testing.assert_allclose(frame.points, raw, rtol=0, atol=EXACT)

    @given(seed=seeds, turn=st.floats(-0.17, 0.17), growth=st.floats(0.9, 1.1))
    @some
    def test_a_head_may_tilt_and_come_near_fast(self, seed: int, turn: float, growth: float) -> None:
        """By up to 10° and a tenth of its size a frame."""
        points = tilting(make_face(seed, shake=0.5), turn, growth)
        for raw, frame in zip(points, screen(points), strict=True):
            np.testing.assert_array_equal(frame.points, raw)
            assert not frame.rejected

    def test_a_mouth_may_open_at_any_pace_of_a_mouth(self) -> None:
        points = np.repeat(make_face(1, 1), 6, axis=0)
        # The chin, a fifth of the landmarks, by 3 % of the face a frame.
        points[:, :14, 1] += 0.03 * size_of(points[0]) * np.arange(6)[:, None]
        for raw, frame in zip(points, screen(points), strict=True):
            np.testing.assert_allclose(frame.points, raw, rtol=0, atol=EXACT)

    @given(opening=st.floats(0.05, 0.99 * CONFIG.outlier_along))
    @some
    def test_a_mouth_may_open_within_a_frame(self, opening: float) -> None:
        """Landmarks that go together are not held back."""
        points = np.repeat(FACE[None], 8, axis=0)
        lower = [*range(4, 13), *markup.facing("inner_lips")[1], *range(55, 60)]  # chin and lower lip
        points[np.ix_([2, 3, 5], lower)] += [0.0, opening * size_of(FACE)]
        for raw, frame in zip(points, screen(points), strict=True):
            np.testing.assert_allclose(frame.points, raw, rtol=0, atol=EXACT)
            assert frame.outlier_frames is None

    @given(seed=seeds, first=st.sampled_from([0, 8, 30, 37, 51, 62]), distance=st.floats(0.05, 0.14))
    @some
    def test_neighbours_thrown_apart_do_not_go_together(self, seed: int, first: int, distance: float) -> None:
        points = np.repeat(FACE[None], 2, axis=0)
        away = throws(seed, distance * size_of(FACE))
        points[1, first] += away
        points[1, first + 1] -= away
        moved = np.linalg.norm(screen(points)[1].points - FACE, axis=-1)
        assert moved[first : first + 2].max() < 0.05 * size_of(FACE)


class TestMissing:
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @given(seed=seeds, lost=st.sets(landmarks, min_size=1, max_size=20))
    @some
    def test_a_missing_landmark_moves_with_the_others(self, value: float, seed: int, lost: set[int]) -> None:
        points = make_face(seed, 2, shake=0.5)
        points[1, list(lost), seed % 2] = value
        first, second = screen(points)
        there = np.setdiff1d(np.arange(68), list(lost))
        together = np.median(points[1, there] - points[0, there], axis=0)
        np.testing.assert_allclose(second.points[there], points[1, there], rtol=0, atol=EXACT)
        expected = first.points[list(lost)] + together
        np.testing.assert_allclose(second.points[list(lost)], expected, rtol=0, atol=EXACT)
        assert not second.rejected

    @given(seed=seeds, landmark=landmarks, frames=st.integers(1, 30))
    @some
    def test_for_long_it_stays_with_the_others(self, seed: int, landmark: int, frames: int) -> None:
        points = make_face(seed, 32, shake=0.5)
        whole = points.copy()
        points[1 : 1 + frames, landmark] = np.nan
        for true, frame in zip(whole, screen(points), strict=True):
            assert math.dist(frame.points[landmark], true[landmark]) < 0.05 * size_of(true)
            others = np.delete(np.arange(68), landmark)
            np.testing.assert_allclose(frame.points[others], true[others], rtol=0, atol=EXACT)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    @given(seed=seeds, gone=st.integers(1, 3))
    @some
    def test_a_frame_without_any_is_skipped(self, value: float, seed: int, gone: int) -> None:
        points = make_face(seed, shake=0.5)
        points[4 : 4 + gone] = value
        seen = screen(points)
        assert [frame.rejected for frame in seen] == [4 <= t < 4 + gone for t in range(12)]
        for frame in seen[4 : 4 + gone]:
            np.testing.assert_array_equal(frame.points, points[3])
        np.testing.assert_allclose(seen[4 + gone].points, points[4 + gone], rtol=0, atol=EXACT)

    @pytest.mark.parametrize("count", [20, 40, 54])
    def test_the_others_go_on_with_most_missing(self, count: int) -> None:
        points = make_face(1, 8, shake=0.5)
        whole = points.copy()
        points[2:7, :count] = np.nan
        for true, frame in zip(whole, screen(points), strict=True):
            assert not frame.rejected
            np.testing.assert_allclose(frame.points[count:], true[count:], rtol=0, atol=EXACT)

    @pytest.mark.parametrize("count", [55, 60, 67])
    def test_with_almost_all_missing_it_is_skipped_and_nothing_is_lost(self, count: int) -> None:
        points = np.repeat(make_face(1, 1), 8, axis=0)
        points[2:7, :count] = np.nan
        seen = screen(points)
        assert [frame.rejected for frame in seen] == [2 <= t < 7 for t in range(8)]
        assert [frame.restarts for frame in seen] == [t == 0 for t in range(8)]

    def test_nothing_is_known_before_the_first_landmark(self) -> None:
        points = make_face(1)
        points[0], points[1], points[2, :, 1] = np.nan, np.inf, np.nan
        seen = list(screen_sequence(points))
        assert seen[:3] == [None] * 3
        assert seen[3] is not None
        assert seen[3].unseen is None
        assert seen[3].restarts
        assert screen_frame(None, points[0]) is None

    def test_a_landmark_arrives_where_it_is(self) -> None:
        points = make_face(1, shake=0.5)
        points[:4, [3, 50]] = np.inf
        points[:, 60] = np.nan
        seen = screen(points)
        for t, frame in enumerate(seen):
            unseen = np.flatnonzero(frame.unseen)
            assert unseen.tolist() == ([3, 50, 60] if t < 4 else [60])
            there = np.delete(np.arange(68), unseen)
            np.testing.assert_allclose(frame.points[there], points[t, there], rtol=0, atol=EXACT)
        assert [frame.arrived is not None for frame in seen] == [t == 4 for t in range(12)]

    def test_another_side_of_a_face_begins_anew(self) -> None:
        points = make_face(1, shake=0.5)
        points[:5, 34:], points[5:, :34] = np.nan, np.nan
        seen = screen(points)
        assert [frame.restarts for frame in seen] == [t in (0, 5) for t in range(12)]
        assert seen[5].unseen is None
        np.testing.assert_array_equal(seen[5].points[34:], points[5, 34:])


class TestThrownOff:
    def hold(self, whole: np.ndarray, thrown: np.ndarray, landmark: int) -> None:
        """A landmark stays with the others, and they do not move by it."""
        others = np.delete(np.arange(68), landmark)
        for true, frame in zip(whole, screen(thrown), strict=True):
            assert not frame.rejected
            assert math.dist(frame.points[landmark], true[landmark]) < 0.05 * size_of(true)
            np.testing.assert_allclose(frame.points[others], true[others], rtol=0, atol=EXACT)

    @pytest.mark.parametrize("frames", [1, 3])
    @given(seed=seeds, landmark=landmarks, distance=far)
    @some
    def test_for_a_moment(self, frames: int, seed: int, landmark: int, distance: float) -> None:
        whole = make_face(seed, 10, shake=0.5)
        thrown = whole.copy()
        thrown[4 : 4 + frames, landmark] += throws(seed, distance * size_of(whole[0]))
        self.hold(whole, thrown, landmark)

    @given(seed=seeds, landmark=landmarks, turn=st.floats(0.08, 0.15), distance=far)
    @some
    def test_while_the_head_tilts_fast(self, seed: int, landmark: int, turn: float, distance: float) -> None:
        whole = tilting(make_face(seed, 10, shake=0.5), turn)
        thrown = whole.copy()
        thrown[4:7, landmark] += throws(seed, distance * size_of(whole[0]))
        self.hold(whole, thrown, landmark)

    @given(seed=seeds, landmark=landmarks, distances=st.lists(far, min_size=30, max_size=30))
    @some
    def test_about_for_long(self, seed: int, landmark: int, distances: list[float]) -> None:
        whole = make_face(seed, 34, shake=0.5)
        thrown = whole.copy()
        for t, distance in enumerate(distances, start=2):
            thrown[t, landmark] += throws(seed + t, distance * size_of(whole[0]))
        self.hold(whole, thrown, landmark)

    @given(seed=seeds, distance=st.floats(0.01, CONFIG.outlier))
    @some
    def test_by_less_it_gets_through_by_a_bounded_step(self, seed: int, distance: float) -> None:
        points = np.repeat(make_face(seed, 1), 2, axis=0)
        points[1, 8] += throws(seed, 0.999 * distance * size_of(points[0]))
        second = screen(points)[1].points
        assert math.dist(second[8], points[0, 8]) < 0.05 * size_of(points[0])
        np.testing.assert_allclose(np.delete(second, 8, 0), np.delete(points[1], 8, 0), rtol=0, atol=EXACT)

    @given(seed=seeds, landmark=landmarks, distance=st.floats(0.16, 1.5))
    @some
    def test_one_that_stays_elsewhere_is_followed(self, seed: int, landmark: int, distance: float) -> None:
        frames = 10 + math.ceil(distance / 0.03)
        points = make_face(seed, frames, shake=0.2)
        size = size_of(points[0])
        points[2:, landmark] += throws(seed, distance * size)
        seen = screen(points)
        path = np.array([frame.points for frame in seen])
        beside = path[:, landmark] - np.median(path, axis=1)
        # It is not believed at once, nor in one stride, but in the end.
        assert np.linalg.norm(beside[5] - beside[1]) < 0.05 * size
        steps = np.linalg.norm(np.diff(beside, axis=0), axis=-1)
        assert (steps < 0.05 * np.array([frame.size for frame in seen[:-1]])).all()
        np.testing.assert_allclose(path[-1], points[-1], rtol=0, atol=EXACT)
        assert seen[-1].outlier_frames is None

    @given(seed=seeds, count=st.integers(40, 68))
    @some
    def test_a_frame_in_which_most_are_is_skipped(self, seed: int, count: int) -> None:
        points, rng = make_face(seed, shake=0.5), np.random.default_rng(seed)
        away = rng.uniform(0.5, 2, (3, count, 1)) * size_of(points[0])
        angles = rng.uniform(0, 2 * np.pi, (3, count))
        points[4:7, :count] += away * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        seen = screen(points)
        assert [frame.rejected for frame in seen] == [4 <= t < 7 for t in range(12)]
        assert [frame.restarts for frame in seen] == [t == 0 for t in range(12)]
        np.testing.assert_allclose(seen[7].points, points[7], rtol=0, atol=EXACT)


class TestGuesses:
    """A face that comes in through the border: the points outside are guesses at first."""

    @given(seed=seeds, count=st.integers(1, 25), distance=st.floats(0.2, 1.5))
    @some
    def test_hold_nothing_back_that_is_certain(self, seed: int, count: int, distance: float) -> None:
        whole = make_face(seed, 10, shake=0.5)
        guesses, scores = whole.copy(), np.full((10, 68), 0.99)
        guesses[:4, :count] += throws(seed, distance * size_of(whole[0]))
        scores[:4, :count] = 0.4
        seen = screen(guesses, scores=scores)
        for raw, frame in zip(guesses, seen, strict=True):
            np.testing.assert_allclose(frame.points, raw, rtol=0, atol=EXACT)
        # A passing hand leaves some points at a time; only a face that comes in begins anew.
        restarts = [0, 4] if count > CONFIG.max_guesses * 68 else [0]
        assert [frame.restarts for frame in seen] == [t in restarts for t in range(10)]

    @pytest.mark.parametrize("score", [0.4, 0.99])
    @given(seed=seeds, landmark=landmarks, distance=far)
    @some
    def test_replace_no_certain_point(self, score: float, seed: int, landmark: int, distance: float) -> None:
        whole = make_face(seed, 10, shake=0.5)
        thrown, scores = whole.copy(), np.full((10, 68), 0.99)
        thrown[4:7, landmark] += throws(seed, distance * size_of(whole[0]))
        scores[4:7, landmark] = score
        others = np.delete(np.arange(68), landmark)
        for true, frame in zip(whole, screen(thrown, scores=scores), strict=True):
            assert math.dist(frame.points[landmark], true[landmark]) < 0.05 * size_of(true)
            np.testing.assert_allclose(frame.points[others], true[others], rtol=0, atol=EXACT)


class TestAnotherShot:
    @given(seed=seeds, distance=st.floats(1.2 * CONFIG.cut, 100))
    @some
    def test_a_jump_starts_anew_in_the_same_frame(self, seed: int, distance: float) -> None:
        points = make_face(seed, shake=0.5)
        points[5:] += throws(seed, distance * size_of(points[0]))
        seen = screen(points)
        assert [frame.restarts for frame in seen] == [t in (0, 5) for t in range(12)]
        np.testing.assert_array_equal(seen[5].points, points[5])

    @given(seed=seeds, lost=st.sets(landmarks, max_size=6))
    @some
    def test_so_it_does_when_a_few_are_missing(self, seed: int, lost: set[int]) -> None:
        points = make_face(seed, shake=0.5)
        points[5:] += throws(seed, 0.5 * size_of(points[0]))
        points[5, list(lost)] = np.nan
        seen = screen(points)
        assert [frame.restarts for frame in seen] == [t in (0, 5) for t in range(12)]
        there = np.setdiff1d(np.arange(68), list(lost))
        np.testing.assert_array_equal(seen[5].points[there], points[5, there])
        together = np.median(points[5, there] - points[4, there], axis=0)
        expected = points[4, list(lost)] + together
        np.testing.assert_allclose(seen[5].points[list(lost)], expected, rtol=0, atol=EXACT)

    @pytest.mark.parametrize(("share", "fresh"), [(0.99, False), (1.01, True)])
    def test_a_quarter_of_the_face_is_the_least_jump(self, share: float, fresh: bool) -> None:
        points = np.repeat(make_face(1, 1), 2, axis=0)
        points[1, :, 0] += share * 0.25 * size_of(points[0])
        assert screen(points)[1].restarts == fresh

    @given(seeds)
    @some
    def test_another_face_is_believed_when_frames_agree(self, seed: int) -> None:
        first, second = make_face(seed, 5, shake=0.5), make_face(seed + 1, 8, shake=0.5)
        seen = screen(np.concatenate([first, second]))
        fresh = [t for t, frame in enumerate(seen) if frame.restarts]
        # Not by one frame alone, which may be an error of all landmarks.
        assert len(fresh) == 2
        assert 6 <= fresh[1] <= 8
        assert all(frame.rejected for frame in seen[5 : fresh[1]])
        np.testing.assert_array_equal(seen[fresh[1]].points, second[fresh[1] - 5])
        assert not any(frame.rejected for frame in seen[fresh[1] :])

    @given(seeds)
    @some
    def test_frames_that_do_not_agree_never_are(self, seed: int) -> None:
        face, others = make_face(seed, 3), [make_face(seed + i, 1) for i in range(1, 9)]
        seen = screen(np.concatenate([face, *others]))
        assert all(frame.rejected for frame in seen[3:])
        for frame in seen[3:]:
            np.testing.assert_array_equal(frame.points, face[2])

    def test_over_a_gap_more_is_the_same_face(self) -> None:
        points = np.repeat(make_face(1, 1), 2, axis=0)
        points[1, :, 0] += 0.3 * size_of(points[0])
        assert screen(points)[1].restarts
        assert not screen(points, 2.0)[1].restarts


class TestScales:
    @given(seed=seeds, scale=st.floats(0.05, 20), shift=st.floats(-5000, 5000), landmark=landmarks)
    @some
    def test_size_and_place_do_not_matter(self, seed: int, scale: float, shift: float, landmark: int) -> None:
        points = make_face(seed, shake=0.5)
        points[3:, landmark] += throws(seed, 0.5 * size_of(points[0]))
        points[6] = np.nan
        for here, there in zip(screen(points), screen(scale * points + shift), strict=True):
            # Coordinates of 5,000 px, divided by sizes of 10.
            np.testing.assert_allclose(there.points, scale * here.points + shift, rtol=0, atol=1e-8)
            assert (there.restarts, there.rejected) == (here.restarts, here.rejected)

    @pytest.mark.parametrize("shape", [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    @pytest.mark.parametrize("shake", [0.0, 0.01, 1.0])
    def test_a_face_without_size_stays_finite(self, shape: list[float], shake: float) -> None:
        points = make_face(1, 1) * shape + np.random.default_rng(1).normal(0, shake, (30, 68, 2))
        points[20] += 1e6
        for frame in screen(points):
            assert np.isfinite(frame.points).all()
            assert frame.size >= 1


def broken_face(seed: int) -> np.ndarray:
    """A face with everything that can happen to it, at random."""
    rng = np.random.default_rng(seed)
    points = make_face(seed, 40, shake=0.5)
    for t in rng.integers(2, 40, 6):
        points[t, rng.integers(68)] += rng.normal(0, 100, 2)
    for t in rng.integers(2, 40, 3):
        points[t, rng.integers(68, size=rng.integers(1, 60))] = np.nan
    points[rng.integers(0, 40, 3)] = np.nan
    points[rng.integers(40) :] += 300 * rng.integers(0, 2)
    points[rng.integers(40) :] += rng.normal(0, 50, (68, 2))
    return points


@given(seeds)
@some
def test_looking_through_is_looking_at_one_frame_after_the_other(seed: int) -> None:
    points, rng = broken_face(seed), np.random.default_rng(seed)
    passed, scores = rng.uniform(0.3, 3, 40), rng.uniform(0.8, 1, (40, 68))
    last = None
    for t, frame in enumerate(screen_sequence(points, passed, scores)):
        last = screen_frame(last, points[t], float(passed[t]), scores[t])
        if last is None or frame is None:
            assert frame is last
            continue
        np.testing.assert_array_equal(frame.points, last.points)
        assert frame[5:] == last[5:]


@given(seeds)
@some
def test_unbroken_runs_hold_each_frame_that_was_used(seed: int) -> None:
    seen = list(screen_sequence(broken_face(seed)))
    runs = list(unbroken_runs(seen))
    used = [t for t, frame in enumerate(seen) if frame is not None and not frame.rejected]
    assert [t for run in runs for t in run] == used
    fresh = [t for t, frame in enumerate(seen) if frame is not None and frame.restarts]
    assert [run[0] for run in runs] == fresh


def test_no_frames() -> None:
    assert list(screen_sequence(np.empty((0, 68, 2)))) == []
    assert list(unbroken_runs([])) == []
    assert list(unbroken_runs([None, None])) == []
