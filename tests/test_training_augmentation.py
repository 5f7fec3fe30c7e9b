"""Whatever happens to a training crop, its points stay on what they mark."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyface import markup
from steadyface.geometry import Region, flip_points
from steadyface.training.augmentation import Augmentation, _blur, _low_resolution

SIZE = 192
seeds = st.integers(0, 2**32 - 1)
geometric = Augmentation(camera=0, occlusion=0)
nothing = Augmentation(scale=0, shift=0, roll=0, flip=0, camera=0, occlusion=0)


def dotted() -> tuple[np.ndarray, np.ndarray]:
    """An image of 68 soft dots, and where they are; a dot's red says which it is."""
    rng = np.random.default_rng(68)
    grid = np.stack(np.meshgrid(np.arange(9), np.arange(8)), axis=-1).reshape(-1, 2)[:68]
    points = 120.0 + 32 * grid + rng.uniform(-3, 3, (68, 2))
    rows, columns = np.mgrid[:480, :480]
    image = np.zeros((480, 480, 3))
    for i, (x, y) in enumerate(points):
        dot = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 3.0**2))
        image += dot[..., None] * [60 + 2.5 * i, 200, 0]
    return np.round(image).clip(0, 255).astype(np.uint8), points


IMAGE, POINTS = dotted()


def dot_near(crop: np.ndarray, point: np.ndarray) -> tuple[np.ndarray, float]:
    """The centroid of the dot around a point, in px, and its red over its green."""
    corner = np.round(point).astype(int) - 5
    patch = crop[corner[1] : corner[1] + 11, corner[0] : corner[0] + 11].astype(float)
    rows, columns = np.mgrid[:11, :11]
    green = patch[..., 1]
    centroid = np.array([(green * columns).sum(), (green * rows).sum()]) / green.sum()
    return centroid + corner, patch[..., 0].sum() / green.sum()


@given(seeds)
def test_points_follow_the_image(seed: int) -> None:
    crop, points = geometric.crop(IMAGE, POINTS, SIZE, np.random.default_rng(seed))
    inside = ((points > 7) & (points < SIZE - 8)).all(axis=-1)
    assert inside.sum() > 20
    order = np.arange(68)
    reds = []
    for i in order[inside]:
        centroid, red = dot_near(crop, points[i])
        # The window cuts a dot's tail off, and its centre is up to ½ px off the window's.
        np.testing.assert_allclose(centroid, points[i], rtol=0, atol=0.15)
        reds.append((red * 200 - 60) / 2.5)
    straight, mirrored = order[inside], markup.FLIP[inside]
    # Rounding to levels and neighbours' tails leave a dot's number uncertain by 1 or 2; few are that close.
    off = [np.abs(np.array(reds) - numbers).mean() for numbers in (straight, mirrored)]
    assert min(off) < 2


@given(seeds)
def test_flip_is_the_mirror_image(seed: int) -> None:
    plain, mirror = (Augmentation(flip=flip, camera=0, occlusion=0) for flip in (0.0, 1.0))
    crop, points = plain.crop(IMAGE, POINTS, SIZE, np.random.default_rng(seed))
    flipped, moved = mirror.crop(IMAGE, POINTS, SIZE, np.random.default_rng(seed))
    np.testing.assert_array_equal(flipped, crop[:, ::-1])
    np.testing.assert_array_equal(moved, flip_points(points, SIZE, markup.FLIP))


@given(seeds)
def test_same_seed_same_crop(seed: int) -> None:
    (a, p), (b, q) = (Augmentation().crop(IMAGE, POINTS, 64, np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(p, q)


@given(seeds)
def test_without_strength_nothing_varies(seed: int) -> None:
    rng = np.random.default_rng(seed)
    region = Region(10.0, 20.0, 30.0, 0.1)
    assert nothing.region(region, rng) == region
    crop = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(nothing.degrade(crop, rng), crop)


@given(seeds, st.sampled_from([16, 64, 128]))
def test_every_flaw_leaves_a_picture(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    crop = cv2.resize(IMAGE, (size, size))
    before = crop.copy()
    worse = Augmentation(camera=1, occlusion=1).degrade(crop, rng)
    assert worse.shape == crop.shape
    assert worse.dtype == np.uint8
    np.testing.assert_array_equal(crop, before)


@pytest.mark.parametrize("flaw", [_blur, _low_resolution])
@pytest.mark.parametrize("size", [32, 96, 128])
def test_flaws_do_not_move_the_picture(flaw: Callable, size: int) -> None:
    rows, columns = np.mgrid[:size, :size]
    middle = (size - 1) / 2
    spot = 255 * np.exp(-((columns - middle) ** 2 + (rows - middle) ** 2) / (2 * 4.0**2))
    crop = np.repeat(np.round(spot)[..., None], 3, axis=-1).astype(np.uint8)
    rng = np.random.default_rng(0)
    for _ in range(60):
        light = flaw(crop, rng)[..., 0].astype(float)
        centroid = np.array([(light * columns).sum(), (light * rows).sum()]) / light.sum()
        # Levels are rounded, and a turned line of few px is a little crooked.
        assert np.abs(centroid - middle).max() < 0.1
