"""Whole sources: accuracy against known motion, causality, offline stabilisers, table and faces."""

from __future__ import annotations

import threading
import typing
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scenes

from steadyface import metrics
from steadyface.detector import FaceFinder
from steadyface.errors import ConfigError, VideoError
from steadyface.landmarker import Landmarker
from steadyface.motion import MotionSequence
from steadyface.pipeline import (
    TrackingKeywords,
    TrackingOptions,
    TrackingRun,
    build,
    follow,
    track,
    track_frames,
)
from steadyface.stabilizer import load_stabilizer, save_stabilizer
from steadyface.tracking import Tracker
from steadyface.tracking.rows import add_rows, tracked_faces
from steadyface.tracks import COLUMNS, Tracks, TracksBuilder
from steadyface.video import Frames, VideoFrame


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
    assert tracks.face_ids == [0]
    raw = tracks.raw_points.astype(float)
    truth = scene.mean_face(raw, tracks.seconds)
    eyes = metrics.interocular(truth)
    # Loose bounds that a tracker one pixel or one frame off would break: the eyes are about 45 px apart.
    assert metrics.nrmse_interocular(tracks.points.astype(float), truth).mean() < 1.5
    assert metrics.stability(tracks.points.astype(float), truth, eyes) < metrics.stability(raw, truth, eyes)
    assert abs(metrics.delay(tracks.points.astype(float), truth, eyes)) < 0.5


def test_keywords_are_the_options() -> None:
    """Type checkers see each option of `track` with the type that it has."""
    hints = typing.get_type_hints(TrackingOptions)
    options = {field.name: hints[field.name] for field in fields(TrackingOptions)}
    assert typing.get_type_hints(TrackingKeywords) == {
        name: hint for name, hint in options.items() if name not in ("stabilizer", "detector")
    }


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
        tracks = track(scenes.timed(images()), stabilizer=name, lag=lag, motion=False)
        stabilizer = load_stabilizer(name.removesuffix("-offline"))
        expected = raw_tracks().smoothed(stabilizer, lag)
        for column in COLUMNS:
            np.testing.assert_array_equal(getattr(tracks, column), getattr(expected, column), column)
        for column in ("frame", "seconds", "face", "raw_points", "scores"):
            np.testing.assert_array_equal(getattr(tracks, column), getattr(raw_tracks(), column), column)
        assert not np.array_equal(tracks.points, tracks.raw_points)

    @pytest.mark.parametrize(("name", "lag"), [("sta-offline", None), ("sta", 2)])
    def test_displacements_of_the_causal_pass_are_smoothed_with(self, name: str, lag: int | None) -> None:
        tracks = track(scenes.timed(images()), stabilizer=name, lag=lag, motion=True)
        run = TrackingRun(build(TrackingOptions(motion=True)), scenes.timed(images()))
        measured = [face.displacements for _, faces in run.steps() for face in faces]
        assert sum(each is not None for each in measured) == 9  # of 11, without the first after each start
        causal = run.take_table()
        expected = causal.smoothed(load_stabilizer(), lag, MotionSequence.pack(measured))
        for column in COLUMNS:
            np.testing.assert_array_equal(getattr(tracks, column), getattr(expected, column), column)
        without = track(scenes.timed(images()), stabilizer=name, lag=lag, motion=False)
        assert not np.array_equal(tracks.points, without.points)
        most = 1.0 if lag is None else 1.01  # two frames give little here
        assert tracks.jitter() < most * causal.jitter()

    @pytest.mark.parametrize("name", ["savitzky-golay", "sta"])
    def test_displacements_are_kept_for_smoothing_only(self, name: str) -> None:
        run = TrackingRun(
            build(TrackingOptions(stabilizer=name, motion=True)), scenes.timed(scenes.frames(3))
        )
        for _ in run.steps():
            pass
        assert run.motion is None

    def test_no_lag_is_causal(self) -> None:
        frames = scenes.timed(scenes.frames(7))
        causal = track(frames, motion=False)
        none = track(frames, lag=0, motion=False)
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

    @pytest.mark.parametrize(
        ("weights", "parameters"),
        [("tiny", "sta-tiny"), ("tiny-float32", "sta-tiny"), ("nano", "sta-nano"), ("compact", "sta")],
    )
    @pytest.mark.parametrize("name", ["sta", "sta-offline"])
    def test_parameters_are_those_for_the_network(self, weights: str, parameters: str, name: str) -> None:
        pipeline = build(TrackingOptions(weights=weights, stabilizer=name))
        own = load_stabilizer("sta", weights)
        assert pipeline.stabilizer.parameters == parameters
        assert pipeline.tracker.stabilizer is own
        assert pipeline.stabilizer.offline is (own if name == "sta-offline" else None)
        assert pipeline.meta(None, 0)["options"]["parameters"] == parameters

    def test_parameters_of_a_file_and_of_another_model(self, tmp_path: Path) -> None:
        class Mine:
            name = "tiny-int8"
            predict_regions = Landmarker("tiny").predict_regions

        assert Tracker(Landmarker("tiny")).stabilizer is load_stabilizer("sta", "tiny")
        assert Tracker(Mine()).stabilizer is load_stabilizer("sta")
        save_stabilizer(load_stabilizer("sta"), path := tmp_path / "mine.json")
        pipeline = build(TrackingOptions(weights="tiny", stabilizer=str(path)))
        assert pipeline.stabilizer.parameters is None
        assert "parameters" not in pipeline.meta(None, 0)["options"]


class Watched(Frames):
    """Frames that note the threads that read them."""

    path, width, height, fps = Path("watched"), scenes.WIDTH, scenes.HEIGHT, scenes.FPS

    def __init__(self) -> None:
        self.readers: set[int] = set()
        self._frames = self._read()

    def _read(self) -> Iterator[VideoFrame]:
        for frame in scenes.timed(scenes.empty(3)):
            self.readers.add(threading.get_ident())
            yield frame


@pytest.mark.parametrize(("threads", "same"), [(1, True), (None, False)])
def test_one_thread_does_all(threads: int | None, same: bool) -> None:
    frames = Watched()
    tracks = track_frames(frames, build(TrackingOptions(weights="tiny", threads=threads)))
    assert tracks.meta["frames"] == 3
    assert (frames.readers == {threading.get_ident()}) is same


def test_an_early_end_leaves_the_rows_so_far() -> None:
    run = TrackingRun(build(TrackingOptions(weights="tiny")), scenes.timed(scenes.frames(5)))
    with closing(run.steps()) as steps:
        for _, (_, faces) in zip(range(3), steps, strict=False):
            assert len(faces) == 1
    tracks = run.take_table()
    assert tracks.frame.tolist() == [0, 1, 2]
    assert (run.frame_count, run.frames_with_face, tracks.meta["frames"]) == (3, 3, 3)


class TestImagesInMemory:
    """`track` takes arrays as they come, at a frame rate."""

    def test_they_give_the_table_of_timed_frames(self) -> None:
        images = scenes.frames(5)
        expected = track(scenes.timed(images, fps=50.0), weights="tiny")
        for given in (list(images), iter(images), np.stack(images)):
            tracks = track(given, weights="tiny", fps=50.0)
            assert tracks == expected

    def test_grey_ones_are_taken(self) -> None:
        assert track([scenes.frames(1)[0][..., 1]], weights="tiny").face_ids == [0]

    @pytest.mark.usefixtures("unannotated")
    @pytest.mark.parametrize(
        ("source", "message"),
        [
            (None, "source must be a path or images, got NoneType"),
            (2.5, "source must be a path or images, got float"),
            (
                scenes.empty(1)[0],
                r"track takes several images; for one of shape \(270, 480, 3\) use detect",
            ),
            ([scenes.empty(1)[0], None], "image must be RGB uint8"),
            ([[[1, 2, 3]]], "image must be RGB uint8"),
            ([scenes.empty(1)[0].astype(float)], "image must be RGB uint8"),
        ],
    )
    def test_other_things_are_named(self, source: object, message: str) -> None:
        with pytest.raises(ConfigError, match=f"^{message}[^\n]*$"):
            track(source, weights="tiny")


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_face": 2}, "unknown option 'max_face'; did you mean max_faces"),
        ({"bogus": 2}, "unknown option 'bogus'; the options are: stabilizer, lag"),
        ({"max_faces": "2"}, "max_faces must be a whole number, got '2'"),
        ({"max_faces": 2.5}, r"max_faces must be a whole number, got 2\.5"),
        ({"max_faces": True}, "max_faces must be a whole number, got True"),
        ({"max_faces": None}, "max_faces must be a whole number, got None"),
        ({"start": None}, "start must be a number, got None"),
        ({"fps": None}, "fps must be a number, got None"),
        ({"fps": np.inf}, "fps must be positive and finite, got inf"),
        ({"motion": "no"}, "motion must be True or False, got 'no'"),
        ({"weights": None}, "weights must be a name or a path, got None"),
        ({"device": 0}, "device must be a name or a path, got 0"),
        ({"threads": 1025}, "threads must be from 1 to 1,024, got 1025"),
        ({"fps": "25"}, "fps must be a number, got '25'"),
        ({"stabilizer": 5}, "stabilizer must be a name, or have a method step, got int"),
        ({"detector": 5}, "detector must be a callable"),
        ({"landmarker": "tiny"}, "landmarker must have a method predict_regions"),
        ({"landmarker": Landmarker}, r"landmarker must be an object, got a class: Landmarker\(…\) makes one"),
        ({"detector": FaceFinder}, r"detector must be an object, got a class: FaceFinder\(…\) makes one"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}[^\n]*$"):
        track(scenes.empty(1), **options)


def test_what_may_be_left_out_may_be_none() -> None:
    left_out = dict.fromkeys(("lag", "min_face", "end", "threads", "decoder", "detector", "people", "camera"))
    assert TrackingOptions(**left_out) == TrackingOptions()


def test_parts_of_the_callers_own() -> None:
    class Still:
        """Filter that keeps the first points."""

        def step(self, state, points, dt=None, scores=None, motion=None):  # type: ignore[no-untyped-def]
            state = points if state is None else state
            return state, state

    frames = scenes.timed(scenes.frames(4))
    box = FaceFinder(threads=1)(frames[0].image)
    tracks = track(
        frames,
        stabilizer=Still(),
        detector=lambda image: box,
        landmarker=Landmarker("tiny", threads=1),
    )
    assert len(tracks) == 4
    np.testing.assert_array_equal(tracks.points[1:], tracks.points[:-1])
    assert tracks.meta["options"]["stabilizer"] == "Still"
    assert tracks.meta["weights"] == "tiny-int8"
    with pytest.raises(ConfigError, match="Still is no Stabilizer, and has no lag"):
        track(frames, stabilizer=Still(), lag=2)


def test_a_part_of_given_frames_is_refused() -> None:
    with pytest.raises(ConfigError, match="start and end choose a part of a file"):
        track(scenes.timed(scenes.frames(1)), start=1.0)


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
        assert [face.face_id for face in faces] == [face.face_id for face in given[index]]
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


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="No such file"):
        track(tmp_path / "none.mp4")


def test_real_clips_show_their_faces(data_dir: Path) -> None:
    expected = {"d18.mp4": 216, "single_face.mp4": 72, "no_face.mp4": 0}
    for name, frames in expected.items():
        tracks = track(data_dir / "videos" / name)
        assert len(tracks) == frames, name
        assert tracks.face_ids == [0][:frames], name


def test_a_real_face_that_is_gone_is_dropped(data_dir: Path) -> None:
    tracks = track(data_dir / "videos" / "face_noface.mov")
    # Frame 72 is white, and in frame 73 another shot begins.
    assert tracks.frame[~tracks.held].tolist() == list(range(72))
    assert tracks.frame[tracks.held].tolist() == [72]


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize(
    "result", [None, np.zeros((68, 2)), (None, np.zeros((5, 2))), (None, np.zeros((68, 2)), 1)]
)
def test_a_filter_that_gives_something_else_is_named(result: object) -> None:
    class Odd:
        def step(self, state, points, dt=None, scores=None, motion=None):  # type: ignore[no-untyped-def]
            return result

    message = r"^Odd\.step must return its state and points \(68, 2\), as FaceFilter says$"
    with pytest.raises(ConfigError, match=message):
        track(scenes.frames(1), weights="tiny", stabilizer=Odd())


def test_tracks_of_images_know_their_size_and_rate() -> None:
    tracks = track(scenes.frames(3), weights="tiny", fps=30)
    assert (tracks.meta["size"], tracks.meta["fps"]) == ([scenes.WIDTH, scenes.HEIGHT], 30.0)
    first, second = scenes.frames(2)
    assert "size" not in track([first, second[:, :-20]], weights="tiny").meta
    single = track(scenes.frames(1), weights="tiny")
    assert (single.meta["size"], "fps" in single.meta) == ([scenes.WIDTH, scenes.HEIGHT], False)


def test_a_stabiliser_s_file_may_be_a_path(tmp_path: Path) -> None:
    save_stabilizer(load_stabilizer("one-euro"), path := tmp_path / "mine.json")
    tracks = track(scenes.frames(2), weights="tiny", stabilizer=path)
    assert tracks.meta["options"]["stabilizer"] == str(path)
    assert Tracker(Landmarker("tiny"), stabilizer=path).stabilizer_name == str(path)


def test_an_iterator_may_write_each_image_into_the_same_array() -> None:
    images = list(scenes.frames(12))

    class Camera:
        def __iter__(self) -> Iterator[np.ndarray]:
            taken = np.empty_like(images[0])
            for image in images:
                taken[:] = image
                yield taken

    apart = track(images, weights="tiny")
    for source in (Camera(), iter(Camera())):
        together = track(source, weights="tiny")
        np.testing.assert_array_equal(together.points, apart.points)
        np.testing.assert_array_equal(together.raw_points, apart.raw_points)
