"""Objects that cross a face: the mask, the labels and the picture agree, and the crossing takes its time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from talking_scenes import STIFF, scene, shut_face

from steadyface.demo import portrait
from steadyface.metrics import interocular
from steadyface.synthetic.occluder import Occluder, OccluderKind
from steadyface.synthetic.talking_still import TalkingStill


def square(**changes: object) -> Occluder:
    """A red square of 11 × 11 px, its centre at (20, 15) at first, 30 px a second to the right."""
    image = np.full((11, 11, 3), (200, 0, 0), np.uint8)
    start, velocity = np.array([20.0, 15.0]), np.array([30.0, 0.0])
    return replace(Occluder(image, np.ones((11, 11), np.float32), start, velocity), **changes)  # type: ignore[arg-type]


def crossed(kind: OccluderKind, **changes: object) -> TalkingStill:
    life = scene(seed=5, seconds=3.0, **changes)
    return replace(life, still=portrait().still, points=shut_face()).crossed_by(kind)


def test_mask_picture_and_labels_of_a_square() -> None:
    for seconds, x0 in ((0.0, 15), (0.5, 30)):
        expected = np.zeros((40, 60), bool)
        expected[10:21, x0 : x0 + 11] = True
        np.testing.assert_array_equal(square().mask(seconds, 40, 60), expected)
        image = np.full((40, 60, 3), 9, np.uint8)
        square().draw(image, seconds)
        np.testing.assert_array_equal(image[..., 0], np.where(expected, 200, 9))
    points = np.array([[15.0, 10.0], [25.0, 20.0], [14.0, 10.0], [25.0, 21.0], [999.0, -5.0]])
    np.testing.assert_array_equal(square().covers(points, 0.0), [True, True, False, False, False])


def test_a_turned_square_covers_a_diamond() -> None:
    turned = square(angle=45.0)
    points = np.array([[20.0, 21.5], [26.5, 15.0], [24.5, 19.5]])  # the last is in the upright square only
    np.testing.assert_array_equal(turned.covers(points, 0.0), [True, True, False])
    rows, columns = np.mgrid[:40, :60]
    diamond = abs(columns - 20) + abs(rows - 15) <= 5.5 * np.sqrt(2)
    np.testing.assert_array_equal(turned.mask(0.0, 40, 60), diamond)


def test_outside_of_the_frame_nothing_is_drawn() -> None:
    image = np.full((40, 60, 3), 9, np.uint8)
    square().draw(image, 10.0)
    assert (image == 9).all()
    assert not square().mask(10.0, 40, 60).any()


@pytest.mark.parametrize("kind", OccluderKind)
def test_pixels_change_where_the_mask_says_and_landmarks_are_labelled_by_it(kind: OccluderKind) -> None:
    life = crossed(kind)
    assert life.occluder is not None
    bare = replace(life, occluder=None)
    for index in (30, 45, 60):
        seconds = index / 30
        mask = life.occluder.mask(seconds, life.height, life.width)
        differs = (life.frame(index).image != bare.frame(index).image).any(axis=-1)
        assert not bare.covered(seconds).any()
        grown = mask.copy()  # its soft edge
        for axis in (0, 1):
            grown = grown | np.roll(grown, 1, axis) | np.roll(grown, -1, axis)
        assert not (differs & ~grown).any()
        assert (differs & mask).sum() >= 0.95 * mask.sum()
        truth = life.truth(seconds)
        x, y = np.round(truth).astype(int).T
        windows = [mask[b - 1 : b + 2, a - 1 : a + 2] for a, b in zip(x, y, strict=True)]
        clear = np.array([window.all() or not window.any() for window in windows])
        np.testing.assert_array_equal(life.covered(seconds)[clear], mask[y, x][clear])


@pytest.mark.parametrize("kind", OccluderKind)
def test_it_reaches_a_resting_face_after_a_second_and_has_left_it_after_two(kind: OccluderKind) -> None:
    life = crossed(kind, shift=0.0, roll=0.0, zoom=0.0, **STIFF)
    covered = [bool(life.covered(index / 60).any()) for index in range(180)]
    there = np.flatnonzero(covered) / 60
    assert 0.95 < there[0] < 1.4
    assert 1.6 < there[-1] < 2.05


def test_a_patch_is_as_large_as_said_and_drawn_by_the_seed() -> None:
    life = crossed(OccluderKind.PATCH)
    assert life.occluder is not None
    eyes = float(interocular(life.truth(1.5)))
    np.testing.assert_allclose(life.occluder.opacity.shape, (1.1 * eyes, 0.9 * eyes), rtol=0, atol=0.51)
    assert life.occluder.image.std() > 40
    other = replace(life, occluder=None, seed=6).crossed_by(OccluderKind.PATCH).occluder
    again = replace(life, occluder=None).crossed_by(OccluderKind.PATCH).occluder
    assert other is not None
    assert again is not None
    assert not np.array_equal(other.velocity, life.occluder.velocity)
    np.testing.assert_array_equal(again.image, life.occluder.image)


def test_exposure_swings_within_its_stops_and_leaves_the_motion_alone() -> None:
    grey = np.full((120, 180, 3), 100, np.uint8)
    life = replace(scene(), still=grey, exposure=1.0, seconds=4.0)
    levels = [float(life.frame(index).image.mean()) for index in range(0, 120, 4)]
    assert 100 / 2 ** (1 / 2.2) <= min(levels) < 90
    assert 110 < max(levels) <= 100 * 2 ** (1 / 2.2)
    np.testing.assert_array_equal(life.truth(1.3), scene().truth(1.3))
