"""Smoothing with displacements measured in the picture: least squares, theory of random walks, lags."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from stabilizer_cases import EXACT, make_face, make_times, make_velocity, seeds

from steadyface.geometry import face_size
from steadyface.measures import MEAN_FACE
from steadyface.motion import Displacements
from steadyface.motion.matrices import points_of, unpack
from steadyface.stabilizer import load_stabilizer
from steadyface.stabilizer.base import State
from steadyface.stabilizer.picture import PictureModel
from steadyface.stabilizer.sta import STA

NEVER = 1e-30
GAUSSIAN = PictureModel(
    slip=0.1, wrong=NEVER, wrong_brows=NEVER, wrong_lips=NEVER, wrong_lids=NEVER, wrong_jaw=NEVER, loose=NEVER
)
"""A picture whose mixtures have one component, so that least squares are exact."""

THETA = make_velocity(1)
FACE = np.array([[0.0, 0.0], [120.0, 10.0], [100.0, 130.0], [30.0, 90.0]])

Motion = list[Displacements | None]


def make_motion(seed: int, points: np.ndarray, valid: float = 0.8) -> Motion:
    """Displacements near those of the points, of any direction and certainty; none at first."""
    rng = np.random.default_rng(seed)
    count = points.shape[1]
    motion: Motion = [None]
    for step in np.diff(points, axis=0):
        root = rng.normal(0, 0.3, (count, 2, 2))
        covariance = root @ root.mT + 0.01 * np.eye(2)
        moved = np.nan_to_num(step) + rng.normal(0, 0.3, (count, 2))
        motion.append(Displacements(moved, covariance, rng.uniform(size=count) < valid))
    return motion


def relative_noise(theta: STA) -> np.ndarray:
    """Variance of each landmark's error in the noise's covariance, over the geometric mean of all."""
    back = np.linalg.inv(theta.basis)
    own = np.diag(back.T @ back).reshape(-1, 2).mean(axis=1)
    return own / np.exp(np.mean(np.log(own)))


class LeastSquares:
    """Positions x and displacements d of one landmark over some frames, from independent Gaussians."""

    def __init__(self, frames: int) -> None:
        self.size = 4 * frames
        self.normal, self.moment = np.zeros((self.size, self.size)), np.zeros(self.size)

    def add(self, design: dict[int, float], value: np.ndarray, covariance: np.ndarray) -> None:
        """Measure a combination of the vectors of these numbers: 2t is x(t), and 2t + 1 is d(t)."""
        matrix = np.zeros((2, self.size))
        for number, factor in design.items():
            matrix[:, 2 * number : 2 * number + 2] = factor * np.eye(2)
        weight = np.linalg.inv(covariance)
        self.normal += matrix.T @ weight @ matrix
        self.moment += matrix.T @ weight @ value

    def positions(self, frames: int) -> np.ndarray:
        """Of the first `frames` frames."""
        size = 4 * frames
        solution = np.linalg.solve(self.normal[:size, :size], self.moment[:size])
        return solution.reshape(-1, 4)[:, :2]


def dense(
    theta: STA, points: np.ndarray, times: np.ndarray, motion: Motion, landmark: int, future: int
) -> np.ndarray:
    """Each position of a landmark given `future` later frames, by least squares over all frames at once."""
    model, frames = theta.picture, len(points)
    noise, steps = relative_noise(theta)[landmark], np.diff(theta.filter(points, times / theta.fps), axis=0)
    sizes = np.maximum(face_size(points), 1.0) / 100
    solutions = np.zeros((frames, 2))
    system = LeastSquares(frames)
    solved = []
    for t in range(frames):
        lost = np.isnan(points[t]).any()
        unit = sizes[t - 1] if lost else sizes[t]
        covered = 0.0
        if t == 0:
            # The first frame's points; the deviation is in percent of the size in the second.
            anchor = noise * (model.anchor * sizes[1]) ** 2
            system.add({0: 1}, points[0, landmark], anchor * np.eye(2))
            system.add({1: 1}, np.zeros(2), np.eye(2))  # d(0) is not used
        else:
            now = motion[t]
            elapsed = 1.0 if lost else times[t] - times[t - 1 - np.isnan(points[t - 1]).any()]
            slip = elapsed * (model.slip * unit) ** 2 * np.eye(2)
            system.add({2 * t: 1, 2 * t - 2: -1, 2 * t + 1: -1}, np.zeros(2), slip)
            if now is not None:
                covered = model.hidden * (1 - now.valid.mean())
                system.add({2 * t + 1: 1}, now.displacement[landmark], now.covariance[landmark])
            if not lost:
                own, step = (
                    noise * (model.step * unit) ** 2 * (1 + covered) * np.eye(2),
                    steps[t - 1, landmark],
                )
                before = motion[t - 1]
                if np.isnan(points[t - 1]).any() and before is not None:
                    step = step - before.displacement[landmark]  # since the last frame with points
                system.add({2 * t + 1: 1}, step, own)
        if t and not lost:
            error = noise * (model.anchor * unit) ** 2 * (1 + covered) * np.eye(2)
            system.add({2 * t: 1}, points[t, landmark], error)
        solved.append(system.positions(t + 1))
    for t in range(frames):
        solutions[t] = solved[min(t + future, frames - 1)][t]
    return solutions


class TestAgainstLeastSquares:
    @pytest.mark.parametrize("lag", [None, 0, 1, 3])
    @given(seed=seeds, gap=st.integers(2, 9), lost=st.integers(3, 9))
    @settings(max_examples=10)
    def test_one_landmark(self, lag: int | None, seed: int, gap: int, lost: int) -> None:
        theta = make_velocity(seed, 1, dimension=8, picture=GAUSSIAN)
        rng = np.random.default_rng(seed)
        drift = np.cumsum(rng.uniform(-1, 1, (10, 1, 2)), axis=0)
        points = FACE + drift + rng.uniform(-0.5, 0.5, (10, 4, 2))
        motion = make_motion(seed, points)
        if gap not in (lost, lost + 1):
            motion[gap] = None  # no picture: the step of the points alone
        points[lost] = np.nan  # no points: the picture alone
        times = np.cumsum(rng.uniform(0.3, 2.5, 10).round(6))
        output = theta.smooth(points, times / theta.fps, None, lag, motion)
        for landmark in range(4):
            expected = dense(theta, points, times, motion, landmark, 10 if lag is None else lag)
            np.testing.assert_allclose(output[:, landmark], expected, rtol=0, atol=EXACT)


class TestRandomWalk:
    def test_the_errors_are_those_of_theory(self) -> None:
        """Landmarks that walk at random, the walk measured with a known error, and the points too.

        Of a walk with growth q and an error r a frame, the filter's variance is C = Pr/(P + r) with
        P = (q + √(q² + 4qr))/2, and the smoother's is V with V = C + J²(V - P), J = C/P.
        """
        alone = 1e6  # deviation of the steps of the points, so that they do not count
        model = replace(GAUSSIAN, slip=0.02, anchor=0.3, step=alone, step_lips=alone, step_lids=alone)
        theta = replace(load_stabilizer("sta"), picture=model)
        rng, frames = np.random.default_rng(0), 600
        face = 2.0 * MEAN_FACE[:, :2] + [300.0, 300.0]
        unit = float(face_size(face)) / 100
        error = 0.03 * unit
        own = rng.normal(0, model.slip * unit, (frames, 68, 2))
        skin = rng.normal(0, 0.5 * unit, (frames, 1, 2))
        truth = face + np.cumsum(own + skin, axis=0)
        deviation = model.anchor * unit * np.sqrt(relative_noise(theta))[:, None]
        points = truth + deviation * rng.normal(0, 1, truth.shape)
        covariance = np.tile(error**2 * np.eye(2), (68, 1, 1))
        measured = skin + rng.normal(0, error, truth.shape)
        motion: Motion = [
            None,
            *(Displacements(each, covariance, np.ones(68, bool)) for each in measured[1:]),
        ]
        growth, noise = (model.slip * unit) ** 2 + error**2, deviation[:, 0] ** 2
        prior = (growth + np.sqrt(growth**2 + 4 * growth * noise)) / 2
        filtered = prior * noise / (prior + noise)
        gain = filtered / prior
        smoothed = (filtered - gain**2 * prior) / (1 - gain**2)
        assert smoothed.mean() < 0.6 * filtered.mean()
        seconds = np.arange(frames) / theta.fps
        for output, expected in (
            (theta.filter(points, seconds, motion=motion), filtered),
            (theta.smooth(points, seconds, motion=motion), smoothed),
        ):
            # Some 3,000 errors that are independent: 3 %. The face's size sways by a part in a hundred.
            off = ((output - truth)[100:-100] ** 2 / expected[:, None]).mean()
            assert off == pytest.approx(1.0, abs=0.1)


def make_clip(seed: int) -> tuple[np.ndarray, np.ndarray, Motion]:
    """Points, times and displacements, with a cut, lost frames with and without a picture, and a gap."""
    points, seconds = make_face(seed, 14), make_times(seed, 14)
    points[9:] += 300.0 * (seed % 2)
    motion = make_motion(seed, points)
    motion[9] = None if seed % 2 else motion[9]
    points[3], points[6], points[11] = np.nan, np.nan, np.nan
    motion[5], motion[11] = None, None
    return points, seconds, motion


class TestLag:
    @given(seed=seeds)
    @settings(max_examples=20)
    def test_none_is_the_filter(self, seed: int) -> None:
        points, seconds, motion = make_clip(seed)
        expected = THETA.filter(points, seconds, motion=motion)
        output = THETA.smooth(points, seconds, lag=0, motion=motion)
        np.testing.assert_allclose(output, expected, rtol=0, atol=EXACT)

    @given(seed=seeds, more=st.integers(0, 3))
    @settings(max_examples=20)
    def test_that_of_the_whole_sequence_is_no_limit(self, seed: int, more: int) -> None:
        points, seconds, motion = make_clip(seed)
        expected = THETA.smooth(points, seconds, motion=motion)
        output = THETA.smooth(points, seconds, lag=14 + more, motion=motion)
        np.testing.assert_array_equal(output, expected)
        output = THETA.smooth(points, seconds, lag=13, motion=motion)
        np.testing.assert_allclose(output, expected, rtol=0, atol=EXACT)

    @given(seed=seeds, lag=st.integers(0, 4))
    @settings(max_examples=20)
    def test_is_the_smoother_of_the_frames_up_to_it(self, seed: int, lag: int) -> None:
        points, seconds, motion = make_clip(seed)
        points[11] = points[10]  # a frame without points and picture does not count as a later frame
        output = THETA.smooth(points, seconds, None, lag, motion)
        for t in range(14 - lag):
            stop = t + lag + 1
            expected = THETA.smooth(points[:stop], seconds[:stop], motion=motion[:stop])[t]
            np.testing.assert_allclose(output[t], expected, rtol=0, atol=EXACT)

    @pytest.mark.parametrize("picture", [False, True])
    @pytest.mark.parametrize("lag", [None, 3])
    def test_long_sequences(self, monkeypatch: pytest.MonkeyPatch, picture: bool, lag: int | None) -> None:
        """Frames are smoothed a block at a time; where a block begins changes nothing."""
        points = make_face(1, 520)
        motion = make_motion(1, points) if picture else None
        output = THETA.smooth(points, lag=lag, motion=motion)
        for module in ("smoothing", "sta"):
            monkeypatch.setattr(f"steadyface.stabilizer.{module}.BLOCK", 1000)
        expected = THETA.smooth(points, lag=lag, motion=motion)
        np.testing.assert_allclose(output, expected, rtol=0, atol=EXACT)

    def test_nothing_beyond_it_counts(self) -> None:
        points, seconds, motion = make_clip(2)
        other, others = points.copy(), list(motion)
        other[8:] = make_face(3, 14)[8:]
        others[8:] = make_motion(3, make_face(3, 14))[8:]
        expected = THETA.smooth(points, seconds, None, 2, motion)[:6]
        output = THETA.smooth(other, seconds, None, 2, others)[:6]
        np.testing.assert_allclose(output, expected, rtol=0, atol=EXACT)


class TestPartOfThePicture:
    @given(seed=seeds, lag=st.sampled_from([None, 0, 2]))
    @settings(max_examples=10)
    def test_none_is_smoothing_the_points(self, seed: int, lag: int | None) -> None:
        points, seconds, _ = make_clip(seed)
        expected = THETA.smooth(points, seconds, lag=lag)
        np.testing.assert_array_equal(THETA.smooth(points, seconds, None, lag, [None] * 14), expected)

    def test_frames_before_it_have_the_points_alone(self) -> None:
        points, seconds, motion = make_clip(2)
        motion[:7] = [None] * 7
        output = THETA.smooth(points, seconds, motion=motion)
        # The frame before the first picture is the first of its belief: that of the lost frame before it.
        np.testing.assert_allclose(output[:5], THETA.smooth(points, seconds)[:5], rtol=0, atol=EXACT)
        assert np.abs(output[7:] - THETA.smooth(points, seconds)[7:]).max() > 0.1

    def test_another_shot_is_smoothed_for_itself(self) -> None:
        points, seconds, motion = make_clip(3)
        output = THETA.smooth(points, seconds, motion=motion)
        for part in (slice(0, 9), slice(9, 14)):
            expected = THETA.smooth(points[part], seconds[part], motion=motion[part])
            np.testing.assert_allclose(output[part], expected, rtol=0, atol=EXACT)

    def test_a_frame_without_points_lies_between_its_neighbours(self) -> None:
        """It moved as the picture says; without a picture it repeats."""
        points, seconds, motion = make_clip(2)
        output = THETA.smooth(points, seconds, motion=motion)
        assert not np.array_equal(output[6], output[5])
        np.testing.assert_array_equal(output[11], output[10])


def going_back(theta: STA, states: list[State], t: int, motion: Motion, later: np.ndarray) -> np.ndarray:
    """Smoothed points of frame t, given those of frame t + 1, landmark by landmark."""
    model, step, screened = theta.picture, states[t + 1].memory.skin, states[t + 1].screened
    unit, now = screened.size / 100, motion[t + 1]
    assert now is not None
    hidden = 1 + model.hidden * (1 - now.valid[17:36].mean())  # brows and nose
    errors = relative_noise(theta) * (model.anchor * unit) ** 2 * hidden
    points, before, moved = (np.zeros_like(later), *(points_of(skin.points) for skin in step[:2]))
    before_covariance, moved_covariance = (unpack(skin.covariance) for skin in step[:2])
    for i, point in enumerate(later):
        prior = moved_covariance[i]
        wider = prior + (model.loose_by * unit) ** 2 * np.eye(2)
        evidence = [
            share * multivariate_normal.pdf(screened.points[i], moved[i], each + errors[i] * np.eye(2))
            for share, each in ((1 - model.loose, prior), (model.loose, wider))
        ]
        shares = np.array(evidence) / sum(evidence)
        precision = shares[0] * np.linalg.inv(prior) + shares[1] * np.linalg.inv(wider)
        gain = before_covariance[i] @ precision
        points[i] = before[i] + gain @ (point - moved[i])
    return points


class TestComingOffTheSkin:
    @given(seed=seeds)
    @settings(max_examples=5)
    def test_goes_back_by_the_mean_of_the_gains(self, seed: int) -> None:
        theta = replace(THETA, picture=PictureModel(loose=0.3))
        points = make_face(seed)
        motion = make_motion(seed, points)
        states = [state for state in theta.states(points, None, None, motion) if state is not None]
        expected = [states[-1].points]
        for t in range(10, -1, -1):
            expected.append(going_back(theta, states, t, motion, expected[-1]))
        output = theta.smooth(points, motion=motion)
        np.testing.assert_allclose(output, expected[::-1], rtol=0, atol=EXACT)

    def test_earlier_frames_are_not_taken_along(self) -> None:
        """A jump of all points that no picture shows: before it they stay, and after it they have moved."""
        face = 2.0 * MEAN_FACE[:, :2] + [300.0, 300.0]
        unit = float(face_size(face)) / 100
        truth = np.repeat(face[None], 40, axis=0)
        truth[20:] += [8 * unit, 0]
        points = truth + np.random.default_rng(0).normal(0, 0.2 * unit, truth.shape)
        still = Displacements(
            np.zeros((68, 2)), np.tile((0.03 * unit) ** 2 * np.eye(2), (68, 1, 1)), np.ones(68, bool)
        )
        output = load_stabilizer("sta").smooth(points, motion=[None, *[still] * 39])
        off = np.linalg.norm(output - truth, axis=-1).mean(axis=1) / unit
        assert off[:18].max() < 0.5
        assert off[24:].max() < 0.5
