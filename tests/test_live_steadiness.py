"""Jitter and filter delay of the last second are `metrics.jitter` and `metrics.lag` of that second."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from steadyface.live.steadiness import LastSecond
from steadyface.metrics import jitter, lag
from steadyface.tracking import TrackedFace

FPS = 16  # its times have no rounding error


@dataclass(frozen=True)
class Held(TrackedFace):
    """A face as a tracker gives it that keeps lost ones for a while."""

    held: bool = True


def shaking(count: int, seed: int) -> list[TrackedFace]:
    rng = np.random.default_rng(seed)
    place = 100 * rng.random((68, 2))
    raw, steady = (place + size * rng.standard_normal((count, 68, 2)) for size in (1.0, 0.3))
    return [TrackedFace(0, *both, np.ones(68), np.zeros(4)) for both in zip(steady, raw, strict=True)]


def test_it_is_the_jitter_of_the_last_second() -> None:
    last, faces = LastSecond(), shaking(50, 1)
    for index, face in enumerate(faces):
        seen = faces[max(0, index - FPS) : index + 1]  # both ends of the second count
        raw, steady, delay = last.add([face], index / FPS)[0]
        assert raw == pytest.approx(jitter(np.stack([f.raw_points for f in seen])), nan_ok=True)
        assert steady == pytest.approx(jitter(np.stack([f.points for f in seen])), nan_ok=True)
        both = (np.stack([getattr(f, name) for f in seen]) for name in ("points", "raw_points"))
        assert delay == pytest.approx(lag(*both), nan_ok=True)


def test_raw_points_count_where_the_network_saw_the_face() -> None:
    last, faces = LastSecond(), shaking(14, 4)
    for index, face in enumerate(faces):
        raw, steady, _ = last.add([replace(face, carried=index in (2, 9))], index / FPS)[0]
    assert raw == pytest.approx(jitter(np.stack([face.raw_points for face in faces[3:9]])))
    assert steady == pytest.approx(jitter(np.stack([face.points for face in faces])))


def test_a_filter_that_is_a_frame_late_is_called_so() -> None:
    last = LastSecond()
    path = 100 * np.random.default_rng(0).random((68, 2)) + 3.0 * np.arange(30)[:, None, None]
    for index in range(1, 30):
        face = TrackedFace(0, path[index - 1], path[index], np.ones(68), np.zeros(4))
        values = last.add([face], index / FPS)[0]
    assert values.delay == pytest.approx(1.0)


@pytest.mark.parametrize("between", [[], [Held(0, *np.zeros((2, 68, 2)), np.ones(68), np.zeros(4))]])
def test_a_face_begins_anew_after_a_gap(between: list[TrackedFace]) -> None:
    last, faces = LastSecond(), shaking(9, 2)
    for index, face in enumerate(faces[:5]):
        values = last.add([face], index / FPS)[0]
    assert np.isfinite(values[:2]).all()
    assert all(np.isnan(value).all() for value in last.add(between, 5 / FPS))
    values = [last.add([face], (6 + index) / FPS)[0] for index, face in enumerate(faces[5:])]
    assert np.isnan([value[:2] for value in values[:2]]).all()
    assert values[2].jitter == pytest.approx(jitter(np.stack([face.points for face in faces[5:8]])))


def test_a_clock_that_hardly_moves_fills_no_memory() -> None:
    last = LastSecond()
    for index, face in enumerate(shaking(400, 3)):
        last.add([face], 1e-9 * index)
    assert len(last._seen[0]) <= 120
