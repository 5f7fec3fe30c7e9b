"""Objects in front of a still face."""

from __future__ import annotations

import numpy as np
import pytest

from steadyface.demo import portrait
from steadyface.geometry import bounding_box
from steadyface.synthetic.cover import random_cover, skin_colour
from steadyface.synthetic.occluder import Occluder, OccluderKind, draw_object

POINTS = np.random.default_rng(0).uniform([180, 80], [270, 160], (68, 2))


def test_an_object_stands_where_it_is_put() -> None:
    picture = np.full((9, 21, 3), 7, np.uint8)
    thing = Occluder(picture, np.ones((9, 21), np.float32), np.array([30.0, 20.0]))
    for seconds in (0.0, 5.0):
        rows, columns = np.nonzero(thing.mask(seconds, 60, 60))
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (16, 24, 20, 40)


def test_skin_colour_is_the_points_own() -> None:
    image = np.zeros((300, 400, 3), np.uint8)
    image[80:161, 180:271] = (200, 150, 120)
    points = np.vstack([POINTS[:60], np.full((4, 2), np.nan), np.full((4, 2), -50.0)])
    np.testing.assert_array_equal(skin_colour(image, points), [200, 150, 120])
    assert skin_colour(image, np.full((68, 2), -50.0)).shape == (3,)


@pytest.mark.parametrize("seed", range(40))
def test_a_random_object_is_on_the_face_and_changes_the_pixels_that_it_covers(seed: int) -> None:
    still = portrait().still
    points = POINTS.copy()
    points[:10] = np.nan
    thing = random_cover(still, points, still, np.random.default_rng(seed))
    x, y = thing.start
    x0, y0, x1, y1 = bounding_box(POINTS)
    assert x0 - 45 < x < x1 + 45
    assert y0 - 45 < y < y1 + 45
    drawn = still.copy()
    thing.draw(drawn, 0.0)
    mask = thing.mask(0.0, *still.shape[:2])
    changed = (drawn != still).any(axis=-1)
    assert mask.sum() > 16
    assert changed[mask].mean() > 0.8
    assert not changed[~mask].mean() > 0.02  # only along the outline
    again = random_cover(still, points, still, np.random.default_rng(seed))
    np.testing.assert_array_equal(again.image, thing.image)


@pytest.mark.parametrize("kind", OccluderKind)
def test_objects_are_drawn_in_the_size_of_the_face(kind: OccluderKind) -> None:
    small, large = (
        draw_object(kind, eyes, np.full(3, 150.0), np.random.default_rng(0)) for eyes in (40.0, 80.0)
    )
    for image, opacity in (small, large):
        assert image.shape[:2] == opacity.shape
        assert image.dtype == np.uint8
    np.testing.assert_allclose(np.array(large[1].shape) / small[1].shape, 2.0, rtol=0.05)
