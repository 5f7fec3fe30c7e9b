"""Assignment against all permutations; duplicates, and faces that may hide each other."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from steadyface.tracking import MatchingConfig, OcclusionConfig
from steadyface.tracking.matching import assign, find_occluder, near_others, same_face, suppress_duplicates

MATCHING, OCCLUSION = MatchingConfig(), OcclusionConfig()
SHAPE = np.random.default_rng(0).uniform(0, 100, (68, 2))
SCORES = np.array([0.9, 0.99, 0.8])


def shapes(*shifts: float) -> np.ndarray:
    """One shape, about 100 px wide, shifted to the right."""
    return np.stack([SHAPE + np.array([shift, 0.0]) for shift in shifts])


def total_cost(costs: np.ndarray, pairs: list[tuple[int, int]], max_cost: float) -> float:
    """Cost of a pairing; each unpaired row or column of the shorter side costs `max_cost`."""
    return sum(costs[r, c] for r, c in pairs) + max_cost * (min(costs.shape) - len(pairs))


@given(
    arrays(float, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=st.floats(0, 10)),
    st.floats(0.5, 8),
)
def test_assign_is_the_cheapest_of_all_pairings(costs: np.ndarray, max_cost: float) -> None:
    pairs = assign(costs, max_cost)
    assert len({r for r, _ in pairs}) == len({c for _, c in pairs}) == len(pairs)
    assert all(costs[pair] < max_cost for pair in pairs)
    tall = costs if len(costs) >= costs.shape[1] else costs.T
    cheapest = min(
        sum(min(tall[row, column], max_cost) for column, row in enumerate(rows))
        for rows in permutations(range(len(tall)), tall.shape[1])
    )
    # Sums of four numbers below 10, in another order.
    assert abs(total_cost(costs, pairs, max_cost) - cheapest) < 1e-9


def test_assign_gives_up_no_good_pair_for_two_bad_ones() -> None:
    assert assign(np.array([[0.1, 2.5], [2.5, 9.0]]), max_cost=3.0) == [(0, 0)]
    assert assign(np.zeros((0, 2)), max_cost=3.0) == []


def test_shapes_on_one_face_are_the_same_face() -> None:
    assert same_face(shapes(0, 10, 300), shapes(5), MATCHING)[:, 0].tolist() == [True, True, False]
    assert same_face(shapes(0), np.zeros((0, 68, 2)), MATCHING).shape == (1, 0)


def test_a_higher_limit_finds_fewer_shapes_on_one_face() -> None:
    strict = MatchingConfig(same_face_iou=0.95, same_face_distance=0.05)
    assert same_face(shapes(0, 10), shapes(0), strict)[:, 0].tolist() == [True, False]


def test_of_duplicates_the_better_scored_stays() -> None:
    assert suppress_duplicates(shapes(0, 10, 300), SCORES, MATCHING) == [1, 2]
    assert suppress_duplicates(shapes(0, 200, 400), SCORES, MATCHING) == [0, 1, 2]


def test_faces_that_overlap_may_hide_each_other() -> None:
    assert near_others(shapes(0, 80, 300), OCCLUSION).tolist() == [True, True, False]
    assert near_others(shapes(0), OCCLUSION).tolist() == [False]
    assert near_others(np.zeros((0, 68, 2)), OCCLUSION).tolist() == []


def test_a_margin_counts_the_heads_around_the_faces() -> None:
    assert near_others(shapes(0, 120), OCCLUSION).tolist() == [False, False]
    assert near_others(shapes(0, 120), OCCLUSION, margin=0.4).tolist() == [True, True]


def test_a_small_face_inside_a_large_one_may_hide_it() -> None:
    small = 0.2 * (SHAPE - 50) + 50
    assert near_others(np.stack([SHAPE, small]), OCCLUSION).all()


def test_the_occluder_is_the_nearest_face_within_reach() -> None:
    others = {7: shapes(150)[0], 4: shapes(-120)[0], 9: shapes(400)[0]}
    assert find_occluder(SHAPE, others, OCCLUSION) == 4
    assert find_occluder(SHAPE, {9: others[9]}, OCCLUSION) is None  # 4 face sizes away; 2 are allowed
    assert find_occluder(SHAPE, {}, OCCLUSION) is None
