"""Training crops of turned faces."""

from __future__ import annotations

import numpy as np
import pytest
from heads import small_head

from steadyface.demo import portrait
from steadyface.landmarker import Landmarker
from steadyface.training.augmentation import Augmentation
from steadyface.training.turned import TurnedCrops, Turns

PLAIN = Augmentation(scale=0, shift=0, roll=0, flip=0, camera=0, occlusion=0)
ALL = Turns(closed=1.0, opened=1.0, covered=1.0)


@pytest.fixture(scope="module")
def face() -> tuple[np.ndarray, np.ndarray]:
    still = portrait().still
    points = Landmarker("tiny", device="cpu").predict(still, np.array([178.0, 88.0, 272.0, 179.0])).points
    return still, points.astype(float)


def crops(face: tuple[np.ndarray, np.ndarray], turns: Turns, seed: int = 0) -> TurnedCrops:
    return TurnedCrops([face], small_head(), 64, turns, PLAIN, seed)


def test_samples_are_repeatable_and_vary(face: tuple[np.ndarray, np.ndarray]) -> None:
    first, again, other = crops(face, ALL)[0, 0], crops(face, ALL)[0, 0], crops(face, ALL)[1, 0]
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert (first[0] != other[0]).any()
    crop, points, shows_face = first
    assert crop.shape == (64, 64, 3)
    assert crop.dtype == np.uint8
    assert points.dtype == np.float32
    assert shows_face


def test_most_points_lie_in_the_crop_and_hidden_ones_are_unknown(face: tuple[np.ndarray, np.ndarray]) -> None:
    shown = [crops(face, Turns())[epoch, 0][1] for epoch in range(12)]
    for points in shown:
        known = points[np.isfinite(points).all(axis=1)]
        assert len(known) > 20
        assert ((known > 0) & (known < 63)).all(axis=1).mean() > 0.95
    assert any(np.isnan(points).any() for points in shown)


def test_covered_points_are_annotated_but_not_visible(face: tuple[np.ndarray, np.ndarray]) -> None:
    rng, model = np.random.default_rng(0), small_head()
    faces = [Turns(yaw=10, covered=1.0).turn(*face, model, rng) for _ in range(6)]
    assert any(one.covered.any() for one in faces)
    for one in faces:
        assert not (one.visible & one.covered).any()
        assert np.isfinite(one.points).all()
