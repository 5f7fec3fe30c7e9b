"""Statistics of simulated sequences recover the noise and motion of the simulation."""

from __future__ import annotations

import numpy as np
import pytest

from steadyface.fitting.statistics import Clips, statistics
from steadyface.stabilizer.sta import doubt

FRAMES, CLIPS = 60, 60
FACE = np.array([[0.0, 0.0], [100.0, 10.0], [90.0, 100.0], [20.0, 80.0], [50.0, 50.0]])


def covariance(seed: int, dimension: int = 10) -> np.ndarray:
    """Some covariance of trace D, of a condition of 20."""
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((dimension, dimension)))[0]
    found = turn * np.geomspace(1, 20, dimension) @ turn.T
    return found * dimension / np.trace(found)


def draw(rng: np.random.Generator, spread: np.ndarray) -> np.ndarray:
    shape = (FRAMES, CLIPS, len(spread))
    return (rng.standard_normal(shape) @ np.linalg.cholesky(spread).T).reshape(FRAMES, CLIPS, -1, 2)


def make_clips(
    seed: int = 0, noise: np.ndarray | None = None, motion: np.ndarray | None = None, level: float = 0.5
) -> Clips:
    rng = np.random.default_rng(seed)
    noise = covariance(1) if noise is None else noise
    motion = covariance(2) if motion is None else motion
    truth = FACE + np.cumsum(draw(rng, motion), axis=0)
    return Clips(truth + level * draw(rng, noise), truth, None, 1.0)


def test_noise_is_what_was_added() -> None:
    found = statistics([make_clips()]).noise
    # 3,500 second differences, of which three in a row count as one, give each entry to some 4 %; the level
    # comes from the median of errors that are not all of one variance.
    np.testing.assert_allclose(found, 0.25 * covariance(1), rtol=0, atol=0.25 * 0.25)
    assert np.linalg.cond(found) == pytest.approx(20, rel=0.25)
    assert np.trace(found) / 10 == pytest.approx(0.25, rel=0.2)


def test_white_noise_has_its_variance() -> None:
    found = statistics([make_clips(noise=np.eye(10))]).noise
    # The median of 35,000 gives a standard deviation to 1 %.
    assert np.diag(found).mean() == pytest.approx(0.25, rel=0.03)


@pytest.mark.parametrize("bias", [3.0, 300.0])
def test_what_is_always_wrong_is_no_noise(bias: float) -> None:
    clips = make_clips()
    wrong = Clips(clips.raw + bias * FACE[::-1], clips.truth, None, 1.0)
    np.testing.assert_allclose(statistics([wrong]).noise, statistics([clips]).noise, rtol=0, atol=1e-9)


def test_gross_errors_count_little() -> None:
    clips, rng = make_clips(), np.random.default_rng(3)
    raw = clips.raw.copy()
    # Here and there a landmark is off by a third of the face.
    raw[rng.integers(2, FRAMES - 2, 20), rng.integers(0, CLIPS, 20), rng.integers(0, 5, 20)] += 30.0
    found = statistics([Clips(raw, clips.truth, None, 1.0)]).noise
    assert np.diag(found).mean() == pytest.approx(np.diag(statistics([clips]).noise).mean(), rel=0.05)


def test_motion_has_the_shape_of_the_truths() -> None:
    found = statistics([make_clips()]).motion
    # 3,540 moves: each entry to some 3 %, and clips weigh alike, however much they move.
    np.testing.assert_allclose(found, covariance(2), rtol=0, atol=0.15)
    assert np.trace(found) == pytest.approx(10)


def test_each_eye_is_taken_to_wink_as_often_as_both_blink() -> None:
    rng, lids = np.random.default_rng(4), {"right_eye": [37, 38, 40, 41], "left_eye": [43, 44, 46, 47]}
    head, blink = rng.standard_normal((2, FRAMES, CLIPS, 1, 1))
    moves = np.zeros((FRAMES, CLIPS, 68, 2))
    moves[..., 0] += head[..., 0]
    for points in lids.values():
        moves[:, :, points, 1:] += blink
    truth = rng.uniform(0, 100, (68, 2)) + np.cumsum(moves, axis=0)
    motion = statistics([Clips(truth + rng.normal(0, 0.1, truth.shape), truth, None, 1.0)]).motion
    right, left = (2 * points[0] + 1 for points in lids.values())
    # A clip with one winking eye moves less, and counts as much as another: scaled by 76/72 (blinks of 8 lids
    # beside a head of 68 landmarks, or of 4).
    wink = 76 / 72
    assert motion[right, left] / motion[0, 0] == pytest.approx(1 / (1 + 2 * wink), rel=0.05)
    assert motion[right, right] / motion[0, 0] == pytest.approx((1 + wink) / (1 + 2 * wink), rel=0.05)
    # Lids go along with the head as they did.
    assert motion[2 * 37, 0] == pytest.approx(motion[0, 0])
    assert motion[2 * 43, 0] == pytest.approx(motion[0, 0])


def test_each_clip_counts_alike() -> None:
    clips = make_clips()
    faster = Clips(
        FACE + 10 * (clips.truth - FACE) + clips.raw - clips.truth,
        FACE + 10 * (clips.truth - FACE),
        None,
        1.0,
    )
    one, other = statistics([clips]), statistics([faster])
    np.testing.assert_allclose(other.motion, one.motion, rtol=0, atol=1e-9)
    np.testing.assert_allclose(other.noise, one.noise, rtol=0, atol=1e-9)
    both = statistics([clips, make_clips(5, motion=np.eye(10)), faster])
    expected = (2 * one.motion + statistics([make_clips(5, motion=np.eye(10))]).motion) / 3
    np.testing.assert_allclose(both.motion, expected, rtol=0, atol=1e-9)


def with_scores(power: float, seed: int = 0) -> Clips:
    """Clips in which the variance of each landmark grows with its doubt to some power."""
    rng = np.random.default_rng(seed)
    usual = rng.uniform(0.1, 0.3, 5)
    scores = 1 - usual * np.exp(rng.normal(0, 0.5, (CLIPS, 5)))
    clips = make_clips(seed, noise=np.eye(10))
    error = (clips.raw - clips.truth) * ((doubt(scores) / usual) ** (power / 2))[..., None]
    return Clips(clips.truth + error, clips.truth, np.broadcast_to(scores, (FRAMES, CLIPS, 5)).copy(), 1.0)


class TestTrust:
    @pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 1.5])
    def test_is_the_power_of_the_doubt(self, power: float) -> None:
        # 300 landmarks whose doubts differ by half a logarithm, of 58 frames each.
        assert statistics([with_scores(power)]).trust == pytest.approx(power, abs=0.1)

    def test_noise_is_that_of_usual_landmarks(self) -> None:
        # In every other clip one landmark is nine times as doubtful as usual, in the rest a ninth.
        doubts = np.full((CLIPS, 5), 0.1)
        doubts[::2, 0], doubts[1::2, 0] = 0.9, 0.1 / 9
        clips = make_clips(noise=np.eye(10))
        error = (clips.raw - clips.truth) * np.sqrt(doubts / 0.1)[..., None]
        scores = np.tile(1.001 - doubts, (FRAMES, 1, 1))
        found = statistics([Clips(clips.truth + error, clips.truth, scores, 1.0)]).noise
        # Each entry to some 4 %, and the power of the doubt to some.
        np.testing.assert_allclose(found / np.trace(found) * 10, np.eye(10), rtol=0, atol=0.15)

    def test_doubts_are_usual_ones(self) -> None:
        clips = with_scores(1.0)
        assert clips.scores is not None
        expected = np.exp(np.log(1.001 - clips.scores).mean(axis=(0, 1)))
        np.testing.assert_allclose(statistics([clips]).doubts, expected, rtol=1e-9)

    def test_scores_that_are_not_known_tell_nothing(self) -> None:
        found = statistics([make_clips()])
        assert found.trust == 0
        np.testing.assert_array_equal(found.doubts, np.ones(5))

    @pytest.mark.parametrize("score", [0.0, 0.7, 1.0])
    def test_scores_that_do_not_differ_tell_nothing(self, score: float) -> None:
        clips = make_clips()
        scores = np.full((FRAMES, CLIPS, 5), score)
        found = statistics([Clips(clips.raw, clips.truth, scores, 1.0)])
        assert found.trust == 0
        np.testing.assert_allclose(found.doubts, np.full(5, 1.001 - score))

    def test_clips_without_scores_do_not_change_what_is_usual(self) -> None:
        scored = with_scores(1.0)
        found, mixed = statistics([scored]), statistics([scored, make_clips(9, noise=np.eye(10))])
        np.testing.assert_allclose(mixed.doubts, found.doubts, rtol=1e-12)
        assert mixed.trust == pytest.approx(found.trust, abs=0.1)
