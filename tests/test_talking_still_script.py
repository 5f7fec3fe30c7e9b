"""The motion of a talking still is smooth and within its documented ranges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from talking_scenes import SEEDS, face, path, scene

from steadyface import markup
from steadyface.geometry import face_size
from steadyface.metrics import interocular

LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))  # upper, lower


def lid_distances(points: np.ndarray) -> np.ndarray:
    """Of each upper lid's point from the lower one that faces it, in eye widths: (…, 4)."""
    widths = np.linalg.norm(points[..., [39, 39, 45, 45], :] - points[..., [36, 36, 42, 42], :], axis=-1)
    upper, lower = np.array(LIDS).T
    return np.linalg.norm(points[..., lower, :] - points[..., upper, :], axis=-1) / widths


@pytest.mark.parametrize("seed", SEEDS)
def test_motion_is_continuous(seed: int) -> None:
    life = scene(seed)
    steps = np.linalg.norm(np.diff(path(life, 120.0), axis=0), axis=-1)
    # A quarter of the face's size a frame of 30 fps, twice what is seen.
    assert steps.max() < 0.25 * face_size(life.truth(0.0)) / 4
    # In a tenth of the time it makes about a tenth of the way: there is no jump in between.
    at = int(steps.max(axis=1).argmax()) / 120
    fine = np.stack([life.truth(at + k / 1200) for k in range(11)])
    assert np.linalg.norm(np.diff(fine, axis=0), axis=-1).max() < 0.2 * steps.max()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_head_rests_and_moves(seed: int) -> None:
    points = path(scene(seed))
    nose = points[:, markup.GROUPS["nose_bridge"]].mean(axis=1)
    speed = np.linalg.norm(np.diff(nose, axis=0), axis=-1) / face_size(points[0])
    assert (speed < 0.001).mean() >= 0.25
    assert (speed > 0.003).mean() >= 0.1
    assert speed.max() < 0.15


@pytest.mark.parametrize("seed", SEEDS)
def test_blinks_close_the_eyes_but_for_a_gap(seed: int) -> None:
    life = scene(seed, seconds=6.0)
    closed = lid_distances(path(life)).min(axis=0)
    assert (closed < 0.25 * lid_distances(life.rest)).all()
    # 2.5 % at right angles to the eye's line; a turned head shortens what is measured along the eye.
    assert closed.min() > 0.02
    assert lid_distances(path(replace(life, blinks=0.0))).min() > 0.8 * lid_distances(life.rest).min()


def test_blinks_are_as_frequent_and_as_long_as_promised() -> None:
    life = scene(seconds=60.0)
    distances = lid_distances(path(life))[:, 0]
    shut = distances < 0.7 * lid_distances(life.rest)[0]
    change = np.diff(shut.astype(int))
    begins, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    assert 14 <= len(begins) <= 20  # 17 a minute
    # Of 0.25 to 0.4 s, the first and the last part is not below seven tenths.
    lengths = (ends - begins) / 30
    assert lengths.min() > 0.15
    assert lengths.max() < 0.4


def test_the_mouth_talks_and_the_brows_rise() -> None:
    points = path(scene(seconds=20.0))
    lips, brows = (
        np.linalg.norm(points[:, low] - points[:, high], axis=-1) / interocular(points)
        for high, low in ((62, 66), (19, 41))
    )
    at_rest = np.linalg.norm(face()[66] - face()[62]) / interocular(face())
    assert lips.max() > at_rest + 0.05
    assert lips.min() < at_rest - 0.03
    assert (abs(lips - at_rest) < 0.01).mean() > 0.2
    assert np.ptp(brows) > 0.03
