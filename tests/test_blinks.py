"""Blinks: each one found once, at its time; nothing else taken for one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_cases import blinking_tracks
from talking_scenes import SMALL, STIFF, path, scene, shut_face

from steadyface import markup
from steadyface.demo import portrait
from steadyface.measures import (
    MEAN_FACE,
    eye_aspect_ratio,
    find_blinks,
    open_level,
    visible_eye_openness,
)
from steadyface.pipeline import track
from steadyface.synthetic.talking_still import TalkingStill

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


def test_eyes_that_stay_closed_are_not_the_usual() -> None:
    """Noise on closed lids is no blink, be they closed for longer than the level's window."""
    rng = np.random.default_rng(0)
    series = openness([2.0, 18.0])
    series[150:450] = 0.04  # from 5 to 15 s
    series *= rng.normal(1, 0.25, len(series)).clip(0.1) ** (series < 0.1)
    found = find_blinks(series, times_of(series))
    assert [round(blink.start) for blink in found] == [2, 18]


def test_a_blink_of_a_single_frame_counts() -> None:
    series = openness([])
    series[100] = 0.1
    [blink] = find_blinks(series, times_of(series))
    assert (blink.start, blink.end) == (99 / FPS, 101 / FPS)


def test_at_high_rates_a_single_frame_is_noise_and_a_blink_keeps_its_depth() -> None:
    times = np.arange(480) / 240
    phase = np.clip((times - 1.0) / 0.15 + 0.5, 0, 1)
    series = 0.3 * (1 - 0.9 * np.sin(np.pi * phase) ** 2)
    series[[60, 400]] = 0.1
    [blink] = find_blinks(series, times)
    assert blink.start < 1.0 < blink.end
    assert blink.depth == pytest.approx(0.9, abs=0.03)  # a parabola over 70 ms takes a little


def test_a_hidden_eye_does_not_count() -> None:
    points = np.tile(MEAN_FACE[:, :2], (3, 1, 1))
    upper, lower = markup.facing("left_eye")
    points[:, upper] = points[:, lower]  # closed
    right, left = markup.GROUPS["right_eye"], markup.GROUPS["left_eye"]
    visible = np.ones((3, 68))
    visible[1, list(left)] = 0.1
    visible[2, [*left, *right]] = 0.1
    wide = eye_aspect_ratio(points[0], "right_eye")
    np.testing.assert_allclose(visible_eye_openness(points, visible), [wide / 2, wide, np.nan])
    np.testing.assert_allclose(visible_eye_openness(points, np.full((3, 68), np.nan)), wide / 2)


def test_blinks_are_those_of_the_network_not_of_the_stabiliser() -> None:
    tracks = blinking_tracks()
    calm = replace(tracks, points=np.repeat(tracks.points[:1], len(tracks), axis=0))
    assert calm.blinks() == tracks.blinks()
    assert {face: len(found) for face, found in tracks.blinks().items()} == {0: 0, 1: 2}


def test_no_stabiliser_changes_rendered_blinks() -> None:
    """Each drawn blink once, at its time and nearly of its depth, by whichever stabiliser."""
    changes = {**SMALL, **STIFF, "blinks": 60.0, "seconds": 3.0, "fps": FPS}
    life = TalkingStill(portrait().still, shut_face(), seed=3, **changes)  # type: ignore[arg-type]
    frames = [life.frame(i) for i in range(round(life.seconds * FPS))]
    truth = np.stack([life.truth(i / FPS) for i in range(len(frames))])
    drawn = find_blinks(visible_eye_openness(truth, np.ones((len(truth), 68))), times_of(truth))
    assert len(drawn) == 3
    found = [
        track(frames, fps=FPS, stabilizer=name, network_every=1, threads=1).blinks()
        for name in ("sta", "sta-offline", "sta-paper")
    ]
    assert found[0] == found[1] == found[2]
    carried = track(frames, fps=FPS, threads=1)
    assert carried.carried.any()
    for blinks in (found[0], carried.blinks()):
        for blink, true in zip(blinks[0], drawn, strict=True):
            assert blink.start == pytest.approx(true.start, abs=1.01 / FPS)
            assert blink.end == pytest.approx(true.end, abs=1.01 / FPS)
            assert blink.depth == pytest.approx(true.depth, abs=0.15)  # the network sees lids too open
