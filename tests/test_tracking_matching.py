"""Assignment against all permutations; which shapes are one face, and which hide each other."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from steadyface.tracking.matching import assign, contested, distinct, twins

SHAPE = np.random.default_rng(0).uniform(0, 100, (68, 2))
SCORES = np.array([0.9, 0.99, 0.8])


def shapes(*shifts: float) -> np.ndarray:
    """One shape, about 100 px wide, moved to the right."""
    return np.stack([SHAPE + np.array([shift, 0.0]) for shift in shifts])


def price(costs: np.ndarray, pairs: list[tuple[int, int]], most: float) -> float:
    """Of a pairing; what is unpaired on the shorter side costs `most`."""
    return sum(costs[r, c] for r, c in pairs) + most * (min(costs.shape) - len(pairs))


@given(
    arrays(float, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=st.floats(0, 10)),
    st.floats(0.5, 8),
)
def test_assign_is_the_cheapest_of_all_pairings(costs: np.ndarray, most: float) -> None:
    pairs = assign(costs, most)
    assert len({r for r, _ in pairs}) == len({c for _, c in pairs}) == len(pairs)
    assert all(costs[pair] < most for pair in pairs)
    tall = costs if len(costs) >= costs.shape[1] else costs.T
    cheapest = min(
        sum(min(tall[row, column], most) for column, row in enumerate(rows))
        for rows in permutations(range(len(tall)), tall.shape[1])
    )
    # Sums of four numbers below 10, in another order.
    assert abs(price(costs, pairs, most) - cheapest) < 1e-9


def test_assign_gives_up_no_good_pair_for_two_bad_ones() -> None:
    assert assign(np.array([[0.1, 2.5], [2.5, 9.0]]), most=3.0) == [(0, 0)]
    assert assign(np.zeros((0, 2)), most=3.0) == []


def test_shapes_on_one_face_are_twins() -> None:
    same = twins(shapes(0, 10, 300), shapes(5))
    assert same[:, 0].tolist() == [True, True, False]
    assert twins(shapes(0), np.zeros((0, 68, 2))).shape == (1, 0)


def test_of_twins_the_better_scored_stays() -> None:
    assert distinct(shapes(0, 10, 300), SCORES) == [1, 2]
    assert distinct(shapes(0, 200, 400), SCORES) == [0, 1, 2]


def test_faces_that_overlap_are_contested() -> None:
    assert contested(shapes(0, 80, 300)).tolist() == [True, True, False]
    assert contested(shapes(0)).tolist() == [False]
    assert contested(np.zeros((0, 68, 2))).tolist() == []


def test_a_small_face_inside_a_large_one_contests_both() -> None:
    small = 0.2 * (SHAPE - 50) + 50
    assert contested(np.stack([SHAPE, small])).all()
