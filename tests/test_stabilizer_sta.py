"""The default stabiliser against the joint Gaussian of a whole sequence, and against mixtures integrated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from stabilizer_cases import EXACT, make_face, make_times, make_velocity, seeds, usual_scores

from steadyface.errors import ConfigError
from steadyface.stabilizer.base import Measurement
from steadyface.stabilizer.directions import Belief
from steadyface.stabilizer.sta import STA, Memory

THETA = make_velocity(1)
FACE = np.array([[0.0, 0.0], [120.0, 10.0], [100.0, 130.0], [30.0, 90.0]])
NODES, WEIGHTS = np.polynomial.legendre.leggauss(
    16
)  # exact to 1e-11 for exponentials of -20, and better above

Moments = tuple[np.ndarray, np.ndarray]


def make_sequence(seed: int, frames: int) -> np.ndarray:
    """A face of four landmarks that moves by less than what is set aside as thrown off."""
    rng = np.random.default_rng(seed)
    drift = np.cumsum(rng.uniform(-1, 1, (frames, 1, 2)), axis=0)
    return FACE + drift + rng.uniform(-0.5, 0.5, (frames, 4, 2))


def make_frames(seed: int, count: int) -> np.ndarray:
    """Irregular times, in frames, of six decimals, to which the stabiliser rounds them."""
    return np.random.default_rng(seed).uniform(0.3, 2.5, count).round(6)


def dense_motion(theta: STA, frames: float) -> Moments:
    """Transition and growth of (points, velocities) in px: dx = v·dt, dv = -Λv·dt + dW, integrated.

    Its matrices are those of the points themselves; that Λ is diagonal along the directions is not used.
    """
    back, size = np.linalg.inv(theta.basis), len(theta.noise)
    decay = back.T @ np.diag(-np.log(theta.damping)) @ theta.basis.T
    pushes = back.T @ np.diag(theta.pushes[0]) @ back
    zero = np.zeros((size, size))
    drift = np.block([[zero, np.eye(size)], [zero, -decay]])
    pushed = np.block([[zero, zero], [zero, pushes]])
    moved = expm(drift * frames * (NODES[:, None, None] + 1) / 2)
    return expm(drift * frames), np.tensordot(WEIGHTS * frames / 2, moved @ pushed @ moved.mT, 1)


def dense_noise(theta: STA) -> np.ndarray:
    back = np.linalg.inv(theta.basis)
    return back.T @ np.diag(theta.noise) @ back


def joint(theta: STA, frames: np.ndarray) -> np.ndarray:
    """Covariance of all states, about a face that stays where it was first seen."""
    size, count = len(theta.noise), len(frames)
    back = np.linalg.inv(theta.basis)
    covariance = np.zeros((2 * size * count, 2 * size * count))
    covariance[:size, :size] = dense_noise(theta)
    covariance[size : 2 * size, size : 2 * size] = back.T @ np.diag(4 * theta.pushes[0]) @ back
    for t in range(1, count):
        motion, growth = dense_motion(theta, frames[t])
        new, old = slice(2 * size * t, 2 * size * (t + 1)), slice(2 * size * (t - 1), 2 * size * t)
        before = slice(0, 2 * size * t)
        covariance[new, before] = motion @ covariance[old, before]
        covariance[before, new] = covariance[new, before].T
        covariance[new, new] = motion @ covariance[old, old] @ motion.T + growth
    return covariance


def brute_force(theta: STA, points: np.ndarray, frames: np.ndarray, lag: int | None) -> np.ndarray:
    """E x(t) given all points up to t + lag; the first frame is the prior of the first state."""
    count, size = len(points), len(theta.noise)
    covariance, noise = joint(theta, frames), dense_noise(theta)
    away = (points - points[0]).reshape(count, size)
    places = np.arange(2 * size * count).reshape(count, 2, size)[:, 0]
    outputs = np.zeros((count, size))
    for t in range(count):
        last = count - 1 if lag is None else min(t + lag, count - 1)
        seen = places[1 : last + 1].ravel()
        total = covariance[np.ix_(seen, seen)] + np.kron(np.eye(last), noise)
        if last:
            gain = covariance[np.ix_(places[t], seen)] @ np.linalg.inv(total)
            outputs[t] = gain @ away[1 : last + 1].ravel()
    return points[0] + outputs.reshape(points.shape)


class TestAgainstTheJointGaussian:
    @given(seed=seeds, count=st.integers(1, 6))
    @settings(max_examples=20)
    def test_filter(self, seed: int, count: int) -> None:
        theta = make_velocity(seed, 1, dimension=8)
        points, frames = make_sequence(seed, count), make_frames(seed, count)
        expected = brute_force(theta, points, frames, 0)
        output = theta.filter(points, np.cumsum(frames) / theta.fps)
        np.testing.assert_allclose(output, expected, rtol=0, atol=EXACT)

    @pytest.mark.parametrize("lag", [None, 1, 2, 4])
    @given(seed=seeds, count=st.integers(1, 6))
    @settings(max_examples=15)
    def test_smooth(self, lag: int | None, seed: int, count: int) -> None:
        theta = make_velocity(seed, 1, dimension=8)
        points, frames = make_sequence(seed, count), make_frames(seed, count)
        expected = brute_force(theta, points, frames, lag)
        output = theta.smooth(points, np.cumsum(frames) / theta.fps, lag=lag)
        np.testing.assert_allclose(output, expected, rtol=0, atol=EXACT)

    @pytest.mark.parametrize("damping", [0.01, 0.1, 0.9, 0.994, 0.996, 0.9995, 1 - 1e-9])
    @pytest.mark.parametrize("lag", [0, None])
    def test_any_damping(self, damping: float, lag: int | None) -> None:
        theta = make_velocity(5, 1, dimension=8, damping=np.full(8, damping))
        points, frames = make_sequence(5, 5), make_frames(5, 5)
        expected = brute_force(theta, points, frames, lag)
        output = theta.smooth(points, np.cumsum(frames) / theta.fps, lag=lag)
        np.testing.assert_allclose(output, expected, rtol=0, atol=EXACT)

    def test_equal_components_are_one(self) -> None:
        one = make_velocity(6, 1)
        three = make_velocity(
            6,
            3,
            damping=one.damping,
            noise=one.noise,
            pushes=np.repeat(one.pushes, 3, axis=0),
            basis=one.basis,
            doubts=one.doubts,
        )
        points, seconds = make_face(6), make_times(6)
        for lag in (0, 2, None):
            expected = one.smooth(points, seconds, lag=lag)
            np.testing.assert_allclose(three.smooth(points, seconds, lag=lag), expected, rtol=0, atol=EXACT)

    def test_the_unit_of_a_direction_does_not_matter(self) -> None:
        rng, theta = np.random.default_rng(7), make_velocity(7)
        order, scale = rng.permutation(136), rng.uniform(0.1, 10, 136)
        other = make_velocity(
            7,
            damping=theta.damping[order],
            noise=(theta.noise * scale**2)[order],
            pushes=(theta.pushes * scale**2)[:, order],
            basis=(theta.basis * scale)[:, order],
        )
        points, seconds = make_face(7), make_times(7)
        for lag in (0, None):
            expected = theta.smooth(points, seconds, lag=lag)
            np.testing.assert_allclose(other.smooth(points, seconds, lag=lag), expected, rtol=0, atol=EXACT)


def make_motion(theta: STA, seed: int, unit: float) -> Belief:
    """Something believed of a face that has been seen for a while."""
    rng, size = np.random.default_rng(seed), len(theta.noise)
    place, speed, share = rng.uniform(0.1, 1, size), rng.uniform(0.1, 1, size), rng.uniform(-0.8, 0.8, size)
    mean = np.stack([rng.normal(100, 5, size), rng.normal(0, unit, size)])
    spread = np.stack([place, share * np.sqrt(place * speed), speed])
    return Belief(
        mean, spread, np.ones((2, size)), mean, np.stack([spread] * 2, axis=1), np.zeros((2, 2, size))
    )


def of_direction(theta: STA, d: int, frames: float) -> Moments:
    """Transition and growth for a push of one of (x, v) along a direction alone."""
    drift = np.array([[0.0, 1.0], [0.0, np.log(theta.damping[d])]])
    responses = expm(drift * frames * (NODES[:, None, None] + 1) / 2)[:, :, 1]
    return expm(drift * frames), (responses.T * WEIGHTS * frames / 2) @ responses


class TestMixture:
    """One step from a given Gaussian, along each direction of two landmarks."""

    @pytest.mark.parametrize("frames", [1.0, 2.3])
    @given(seed=seeds, unit=st.floats(0.3, 3), components=st.integers(1, 3))
    @settings(max_examples=30)
    def test_moments_are_the_mixtures(self, frames: float, seed: int, unit: float, components: int) -> None:
        theta = make_velocity(seed, components, dimension=4)
        before = make_motion(theta, seed, unit)
        points = (before.mean[0] + np.random.default_rng(seed).normal(0, 3 * unit, 4)) @ np.linalg.inv(
            theta.basis
        )
        memory, output = theta.advance(Memory(before), Measurement(points.reshape(2, 2), unit, frames))
        after = memory.belief
        for d in range(4):
            motion, growth = of_direction(theta, d, frames)
            place, both, speed = before.covariance[:, d]
            mean = motion @ before.mean[:, d]
            moved = motion @ np.array([[place, both], [both, speed]]) @ motion.T
            evidence, means, spreads = [], [], []
            for alpha, push in zip(theta.alphas, theta.pushes[:, d], strict=True):
                prior = (moved + push * growth) * unit**2
                total = prior[0, 0] + theta.noise[d] * unit**2
                surprise = points @ theta.basis[:, d] - mean[0]
                evidence.append(alpha * np.exp(-0.5 * surprise**2 / total) / np.sqrt(total))
                means.append(mean + prior[:, 0] / total * surprise)
                spreads.append(prior - np.outer(prior[:, 0], prior[:, 0]) / total)
            shares = np.array(evidence) / sum(evidence)
            mean = shares @ np.array(means)
            spread = (
                sum(
                    share * (own + np.outer(at - mean, at - mean))
                    for share, own, at in zip(shares, spreads, means, strict=True)
                )
                / unit**2
            )
            np.testing.assert_allclose(after.weights[:, d], shares, rtol=0, atol=EXACT)
            np.testing.assert_allclose(after.mean[:, d], mean, rtol=0, atol=EXACT)
            np.testing.assert_allclose(
                after.covariance[:, d], spread[[0, 0, 1], [0, 1, 1]], rtol=0, atol=EXACT
            )
        np.testing.assert_allclose(output.ravel() @ theta.basis, after.mean[0], rtol=0, atol=EXACT)

    @pytest.mark.parametrize("seed", range(3))
    def test_moments_are_the_integrals(self, seed: int) -> None:
        theta, frames = make_velocity(seed, dimension=4), 1.4
        before = make_motion(theta, seed, 1.0)
        along = before.mean[0] + np.random.default_rng(seed).normal(0, 2, 4)
        points = (along @ np.linalg.inv(theta.basis)).reshape(2, 2)
        after = theta.advance(Memory(before), Measurement(points, 1.0, frames))[0].belief
        for d in range(4):
            motion, growth = of_direction(theta, d, frames)
            place, both, speed = before.covariance[:, d]
            moved = motion @ np.array([[place, both], [both, speed]]) @ motion.T
            priors = [moved + push * growth for push in theta.pushes[:, d]]
            mean = motion @ before.mean[:, d]
            # Nine deviations of the widest component each way, a dozen points to one of the narrowest.
            reach = 9 * np.sqrt(np.max([np.diag(prior) for prior in priors], axis=0))
            x, v = np.meshgrid(*(m + np.linspace(-r, r, 501) for m, r in zip(mean, reach, strict=True)))
            states = np.stack([x - mean[0], v - mean[1]], axis=-1)
            density = sum(
                alpha
                * np.exp(-0.5 * (states @ np.linalg.inv(prior) * states).sum(axis=-1))
                / np.sqrt(np.linalg.det(prior))
                for alpha, prior in zip(theta.alphas, priors, strict=True)
            ) * np.exp(-0.5 * (along[d] - x) ** 2 / theta.noise[d])
            density /= density.sum()
            means = [(density * x).sum(), (density * v).sum()]
            spread = [
                (density * (a - means[i]) * (b - means[j])).sum()
                for i, j, a, b in ((0, 0, x, x), (0, 1, x, v), (1, 1, v, v))
            ]
            np.testing.assert_allclose(after.mean[:, d], means, rtol=0, atol=1e-8)
            np.testing.assert_allclose(after.covariance[:, d], spread, rtol=0, atol=1e-8)

    @given(seeds)
    def test_the_more_surprising_the_more_it_counts_for_motion(self, seed: int) -> None:
        theta = make_velocity(seed, dimension=4)
        before, weights = make_motion(theta, seed, 1.0), []
        for surprise in (0.0, 1.0, 3.0, 10.0):
            along = before.mean[0] + surprise
            expected = along + (before.mean[1] * (1 - theta.damping) / -np.log(theta.damping))
            points = (expected @ np.linalg.inv(theta.basis)).reshape(2, 2)
            memory, _ = theta.advance(Memory(before), Measurement(points))
            weights.append(memory.belief.weights[1])
        wider = theta.pushes[1] > theta.pushes[0]
        assert (np.diff(weights, axis=0)[:, wider] >= 0).all()


class TestMixtureInTheLightOfTheFuture:
    @pytest.mark.parametrize("components", [2, 3])
    @given(seed=seeds, count=st.integers(2, 6))
    @settings(max_examples=20)
    def test_goes_back_by_the_mixtures_mean_covariance(self, components: int, seed: int, count: int) -> None:
        """x(t | T) = x(t) + C(t)Φᵀ(Σ w_k P_k)⁻¹(x(t+1 | T) - x⁻(t+1)), of Kim 1994, by dense matrices."""
        theta = make_velocity(seed, components, dimension=8)
        points, frames = make_sequence(seed, count), make_frames(seed, count)
        seconds = np.cumsum(frames) / theta.fps
        beliefs = [state.memory.belief for state in theta.states(points, seconds) if state is not None]
        places = np.zeros((count, 8))
        for d in range(8):
            back = beliefs[-1].mean[:, d]
            places[-1, d] = back[0]
            for t in range(count - 2, -1, -1):
                motion, growth = of_direction(theta, d, frames[t + 1])
                own = beliefs[t].covariance[[0, 1, 1, 2], d].reshape(2, 2)
                moved = motion @ own @ motion.T
                shares = beliefs[t + 1].weights[:, d]
                prior = sum(w * (moved + q * growth) for w, q in zip(shares, theta.pushes[:, d], strict=True))
                expected = motion @ beliefs[t].mean[:, d]
                back = beliefs[t].mean[:, d] + own @ motion.T @ np.linalg.solve(prior, back - expected)
                places[t, d] = back[0]
        expected = (places @ np.linalg.inv(theta.basis)).reshape(points.shape)
        np.testing.assert_allclose(theta.smooth(points, seconds), expected, rtol=0, atol=EXACT)


class TestLag:
    @given(seed=seeds, lost=st.integers(0, 11))
    @settings(max_examples=20)
    def test_none_is_the_filter(self, seed: int, lost: int) -> None:
        points, seconds = make_face(seed), make_times(seed)
        points[lost], points[lost - 3, 5] = np.nan, np.nan
        points[8:] += 300.0 * (seed % 2)
        expected = THETA.filter(points, seconds)
        np.testing.assert_allclose(THETA.smooth(points, seconds, lag=0), expected, rtol=0, atol=EXACT)

    @given(seed=seeds, length=st.integers(1, 8), more=st.integers(0, 5))
    @settings(max_examples=20)
    def test_that_of_the_whole_sequence_is_no_limit(self, seed: int, length: int, more: int) -> None:
        points, seconds = make_face(seed, length), make_times(seed, length)
        expected = THETA.smooth(points, seconds)
        np.testing.assert_array_equal(THETA.smooth(points, seconds, lag=length + more), expected)
        # One frame less reaches as far, by the other way of counting.
        np.testing.assert_allclose(
            THETA.smooth(points, seconds, lag=length - 1), expected, rtol=0, atol=EXACT
        )

    @given(seed=seeds, cut=st.integers(1, 11), lag=st.integers(1, 4))
    @settings(max_examples=20)
    def test_nothing_beyond_it_counts(self, seed: int, cut: int, lag: int) -> None:
        points = make_face(seed)
        other = np.concatenate([points[:cut], make_face(seed + 1)[cut:]])
        expected, known = THETA.smooth(points, lag=lag), max(cut - lag, 0)
        np.testing.assert_allclose(THETA.smooth(other, lag=lag)[:known], expected[:known], rtol=0, atol=EXACT)

    @given(seed=seeds, lag=st.integers(0, 5))
    @settings(max_examples=20)
    def test_is_the_smoother_of_the_frames_up_to_it(self, seed: int, lag: int) -> None:
        points, seconds = make_face(seed), make_times(seed)
        points[6:] += 300.0 * (seed % 2)
        output = THETA.smooth(points, seconds, lag=lag)
        for t in range(12 - lag):
            stop = t + lag + 1
            expected = THETA.smooth(points[:stop], seconds[:stop])[t]
            np.testing.assert_allclose(output[t], expected, rtol=0, atol=EXACT)

    def test_negative(self) -> None:
        with pytest.raises(ConfigError, match="lag must be at least 0 frames, got -1"):
            make_velocity(1).smooth(make_face(1), lag=-1)

    def test_the_future_helps(self) -> None:
        # Simulated from the model itself: each frame of lag takes some of the error away.
        theta = make_velocity(2, 1, dimension=8, noise=np.full(8, 1.0), pushes=np.full((1, 8), 0.02))
        raw, truth = simulate(theta, 400, np.random.default_rng(0))
        raw, truth = raw + 50 * FACE, truth + 50 * FACE
        errors = [float(((theta.smooth(raw, lag=lag) - truth) ** 2).mean()) for lag in (0, 1, 3, None)]
        assert errors == sorted(errors, reverse=True)
        assert errors[-1] < 0.6 * errors[0]


def simulate(theta: STA, frames: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Raw points and truth of the state-space model, in px of a face of 100 px."""
    motion, growth = dense_motion(theta, 1.0)
    size = len(theta.noise)
    root, noise = np.linalg.cholesky(growth), np.linalg.cholesky(dense_noise(theta))
    state, truth = np.zeros(2 * size), []
    for _ in range(frames):
        state = motion @ state + root @ rng.standard_normal(2 * size)
        truth.append(state[:size].copy())
    raw = truth + rng.standard_normal((frames, size)) @ noise.T
    return raw.reshape(frames, -1, 2), np.reshape(truth, (frames, -1, 2))


class TestScores:
    @given(seeds)
    @settings(max_examples=20)
    def test_usual_ones_change_nothing(self, seed: int) -> None:
        points, scores = make_face(seed), np.tile(usual_scores(THETA), (12, 1))
        expected = THETA.filter(points)
        np.testing.assert_allclose(THETA.filter(points, scores=scores), expected, rtol=0, atol=EXACT)

    def test_without_trust_they_are_ignored(self) -> None:
        theta, points = make_velocity(1, trust=0.0), make_face(1)
        scores = np.random.default_rng(1).uniform(0, 1, (12, 68))
        np.testing.assert_array_equal(theta.filter(points, scores=scores), theta.filter(points))

    @given(seed=seeds, factor=st.floats(0.1, 5), trust=st.floats(0.1, 2))
    @settings(max_examples=20)
    def test_the_same_doubt_of_all_is_more_noise(self, seed: int, factor: float, trust: float) -> None:
        theta = make_velocity(seed, dimension=8, trust=trust)
        noisier = make_velocity(seed, dimension=8, noise=theta.noise * factor**trust)
        points = make_sequence(seed, 2)[1]
        before = theta.begin(FACE)
        scores = 1 + 1e-3 - theta.doubts * factor
        doubted = theta.advance(before, Measurement(points, 2.0, 1.0, scores))[1]
        np.testing.assert_allclose(
            doubted, noisier.advance(before, Measurement(points, 2.0))[1], rtol=0, atol=EXACT
        )

    @given(seed=seeds, scores=st.lists(st.floats(0, 1), min_size=4, max_size=4))
    @settings(max_examples=20)
    def test_landmarks_alone_have_their_own_variance(self, seed: int, scores: list[float]) -> None:
        # Where each direction is one coordinate, a landmark's noise grows by its own doubt.
        theta = make_velocity(seed, dimension=8, basis=np.eye(8))
        factors = ((1.001 - np.array(scores)) / theta.doubts) ** theta.trust
        noisier = make_velocity(seed, dimension=8, basis=np.eye(8), noise=theta.noise * np.repeat(factors, 2))
        points, before = make_sequence(seed, 2), theta.begin(FACE)
        doubted = theta.advance(before, Measurement(points[1], 1.0, 1.0, np.array(scores)))[1]
        np.testing.assert_allclose(
            doubted, noisier.advance(before, Measurement(points[1]))[1], rtol=0, atol=EXACT
        )

    @given(seed=seeds, landmark=st.integers(0, 3), axis=st.integers(0, 1))
    @settings(max_examples=20)
    def test_a_doubtful_landmark_is_followed_less(self, seed: int, landmark: int, axis: int) -> None:
        basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((8, 8)))[0]
        theta = make_velocity(seed, 1, dimension=8, basis=basis)
        before, moved, shares = theta.begin(FACE), FACE.copy(), []
        moved[landmark, axis] += 1.0
        for score in (0.0, 0.5, 0.9, 1.0):
            scores = usual_scores(theta)
            scores[landmark] = score
            output = theta.advance(before, Measurement(moved, 1.0, 1.0, scores))[1]
            shares.append(output[landmark, axis] - FACE[landmark, axis])
        assert shares == sorted(shares)
        assert 0 < shares[0] < 0.98 * shares[-1] < 0.98

    def test_they_count_in_smoothing(self) -> None:
        theta, points = make_velocity(3), make_face(3)
        scores = np.random.default_rng(3).uniform(0, 1, (12, 68))
        assert np.abs(theta.smooth(points, scores=scores) - theta.smooth(points)).max() > 1e-3


class TestSeveralAtOnce:
    @pytest.mark.parametrize("clips", [(3,), (2, 2)])
    @pytest.mark.parametrize("frames", [1.0, 0.5])
    def test_run(self, clips: tuple[int, ...], frames: float) -> None:
        theta, rng = make_velocity(4), np.random.default_rng(4)
        points = rng.uniform(0, 100, (1, *clips, 68, 2)) + rng.normal(0, 1, (10, *clips, 68, 2))
        scores = rng.uniform(0, 1, (10, *clips, 68))
        together = theta.run(points, scores, frames)
        for i in np.ndindex(clips):
            alone = theta.run(points[:, *i], scores[:, *i], frames)
            np.testing.assert_allclose(together[:, *i], alone, rtol=0, atol=EXACT)


@pytest.mark.parametrize("components", [1, 2, 3])
def test_at_first_the_speed_may_be_four_frames_of_the_greatest_pushes(components: int) -> None:
    theta = make_velocity(8, components)
    belief = theta.begin(make_face(8)[0]).belief
    np.testing.assert_array_equal(belief.covariance[0], theta.noise)
    np.testing.assert_array_equal(belief.covariance[1], np.zeros(136))
    np.testing.assert_array_equal(belief.covariance[2], 4 * theta.pushes.max(axis=0))
    np.testing.assert_array_equal(belief.mean[1], np.zeros(136))


def test_a_face_that_is_moving_when_it_is_first_seen_is_followed() -> None:
    theta = make_velocity(8, noise=np.full(136, 0.05), damping=np.full(136, 0.95))
    points = make_face(8)[0] + 2.0 * np.arange(12)[:, None, None]
    late = (points - theta.filter(points)).mean(axis=(1, 2)) / 2
    assert abs(late[-1]) < 0.25


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"damping": np.ones(6)}, "range"),
        ({"damping": np.zeros(6)}, "range"),
        ({"alphas": np.array([0.5, 0.6])}, "range"),
        ({"alphas": np.array([0.0, 1.0])}, "range"),
        ({"noise": np.zeros(6)}, "range"),
        ({"noise": np.full(6, np.nan)}, "range"),
        ({"pushes": np.zeros((2, 6))}, "range"),
        ({"doubts": np.zeros(3)}, "range"),
        ({"trust": -0.1}, "range"),
        ({"trust": float("nan")}, "range"),
        ({"basis": np.ones((6, 6))}, "range"),
        ({"fps": -30.0}, "fps of sta must be positive and finite, got -30.0"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_parameters_out_of_range(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_velocity(3, dimension=6, **change)
