"""Overlays: drawn where the points are, into a copy, on a canvas of one size."""

from __future__ import annotations

import numpy as np
import pytest

from steadyface.drawing import draw_faces, fit_canvas
from steadyface.geometry import bounding_box
from steadyface.tracker import TrackedFace


def face(points: np.ndarray, number: int = 0) -> TrackedFace:
    return TrackedFace(number, points, points, np.ones(68), bounding_box(points))


def test_points_are_drawn_where_they_are_and_the_frame_is_left_alone() -> None:
    frame = np.zeros((200, 300, 3), np.uint8)
    points = np.random.default_rng(0).uniform(40, 160, (68, 2))
    drawn = draw_faces(frame, [face(points)])
    assert not frame.any()
    for x, y in np.round(points).astype(int):
        assert drawn[y - 1 : y + 2, x - 1 : x + 2].any()
    assert not drawn[:20].any()
    assert not drawn[:, 200:].any()


def test_identities_differ_in_colour() -> None:
    frame = np.zeros((200, 200, 3), np.uint8)
    points = np.random.default_rng(0).uniform(40, 160, (68, 2))
    assert not np.array_equal(draw_faces(frame, [face(points, 0)]), draw_faces(frame, [face(points, 1)]))


def test_far_points_do_not_throw() -> None:
    points = np.random.default_rng(0).normal(0, 1e7, (68, 2))
    draw_faces(np.zeros((20, 20, 3), np.uint8), [face(points)])


@pytest.mark.parametrize("shape", [(50, 100), (100, 50), (1, 1), (400, 30)])
def test_any_image_fits_the_canvas(shape: tuple[int, int]) -> None:
    fitted = fit_canvas(np.full((*shape, 3), 200, np.uint8), 100, 80)
    assert fitted.shape == (80, 100, 3)
    lit = np.argwhere(fitted[..., 0] > 100)
    height, width = lit.max(axis=0) - lit.min(axis=0) + 1
    assert height == 80 or width == 100
    # Each side is rounded to whole pixels.
    assert abs(height / width - shape[0] / shape[1]) < 0.05 * shape[0] / shape[1] + 1 / width
