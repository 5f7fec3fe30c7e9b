"""Tracker: calls of the detector and of the stabiliser, frames and arguments that it takes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import scenes

from steadyface import metrics
from steadyface.demo import portrait
from steadyface.detector import FaceFinder
from steadyface.errors import ConfigError
from steadyface.geometry import bounding_box
from steadyface.pipeline import follow
from steadyface.stabilizer import CausalFilter, save_stabilizer
from steadyface.stabilizer.base import Measurement
from steadyface.stabilizer.baselines import SavitzkyGolay
from steadyface.tracking import Tracker, TrackerConfig


class CountingDetector(FaceFinder):
    """Face finder that counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __call__(self, image: np.ndarray) -> np.ndarray:
        self.calls += 1
        return super().__call__(image)


@dataclass(frozen=True, eq=False)
class Recorder(CausalFilter):
    """Stabiliser that returns the points unchanged and records its arguments."""

    kind: ClassVar[str] = "recorder"
    calls: list[tuple[float | None, np.ndarray]] = field(default_factory=list)

    def begin(self, points: np.ndarray) -> None:
        return None

    def advance(self, memory: None, measurement: Measurement) -> tuple[None, np.ndarray]:
        return None, measurement.points

    def step(self, state, points, dt=None, scores=None, motion=None):  # type: ignore[no-untyped-def]
        self.calls.append((dt, scores))
        return super().step(state, points, dt, scores, motion)


def test_the_detector_rests_while_a_face_is_tracked() -> None:
    detector = CountingDetector()
    tracker = Tracker(detector=detector, config=TrackerConfig(max_faces=1))
    for frame, faces in follow(scenes.timed(scenes.frames()), tracker):
        assert [face.face_id for face in faces] == [0], frame.index
    assert detector.calls == 1


def test_new_faces_are_searched_for_at_intervals() -> None:
    detector = CountingDetector()
    tracker = Tracker(detector=detector, config=TrackerConfig(redetect_seconds=0.4))
    list(follow(scenes.timed(scenes.frames()), tracker))
    assert detector.calls == 3  # at 0.0, 0.4 and 0.8 s


def test_two_faces_keep_their_sides_and_max_faces_keeps_the_larger() -> None:
    pairs = [np.hstack([image, image[:, ::-1]]) for image in scenes.frames(10)]
    for faces in (faces for _, faces in follow(scenes.timed(pairs), Tracker())):
        middles = {face.face_id: float(face.points[:, 0].mean()) for face in faces}
        assert set(middles) == {0, 1}
        assert sum(middle < scenes.WIDTH for middle in middles.values()) == 1
    one = [faces for _, faces in follow(scenes.timed(pairs), Tracker(config=TrackerConfig(max_faces=1)))]
    assert {len(faces) for faces in one} == {1}


def test_a_tracker_refuses_stabilisers_that_see_the_future(tmp_path: Path) -> None:
    save_stabilizer(SavitzkyGolay(5, 2), tmp_path / "golay.json")
    for offline in ("sta-offline", "savitzky-golay", SavitzkyGolay(5, 2), str(tmp_path / "golay.json")):
        with pytest.raises(ConfigError, match="needs the future"):
            Tracker(stabilizer=offline)


def test_the_stabiliser_gets_scores_and_elapsed_time() -> None:
    recorder = Recorder()
    tracker = Tracker(stabilizer=recorder)
    shown = {0.0: 0, 0.04: 1, 0.1: 2, 0.35: 3}
    faces = [tracker.step(scenes.frames(4)[index], seconds)[0] for seconds, index in shown.items()]
    elapsed = [dt for dt, _ in recorder.calls]
    assert elapsed == [None, *(pytest.approx(dt) for dt in (0.04, 0.06, 0.25))]
    for face, (_, scores) in zip(faces, recorder.calls, strict=True):
        np.testing.assert_array_equal(scores, face.scores)


def test_the_stabiliser_starts_anew_after_a_loss() -> None:
    recorder = Recorder()
    list(
        follow(
            scenes.timed([*scenes.frames(2), *scenes.empty(2), *scenes.frames(2)]),
            Tracker(stabilizer=recorder),
        )
    )
    assert [dt is None for dt, _ in recorder.calls] == [True, False, True, False]


def test_reset_forgets() -> None:
    tracker = Tracker()
    first = [tracker.step(image) for image in scenes.frames(3)]
    tracker.reset()
    again = [tracker.step(image) for image in scenes.frames(3)]
    assert all(np.array_equal(a[0].points, b[0].points) for a, b in zip(first, again, strict=True))


def test_any_callable_serves_as_detector() -> None:
    image = scenes.frames(1)[0]
    box = bounding_box(Tracker(stabilizer="none").step(image)[0].points)
    shown: list[tuple[int, ...]] = []

    def detector(frame: np.ndarray) -> np.ndarray:
        shown.append(frame.shape)
        return box[None]

    assert len(Tracker(detector=detector).step(image)) == 1
    assert shown == [image.shape]


@pytest.mark.parametrize("shape", [(1, 1), (2, 500), (500, 2), (64, 64)])
def test_frames_without_a_face(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    assert Tracker().step(noise) == []
    assert Tracker().step(np.zeros_like(noise)) == []


def test_the_frame_size_may_change() -> None:
    tracker = Tracker()
    assert tracker.step(scenes.frames(1)[0])
    smaller = scenes.frames(1)[0][::2, ::2].copy()
    tracker.step(smaller)
    assert tracker.step(scenes.frames(1)[0])


def test_bad_arguments() -> None:
    with pytest.raises(ConfigError, match=r"sta, .*none, FILE"):
        Tracker(stabilizer="kalman")
    with pytest.raises(ConfigError, match="max_faces"):
        TrackerConfig(max_faces=0)
    with pytest.raises(ConfigError, match="grace_seconds must be at least 0, got -1"):
        TrackerConfig(grace_seconds=-1)
    tracker = Tracker()
    with pytest.raises(ConfigError, match="RGB uint8"):
        tracker.step(scenes.frames(1)[0].astype(float))
    tracker.step(scenes.frames(1)[0], seconds=1.0)
    with pytest.raises(ConfigError, match="backwards"):
        tracker.step(scenes.frames(1)[0], seconds=1.0)


def test_measured_motion_steadies_without_drift() -> None:
    """A moving camera before the portrait: with its motion measured in the picture, points shake less."""
    scene = replace(portrait(), seconds=1.2, noise=6.0)
    shaking, distance = {}, {}
    for motion in (True, False):
        tracker = Tracker(motion=motion, config=TrackerConfig(max_faces=1))
        faces = [tracker.step(frame.image, frame.seconds)[0] for frame in scene]
        points = np.array([face.points for face in faces], float)
        raw = np.array([face.raw_points for face in faces], float)
        truth = scene.mean_face(raw, np.arange(len(scene)) / scene.fps)
        eyes = np.asarray(metrics.interocular(truth))
        shaking[motion] = metrics.stability(points[5:], truth[5:], eyes[5:])
        distance[motion] = float(metrics.nrmse_interocular(points, truth).mean())
    assert shaking[True] < 0.7 * shaking[False]
    assert distance[True] < float(metrics.nrmse_interocular(raw, truth).mean())


def test_a_stabiliser_without_use_for_motion_gets_none() -> None:
    frames = list(scenes.timed(scenes.frames(4)))
    outputs = []
    for motion in (True, False):
        tracker = Tracker(stabilizer="one-euro", motion=motion)
        outputs.append([faces[0].points for _, faces in follow(frames, tracker)])
    np.testing.assert_array_equal(*outputs)
