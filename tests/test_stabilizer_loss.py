"""The fitting loss against brute-force minimisation, and against cases worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from steadyface.stabilizer.loss import Weights, delay_loss, distance_loss, loss, smooth_loss

seeds = st.integers(0, 2**32 - 1)


def sequence(seed: int, frames: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3, (frames, 4, 2))


def constant_velocity(frames: int = 8, velocity: float = 10.0) -> np.ndarray:
    return sequence(0, 1) + np.arange(frames)[:, None, None] * np.array([velocity, -velocity])


@pytest.mark.parametrize("midpoint", [0.0, 1.0, 50.0, math.inf])
@given(seed=seeds)
def test_smooth_loss_is_the_minimum_over_q(midpoint: float, seed: int) -> None:
    x = sequence(seed)
    total = 0.0
    for before, now, after in zip(x, x[1:], x[2:], strict=False):

        def cost(q: float, before=before, now=now, after=after) -> float:
            off = ((now - q * before - (1 - q) * after) ** 2).sum() / 4
            return off + (midpoint * (q - 0.5) ** 2 if math.isfinite(midpoint) else 0)

        total += minimize_scalar(cost).fun if math.isfinite(midpoint) else cost(0.5)
    # Brent's method stops at 1e-8 of q, which is 1e-16 of a parabola's minimum.
    assert smooth_loss(x, midpoint) == pytest.approx(total / 4, rel=1e-9)


@given(seeds)
def test_smooth_loss_grows_with_the_pull_to_the_middle(seed: int) -> None:
    values = [smooth_loss(sequence(seed), midpoint) for midpoint in (0, 0.1, 1, 10, 1e9, math.inf)]
    assert values == sorted(values)
    assert values[-2] == pytest.approx(values[-1], rel=1e-6)


def test_smooth_loss_by_hand() -> None:
    x = np.array([[[0.0, 0.0]], [[1.0, 3.0]], [[4.0, 0.0]]])
    assert smooth_loss(x, 0.0) == pytest.approx(9)
    assert smooth_loss(x, math.inf) == pytest.approx(9 + 1)
    assert smooth_loss(x, 16.0) == pytest.approx(9 + 1 - 4**2 / (16 + 16))


def test_resting_points_have_no_line_and_no_loss() -> None:
    assert smooth_loss(np.zeros((5, 4, 2)), 0.0) == 0


@pytest.mark.parametrize("late", [0.5, 1.0, -0.5])
def test_delay_loss_is_the_lag_squared(late: float) -> None:
    truth = constant_velocity(velocity=100.0)
    outputs = truth - late * np.array([100.0, -100.0])
    # The guard against resting faces, 0.2 % of the face, takes (0.2 / 141)² of it, twice.
    assert delay_loss(outputs, truth) == pytest.approx(late**2, rel=1e-5)


def test_delay_loss_of_a_resting_face_stays_small() -> None:
    truth = constant_velocity(velocity=1e-4)
    # Without the guard an error of 1 % would count as 5,000 frames late.
    assert delay_loss(truth + np.array([1.0, -1.0]), truth) < 1e-4


def test_delay_loss_ignores_error_across_the_motion() -> None:
    truth = constant_velocity()
    assert delay_loss(truth + np.array([3.0, 3.0]), truth) == pytest.approx(0, abs=1e-20)


@given(seeds)
def test_distance_is_per_landmark(seed: int) -> None:
    outputs, truth = sequence(seed), sequence(seed + 1)
    total = sum(
        math.dist(x, p) ** 2 for x, p in zip(outputs.reshape(-1, 2), truth.reshape(-1, 2), strict=True)
    )
    assert distance_loss(outputs, truth) == pytest.approx(total / outputs[..., 0].size)


@given(seeds, st.floats(0, 20), st.floats(0, 20), st.sampled_from([0.0, 1.0, math.inf]))
def test_weights_weigh(seed: int, smooth: float, delay: float, midpoint: float) -> None:
    outputs, truth = sequence(seed), sequence(seed + 1)
    expected = (
        distance_loss(outputs, truth)
        + delay * delay_loss(outputs, truth)
        + smooth * smooth_loss(outputs, midpoint)
    )
    assert loss(outputs, truth, Weights(smooth, delay, midpoint)) == pytest.approx(expected)
    assert loss(outputs, truth, Weights(0, 0, midpoint)) == distance_loss(outputs, truth)


@given(seeds)
def test_the_papers_weights_are_the_default(seed: int) -> None:
    outputs, truth = sequence(seed), sequence(seed + 1)
    assert loss(outputs, truth) == loss(outputs, truth, Weights(smooth=1, delay=10, midpoint=1))


@given(seeds)
def test_clips_average(seed: int) -> None:
    outputs, truth = (np.stack([sequence(seed + i), sequence(seed + i + 2)], axis=1) for i in (0, 1))
    alone = [loss(outputs[:, i], truth[:, i]) for i in range(2)]
    assert loss(outputs, truth) == pytest.approx(np.mean(alone))


def test_perfect_output_under_constant_velocity_costs_nothing() -> None:
    truth = constant_velocity()
    assert loss(truth, truth) == pytest.approx(0, abs=1e-20)
