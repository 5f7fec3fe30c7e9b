"""Tracker: calls of the detector and of the stabiliser, frames and arguments that it takes."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import scenes
from PIL import Image

from steadyface import heatmap, metrics, track
from steadyface.demo import portrait
from steadyface.detector import FaceFinder
from steadyface.errors import ConfigError
from steadyface.geometry import Region, bounding_box
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.measures import MEAN_FACE, head_pose
from steadyface.picture import RgbPicture
from steadyface.pipeline import follow
from steadyface.stabilizer import CausalFilter, save_stabilizer
from steadyface.stabilizer.base import Measurement
from steadyface.stabilizer.baselines import SavitzkyGolay
from steadyface.tracking import Tracker, TrackerConfig
from steadyface.tracking.detection import FaceSearch
from steadyface.tracking.network_thread import NetworkThread
from steadyface.video import VideoFrame

TRACKER = partial(Tracker, Landmarker("tiny", threads=1))


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


@pytest.mark.parametrize("threaded", [True, False])
def test_a_search_that_can_wait_gives_its_boxes_in_the_next_frame(threaded: bool) -> None:
    finder = FaceFinder(threads=1)
    shown, empty = (RgbPicture(image) for image in (scenes.frames(1)[0], scenes.empty(1)[0]))
    search = FaceSearch(finder, NetworkThread(threaded))
    assert len(search.boxes(empty, 0.0, interval=0.0, at_once=True)) == 0
    assert search.boxes(empty, 0.2, interval=0.5, at_once=False) is None
    assert search.boxes(shown, 0.6, interval=0.5, at_once=False) is None
    copy = pickle.loads(pickle.dumps(search))
    for each in search, copy:
        np.testing.assert_array_equal(each.boxes(empty, 0.7, interval=0.5, at_once=False), finder(shown))
        assert each.boxes(shown, 0.8, interval=0.5, at_once=False) is None


@pytest.mark.parametrize("threaded", [True, False])
def test_a_search_sees_its_own_frame_though_the_next_is_in_the_same_array(threaded: bool) -> None:
    image = scenes.frames(1)[0][:, 80:400].copy()  # of the size at which it is searched
    expected = FaceFinder()(image)
    search = FaceSearch(FaceFinder(), NetworkThread(threaded))
    assert search.boxes(RgbPicture(image), 0.0, 0.5, at_once=False) is None
    image[:] = 90
    found = search.boxes(RgbPicture(image), 0.1, 0.5, at_once=False)
    np.testing.assert_array_equal(found, expected)
    assert len(found) == 1


def test_a_search_at_once_replaces_the_one_before() -> None:
    finder = FaceFinder(threads=1)
    search = FaceSearch(finder, NetworkThread(threaded=True))
    shown, empty = (RgbPicture(image) for image in (scenes.frames(1)[0], scenes.empty(1)[0]))
    assert search.boxes(shown, 0.0, interval=0.5, at_once=False) is None
    assert len(search.boxes(empty, 0.1, interval=0.0, at_once=True)) == 0
    assert search.boxes(empty, 0.2, interval=0.5, at_once=False) is None


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


@pytest.mark.parametrize("weights", ["nano", "tiny", "compact"])
def test_a_still_picture_gives_still_points(weights: str) -> None:
    """In 8 bits too, where each other crop gives other points."""
    tracker, image = Tracker(Landmarker(weights, threads=1)), scenes.frames(1)[0]
    faces = [tracker.step(image)[0] for _ in range(10)]
    for before, after in pairwise(faces[4:]):
        np.testing.assert_array_equal(after.raw_points, before.raw_points)


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


@pytest.mark.usefixtures("unannotated")
def test_a_config_of_another_kind_is_named() -> None:
    with pytest.raises(ConfigError, match="config must be a TrackerConfig, got dict"):
        Tracker(config={"max_faces": 1})  # type: ignore[arg-type]


def test_bad_arguments() -> None:
    with pytest.raises(ConfigError, match=r"sta, .*none, FILE"):
        Tracker(stabilizer="kalman")
    with pytest.raises(ConfigError, match="max_faces"):
        TrackerConfig(max_faces=0)
    for name in ("redetect_seconds", "retry_seconds", "grace_seconds", "memory_seconds", "count_seconds"):
        with pytest.raises(ConfigError, match=f"{name} must be at least 0, got -1"):
            TrackerConfig(**{name: -1})
    tracker = Tracker()
    with pytest.raises(ConfigError, match="RGB uint8"):
        tracker.step(scenes.frames(1)[0].astype(float))
    tracker.step(scenes.frames(1)[0], seconds=1.0)
    with pytest.raises(ConfigError, match=r"or stands: 1\.0.* of a camera pass time\.monotonic"):
        tracker.step(scenes.frames(1)[0], seconds=1.0)
    with pytest.raises(ConfigError, match=r"runs backwards or stands: 0\.5.* after 1\.0000 s$"):
        tracker.step(scenes.frames(1)[0], seconds=0.5)


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize("frame", [None, [[1, 2], [3, 4]], "frame.jpg", Image.new("RGB", (64, 64))])
def test_what_is_no_frame_is_named(frame: object) -> None:
    with pytest.raises(ConfigError, match=r"^image must be RGB uint8 \(H, W, 3\), got .*$"):
        TRACKER().step(frame)


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize("seconds", [np.nan, np.inf, -np.inf, "now", [0.0, 0.1]])
def test_times_are_finite_numbers(seconds: object) -> None:
    tracker = TRACKER()
    with pytest.raises(ConfigError, match="seconds must be"):
        tracker.step(scenes.empty(1)[0], seconds)
    assert tracker.step(scenes.empty(1)[0], 0.0) == []  # the refused frame left no trace


def test_milliseconds_are_noticed() -> None:
    tracker, image = TRACKER(), scenes.empty(1)[0]
    for time in (0.0, 40.0, 80.0):
        tracker.step(image, time)
    with pytest.raises(ConfigError, match="not milliseconds"):
        tracker.step(image, 120.0)
    tracker.reset()
    for time in (0.0, 0.04, 60.0, 60.04, 600.0, 600.04, 6000.0):  # pauses of a stream
        tracker.step(image, time)
    slides = [VideoFrame(index, 40.0 * index, image) for index in range(6)]  # as a reader gives them
    assert len(list(follow(slides, TRACKER()))) == 6


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize(
    "boxes",
    [None, 5, [[10, 10, 90, 90, 0.99]], [10, 10, 90, 90], [[100, 100, 40, 40]], [[0, 0, np.nan, 9]], "box"],
)
def test_a_detector_that_gives_no_boxes_is_named(boxes: object) -> None:
    with pytest.raises(ConfigError, match=r"^box must be finite x0, y0, x1, y1.*$"):
        TRACKER(detector=lambda image: boxes).step(scenes.empty(1)[0])


def test_a_detector_may_give_a_list() -> None:
    image = scenes.frames(1)[0]
    assert TRACKER(detector=lambda image: []).step(image) == []
    [box] = FaceFinder(threads=1)(image)
    assert len(TRACKER(detector=lambda image: [box.tolist()]).step(image)) == 1


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            {"landmarker": "compact"},
            r"landmarker must have .*, got str; a network is opened by Landmarker\('compact'\)",
        ),
        ({"landmarker": FaceFinder}, "landmarker must have a method predict_regions, got FaceFinder"),
        ({"detector": "yunet.onnx"}, "detector must be a callable image → boxes, got str"),
        ({"stabilizer": 5}, "stabilizer must be a name, or have a method step, got int"),
        ({"fps": np.inf}, "fps must be positive"),
    ],
)
def test_parts_of_another_kind_are_named(part: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Tracker(**part)


class TestOwnParts:
    """Parts of the caller's need only the methods of `LandmarkModel` and `FaceFilter`."""

    class Model:
        """Landmarks at fixed places of each region, as many as asked for."""

        def __init__(self, count: int = 68) -> None:
            self.count, self.threads = count, set[int]()

        def predict_regions(self, image: np.ndarray, regions: Sequence[Region]) -> Landmarks:
            self.threads.add(threading.get_ident())
            shape = MEAN_FACE[:, :2] if self.count == 68 else np.zeros((self.count, 2))
            unit = (shape - shape.mean(axis=0)) / max(float(np.ptp(shape)), 1.0)
            points = np.array([0.6 * each.side * unit + [each.x, each.y] for each in regions])
            return Landmarks.of_points(points, np.ones((len(regions), self.count)))

    class Halfway:
        """Filter that goes half the way; its state is its output."""

        def step(self, state, points, dt=None, scores=None, motion=None):  # type: ignore[no-untyped-def]
            assert (state is None) == (dt is None)
            assert motion is None
            output = points if state is None else (state + points) / 2
            return output, output

    def test_they_track(self) -> None:
        frames = scenes.timed(scenes.frames(6))
        model = self.Model()
        tracker = Tracker(model, stabilizer=self.Halfway(), config=TrackerConfig(confirm=0.0))
        steps = [faces for _, faces in follow(frames, tracker)]
        assert [len(faces) for faces in steps] == [1] * 6
        assert model.threads == {threading.get_ident()}
        for [before], [after] in pairwise(steps):
            np.testing.assert_allclose(after.points, (before.points + after.raw_points) / 2)
        assert tracker.stabilizer_name == "Halfway"

    def test_another_markup_is_named(self) -> None:
        with pytest.raises(ConfigError, match=r"Model gave points \(1, 98, 2\).* needs \(1, 68, 2\)"):
            Tracker(self.Model(98)).step(scenes.frames(1)[0])


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


class TestLeftOut:
    def test_faces_without_room_are_counted(self) -> None:
        pairs = [np.hstack([image[:, 100:380], image[:, 100:380]]) for image in scenes.frames(2)]
        tracker = Tracker(config=TrackerConfig(max_faces=1))
        tracker.step(pairs[0])
        assert (tracker.left_out.no_room, tracker.left_out.refused) == (1, 0)
        tracker.reset()
        assert tracker.left_out.no_room == 0

    def test_those_that_come_later_are_counted_too(self) -> None:
        single = [np.hstack([image[:, 100:380], scenes.empty(1)[0][:, :280]]) for image in scenes.frames(8)]
        pairs = [np.hstack([image[:, 100:380], image[:, 100:380]]) for image in scenes.frames(8)]
        tracker = Tracker(config=TrackerConfig(max_faces=1, count_seconds=0.1))
        for image in single[:4]:
            tracker.step(image)
        assert tracker.left_out.no_room == 0
        shown = [tracker.step(image) for image in pairs[4:]]
        assert tracker.left_out.no_room == 1
        assert [len(faces) for faces in shown] == [1, 1, 1, 1]

    def test_refused_faces_keep_their_score(self) -> None:
        tracker = Tracker(config=TrackerConfig(accept=0.9999))
        assert tracker.step(scenes.frames(1)[0]) == []
        assert tracker.left_out.refused == 1
        assert 0.9 < tracker.left_out.best_score < 0.9999


def test_nothing_else_in_a_noisy_portrait_is_taken_for_a_face() -> None:
    tracks = track(replace(portrait(), noise=8.0, seconds=0.1))
    assert tracks.face_ids == [0]


def test_faces_and_what_is_known_of_them_can_be_looked_up() -> None:
    """Their arrays have no single truth, so that comparing them by value fails: each equals itself alone."""
    (image,) = scenes.frames(1)
    faces = Tracker().step(np.hstack([image, image[:, ::-1]]))
    assert [faces.index(face) for face in faces] == [0, 1]
    assert len(set(faces)) == 2
    seen = [Landmarks.of_points(face.points[None], face.scores[None]) for face in faces]
    poses = [head_pose(face.points, 2 * scenes.WIDTH, scenes.HEIGHT) for face in faces]
    read = [heatmap.decode(np.ones((2, 3, 3)), sigma=1.0) for _ in faces]
    timelines = [track([image, image], weights="tiny").timeline for _ in faces]
    for pair in (seen, poses, read, timelines):
        assert pair.index(pair[1]) == 1
