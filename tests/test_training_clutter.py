"""Clutter of the finder's frames: it hides the part of a face that it is for, and no more."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from steadyface.geometry import bounding_box
from steadyface.markup import GROUPS
from steadyface.measures import MEAN_FACE
from steadyface.training import clutter

SIZE = 200
FACE = MEAN_FACE[:, :2] * (90 / np.ptp(MEAN_FACE[:, 0]))
FACE = FACE - bounding_box(FACE).reshape(2, 2).mean(axis=0) + SIZE / 2

Cover = Callable[[np.ndarray, np.ndarray, np.random.Generator], None]


def hidden(cover: Cover, seed: int, shape: np.ndarray = FACE) -> np.ndarray:
    """Px that something hides in a frame of noise."""
    before = np.random.default_rng(99).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    cover(canvas := before.copy(), shape, np.random.default_rng(seed))
    return np.asarray((canvas != before).any(axis=-1))


def share(mask: np.ndarray, *groups: str) -> float:
    """Share of the points of some parts of the face that are hidden."""
    numbers = [number for group in groups for number in GROUPS[group]]
    x, y = np.round(FACE[numbers]).astype(int).T
    return float(mask[y, x].mean())


@pytest.mark.parametrize("seed", range(8))
def test_a_mask_hides_the_mouth_and_no_eye(seed: int) -> None:
    mask = hidden(clutter._mask, seed)
    assert share(mask, "outer_lips", "inner_lips", "nose_base") > 0.95  # a colour may be the noise's
    assert share(mask, "right_eye", "left_eye", "right_brow", "left_brow") == 0


@pytest.mark.parametrize("seed", range(8))
def test_sunglasses_hide_the_eyes_and_no_mouth(seed: int) -> None:
    mask = hidden(clutter._sunglasses, seed)
    assert share(mask, "right_eye", "left_eye") > 0.8  # lenses may be lower than eyes
    assert share(mask, "outer_lips", "inner_lips", "nose_base") == 0


def test_every_cover_hides_a_part_of_the_face_and_nothing_far_from_it() -> None:
    low, high = bounding_box(FACE).reshape(2, 2)
    inside = np.zeros((SIZE, SIZE), bool)
    inside[int(low[1]) : int(high[1]) + 1, int(low[0]) : int(high[0]) + 1] = True
    covered = [hidden(clutter.cover, seed)[inside].mean() for seed in range(60)]
    assert np.mean([part > 0.02 for part in covered]) > 0.9  # a crossing may have hardly begun
    assert 0.15 < np.mean(covered) < 0.5
    assert max(covered) < 0.75
    assert not hidden(clutter.cover, 3)[:20].any()


@pytest.mark.parametrize("scale", [0.05, 0.1])
def test_small_faces_are_covered_too(scale: float) -> None:
    tiny = SIZE / 2 + (FACE - SIZE / 2) * scale
    assert sum(hidden(clutter.cover, seed, tiny).any() for seed in range(30)) > 20


def test_patterns_vary_and_fill_their_square() -> None:
    pictures = [clutter.pattern(64, np.random.default_rng(seed)) for seed in range(20)]
    assert len({picture.tobytes() for picture in pictures}) == 20
    assert all(picture.shape == (64, 64, 3) and picture.dtype == np.uint8 for picture in pictures)
    assert np.median([picture.std(axis=(0, 1)).max() for picture in pictures]) > 10
