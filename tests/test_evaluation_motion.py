"""Rows with measured motion: kept displacements, filtered as the tracker filters them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float
from talking_scenes import scene, shut_face

from steadyface import metrics
from steadyface.demo import portrait
from steadyface.evaluation.compensation import MotionCompensated
from steadyface.evaluation.evaluate import score
from steadyface.evaluation.known_motion import MotionResults
from steadyface.evaluation.predictions import PlannedRun, Prediction, PredictionFolder, Reading, Run
from steadyface.evaluation.trajectories import ONE_EURO, RAW, STA, STA_MOTION, Method, trajectories
from steadyface.fitting.sequences import KnownTrack, follow_known
from steadyface.geometry import bounding_box, face_size
from steadyface.landmarker import Landmarker
from steadyface.motion import Displacements, MotionSequence
from steadyface.stabilizer import CausalFilter, load_stabilizer
from steadyface.synthetic.talking_still import TalkingStill
from steadyface.tracking import Tracker, TrackerConfig

FRAMES = 60
FACE = 2.0 * shut_face()
UNIT = float(face_size(FACE)) / 100
COMPENSATED = ("sta-paper", "one-euro")
RUN = Run("known-motion", "tiny-int8", "0" * 64, Reading.DARK, "0.1.0")

Sequence = Float[np.ndarray, "frames 68 2"]


def moving() -> Sequence:
    """A face that rests, then sways."""
    sway = np.sin(np.maximum(np.arange(FRAMES) - FRAMES / 3, 0) / 9)
    return FACE + 12 * UNIT * sway[:, None, None] * np.array([1.0, 0.3])


def shaken(truth: Sequence) -> Sequence:
    return truth + np.random.default_rng(0).normal(0, 0.1 * UNIT, truth.shape)


def measured(truth: Sequence) -> list[Displacements | None]:
    """The true displacements with an error of 0.02 % of face size, and a covariance that says so."""
    steps = np.diff(truth, axis=0)
    steps += np.random.default_rng(1).normal(0, 0.02 * UNIT, steps.shape)
    covariance = np.tile((0.02 * UNIT) ** 2 * np.eye(2), (68, 1, 1))
    return [None, *(Displacements(step, covariance, np.ones(68, bool)) for step in steps)]


def compensated(name: str) -> tuple[CausalFilter, MotionCompensated]:
    plain = load_stabilizer(name)
    assert isinstance(plain, CausalFilter)
    return plain, MotionCompensated(plain, fps=plain.fps)


def shaking(points: Sequence, truth: Sequence) -> float:
    """Mean wrong motion a frame, percent of face size."""
    return float(np.linalg.norm(np.diff(points - truth, axis=0), axis=-1).mean()) / UNIT


class TestMotionCompensated:
    @pytest.mark.parametrize("name", COMPENSATED)
    def test_without_displacements_it_is_the_plain_filter(self, name: str) -> None:
        plain, filter_ = compensated(name)
        points, seconds = shaken(moving()), np.arange(FRAMES) / 25
        points[30] = np.nan
        expected = plain.filter(points, seconds)
        np.testing.assert_array_equal(filter_.filter(points, seconds), expected)
        np.testing.assert_array_equal(filter_.filter(points, seconds, motion=[None] * FRAMES), expected)

    @pytest.mark.parametrize("name", COMPENSATED)
    def test_with_them_a_moving_face_is_as_steady_as_a_resting_one(self, name: str) -> None:
        plain, filter_ = compensated(name)
        truth = moving()
        rest = np.repeat(FACE[None], FRAMES, axis=0)
        steady = filter_.filter(shaken(truth), motion=measured(truth))
        assert shaking(steady, truth) < 1.3 * shaking(plain.filter(shaken(rest)), rest)
        if name == "one-euro":  # whose smoothing ends where a face moves
            assert shaking(steady, truth) < 0.7 * shaking(plain.filter(shaken(truth)), truth)

    def test_uncertain_displacements_leave_it_to_the_filter(self) -> None:
        plain, filter_ = compensated("one-euro")
        truth, rest = moving(), np.repeat(FACE[None], FRAMES, axis=0)
        wrong = [
            None if each is None else each._replace(covariance=np.tile(1e6 * np.eye(2), (68, 1, 1)))
            for each in measured(rest)
        ]
        off, alone = (
            np.linalg.norm(points - truth, axis=-1).max()
            for points in (filter_.filter(shaken(truth), motion=wrong), plain.filter(shaken(truth)))
        )
        assert off < 1.2 * alone

    def test_a_frame_without_points_moves_with_the_picture(self) -> None:
        _, filter_ = compensated("one-euro")
        truth = moving()
        points = shaken(truth)
        points[40:43] = np.nan
        steady = filter_.filter(points, motion=measured(truth))
        assert np.linalg.norm(np.diff(steady - truth, axis=0)[39:42], axis=-1).max() < 0.1 * UNIT


@cache
def life() -> TalkingStill:
    return replace(scene(), still=portrait().still, seconds=0.6)


@cache
def truth() -> Sequence:
    return np.stack([life().truth(k / life().fps) for k in range(len(life()))])


@cache
def followed() -> KnownTrack:
    return follow_known(life(), truth()[0], Landmarker("tiny", threads=1))


def prediction(motion: MotionSequence | None) -> Prediction:
    raw, scores, _ = followed()
    seconds = np.arange(len(raw)) / life().fps
    return Prediction((Reading.DARK,), raw[None], scores[None], truth(), seconds, motion=motion)


def test_kept_displacements_give_the_points_of_the_tracker() -> None:
    box = bounding_box(truth()[0])[None]
    config = TrackerConfig(max_faces=1, accept=0.0, keep=0.0, confirm=0.0, grace_seconds=0.0)
    tracker = Tracker(Landmarker("tiny", threads=1), lambda image: box, config=config, motion=True)
    points = [tracker.step(frame.image, frame.seconds)[0].points for frame in life()]
    outputs = dict(trajectories(prediction(followed().motion), RUN))
    # Displacements are kept with seven digits.
    np.testing.assert_allclose(outputs[STA_MOTION], np.stack(points), rtol=0, atol=1e-3)
    assert np.abs(outputs[STA_MOTION] - outputs[STA]).max() > 0.01


def written(root: Path, *motions: MotionSequence | None) -> PredictionFolder:
    folder = PredictionFolder(root)
    names = [f"clip_{i}" for i in range(len(motions))]
    folder.write_run(PlannedRun("known-motion", "tiny", "0" * 64, Reading.DARK, "0.1.0", names, []))
    for name, motion in zip(names, motions, strict=True):
        folder.write(name, prediction(motion))
    return folder


def test_rows_with_motion_stand_beside_the_others(tmp_path: Path) -> None:
    folder = written(tmp_path, followed().motion)
    again = folder.read("clip_0").motion
    assert again is not None
    for name, array in followed().motion.as_arrays().items():
        np.testing.assert_array_equal(again.as_arrays()[name], array)
    results = score(tmp_path)
    assert isinstance(results, MotionResults)
    alone, with_motion = results.row(STA), results.row(STA_MOTION)
    assert alone is not None
    assert with_motion is not None
    assert with_motion.stability_interocular_moving < alone.stability_interocular_moving
    labels = [row.label for row in results.rows]
    ways = ("sta", "sta, 2 frames later", "sta, 5 frames later", "sta-offline", *COMPENSATED)
    assert labels[-6:] == [f"{name}, measured motion" for name in ways]
    offline = results.row(replace(STA_MOTION, offline=True))
    assert offline is not None
    assert offline.stability_interocular_moving < with_motion.stability_interocular_moving
    assert offline.nrmse_interocular < with_motion.nrmse_interocular
    assert results.missing == []
    still, _ = results.headlines()
    assert still.value == f"{with_motion.stability_interocular_still:.3f} %"


def test_rows_with_motion_are_left_out_and_named_where_a_prediction_lacks_it(tmp_path: Path) -> None:
    folder = written(tmp_path, followed().motion, None)
    assert [folder.has_motion(name) for name in ("clip_0", "clip_1")] == [True, False]
    assert folder.read("clip_1").motion is None
    results = score(tmp_path)
    assert isinstance(results, MotionResults)
    assert not any(row.method.motion for row in results.rows)
    assert {row.items for row in results.rows} == {2}
    assert results.missing == ["clip_1, measured motion"]
    others = score(written(tmp_path / "other", None, None).root)
    assert repr(others.rows) == repr(results.rows)


def test_after_a_loss_motion_starts_anew() -> None:
    """The tracker has no displacement there; the filter begins at the points."""
    motion = MotionSequence.pack([None, *followed().motion.unpack()[1:]])
    given = prediction(motion)
    given.points[0, 6:9] = np.nan
    outputs = dict(trajectories(given, RUN))
    for method in (STA_MOTION, replace(ONE_EURO, motion=True), Method(stabilizer="sta-paper", motion=True)):
        assert np.isnan(outputs[method][6:9]).all()
        np.testing.assert_array_equal(outputs[method][9], outputs[RAW][9])
    eyes = np.asarray(metrics.interocular(truth()))[9:, None]
    away = 100 * np.linalg.norm(outputs[STA_MOTION] - outputs[RAW], axis=-1)[9:] / eyes
    assert away.max() < 10
