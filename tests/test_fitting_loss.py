"""The fitting loss against brute-force minimisation, and against cases worked by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from steadyface.fitting.loss import LossWeights, delay_loss, distance_loss, loss, smooth_loss

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
    for t in range(1, 5):

        def cost(q: float, t: int = t) -> float:
            off = ((x[t] - q * x[t - 1] - (1 - q) * x[t + 1]) ** 2).sum() / 4
            return float(off + (midpoint * (q - 0.5) ** 2 if math.isfinite(midpoint) else 0))

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


def test_delay_loss_by_hand() -> None:
    truth = np.array([[[0.0, 0.0], [9.0, 0.0]], [[2.0, 0.0], [9.0, 1.0]], [[2.0, 0.0], [9.0, 1.0]]])
    outputs = truth + np.array(
        [[[7.0, 7.0], [7.0, 7.0]], [[-1.0, 5.0], [5.0, 0.5]], [[1.0, 1.0], [1.0, 1.0]]]
    )
    # v(1) = (2, 0, 0, 1), its error (-1, 5, 5, .5); then it rests, and the first frame has no v.
    assert delay_loss(outputs, truth) == pytest.approx((1.5 / (5 + 2 * 0.2**2)) ** 2 / 2)


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
    assert loss(outputs, truth, LossWeights(smooth, delay, midpoint)) == pytest.approx(expected)
    assert loss(outputs, truth, LossWeights(0, 0, midpoint)) == distance_loss(outputs, truth)


@given(seeds)
def test_the_papers_weights_are_the_default(seed: int) -> None:
    outputs, truth = sequence(seed), sequence(seed + 1)
    assert loss(outputs, truth) == loss(outputs, truth, LossWeights(smooth=1, delay=10, midpoint=1))


@pytest.mark.parametrize(
    "weights", [None, LossWeights(8, 10, 1), LossWeights(1, 0, 0), LossWeights(1, 0, math.inf)]
)
@pytest.mark.parametrize("batch", [(3,), (2, 2)])
def test_each_sequence_has_its_own(weights: LossWeights | None, batch: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    outputs, truth = rng.normal(0, 3, (2, 6, *batch, 4, 2))
    losses = np.asarray(loss(outputs, truth, weights))
    assert losses.shape == batch
    for i in np.ndindex(batch):
        assert losses[i] == pytest.approx(loss(outputs[:, *i], truth[:, *i], weights), rel=1e-12)


def test_the_minimum_is_where_the_derivative_is_zero() -> None:
    torch = pytest.importorskip("torch")
    x, midpoint = torch.tensor(sequence(5, 8) / 3).requires_grad_(), 3.0
    q = torch.full((6,), 0.5, dtype=torch.float64, requires_grad=True)

    def cost() -> Any:
        off = x[1:-1] - q[:, None, None] * x[:-2] - (1 - q)[:, None, None] * x[2:]
        return ((off**2).sum((1, 2)) / 4 + midpoint * (q - 0.5) ** 2).mean()

    for _ in range(300):
        (slope,) = torch.autograd.grad(cost(), q)
        with torch.no_grad():
            q -= 0.1 * slope
    by_q, by_x = torch.autograd.grad(cost(), (q, x))
    # The curvature is between 1 and 10, so each step leaves at most nine tenths of the slope.
    assert float(by_q.abs().max()) < 1e-12
    points = x.detach().numpy()
    assert smooth_loss(points, midpoint) == pytest.approx(cost().item(), rel=1e-12)
    # And where it is least over q, q does not count in the slope along x.
    for i in np.ndindex(points.shape):
        ahead, behind = points.copy(), points.copy()
        ahead[i] += 1e-4
        behind[i] -= 1e-4
        difference = (smooth_loss(ahead, midpoint) - smooth_loss(behind, midpoint)) / 2e-4
        # Central differences err by the square of the step, and by rounding over the step.
        assert difference == pytest.approx(float(by_x[i]), abs=1e-6)


def test_perfect_output_under_constant_velocity_costs_nothing() -> None:
    truth = constant_velocity()
    assert loss(truth, truth) == pytest.approx(0, abs=1e-20)
