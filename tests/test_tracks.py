"""The table of results: every format keeps it, a bad file is named, smoothing takes each face alone."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from table_cases import make_tracks, same

from steadyface import metrics
from steadyface.errors import ConfigError, DataError, MissingExtraError
from steadyface.geometry import bounding_box
from steadyface.measures import MEAN_FACE
from steadyface.motion import Displacements, MotionSequence
from steadyface.pts import read_pts
from steadyface.report.figures import figures_of
from steadyface.stabilizer import Stabilizer, load_stabilizer
from steadyface.stabilizer.baselines import FirstOrder
from steadyface.tracks import COLUMNS, Tracks, TracksBuilder


@pytest.mark.parametrize("suffix", ["npz", "csv", "parquet", "json"])
@pytest.mark.parametrize("rows", [0, 1, 120])
def test_save_and_load_are_inverse(tmp_path: Path, suffix: str, rows: int) -> None:
    tracks = make_tracks(rows)
    path = tracks.save(tmp_path / f"clip.{suffix}")
    assert same(Tracks.load(path), tracks)
    beside = {"clip.meta.json"} if suffix == "csv" else set()
    assert {entry.name for entry in tmp_path.iterdir()} == {path.name} | beside


@pytest.mark.skipif(sys.platform != "linux", reason="names of other bytes")
@pytest.mark.parametrize("suffix", ["npz", "csv", "parquet", "json"])
def test_a_name_that_is_not_utf8_is_a_name(tmp_path: Path, suffix: str) -> None:
    tracks = make_tracks(3)
    assert same(Tracks.load(tracks.save(tmp_path / os.fsdecode(b"clip\xff." + suffix.encode()))), tracks)


def test_builder_keeps_order_over_blocks() -> None:
    tracks = make_tracks()
    assert len(tracks) == 2500
    assert np.all(np.diff(tracks.frame) >= 0)
    assert tracks.face_ids == [0, 1]
    assert len(tracks.of_face(1)) == 1250


def test_csv_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """As spreadsheets write it."""
    path = (tracks := make_tracks(3)).save(tmp_path / "clip.csv")
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    np.testing.assert_array_equal(Tracks.load(path).frame, tracks.frame)


def test_csv_has_the_names_of_openface(tmp_path: Path) -> None:
    path = make_tracks(3).save(tmp_path / "clip.csv")
    with path.open() as file:
        names = next(csv.reader(file))
    assert names[:6] == ["frame", "face_id", "timestamp", "confidence", "success", "x_0"]
    assert {"x_67", "y_0", "y_67"} <= set(names)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_success_is_0_where_a_face_is_held(tmp_path: Path, suffix: str) -> None:
    tracks = make_tracks(30)
    path = tracks.save(tmp_path / f"clip.{suffix}")
    if suffix == "csv":
        with path.open() as file:
            success = [row["success"] for row in csv.DictReader(file)]
    else:
        success = parquet.read_table(path)["success"].to_pylist()
    assert [int(value) for value in success] == (~tracks.held).astype(int).tolist()
    assert 0 < tracks.held.sum() < 30


def test_json_has_null_where_visibility_is_unknown(tmp_path: Path) -> None:
    text = make_tracks(3).save(tmp_path / "clip.json").read_text()
    assert "NaN" not in text
    assert None in json.loads(text)["visible"][0]


def test_held_rows_have_no_pts_file(tmp_path: Path) -> None:
    tracks = make_tracks(30)
    assert len(list(tracks.save(tmp_path / "clip.pts").iterdir())) == (~tracks.held).sum() < 30


def test_pts_is_a_folder_with_a_file_per_face_and_frame(tmp_path: Path) -> None:
    tracks = make_tracks(4)
    make_tracks(10).save(tmp_path / "clip.pts")
    path = tracks.save(tmp_path / "clip.pts")
    files = sorted(entry.name for entry in path.iterdir())
    assert files == [f"{f:06d}_face{i}.pts" for f, i in zip(tracks.frame, tracks.face, strict=True)]
    # Four decimals are written: half of the last one, and float32's own precision at 1000 px.
    assert np.abs(read_pts(path / files[0]) - tracks.points[0]).max() < 1.2e-4


def expected_columns(tracks: Tracks) -> dict[str, np.ndarray]:
    """The flat table's columns, by its names alone."""
    return {
        "frame": tracks.frame,
        "face_id": tracks.face,
        "timestamp": tracks.seconds,
        **{f"{axis}_{i}": tracks.points[:, i, k] for k, axis in enumerate("xy") for i in range(68)},
        **{f"raw_{axis}_{i}": tracks.raw_points[:, i, k] for k, axis in enumerate("xy") for i in range(68)},
        **{f"score_{i}": tracks.scores[:, i] for i in range(68)},
        **{f"box_{name}": tracks.box[:, i] for i, name in enumerate(("x0", "y0", "x1", "y1"))},
        **{f"visible_{i}": tracks.visible[:, i] for i in range(68)},
        **{
            f"cov_{'xy'[j]}{'xy'[k]}_{i}": tracks.covariances[:, i, j, k]
            for j, k in ((0, 0), (0, 1), (1, 1))
            for i in range(68)
        },
    }


MEASURES = ["pose_Tx", "pose_Ty", "pose_Tz", "pose_Rx", "pose_Ry", "pose_Rz", "ear_right", "ear_left", "mar"]


def face_tracks(size: list[int] | None = None) -> Tracks:
    """The mean face, turned a little more in each of five frames, 600 mm before a camera of 1280 × 720 px."""
    builder = TracksBuilder()
    for frame in range(5):
        turn = 0.1 * frame
        cos, sin = np.cos(turn), np.sin(turn)
        about_y = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        camera = MEAN_FACE @ about_y.T + [0, 0, 600]
        points = 1280 * camera[:, :2] / camera[:, 2:] + [639.5, 359.5]
        row = {"points": points, "raw_points": points, "scores": np.ones(68), "box": bounding_box(points)}
        builder.add(frame=frame, seconds=frame / 25, face=0, **row)
    return builder.finish({"size": size} if size else {})


class TestEveryToolReadsIt:
    def test_pandas_reads_the_csv(self, tmp_path: Path) -> None:
        pandas = pytest.importorskip("pandas")
        tracks = make_tracks(40)
        table = pandas.read_csv(tracks.save(tmp_path / "clip.csv"))
        for name, column in expected_columns(tracks).items():
            np.testing.assert_array_equal(table[name].to_numpy(column.dtype), column, name)

    def test_pyarrow_reads_the_parquet(self, tmp_path: Path) -> None:
        parquet = pytest.importorskip("pyarrow.parquet")
        tracks = make_tracks(40)
        table = parquet.read_table(tracks.save(tmp_path / "clip.parquet"))
        for name, column in expected_columns(tracks).items():
            np.testing.assert_array_equal(table[name].to_numpy(), column, name)

    def test_json_is_read_as_lists(self, tmp_path: Path) -> None:
        tracks = make_tracks(40)
        values = json.loads(tracks.save(tmp_path / "clip.json").read_text())
        assert values["meta"] == tracks.meta
        for name, (dtype, _) in COLUMNS.items():
            np.testing.assert_array_equal(np.array(values[name], dtype), getattr(tracks, name), name)

    def test_to_pandas(self) -> None:
        pytest.importorskip("pandas")
        tracks = face_tracks([1280, 720])
        table = tracks.to_pandas()
        assert table.attrs == tracks.meta
        for name, column in expected_columns(tracks).items():
            np.testing.assert_array_equal(table[name].to_numpy(), column, name)
        assert set(MEASURES) <= set(table.columns)

    def test_without_pandas(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(MissingExtraError, match=r"pip install 'steadyface\[pandas\]'"):
            make_tracks(1).to_pandas()


class TestMeasures:
    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    def test_they_are_written_and_do_not_disturb_loading(self, tmp_path: Path, suffix: str) -> None:
        pandas = pytest.importorskip("pandas")
        tracks = face_tracks([1280, 720])
        path = tracks.save(tmp_path / f"clip.{suffix}")
        table = pandas.read_csv(path) if suffix == "csv" else pandas.read_parquet(path)
        # Points are rounded to float32: 3e-5 px at 700 px, of 200 px of face.
        np.testing.assert_allclose(table["pose_Ry"], 0.1 * np.arange(5), atol=1e-3)
        np.testing.assert_allclose(table["pose_Tz"], 600, rtol=1e-3)
        assert table["ear_left"].between(0.1, 0.5).all()
        assert table["mar"].between(0.05, 0.5).all()
        assert same(Tracks.load(path), tracks)

    def test_without_a_size_there_is_no_pose(self) -> None:
        pytest.importorskip("pandas")
        table = face_tracks().to_pandas()
        assert table[MEASURES[:6]].isna().all(axis=None)
        assert table[MEASURES[6:]].notna().all(axis=None)


@pytest.mark.parametrize("late", [0, 1, 2])
def test_delay_is_how_far_points_are_behind_the_raw_ones(late: int) -> None:
    shape = np.random.default_rng(0).uniform(0, 100, (68, 2))
    builder = TracksBuilder()
    for frame in range(30):
        row = {"scores": np.ones(68), "box": np.zeros(4), "points": shape + 5.0 * (frame - late)}
        builder.add(frame=frame, seconds=frame / 25, face=0, raw_points=shape + 5.0 * frame, **row)
    # A uniform motion: only float32's precision at 200 px over 5 px a frame.
    assert builder.finish({}).delay() == pytest.approx(late, abs=1e-4)


def test_jitter_ignores_the_gap() -> None:
    steady = np.linspace(0, 100, 136).reshape(68, 2)
    builder = TracksBuilder()
    for frame in [*range(10), *range(20, 30)]:
        moved = steady + frame * 3 + (500 if frame >= 20 else 0)
        row = {"points": moved, "raw_points": moved, "scores": np.ones(68), "box": np.zeros(4)}
        builder.add(frame=frame, seconds=frame / 25, face=0, **row)
    # A uniform motion has no jitter beyond float32's precision at 600 px.
    assert builder.finish({}).jitter() < 1e-3


def test_jitter_ignores_held_rows() -> None:
    steady = np.linspace(0, 100, 136).reshape(68, 2)
    rng, builder = np.random.default_rng(0), TracksBuilder()
    for frame in range(30):
        held = 8 <= frame < 24
        moved = steady + 3 * frame + held * rng.normal(0, 5, (68, 2))
        row = {"points": moved, "raw_points": moved, "scores": np.ones(68), "box": np.zeros(4), "held": held}
        builder.add(frame=frame, seconds=frame / 25, face=0, **row)
    tracks = builder.finish({})
    # A uniform motion has no jitter beyond float32's precision at 200 px.
    assert tracks.jitter() < 1e-3
    assert replace(tracks, held=np.zeros(30, bool)).jitter() > 0.1


def test_jitter_of_raw_points_is_the_networks() -> None:
    """Points that measured motion has carried shake as the skin does."""
    rng, builder, steady = np.random.default_rng(0), TracksBuilder(), np.linspace(0, 100, 136).reshape(68, 2)
    for frame in range(60):
        carried = 10 <= frame < 50
        raw = steady if carried else steady + rng.normal(0, 1, (68, 2))
        row = {"points": steady, "raw_points": raw, "scores": np.ones(68), "box": np.zeros(4)}
        builder.add(frame=frame, seconds=frame / 25, face=0, carried=carried, **row)
    tracks = builder.finish({})
    seen = [metrics.jitter(tracks.raw_points[rows]) for rows in (slice(10), slice(50, 60))]
    assert tracks.jitter("raw_points") == pytest.approx(np.mean(seen))
    assert np.isnan(replace(tracks, carried=np.ones(60, bool)).jitter("raw_points"))
    ran = tracks.without_carried()
    assert ran.frame.tolist() == [*range(10), *range(50, 60)]
    assert ran.jitter("raw_points") == tracks.jitter("raw_points")
    (face,) = figures_of(tracks)
    assert np.flatnonzero(np.isfinite(face.shaking_raw[:, 0])).tolist() == [*range(1, 9), *range(51, 59)]


def test_unknown_format_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="npz, csv, parquet, json, pts, openface, blinks"):
        make_tracks(1).save(tmp_path / "clip.xls")
    with pytest.raises(ConfigError, match="npz, csv, parquet, json"):
        Tracks.load(tmp_path / "clip.pts")


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda tracks: tracks.save(None), "path must be a path, got NoneType"),
        (lambda tracks: tracks.save(b"a.npz"), "path must be a path, got bytes"),
        (lambda tracks: tracks.save(["a.npz"]), "path must be a path, got list"),
        (lambda tracks: Tracks.load(None), "path must be a path, got NoneType"),
        (lambda tracks: Tracks.load(5), "path must be a path, got int"),
        (lambda tracks: tracks.save("a.npz", ["csv"]), r"unknown format \['csv'\]; choose one of: npz, .*"),
        (lambda tracks: tracks.jitter("nope"), "unknown column of points 'nope'; choose one of: points, .*"),
        (
            lambda tracks: tracks.jitter("frame"),
            "unknown column of points 'frame'; choose one of: points, .*",
        ),
        (lambda tracks: tracks.named({0: ("a", 1.0)}), "the table has no people: .*"),
        (lambda tracks: tracks.of_face([0, 1]), r"face must be a whole number, got \[0, 1\]"),
        (lambda tracks: tracks.with_points(None), "points must be numbers, got None"),
        (lambda tracks: tracks.with_points("x"), "points must be numbers, got 'x'"),
        (
            lambda tracks: tracks.with_points(tracks.points[1:]),
            r"points must be of shape \(4, 68, 2\), got \(3, 68, 2\)",
        ),
    ],
)
def test_arguments_of_another_kind_are_named(call: Callable[[Tracks], object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        call(make_tracks(4))


def test_points_of_another_type_are_kept_as_the_columns_are() -> None:
    tracks = make_tracks(4)
    assert tracks.with_points(tracks.points.astype(float)).points.dtype == np.float32


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize("size", [4, (1, 2, 3), (-1, 5), (0, 0), (640.5, 480), (np.nan, 5)])
def test_a_size_that_is_not_two_whole_numbers(size: object) -> None:
    with pytest.raises(ConfigError, match=r"^size must be width and height, whole px above 0, got "):
        Tracks.of_points(np.zeros((2, 68, 2)), size=size)


@pytest.mark.usefixtures("unannotated")
def test_a_size_or_rate_that_is_no_number() -> None:
    points = np.zeros((2, 68, 2))
    with pytest.raises(ConfigError, match=r"^size must be numbers, got 'ab'$"):
        Tracks.of_points(points, size="ab")
    with pytest.raises(ConfigError, match=r"^fps must be a number, got 'a'$"):
        Tracks.of_points(points, fps="a")
    assert Tracks.of_points(points, size=np.array([640, 480])).meta["size"] == [640, 480]


@pytest.mark.parametrize("suffix", ["npz", "csv", "parquet", "json"])
@pytest.mark.parametrize("content", [b"", b"rubbish", b"# {}\nframe\n1\n", b'{"meta": {}}', b"PK\x03\x04"])
def test_other_files_are_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"bad.{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match="bad"):
        Tracks.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"frame": [float("nan")]},
        {"frame": [1e300]},
        {"face": [0, 1]},
        {"points": [[[0.0, 1.0]]]},
        {"points": [["a"]]},
        {"scores": None},
        {"meta": [1, 2]},
    ],
    ids=str,
)
def test_a_file_of_another_shape_is_one_line(tmp_path: Path, change: dict[str, object]) -> None:
    path = make_tracks(1).save(tmp_path / "bad.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=rf"^{path}: not a file of tracks: [^\n]+$"):
        Tracks.load(path)


@pytest.mark.parametrize("line", ["1,\x00", '"' + "1" * 200_000, "1,2,3", "a"])
def test_a_csv_with_a_broken_line_is_one_line(tmp_path: Path, line: str) -> None:
    path = make_tracks(1).save(tmp_path / "bad.csv")
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(DataError, match=rf"^{path}: not a file of tracks: [^\n]+$"):
        Tracks.load(path)


def test_a_folder_of_pts_that_fails_leaves_no_part(tmp_path: Path) -> None:
    (tmp_path / "clip.pts").touch()
    with pytest.raises(DataError, match=r"clip\.pts: cannot be written: File exists"):
        make_tracks(4).save(tmp_path / "clip.pts")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.pts"]


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        Tracks.load(tmp_path / "none.npz")
    with pytest.raises(DataError, match="No such file"):
        make_tracks(1).save(tmp_path / "none" / "clip.npz")


def moving_faces(*faces: list[float]) -> Tracks:
    """Two or more faces that sway, with noise, each at its own times (s)."""
    rng, builder = np.random.default_rng(3), TracksBuilder()
    shapes = rng.uniform(0, 100, (len(faces), 68, 2))
    for seconds in sorted({time for times in faces for time in times}):
        for face, times in enumerate(faces):
            if seconds in times:
                place = 200 * face + 10 * np.sin(3 * seconds + face)
                raw = shapes[face] + place + rng.normal(0, 0.5, (68, 2))
                row = {"points": raw + 1, "raw_points": raw, "box": bounding_box(raw + 1)}
                scores = rng.uniform(0.5, 1, 68)
                builder.add(frame=round(30 * seconds), seconds=seconds, face=face, scores=scores, **row)
    return builder.finish({"source": "clip.mp4"})


def every(start: float, count: int) -> list[float]:
    return [start + index / 30 for index in range(count)]


def rows(tracks: Tracks, chosen: np.ndarray) -> Tracks:
    return Tracks(**{name: getattr(tracks, name)[chosen] for name in COLUMNS}, meta=tracks.meta)


@pytest.fixture
def sta() -> Stabilizer:
    return load_stabilizer("sta")


class TestSmoothed:
    @pytest.mark.parametrize("lag", [None, 0, 2])
    def test_each_face_alone(self, sta: Stabilizer, lag: int | None) -> None:
        tracks = moving_faces(every(0, 20), every(0.2, 20))
        whole = tracks.smoothed(sta, lag)
        assert whole.face_ids == [0, 1]
        for face in whole.face_ids:
            assert same(whole.of_face(face), tracks.of_face(face).smoothed(sta, lag))

    def test_each_face_with_its_own_displacements(self, sta: Stabilizer) -> None:
        tracks = moving_faces(every(0, 20), [*every(0.2, 5), *every(1, 5)])
        rng, covariance = np.random.default_rng(0), np.tile(0.01 * np.eye(2), (68, 1, 1))
        motion = MotionSequence.pack(
            Displacements(rng.normal(0, 0.5, (68, 2)), covariance, np.ones(68, bool))
            for _ in range(len(tracks))
        )
        whole = tracks.smoothed(sta, None, motion)
        for face, times in ((0, (0, 2)), (1, (0, 0.8)), (1, (0.8, 2))):
            chosen = (tracks.face == face) & (times[0] <= tracks.seconds) & (tracks.seconds < times[1])
            part, moved = rows(tracks, chosen), [motion[t] for t in np.flatnonzero(chosen).tolist()]
            raw, scores = part.raw_points.astype(float), part.scores.astype(float)
            expected = sta.smooth(raw, part.seconds, scores, None, moved)
            np.testing.assert_array_equal(whole.points[chosen], expected.astype("float32"))
        assert np.abs(whole.points - tracks.smoothed(sta).points).max() > 0.1

    def test_it_is_what_the_stabiliser_makes_of_the_raw_points(self, sta: Stabilizer) -> None:
        tracks = moving_faces([0.0, 0.03, 0.07, 0.1, 0.2, 0.23, 0.27])
        raw, scores = tracks.raw_points.astype(float), tracks.scores.astype(float)
        for lag in (None, 0, 2):
            expected = sta.smooth(raw, tracks.seconds, scores, lag).astype("float32")
            np.testing.assert_array_equal(tracks.smoothed(sta, lag).points, expected)
        no_lag = sta.filter(raw, tracks.seconds, scores)
        # Float32 at 200 px.
        np.testing.assert_allclose(tracks.smoothed(sta, 0).points, no_lag, rtol=0, atol=1e-4)

    def test_after_a_long_gap_a_face_begins_anew(self, sta: Stabilizer) -> None:
        tracks = moving_faces([*every(0, 10), *every(1, 10), *every(2, 1)], every(0, 31))
        whole = tracks.smoothed(sta)
        for part in (tracks.seconds < 0.9, (tracks.seconds > 0.9) & (tracks.seconds < 1.9)):
            chosen = part & (tracks.face == 0)
            assert same(rows(whole, chosen), rows(tracks, chosen).smoothed(sta))
        alone = (tracks.seconds > 1.9) & (tracks.face == 0)
        np.testing.assert_array_equal(whole.points[alone], tracks.raw_points[alone])

    def test_over_a_short_gap_it_goes_on(self, sta: Stabilizer) -> None:
        tracks = moving_faces([*every(0, 10), *every(0.75, 10)])
        whole, first = tracks.smoothed(sta), np.arange(20) < 10
        assert not same(rows(whole, first), rows(tracks, first).smoothed(sta))
        assert not same(rows(whole, ~first), rows(tracks, ~first).smoothed(sta))

    def test_the_box_is_that_of_the_new_points_and_the_rest_stays(self, sta: Stabilizer) -> None:
        tracks = moving_faces(every(0, 12), every(0, 12))
        copies = {name: getattr(tracks, name).copy() for name in COLUMNS}
        whole = tracks.smoothed(sta)
        np.testing.assert_array_equal(whole.box, bounding_box(whole.points))
        assert not np.array_equal(whole.points, tracks.points)
        assert same(replace(whole, points=tracks.points, box=tracks.box), tracks)
        assert {name: getattr(whole, name).dtype for name in COLUMNS} == {
            name: np.dtype(dtype) for name, (dtype, _) in COLUMNS.items()
        }
        for name, column in copies.items():
            np.testing.assert_array_equal(getattr(tracks, name), column, name)

    def test_points_as_they_were_do_not_count(self, sta: Stabilizer) -> None:
        tracks = moving_faces(every(0, 12))
        assert same(tracks.smoothed(sta).smoothed(sta), tracks.smoothed(sta))

    def test_held_rows_are_not_smoothed_but_repeat_the_last_shape(self, sta: Stabilizer) -> None:
        tracks = moving_faces(every(0, 20))
        held = np.isin(np.arange(20), [8, 9, 10])
        whole = replace(tracks, held=held).smoothed(sta)
        assert same(rows(whole, ~held), rows(tracks, ~held).smoothed(sta))
        for row in (8, 9, 10):
            np.testing.assert_array_equal(whole.points[row], whole.points[7])
            np.testing.assert_array_equal(whole.box[row], whole.box[7])

    def test_it_is_steadier_than_a_causal_one(self, sta: Stabilizer) -> None:
        tracks = moving_faces(every(0, 40))
        assert tracks.smoothed(sta).jitter() < tracks.smoothed(sta, 0).jitter() < tracks.jitter("raw_points")

    def test_an_empty_table_stays_empty(self, sta: Stabilizer) -> None:
        assert same(moving_faces().smoothed(sta), moving_faces())

    def test_not_every_stabiliser_sees_the_future(self) -> None:
        with pytest.raises(ConfigError, match="first-order has no mode that sees the future"):
            moving_faces(every(0, 3)).smoothed(FirstOrder(0.5))
