"""Tracking: identities, loss and return, causality, when the detector runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scenes

from steadyface import metrics
from steadyface.detector import HaarDetector
from steadyface.errors import ConfigError, VideoError
from steadyface.geometry import bounding_box
from steadyface.tracker import Tracker, TrackerConfig, follow, track


class CountingDetector(HaarDetector):
    """Counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __call__(self, image: np.ndarray) -> np.ndarray:
        self.calls += 1
        return super().__call__(image)


def test_known_motion_is_followed() -> None:
    scene = scenes.scene(2.0)
    tracks = track(scene)
    assert len(tracks) == len(scene)
    assert tracks.faces == [0]
    raw = tracks.raw_points.astype(float)
    truth = scene.mean_face(raw, tracks.seconds)
    eyes = metrics.interocular(truth)
    # Loose bounds that a tracker one pixel or one frame off would break: the eyes are about 45 px apart.
    assert metrics.nrmse_interocular(tracks.points.astype(float), truth).mean() < 1.5
    assert metrics.stability(tracks.points.astype(float), truth, eyes) < metrics.stability(raw, truth, eyes)
    assert abs(metrics.delay(tracks.points.astype(float), truth, eyes)) < 0.5


def test_the_detector_rests_while_a_face_is_tracked() -> None:
    detector = CountingDetector()
    tracker = Tracker(detector=detector, config=TrackerConfig(max_faces=1))
    for frame, faces in follow(scenes.timed(scenes.frames()), tracker):
        assert [face.face for face in faces] == [0], frame.index
    assert detector.calls == 1


def test_new_faces_are_looked_for_now_and_then() -> None:
    detector = CountingDetector()
    tracker = Tracker(detector=detector, config=TrackerConfig(redetect_seconds=0.4))
    list(follow(scenes.timed(scenes.frames()), tracker))
    assert detector.calls == 3  # at 0.0, 0.4 and 0.8 s


def test_a_face_is_lost_and_regained_under_its_number() -> None:
    images = [*scenes.frames(10), *scenes.empty(10), *scenes.frames(10)]
    tracker = Tracker()
    seen = [[face.face for face in faces] for _, faces in follow(scenes.timed(images), tracker)]
    assert seen == [[0]] * 10 + [[]] * 10 + [[0]] * 10


def test_after_a_long_absence_it_is_a_new_face() -> None:
    tracker = Tracker(config=TrackerConfig(memory_seconds=0.2))
    images = [*scenes.frames(5), *scenes.empty(10), *scenes.frames(5)]
    seen = [[face.face for face in faces] for _, faces in follow(scenes.timed(images), tracker)]
    assert seen == [[0]] * 5 + [[]] * 10 + [[1]] * 5


def test_two_faces_keep_their_sides_and_max_faces_keeps_the_larger() -> None:
    pairs = [np.hstack([image, image[:, ::-1]]) for image in scenes.frames(10)]
    for faces in (faces for _, faces in follow(scenes.timed(pairs), Tracker())):
        middles = {face.face: float(face.points[:, 0].mean()) for face in faces}
        assert set(middles) == {0, 1}
        assert sum(middle < scenes.WIDTH for middle in middles.values()) == 1
    one = [faces for _, faces in follow(scenes.timed(pairs), Tracker(config=TrackerConfig(max_faces=1)))]
    assert {len(faces) for faces in one} == {1}


def test_the_future_does_not_change_the_past() -> None:
    images = list(scenes.frames(12))
    whole = track(scenes.timed(images))
    part = track(scenes.timed([*images[:8], *scenes.empty(4)]))
    assert np.array_equal(whole.points[:8], part.points)


def test_none_leaves_the_points_raw() -> None:
    tracks = track(scenes.timed(scenes.frames(6)), stabilizer="none")
    assert np.array_equal(tracks.points, tracks.raw_points)


def test_reset_forgets() -> None:
    tracker = Tracker()
    first = [tracker.step(image) for image in scenes.frames(3)]
    tracker.reset()
    again = [tracker.step(image) for image in scenes.frames(3)]
    assert all(np.array_equal(a[0].points, b[0].points) for a, b in zip(first, again, strict=True))


def test_any_callable_finds_faces() -> None:
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
    with pytest.raises(ConfigError, match="sta, none"):
        Tracker(stabilizer="kalman")
    with pytest.raises(ConfigError, match="max_faces"):
        TrackerConfig(max_faces=0)
    tracker = Tracker()
    with pytest.raises(ConfigError, match="RGB uint8"):
        tracker.step(scenes.frames(1)[0][..., 0])
    tracker.step(scenes.frames(1)[0], seconds=1.0)
    with pytest.raises(ConfigError, match="backwards"):
        tracker.step(scenes.frames(1)[0], seconds=1.0)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="No such file"):
        track(tmp_path / "none.mp4")


def test_real_clips_show_their_faces(data_dir: Path) -> None:
    expected = {"d18.mp4": 216, "single_face.mp4": 72, "no_face.mp4": 0}
    for name, frames in expected.items():
        tracks = track(data_dir / "videos" / name)
        assert len(tracks) == frames, name
