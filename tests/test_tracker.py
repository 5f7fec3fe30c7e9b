"""Tracking: identities, loss and return, causality, when the detector runs, which stabiliser when."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import scenes

from steadyface import metrics
from steadyface.detector import FaceFinder
from steadyface.errors import ConfigError, VideoError, WeightsError
from steadyface.geometry import bounding_box
from steadyface.stabilizer import KINDS, Stabilizer, load_stabilizer, save_stabilizer
from steadyface.stabilizer.baselines import FirstOrder, SavitzkyGolay
from steadyface.tracker import (
    STABILIZERS,
    Choice,
    Tracker,
    TrackerConfig,
    add_rows,
    choose_stabilizer,
    follow,
    track,
    tracked_faces,
)
from steadyface.tracks import COLUMNS, Tracks, TracksBuilder


class CountingDetector(FaceFinder):
    """Counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __call__(self, image: np.ndarray) -> np.ndarray:
        self.calls += 1
        return super().__call__(image)


@dataclass(frozen=True, eq=False)
class Recorder(Stabilizer):
    """Leaves the points as they are and keeps what it was told."""

    kind: ClassVar[str] = "recorder"
    told: list[tuple[float | None, np.ndarray]] = field(default_factory=list)

    def begin(self, points: np.ndarray) -> None:
        return None

    def advance(self, memory: None, seen: object) -> tuple[None, np.ndarray]:
        return None, seen.points  # type: ignore[attr-defined]

    def step(self, state, points, dt=None, scores=None):  # type: ignore[no-untyped-def]
        self.told.append((dt, scores))
        return super().step(state, points, dt, scores)


def images() -> list[np.ndarray]:
    """A face that is away for a moment."""
    return [*scenes.frames(7), *scenes.empty(1), *scenes.frames(4)]


@cache
def raw_tracks() -> Tracks:
    return track(scenes.timed(images()), stabilizer="none")


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


class TestOffline:
    @pytest.mark.parametrize(
        ("name", "lag"), [("sta-offline", None), ("sta-offline", 2), ("sta", 3), ("savitzky-golay", None)]
    )
    def test_the_table_is_that_of_smoothing_the_raw_one(self, name: str, lag: int | None) -> None:
        tracks = track(scenes.timed(images()), stabilizer=name, lag=lag)
        stabilizer = load_stabilizer(name.removesuffix("-offline"))
        expected = raw_tracks().smoothed(stabilizer, lag)
        for column in COLUMNS:
            np.testing.assert_array_equal(getattr(tracks, column), getattr(expected, column), column)
        for column in ("frame", "seconds", "face", "raw_points", "scores"):
            np.testing.assert_array_equal(getattr(tracks, column), getattr(raw_tracks(), column), column)
        assert not np.array_equal(tracks.points, tracks.raw_points)

    def test_no_lag_is_causal(self) -> None:
        frames = scenes.timed(scenes.frames(7))
        causal = track(frames)
        none = track(frames, lag=0)
        np.testing.assert_array_equal(none.points, causal.points)
        again = causal.smoothed(load_stabilizer(), lag=0)
        # What is smoothed is the table's float32, of which a step at 500 px is 6e-5.
        np.testing.assert_allclose(again.points, causal.points, rtol=0, atol=2e-4)
        np.testing.assert_allclose(again.box, causal.box, rtol=0, atol=2e-4)

    def test_the_future_beyond_the_lag_does_not_change_the_past(self) -> None:
        raw = raw_tracks().of_face(0)
        whole, lag = raw.smoothed(load_stabilizer(), 2).points, 2
        later = Tracks(**{name: getattr(raw, name)[:6] for name in COLUMNS}).smoothed(load_stabilizer(), lag)
        np.testing.assert_array_equal(later.points[: 6 - lag], whole[: 6 - lag])
        assert not np.array_equal(later.points[6 - lag :], whole[6 - lag : 6])

    def test_meta_says_how_points_were_made(self) -> None:
        frames = scenes.timed(scenes.frames(1))
        said = {
            (name, lag): track(frames, stabilizer=name, lag=lag).meta["options"]
            for name, lag in [("sta", None), ("sta-offline", 3)]
        }
        for (name, lag), options in said.items():
            assert options["stabilizer"] == name
            assert options.get("lag") == lag
            assert ("lag" in options) == (lag is not None)


class TestChooseStabilizer:
    @pytest.mark.parametrize("name", STABILIZERS)
    def test_every_name(self, name: str) -> None:
        choice = choose_stabilizer(name)
        assert choice.name == name
        assert choice.lag is None
        chosen = [each for each in (choice.causal, choice.offline) if each is not None]
        assert [each.kind for each in chosen] == [
            kind for kind in KINDS if kind == name.removesuffix("-offline")
        ]
        assert (choice.offline is not None) == (name in ("sta-offline", "savitzky-golay"))

    def test_names_are_all_kinds_and_two_more(self) -> None:
        assert set(STABILIZERS) == {*KINDS, "sta-offline", "none"}

    def test_a_file_is_what_was_saved(self, tmp_path: Path) -> None:
        for stabilizer, offline in ((FirstOrder(0.4), False), (SavitzkyGolay(5, 2), True)):
            path = str(tmp_path / f"{stabilizer.kind}.json")
            save_stabilizer(stabilizer, path)
            choice = choose_stabilizer(path)
            assert choice.name == path
            chosen = choice.offline if offline else choice.causal
            assert chosen is not None
            assert chosen.as_dict() == stabilizer.as_dict()
            assert (choice.causal is None) == offline

    def test_an_object_is_itself(self) -> None:
        first, golay, sta = FirstOrder(0.4), SavitzkyGolay(5, 2), load_stabilizer()
        assert choose_stabilizer(first) == Choice("first-order", causal=first)
        assert choose_stabilizer(golay) == Choice("savitzky-golay", offline=golay)
        assert choose_stabilizer(sta, 4) == Choice("sta", offline=sta, lag=4)

    def test_lag(self) -> None:
        sta = load_stabilizer("sta")
        assert choose_stabilizer("sta", 0) == choose_stabilizer("sta") == Choice("sta", causal=sta)
        assert choose_stabilizer("sta", 3) == Choice("sta", offline=sta, lag=3)
        assert choose_stabilizer("sta-offline") == Choice("sta-offline", offline=sta)
        assert choose_stabilizer("sta-offline", 0) == Choice("sta-offline", offline=sta, lag=0)
        assert choose_stabilizer("sta-offline", 5) == Choice("sta-offline", offline=sta, lag=5)
        assert choose_stabilizer("none", 0) == choose_stabilizer("none") == Choice("none")

    @pytest.mark.parametrize("name", [name for name in STABILIZERS if name not in ("sta", "sta-offline")])
    def test_what_has_no_lag_says_so_at_once(self, name: str) -> None:
        with pytest.raises(ConfigError, match=name):
            choose_stabilizer(name, 2)

    def test_what_cannot_be_chosen(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="at least 0 frames, got -1"):
            choose_stabilizer("sta", -1)
        with pytest.raises(
            ConfigError, match=r"'kalman'; choose one of: sta, .*sta-offline, none, FILE\.json"
        ):
            choose_stabilizer("kalman")
        with pytest.raises(ConfigError, match="savitzky-golay has no fixed lag"):
            choose_stabilizer("savitzky-golay", 0)
        with pytest.raises(WeightsError, match="No such file"):
            choose_stabilizer(str(tmp_path / "none.json"))
        (tmp_path / "bad.json").write_text("{}")
        with pytest.raises(WeightsError, match="not a stabiliser's file"):
            choose_stabilizer(str(tmp_path / "bad.json"))


def test_a_tracker_does_not_wait_for_the_future(tmp_path: Path) -> None:
    save_stabilizer(SavitzkyGolay(5, 2), tmp_path / "golay.json")
    for offline in ("sta-offline", "savitzky-golay", SavitzkyGolay(5, 2), str(tmp_path / "golay.json")):
        with pytest.raises(ConfigError, match="needs the future"):
            Tracker(stabilizer=offline)


def test_the_stabiliser_is_told_scores_and_elapsed_time() -> None:
    recorder = Recorder()
    tracker = Tracker(stabilizer=recorder)
    shown = {0.0: 0, 0.04: 1, 0.1: 2, 0.35: 3}
    faces = [tracker.step(scenes.frames(4)[index], seconds)[0] for seconds, index in shown.items()]
    elapsed = [dt for dt, _ in recorder.told]
    assert elapsed == [None, *(pytest.approx(dt) for dt in (0.04, 0.06, 0.25))]
    for face, (_, scores) in zip(faces, recorder.told, strict=True):
        np.testing.assert_array_equal(scores, face.scores)


def test_the_stabiliser_begins_anew_after_a_loss() -> None:
    recorder = Recorder()
    list(
        follow(
            scenes.timed([*scenes.frames(2), *scenes.empty(2), *scenes.frames(2)]),
            Tracker(stabilizer=recorder),
        )
    )
    assert [dt is None for dt, _ in recorder.told] == [True, False, True, False]


def test_tracked_faces_and_add_rows_are_inverse() -> None:
    double = [np.hstack([image, image[:, ::-1]]) for image in scenes.frames(2)]
    frames = scenes.timed([double[0], scenes.empty(1)[0], double[1], scenes.frames(1)[0]])
    rows, given = TracksBuilder(), {}
    for frame, faces in follow(frames, Tracker()):
        add_rows(rows, frame, faces)
        given[frame.index] = faces
    tracks = rows.finish({})
    found = tracked_faces(tracks)
    assert found.keys() == {index for index, faces in given.items() if faces} == {0, 2, 3}
    for index, faces in found.items():
        assert [face.face for face in faces] == [face.face for face in given[index]]
        for one, other in zip(faces, given[index], strict=True):
            for column in ("points", "raw_points", "scores", "box"):
                np.testing.assert_array_equal(
                    getattr(one, column), getattr(other, column).astype("float32"), column
                )
    again = TracksBuilder()
    for frame in frames:
        add_rows(again, frame, found.get(frame.index, []))
    copy = again.finish({})
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(copy, column), getattr(tracks, column), column)


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
    with pytest.raises(ConfigError, match=r"sta, .*none, FILE"):
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
