"""The finder's graph decodes the boxes that were drawn into the maps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from finder_maps import CELL, cut_faces, draw, read
from hypothesis import given
from hypothesis import strategies as st

from steadyface.geometry import iou
from steadyface.nets.graph import MOST_BOXES

EXACT = 1e-2
"""px: float32 holds a box of 400 px to 1e-4 px; its centre comes from logarithms good to 1e-4 cells."""


def grid(count: int, apart: int = 40, jitter: float = 4.0, seed: int = 0) -> np.ndarray:
    """count × count boxes of 14 px or so, `apart` px from each other."""
    rng = np.random.default_rng(seed)
    places = (np.array(list(itertools.product(range(count), repeat=2))) + 0.5) * apart - 0.5
    places = places + rng.uniform(-jitter, jitter, places.shape)
    half = rng.uniform(6, 8, places.shape)
    return np.hstack([places - half, places + half])


@given(cut_faces())
def test_a_face_anywhere_comes_back_whole_and_sure(case: tuple[tuple[int, int], list[float]]) -> None:
    cells, box = case
    boxes, scores = read(draw([box], cells))
    np.testing.assert_allclose(boxes, [box], rtol=0, atol=EXACT)
    # The drawn maps stop 1e-6 below 1, and a step 1e-4 cells off changes the score by as little.
    np.testing.assert_allclose(scores, [1.0], rtol=0, atol=1e-3)


@given(st.floats(4, 12), st.floats(4, 12), st.floats(0.3, 1), st.floats(0.8, 2))
def test_a_score_does_not_depend_on_where_between_the_cells_a_face_lies(
    x: float, y: float, score: float, sigma: float
) -> None:
    box = np.array([x, y, x, y]) * CELL + [-20, -25, 20, 25]
    boxes, scores = read(draw([box.tolist()], (16, 16), [score], sigma), 0.2, sigma)
    np.testing.assert_allclose(boxes, [box], rtol=0, atol=EXACT)
    np.testing.assert_allclose(scores, [score], rtol=0, atol=1e-3)


@pytest.mark.parametrize("place", [(63.5, 63.5), (63.5, 59.5), (59.5, 63.5)])
def test_a_centre_halfway_between_equal_cells_is_one_face(place: tuple[float, float]) -> None:
    box = np.array([*place, *place]) + np.array([-15, -15, 15, 15])
    boxes, scores = read(draw([box.tolist()], (16, 16)))
    np.testing.assert_allclose(boxes, [box], rtol=0, atol=EXACT)
    assert scores == pytest.approx([1.0], abs=1e-3)


def test_many_faces_come_best_first() -> None:
    faces, rng = grid(4), np.random.default_rng(1)
    given_scores = rng.permutation(np.linspace(0.5, 1.0, len(faces)))
    boxes, scores = read(draw(faces.tolist(), (20, 20), given_scores.tolist()), 0.45)
    order = np.argsort(-given_scores)
    np.testing.assert_allclose(boxes, faces[order], rtol=0, atol=EXACT)
    np.testing.assert_allclose(scores, given_scores[order], rtol=0, atol=1e-3)


def test_the_threshold_parts_faces_by_their_scores() -> None:
    maps = draw(grid(2).tolist(), (10, 10), [0.9, 0.7, 0.5, 0.3])
    assert [len(read(maps, threshold)[0]) for threshold in (0.2, 0.4, 0.6, 0.8, 0.95)] == [4, 3, 2, 1, 0]


def test_no_more_than_the_best_are_returned() -> None:
    faces = grid(10, apart=32, jitter=0.0) + 2.0  # not between cells, where one face has several peaks
    given_scores = np.random.default_rng(1).permutation(np.linspace(0.5, 1.0, len(faces)))
    boxes, _ = read(draw(faces.tolist(), (40, 40), given_scores.tolist()), 0.4)
    best = np.argsort(-given_scores)[:MOST_BOXES]
    np.testing.assert_allclose(boxes, faces[best], rtol=0, atol=EXACT)


@pytest.mark.parametrize("side", [40.0, 70.0, 100.0, 200.0])
def test_of_two_boxes_on_one_face_the_better_stays(side: float) -> None:
    faces = np.array([[100, 100, 100, 100], [132, 100, 132, 100]]) + side / 2 * np.array([-1, -1, 1, 1])
    boxes, scores = read(draw(faces.tolist(), (32, 32), [0.8, 0.9]))
    both = iou(faces[:1], faces[1:])[0, 0] < 0.45
    np.testing.assert_allclose(boxes, faces[[1, 0]] if both else faces[1:], rtol=0, atol=EXACT)
    np.testing.assert_allclose(scores, [0.9, 0.8] if both else [0.9], rtol=0, atol=1e-3)


@pytest.mark.parametrize("cells", [(4, 4), (4, 12), (16, 4), (8, 8), (4, 1000)])
def test_maps_of_any_size_without_a_face_give_nothing(cells: tuple[int, int]) -> None:
    boxes, scores = read(draw([], cells), 1e-3)
    assert (boxes.shape, scores.shape) == ((0, 4), (0,))


def test_a_plateau_scores_no_more_than_its_height() -> None:
    """But at the border, where beyond it nothing is known."""
    maps = torch.zeros(1, 5, 8, 8)
    maps[:, 0] = torch.logit(torch.tensor(0.3))
    boxes, _ = read(maps, 0.31)
    cells = ((boxes[:, :2] + boxes[:, 2:]) / 2 + 0.5) / CELL
    assert ((cells < 2) | (cells > 6)).any(axis=1).all()
    assert len(boxes) <= 28


@given(st.integers(0, 2**32 - 1), st.floats(0, 30))
def test_whatever_the_maps_hold_boxes_are_finite_and_ordered(seed: int, spread: float) -> None:
    maps = torch.from_numpy(np.random.default_rng(seed).normal(0, spread, (1, 5, 8, 12))).float()
    boxes, scores = read(maps, 0.1)
    assert np.isfinite(boxes).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert (np.diff(scores) <= 0).all()
    assert ((scores >= 0.1) & (scores <= 1)).all()
