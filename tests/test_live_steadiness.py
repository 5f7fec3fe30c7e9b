"""The jitter of the last second is `metrics.jitter` of that second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from steadyface.live.steadiness import LastSecond
from steadyface.metrics import jitter
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
        raw, steady = last.add([face], index / FPS)[0]
        assert raw == pytest.approx(jitter(np.stack([f.raw_points for f in seen])), nan_ok=True)
        assert steady == pytest.approx(jitter(np.stack([f.points for f in seen])), nan_ok=True)


@pytest.mark.parametrize("between", [[], [Held(0, *np.zeros((2, 68, 2)), np.ones(68), np.zeros(4))]])
def test_a_face_begins_anew_after_a_gap(between: list[TrackedFace]) -> None:
    last, faces = LastSecond(), shaking(9, 2)
    for index, face in enumerate(faces[:5]):
        values = last.add([face], index / FPS)[0]
    assert np.isfinite(values).all()
    assert all(np.isnan(value).all() for value in last.add(between, 5 / FPS))
    values = [last.add([face], (6 + index) / FPS)[0] for index, face in enumerate(faces[5:])]
    assert np.isnan(values[:2]).all()
    assert values[2][1] == pytest.approx(jitter(np.stack([face.points for face in faces[5:8]])))


def test_a_clock_that_hardly_moves_fills_no_memory() -> None:
    last = LastSecond()
    for index, face in enumerate(shaking(400, 3)):
        last.add([face], 1e-9 * index)
    assert len(last._seen[0]) <= 120
