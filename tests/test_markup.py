"""The 68-point markup as a graph: parts, contours, mirror images."""

from __future__ import annotations

import numpy as np

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


def test_seven_points_as_published() -> None:
    np.testing.assert_array_equal(markup.SEVEN + 1, [37, 40, 43, 46, 31, 49, 55])
    assert markup.SEVEN[[0, 3]].tolist() == list(markup.OUTER_EYE_CORNERS)
    assert len(set(markup.SEVEN_TALKING_FACE.tolist())) == 7
