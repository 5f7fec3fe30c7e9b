"""A row for each frame; formats of other tools, read back by their own parsers where there are any."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as xml

import numpy as np
import pytest
from table_cases import blinking_tracks, gappy_tracks, same

from steadyface import markup
from steadyface.errors import ConfigError, DataError
from steadyface.measures import MEAN_FACE
from steadyface.tracks import COLUMNS, Tracks

pandas = pytest.importorskip("pandas")
MEASURES = ["pose_Tx", "pose_Ty", "pose_Tz", "pose_Rx", "pose_Ry", "pose_Rz", "ear_right", "ear_left", "mar"]


class TestEveryFrameHasARow:
    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    def test_pandas_reads_it_plainly(self, tmp_path: Path, suffix: str) -> None:
        path = gappy_tracks().save(tmp_path / f"clip.{suffix}")
        table = pandas.read_csv(path) if suffix == "csv" else pandas.read_parquet(path)
        assert table.frame.tolist() == [0, 1, 2, 3, 4, 5]
        np.testing.assert_allclose(table.timestamp, np.arange(6) / 25 + 0.1)
        assert table.success.tolist() == [0, 1, 0, 1, 1, 0]
        assert table.face_id.tolist() == [-1, 1, -1, 1, 0, -1]
        assert table.confidence.tolist() == [0, 1, 0, 1, 1, 0]
        assert table.file.tolist() == [f"image {frame}.png" for frame in range(6)]
        assert table.width.tolist() == [640] * 3 + [48] * 3
        nobody = table.face_id == -1
        numbers = [f"{prefix}{axis}_{i}" for prefix in ("", "raw_") for axis in "xy" for i in range(68)]
        assert table.loc[nobody, [*numbers, *MEASURES, "score_0", "box_x0"]].isna().all(axis=None)
        assert table.loc[~nobody, [*numbers, *MEASURES]].notna().all(axis=None)

    @pytest.mark.parametrize("suffix", ["npz", "csv", "parquet", "json"])
    def test_the_frames_are_kept(self, tmp_path: Path, suffix: str) -> None:
        tracks = gappy_tracks()
        loaded = Tracks.load(tracks.save(tmp_path / f"clip.{suffix}"))
        assert same(loaded, tracks)
        assert len(loaded.timeline) == 6
        assert len(loaded.of_face(1).timeline) == 6

    @pytest.mark.parametrize("suffix", ["npz", "csv", "parquet", "json"])
    def test_the_size_of_images_in_memory_is_kept(self, tmp_path: Path, suffix: str) -> None:
        """They have no names, and their meta no size."""
        tracks = gappy_tracks()
        timeline = replace(tracks.timeline, file=np.full(6, ""))
        tracks = replace(tracks, timeline=timeline, meta={})
        loaded = Tracks.load(tracks.save(tmp_path / f"clip.{suffix}"))
        assert same(loaded, tracks)
        np.testing.assert_array_equal(loaded.poses(), tracks.poses())
        assert np.isfinite(loaded.poses()).all()

    def test_equal_tables_list_equal_frames(self) -> None:
        tracks = gappy_tracks()
        assert tracks == gappy_tracks()
        for field in ("seconds", "size", "file"):
            values = getattr(tracks.timeline, field).copy()
            values[0] = values[1] if field != "size" else values[-1]
            assert replace(tracks, timeline=replace(tracks.timeline, **{field: values})) != tracks
        with_rows = tracks.timeline.with_rows(tracks.frame)
        assert replace(tracks, timeline=with_rows) != tracks

    def test_an_empty_file_lacks_all_columns(self, tmp_path: Path) -> None:
        (tmp_path / "empty.csv").touch()
        with pytest.raises(DataError, match=r"not a file of tracks: it lacks 'frame'"):
            Tracks.load(tmp_path / "empty.csv")

    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    def test_only_frames_with_a_face_on_request(self, tmp_path: Path, suffix: str) -> None:
        tracks = gappy_tracks()
        loaded = Tracks.load(tracks.save(tmp_path / f"clip.{suffix}", all_frames=False))
        assert loaded.timeline.frame.tolist() == loaded.frame.tolist() == [1, 3, 4]
        assert tracks.to_pandas(all_frames=False).frame.tolist() == [1, 3, 4]

    def test_a_row_of_a_frame_that_is_not_listed_is_refused(self, tmp_path: Path) -> None:
        path = gappy_tracks().save(tmp_path / "bad.json")
        values = json.loads(path.read_text())
        values["frame"][0] = 77
        path.write_text(json.dumps(values))
        with pytest.raises(DataError, match="a row of a frame that is not listed"):
            Tracks.load(path)


def test_points_outside_the_picture_are_flagged(tmp_path: Path) -> None:
    tracks = gappy_tracks()
    small = np.array([48, 64])
    corner = tracks.points.copy()
    corner[:, 0], corner[:, 1], corner[:, 2], corner[:, 3] = [-0.5, -0.5], [-0.6, 5], [47.4, 63.4], [47.6, 5]
    tracks = replace(tracks, points=corner)
    inside = tracks.inside()
    assert inside[:, :4].tolist() == [[True, False, True, True], *[[True, False, True, False]] * 2]
    expected = ((corner[1:] >= -0.5) & (corner[1:] < small - 0.5)).all(axis=-1)
    assert np.array_equal(inside[1:], expected)
    table = pandas.read_csv(tracks.save(tmp_path / "clip.csv"))
    written = table.loc[table.face_id >= 0, [f"inside_{i}" for i in range(68)]].to_numpy()
    assert np.array_equal(written, inside.astype(int))
    with pytest.raises(ConfigError, match="size of the frames is not known"):
        Tracks(**{name: getattr(tracks, name) for name in COLUMNS}).inside()


OPENFACE_HEADER = (
    "frame,face_id,timestamp,confidence,success,pose_Tx,pose_Ty,pose_Tz,pose_Rx,pose_Ry,pose_Rz"
    + "".join(f",x_{i}" for i in range(68))
    + "".join(f",y_{i}" for i in range(68))
)
"""First line of a file by `FeatureExtraction -pose -2Dfp` of OpenFace 2.2."""


def test_openface_has_its_header_its_order_and_its_numbers(tmp_path: Path) -> None:
    tracks = gappy_tracks()
    path = tracks.save(tmp_path / "clip.openface.csv")
    assert path.read_text().splitlines()[0] == OPENFACE_HEADER
    table = pandas.read_csv(path)
    assert table.frame.tolist() == [1, 2, 3, 4, 5, 6]
    assert table.success.tolist() == [0, 1, 0, 1, 1, 0]
    assert table.face_id.tolist() == [0, 1, 0, 1, 0, 0]
    assert (table.loc[table.success == 0].drop(columns=["frame", "timestamp"]) == 0).all(axis=None)
    np.testing.assert_array_equal(table.loc[table.success == 1, "x_8"], tracks.points[:, 8, 0])
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.openface.csv"]


def test_blinks_are_a_table(tmp_path: Path) -> None:
    table = pandas.read_csv(blinking_tracks().save(tmp_path / "clip.blinks.csv"))
    assert table.columns.tolist() == ["face_id", "onset", "offset", "depth"]
    assert table.face_id.tolist() == [1, 1]
    # The last open frame before and the first after: 17 and 21 of every 30.
    np.testing.assert_allclose(table.onset, [17 / 25, 47 / 25])
    np.testing.assert_allclose(table.offset, [21 / 25, 51 / 25])
    assert (table.depth > 0.9).all()


def test_a_name_that_ends_like_another_format_is_no_obstacle(tmp_path: Path) -> None:
    tracks = gappy_tracks()
    path = tracks.save(tmp_path / "clip.blinks.csv", format="csv")
    assert same(Tracks.load(path), tracks)


class TestIntervals:
    def test_presence_and_blinks_are_lines(self, tmp_path: Path) -> None:
        table = pandas.read_csv(blinking_tracks().save(tmp_path / "clip.intervals.csv"))
        rows = [tuple(row) for row in table[["subject", "behavior"]].itertuples(index=False)]
        assert rows == [("face 0", "presence"), ("face 1", "presence"), *[("face 1", "blink")] * 2]
        np.testing.assert_allclose(table.start, [0, 0, 17 / 25, 47 / 25])
        np.testing.assert_allclose(table.stop, [3, 3, 21 / 25, 51 / 25])

    def test_presence_ends_where_the_face_is_not_seen(self, tmp_path: Path) -> None:
        table = pandas.read_csv(gappy_tracks().save(tmp_path / "clip.intervals.csv"))
        assert table.subject.tolist() == ["face 1", "face 1", "face 0"]
        np.testing.assert_allclose(table.start, [0.14, 0.22, 0.26])
        np.testing.assert_allclose(table.stop, [0.18, 0.26, 0.30])

    def test_times_are_those_of_the_file_and_presence_lasts_to_the_next_frame(self, tmp_path: Path) -> None:
        """The video begins 0.5 s after the sound, and its frames last 0.01 and 0.1 s."""
        tracks = gappy_tracks()
        times = np.array([0, 0.1, 0.2, 0.3, 0.31, 0.32])
        seconds = times[tracks.frame]
        timeline = replace(tracks.timeline, seconds=times)
        tracks = replace(tracks, seconds=seconds, timeline=timeline, meta={"start_seconds": 0.5})
        table = pandas.read_csv(tracks.save(tmp_path / "clip.intervals.csv"))
        np.testing.assert_allclose(table.start, [0.6, 0.8, 0.81])
        np.testing.assert_allclose(table.stop, [0.7, 0.81, 0.82])
        slots = xml.parse(tracks.save(tmp_path / "clip.eaf")).getroot().iter("TIME_SLOT")
        assert [int(slot.get("TIME_VALUE", "")) for slot in slots] == [600, 700, 800, 810, 810, 820]

    def test_elan_reads_its_tiers(self, tmp_path: Path) -> None:
        elan = pytest.importorskip("pympi.Elan")
        path = replace(blinking_tracks(), meta={"source": "a clip & co.mp4"}).save(tmp_path / "clip.eaf")
        document = elan.Eaf(path)
        assert set(document.get_tier_names()) == {
            f"face {i} {kind}" for i in (0, 1) for kind in ("presence", "blink")
        }
        assert [part[:3] for part in document.get_annotation_data_for_tier("face 1 blink")] == [
            (680, 840, "blink"),
            (1880, 2040, "blink"),
        ]
        assert document.get_annotation_data_for_tier("face 0 blink") == []
        assert document.get_annotation_data_for_tier("face 0 presence") == [(0, 3000, "presence")]
        assert [media["RELATIVE_MEDIA_URL"] for media in document.media_descriptors] == ["./a clip & co.mp4"]


class TestAnnotations:
    def test_coco_reads_its_key_points(self, tmp_path: Path) -> None:
        coco = pytest.importorskip("pycocotools.coco")
        tracks = gappy_tracks()
        held = np.array([False, False, True])
        tracks = replace(tracks, held=held)
        tracks.points[1, 0] = [-7, 3]
        tracks.visible[1, 1:3] = [0.4, 0.6]
        loaded = coco.COCO(str(tracks.save(tmp_path / "clip.coco.json")))
        assert sorted(loaded.getImgIds()) == list(range(6))
        assert [(each["width"], each["file_name"]) for each in loaded.loadImgs([2, 3])] == [
            (640, "image 2.png"),
            (48, "image 3.png"),
        ]
        assert loaded.loadCats([1])[0]["keypoints"] == list(markup.NAMES)
        (seen,) = loaded.loadAnns(loaded.getAnnIds(imgIds=[3]))
        points = np.array(seen["keypoints"]).reshape(68, 3)
        assert np.array_equal(points[:, :2], tracks.points[1])
        expected = np.where(tracks.inside()[1], 2, 1)
        assert expected[0] == 1
        expected[1] = 1
        assert points[:, 2].tolist() == expected.tolist()
        x0, y0, x1, y1 = tracks.box[1]
        np.testing.assert_allclose(seen["bbox"], [x0, y0, x1 - x0, y1 - y0], rtol=1e-6)
        assert (seen["track_id"], seen["score"]) == (1, 1.0)
        assert loaded.getAnnIds(imgIds=[0, 4]) == []

    def test_cvat_has_a_track_per_face_that_ends_outside(self, tmp_path: Path) -> None:
        tracks = replace(gappy_tracks(), held=np.array([False, True, False]))
        root = xml.parse(tracks.save(tmp_path / "clip.cvat.xml")).getroot()
        assert root.findtext("version") == "1.1"
        assert root.findtext("meta/task/original_size/width") == "640"
        assert [track.get("id") for track in root.iter("track")] == ["1", "0"]
        first, second = root.iter("track")
        shapes = [(each.get("frame"), each.get("outside"), each.get("occluded")) for each in first]
        assert shapes == [("1", "0", "0"), ("2", "1", "0"), ("3", "0", "1"), ("4", "1", "1")]
        assert [(each.get("frame"), each.get("outside")) for each in second] == [("4", "0"), ("5", "1")]
        text = first[0].get("points")
        assert text is not None
        points = np.array([pair.split(",") for pair in text.split(";")], float)
        # Three decimals are written; CVAT counts from the corner of the first pixel.
        np.testing.assert_allclose(points - 0.5, tracks.points[0], atol=6e-4)


def key_frames(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Header, and (key frames, 3) frame, x, y of each property of a file for After Effects."""
    lines = path.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("Adobe After Effects 8.0 Keyframe Data", "End of Keyframe Data")
    header, blocks, rows = {}, {}, []
    for line in lines[1:-1]:
        if line and not line.startswith("\t"):
            rows = blocks.setdefault(line, [])
        elif (cells := line.split("\t")[1:]) and not blocks:
            header[cells[0]] = cells[1]
        elif cells and cells[0] != "Frame":
            rows.append([float(cell) for cell in cells[:3]])
    return header, {name: np.array(values) for name, values in blocks.items()}


def test_after_effects_has_a_point_control_per_landmark(tmp_path: Path) -> None:
    tracks = blinking_tracks()
    path = tracks.save(tmp_path / "clip.aftereffects")
    assert sorted(each.name for each in path.iterdir()) == ["face0.txt", "face1.txt"]
    header, blocks = key_frames(path / "face1.txt")
    assert (header["Units Per Second"], header["Source Width"], header["Source Height"]) == (
        "25",
        "640",
        "480",
    )
    assert list(blocks) == [f"Effects\tPoint Control #{number}\tPoint #2" for number in range(1, 69)]
    points = np.stack(list(blocks.values()), axis=1)
    assert np.array_equal(points[:, 0, 0], np.arange(75))
    # Four decimals are written; a composition's origin is the corner of the first pixel.
    np.testing.assert_allclose(points[:, :, 1:] - 0.5, tracks.of_face(1).points, atol=6e-5)


class TestMissingPoints:
    """Of another program's table: tools that read numbers get no NaN."""

    @pytest.fixture
    def tracks(self) -> Tracks:
        points = MEAN_FACE[:, :2] + np.full((6, 1, 2), 300.0)
        points[2, 38], points[5, :10] = np.nan, np.nan
        return Tracks.of_points(points, fps=25, size=(640, 480))

    def test_coco_calls_them_not_labelled(self, tracks: Tracks, tmp_path: Path) -> None:
        def refuse(name: str) -> None:
            raise AssertionError(f"{name} is no JSON")

        text = tracks.save(tmp_path / "clip.coco.json").read_text()
        annotations = json.loads(text, parse_constant=refuse)["annotations"]
        assert annotations[2]["keypoints"][3 * 38 : 3 * 39] == [0, 0, 0]
        assert [each["num_keypoints"] for each in annotations] == [68, 68, 67, 68, 68, 58]

    def test_cvat_leaves_their_frames_out(self, tracks: Tracks, tmp_path: Path) -> None:
        (track,) = xml.parse(tracks.save(tmp_path / "clip.cvat.xml")).getroot().iter("track")
        shapes = [(each.get("frame"), each.get("outside")) for each in track]
        assert shapes == [("0", "0"), ("1", "0"), ("2", "1"), ("3", "0"), ("4", "0"), ("5", "1")]
        assert not any("nan" in each.get("points", "") for each in track)

    def test_after_effects_has_no_key_frame_of_them(self, tracks: Tracks, tmp_path: Path) -> None:
        _, blocks = key_frames(tracks.save(tmp_path / "clip.aftereffects") / "face0.txt")
        frames = [block[:, 0].tolist() for block in blocks.values()]
        assert frames[0] == [0, 1, 2, 3, 4]
        assert frames[38] == [0, 1, 3, 4, 5]
        assert frames[67] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", ["openface", "blinks", "intervals", "eaf", "coco", "cvat", "aftereffects"])
def test_an_empty_table_is_written_too(tmp_path: Path, name: str) -> None:
    tracks = gappy_tracks()
    empty = Tracks(**{column: getattr(tracks, column)[:0] for column in COLUMNS})
    assert empty.save(tmp_path / f"clip.{name}", format=name).exists()
