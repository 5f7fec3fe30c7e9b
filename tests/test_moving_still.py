"""Synthetic motion: the frames show the still where the path says it is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyface.synthetic.moving_still import MovingStill

DOT = np.array([[90.0, 60.0]])


def still() -> np.ndarray:
    rows, columns = np.mgrid[:120, :180]
    dot = 255 * np.exp(-((columns - DOT[0, 0]) ** 2 + (rows - DOT[0, 1]) ** 2) / (2 * 4.0**2))
    return np.repeat(np.round(dot)[..., None], 3, axis=-1).astype(np.uint8)


MOVING = MovingStill(still(), (90.0, 60.0), width=200, height=160, fps=12.0, seconds=2.0, noise=0.0)


def test_frames_and_their_times() -> None:
    frames = list(MOVING)
    assert len(frames) == len(MOVING) == 24
    assert [frame.index for frame in frames] == list(range(24))
    assert [frame.seconds for frame in frames] == [k / 12 for k in range(24)]
    assert frames[0].image.shape == (160, 200, 3)


def test_a_dot_is_where_the_path_says() -> None:
    rows, columns = np.mgrid[:160, :200]
    for frame in MOVING:
        light = frame.image[..., 0].astype(float)
        found = [(light * columns).sum() / light.sum(), (light * rows).sum() / light.sum()]
        # Levels below ½ are lost alike on all sides; the warp's grid of 1/32 px moves the dot least.
        np.testing.assert_allclose(found, MOVING.to_frame(frame.seconds)(DOT)[0], rtol=0, atol=0.05)


def test_it_moves() -> None:
    path = np.concatenate([MOVING.to_frame(frame.seconds)(DOT) for frame in MOVING])
    assert (np.ptp(path, axis=0) > 10).all()


@given(st.integers(0, 2**32 - 1))
def test_mean_face_of_exact_points_is_themselves(seed: int) -> None:
    face = np.random.default_rng(seed).uniform(0, 120, (68, 2))
    seconds = np.linspace(0, 4, 9)
    exact = np.stack([MOVING.to_frame(float(time))(face) for time in seconds])
    # Nine maps there and back of coordinates of some 100 px.
    np.testing.assert_allclose(MOVING.mean_face(exact, seconds), exact, rtol=0, atol=1e-9)


def test_mean_face_averages_noise_out() -> None:
    rng = np.random.default_rng(0)
    face, seconds = rng.uniform(0, 120, (68, 2)), np.linspace(0, 4, 100)
    exact = np.stack([MOVING.to_frame(float(time))(face) for time in seconds])
    error = MOVING.mean_face(exact + rng.normal(0, 1, exact.shape), seconds) - exact
    # 1/√100; the zoom of ±12 % and 136 draws leave it within a quarter.
    assert math.sqrt((error**2).mean()) == pytest.approx(0.1, rel=0.25)


def test_noise_is_of_the_given_strength_and_repeatable() -> None:
    grey = np.full((120, 180, 3), 128, np.uint8)
    noisy = replace(MOVING, still=grey, noise=3.0)
    first, again = next(iter(noisy)).image, next(iter(noisy)).image
    np.testing.assert_array_equal(first, again)
    # 96,000 draws, rounded to levels.
    assert first.std() == pytest.approx(3, rel=0.02)
    assert first.mean() == pytest.approx(128, abs=0.1)
