"""Blinks: each one found once, at its time; nothing else taken for one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from talking_scenes import path, scene

from steadyface.measures import eye_aspect_ratio, find_blinks, open_level

FPS = 30.0


def openness(
    blinks: list[float], seconds: float = 20.0, depth: float = 0.8, level: float = 0.3
) -> np.ndarray:
    """Eyes that are open by `level`, but for blinks of 0.3 s around the given times."""
    times = np.arange(int(seconds * FPS)) / FPS
    share = np.ones(len(times))
    for middle in blinks:
        phase = np.clip((times - middle) / 0.3 + 0.5, 0, 1)
        share -= depth * np.sin(np.pi * phase) ** 2
    return level * share


def times_of(series: np.ndarray) -> np.ndarray:
    return np.arange(len(series)) / FPS


@given(
    seed=st.integers(0, 10_000),
    level=st.floats(0.1, 0.6),
    depth=st.floats(0.6, 1.0),
    noise=st.floats(0.0, 0.03),
)
def test_every_blink_is_found_once(seed: int, level: float, depth: float, noise: float) -> None:
    rng = np.random.default_rng(seed)
    blinks = np.cumsum(
        rng.uniform(0.8, 3.0, 7)
    )  # not closer than people's; the level needs open eyes between
    series = openness(blinks.tolist(), float(blinks[-1]) + 1.0, depth, level)
    series += rng.normal(0, noise * level, len(series))
    found = find_blinks(series, times_of(series))
    assert len(found) == len(blinks)
    for blink, middle in zip(found, blinks, strict=True):
        assert blink.start < middle < blink.end
        assert blink.end - blink.start < 0.3 + 2 / FPS
        # Frames may miss the deepest moment, by at most half a frame: cos²(π/18); noise adds its own.
        assert blink.depth == pytest.approx(depth, abs=0.05 + 4 * noise)


def test_blinks_of_a_talking_still_are_found_when_they_happen() -> None:
    life = scene(seconds=20.0)
    points = path(life, FPS)
    series = np.mean([eye_aspect_ratio(points, eye) for eye in ("right_eye", "left_eye")], axis=0)
    found = find_blinks(series, times_of(series))
    blinks = life._script.blinks
    ends = blinks.starts + blinks.lengths
    wanted = np.flatnonzero(ends < life.seconds - 1 / FPS)
    assert len(found) == len(wanted) >= 4
    for blink, k in zip(found, wanted, strict=True):
        # It begins and ends softly, so that the eyes are rightly still "open" a while.
        assert blinks.starts[k] - 1 / FPS <= blink.start <= blink.end <= ends[k] + 1 / FPS
        assert blink.end - blink.start > 0.5 * blinks.lengths[k]


def test_a_nod_changes_the_level_and_is_no_blink() -> None:
    series = openness([3.0, 14.0])
    series[300:] *= 0.5  # from 10 s on
    found = find_blinks(series, times_of(series))
    assert [round(blink.start) for blink in found] == [3, 14]


def test_eyes_that_stay_closed_do_not_blink() -> None:
    series = openness([])
    series[150:185] *= 0.1
    assert find_blinks(series, times_of(series)) == []


def test_a_tremble_around_the_threshold_is_one_blink() -> None:
    series = openness([])
    series[150:160] *= np.tile([0.6, 0.7], 5)
    assert len(find_blinks(series, times_of(series))) == 1


def test_a_half_closed_eye_does_not_blink() -> None:
    series = openness([3.0, 6.0], depth=0.3)
    assert find_blinks(series, times_of(series)) == []


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_frames_hold_no_blink(count: int) -> None:
    series = np.full(count, 0.3)
    assert find_blinks(series, times_of(series)) == []
    assert np.array_equal(open_level(series, times_of(series)), series)


def test_frames_without_a_value_are_passed_over() -> None:
    series = openness([3.0])
    series[10:15] = np.nan
    assert len(find_blinks(series, times_of(series))) == 1
