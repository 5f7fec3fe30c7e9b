"""The 68-point markup as a graph: parts, contours, mirror images."""

from __future__ import annotations

import numpy as np
import pytest

from steadyface import markup
from steadyface.markup import CLOSED_GROUPS, COUNT, EDGES, FLIP, GROUPS, NAMES


def test_groups_partition_the_points() -> None:
    assert [i for points in GROUPS.values() for i in points] == list(range(COUNT))


def test_names_are_unique() -> None:
    assert len(NAMES) == len(set(NAMES)) == COUNT


def test_flip_is_an_involution() -> None:
    np.testing.assert_array_equal(FLIP[FLIP], np.arange(COUNT))


def test_flip_swaps_right_and_left() -> None:
    opposite = {"right": "left", "left": "right"}
    for group, points in GROUPS.items():
        side, _, part = group.partition("_")
        mirrored = f"{opposite[side]}_{part}" if side in opposite else group
        assert set(FLIP[list(points)]) == set(GROUPS[mirrored]), group


def test_flip_keeps_the_points_on_the_midline() -> None:
    midline = [8, *GROUPS["nose_bridge"], 33, 51, 57, 62, 66]
    np.testing.assert_array_equal(np.flatnonzero(np.arange(COUNT) == FLIP), midline)


def test_flip_keeps_the_contours() -> None:
    edges = {frozenset(edge) for edge in EDGES.tolist()}
    assert {frozenset(edge) for edge in FLIP[EDGES].tolist()} == edges


def test_edges_stay_within_a_group() -> None:
    group_of = {i: group for group, points in GROUPS.items() for i in points}
    assert all(group_of[a] == group_of[b] for a, b in EDGES.tolist())


def test_open_groups_have_an_edge_less_than_points() -> None:
    assert len(EDGES) == COUNT - (len(GROUPS) - len(CLOSED_GROUPS))
    closed = sorted(i for group in CLOSED_GROUPS for i in GROUPS[group])
    degree = np.bincount(EDGES.ravel(), minlength=COUNT)
    assert (degree[closed] == 2).all()


def test_wflw_s_points_are_mirrored_as_ibug_s() -> None:
    """Mirror image of WFLW's 98 points, from its annotation's scheme."""
    flip = [
        *(*range(32, -1, -1), *range(46, 41, -1), *range(50, 46, -1), *range(37, 32, -1)),
        *(*range(41, 37, -1), *range(51, 55), *range(59, 54, -1)),
        *(*range(72, 67, -1), 75, 74, 73, *range(64, 59, -1), 67, 66, 65),
        *(*range(82, 75, -1), *range(87, 82, -1), *range(92, 87, -1), 95, 94, 93),
        *(97, 96),
    ]
    assert len(set(markup.WFLW.tolist())) == COUNT
    assert sorted(flip) == list(range(98))
    np.testing.assert_array_equal(np.array(flip)[markup.WFLW], markup.WFLW[FLIP])


def test_seven_points_as_published() -> None:
    np.testing.assert_array_equal(markup.SEVEN + 1, [37, 40, 43, 46, 31, 49, 55])
    assert markup.SEVEN[[0, 3]].tolist() == list(markup.OUTER_EYE_CORNERS)
    assert len(set(markup.SEVEN_TALKING_FACE.tolist())) == 7


@pytest.mark.parametrize("group", sorted(CLOSED_GROUPS))
def test_corners_and_facing_points_make_up_a_closed_contour(group: str) -> None:
    upper, lower = markup.facing(group)
    assert len(upper) == len(lower)
    assert sorted([*markup.corners(group), *upper, *lower]) == list(GROUPS[group])


def test_corners_of_the_eyes_are_those_that_the_distance_is_measured_between() -> None:
    right, left = (markup.corners(f"{side}_eye") for side in ("right", "left"))
    assert (right[0], left[1]) == markup.OUTER_EYE_CORNERS


def test_flip_keeps_corners_and_facing_pairs() -> None:
    corners = {frozenset(markup.corners(group)) for group in CLOSED_GROUPS}
    assert {frozenset(FLIP[list(pair)].tolist()) for pair in corners} == corners
    pairs = np.concatenate([np.column_stack(markup.facing(group)) for group in sorted(CLOSED_GROUPS)])
    assert {tuple(pair) for pair in FLIP[pairs].tolist()} == {tuple(pair) for pair in pairs.tolist()}


def test_a_jaw_drops_and_a_nose_stands_out_alike_on_both_sides() -> None:
    for table in (markup.JAW_DROP, markup.NOSE_DEPTH):
        np.testing.assert_array_equal(table[FLIP], table)
        assert table.max() == 1


def test_a_dropping_jaw_opens_the_lips_and_leaves_eyes_and_nose() -> None:
    for group in ("outer_lips", "inner_lips"):
        upper, lower = markup.facing(group)
        assert (markup.JAW_DROP[lower] > markup.JAW_DROP[upper]).all()
    assert not markup.JAW_DROP[17:48].any()


def test_the_tip_of_the_nose_stands_out_most_and_nothing_but_the_nose() -> None:
    assert markup.NOSE_DEPTH.argmax() == markup.SEVEN[4]
    nose = [*GROUPS["nose_bridge"], *GROUPS["nose_base"]]
    np.testing.assert_array_equal(np.flatnonzero(markup.NOSE_DEPTH), nose)
