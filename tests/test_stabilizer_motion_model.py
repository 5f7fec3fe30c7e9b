"""The shared Kalman prediction against the matrix exponential and the laws of time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from steadyface.stabilizer.motion_model import COLUMNS, ROWS, passage

dampings = st.one_of(st.just(1.0), st.floats(1e-6, 1.0), st.floats(0.99, 1.0))
times = st.floats(1e-3, 30.0)

SYMMETRIC = np.array([[0, 1], [1, 2]])  # the stacked entry of each entry of a covariance


def dense(damping: float, frames: float) -> tuple[np.ndarray, np.ndarray]:
    """Transition and growth of (x, v) by the exponential of one block matrix (Van Loan 1978)."""
    drift = np.array([[0.0, 1.0], [0.0, np.log(damping)]])
    push = np.diag([0.0, 1.0])
    block = expm(np.block([[-drift, push], [np.zeros((2, 2)), drift.T]]) * frames)
    transition = block[2:, 2:].T
    return transition, transition @ block[:2, 2:]


@given(damping=st.floats(0.3, 1.0), frames=st.floats(1e-3, 10.0))
def test_is_the_integral_of_the_equation(damping: float, frames: float) -> None:
    transition, growth = dense(damping, frames)
    found = passage(damping, frames)
    # The block matrix holds both exp(λf) and exp(-λf), 1e5 and 1e-5, and so loses up to ten digits.
    np.testing.assert_allclose(found.mean_map, transition, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.growth[SYMMETRIC], growth, rtol=1e-5, atol=1e-11)


@given(damping=dampings, first=times, second=times)
def test_two_times_are_one(damping: float, first: float, second: float) -> None:
    one, other, whole = passage(damping, first), passage(damping, second), passage(damping, first + second)
    np.testing.assert_allclose(other.mean_map @ one.mean_map, whole.mean_map, rtol=1e-9, atol=1e-12)
    grown = other.covariance_map @ one.growth + other.growth
    np.testing.assert_allclose(grown, whole.growth, rtol=1e-8, atol=1e-15)


@given(damping=dampings, frames=times, entries=st.tuples(*[st.floats(0.1, 2.0)] * 2, st.floats(-1.0, 1.0)))
def test_a_stacked_covariance_moves_as_a_matrix(
    damping: float, frames: float, entries: tuple[float, float, float]
) -> None:
    position, velocity, correlation = entries
    stacked = np.array([position, correlation * np.sqrt(position * velocity), velocity])
    found = passage(damping, frames)
    moved = found.mean_map @ stacked[SYMMETRIC] @ found.mean_map.T
    np.testing.assert_allclose((found.covariance_map @ stacked)[SYMMETRIC], moved, rtol=1e-9, atol=1e-9)


def test_no_time_changes_nothing() -> None:
    found = passage(np.array([0.2, 0.9, 1.0]), 0.0)
    np.testing.assert_array_equal(found.mean_map, np.eye(2)[..., None] * np.ones(3))
    np.testing.assert_array_equal(found.growth, np.zeros((3, 3)))


@pytest.mark.parametrize("frames", [0.3, 1.0, 7.0])
def test_many_dampings_are_each_alone(frames: float) -> None:
    dampings = np.array([1e-4, 0.5, 0.994, 0.9951, 0.9999, 1.0])
    together = passage(dampings, frames)
    for d, damping in enumerate(dampings):
        for part, alone in zip(together, passage(float(damping), frames), strict=True):
            np.testing.assert_allclose(part[..., d], alone, rtol=1e-14)


def test_stacked_outer_product() -> None:
    gain = np.array([2.0, 3.0])
    np.testing.assert_array_equal((gain[ROWS] * gain[COLUMNS])[SYMMETRIC], np.outer(gain, gain))
