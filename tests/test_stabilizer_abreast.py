"""Faces that are filtered at once come out as each alone, to the rounding of sums in another order."""

from __future__ import annotations

from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from stabilizer_cases import CAUSAL, EXACT, make_face, seeds

from steadyface.errors import ConfigError
from steadyface.motion import Displacements
from steadyface.stabilizer.abreast import apart, side_by_side
from steadyface.stabilizer.base import CausalFilter, State

FACES, FRAMES = 6, 12

Frame = tuple[np.ndarray, list[float | None], np.ndarray, list[Displacements | None]]


def make_frames(seed: int) -> list[Frame]:
    """Faces with and without pictures, missing frames and landmarks, another frame rate and a cut."""
    rng = np.random.default_rng(seed)
    clips = np.stack([make_face(seed + face, FRAMES) for face in range(FACES)], axis=1)
    clips[rng.random(clips.shape[:2]) < 0.1] = np.nan
    clips[rng.random(clips.shape[:3]) < 0.01] = np.nan
    clips[7:, 5] += 900.0
    frames: list[Frame] = []
    for t, points in enumerate(clips):
        times = [None if t == 0 else 0.1 if face == 2 else 0.04 for face in range(FACES)]
        motions = [make_motion(rng) if t and rng.random() < 0.8 else None for _ in range(FACES)]
        frames.append((points, times, rng.uniform(0, 1, (FACES, 68)), motions))
    return frames


def make_motion(rng: np.random.Generator) -> Displacements:
    covariance = np.tile(rng.uniform(0.05, 0.5) * np.eye(2), (68, 1, 1))
    return Displacements(rng.normal(0, 1, (68, 2)), covariance, rng.random(68) < 0.8)


def filtered(stabilizer: CausalFilter, frames: list[Frame], at_once: bool) -> list[list[State | None]]:
    """States of all faces after each frame."""
    states: list[list[State | None]] = [[None] * FACES]
    for frame in frames:
        step = stabilizer.step_all if at_once else lambda *each: list(map(stabilizer.step, *each))
        results: list[Any] = step(states[-1], *frame)
        states.append([state for state, _ in results])
    return states[1:]


@pytest.mark.parametrize("stabilizer", CAUSAL, ids=lambda each: each.kind)
@given(seed=seeds)
@settings(max_examples=8)
def test_points(stabilizer: CausalFilter, seed: int) -> None:
    frames = make_frames(seed)
    alone, together = (filtered(stabilizer, frames, at_once) for at_once in (False, True))
    for one, other in zip(chain(*alone), chain(*together), strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            np.testing.assert_allclose(other.points, one.points, rtol=0, atol=EXACT)


def test_bad_input_of_one_face_is_refused() -> None:
    points, times, scores, motions = make_frames(0)[0]
    with pytest.raises(ConfigError, match="scores must be from 0 to 1"):
        CAUSAL[0].step_all([None] * FACES, points, times, scores + 1, motions)


class Inner(NamedTuple):
    values: np.ndarray
    nothing: None


class Outer(NamedTuple):
    rows: np.ndarray
    inner: Inner
    number: float


def test_apart_undoes_side_by_side() -> None:
    memories = [
        Outer(np.full((3, 2), float(face)), Inner(np.full(4, float(face)), None), 0.5) for face in range(3)
    ]
    joined = side_by_side(memories)
    assert joined.rows.shape == (3, 3, 2)
    assert joined.inner.values.shape == (3, 4)
    for before, after in zip(memories, apart(joined, 3), strict=True):
        np.testing.assert_array_equal(after.rows, before.rows)
        np.testing.assert_array_equal(after.inner.values, before.inner.values)
        assert after[2:] == before[2:]
        assert after.inner.nothing is None
