"""Stabilising a table again is tracking without the networks, and works on points of other programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import scenes
from numbered_clips import make_clip

import steadyface
from steadyface.cli import main
from steadyface.editor.session import Editor
from steadyface.errors import ConfigError, DataError, VideoError
from steadyface.images import write_image
from steadyface.measures import MEAN_FACE
from steadyface.report import report_tracks
from steadyface.stabilizer import load_stabilizer
from steadyface.tracks import Tracks

FRAMES = 12
AS_TRACKED = 0.02
"""px: the table keeps float32, from which the crops of measured motion begin."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_clip(tmp_path_factory.mktemp("replay") / "clip.mp4", scenes.frames(FRAMES))


@pytest.fixture(scope="module")
def raw(clip: Path) -> Tracks:
    return steadyface.track(clip, weights="tiny", stabilizer="none")


def faces_at(*frames: range) -> Tracks:
    """A trembling face a range of frames, all at 25 frames/s; the table's points are its raw ones."""
    rng, tables = np.random.default_rng(0), []
    count = max(each.stop for each in frames)
    for number, seen in enumerate(frames):
        points = np.full((count, 68, 2), np.nan)
        points[seen] = MEAN_FACE[:, :2] + 200 * (number + 1) + rng.normal(0, 0.5, (len(seen), 68, 2))
        tables.append(replace(alone := Tracks.of_points(points), face=np.full(len(alone), number)))
    columns = {
        name: np.concatenate([table.columns()[name] for table in tables]) for name in tables[0].columns()
    }
    order = np.lexsort([columns["face"], columns["frame"]])
    columns = {name: values[order] for name, values in columns.items()}
    return Tracks(**columns, meta=tables[0].meta, timeline=tables[0].timeline)


@pytest.mark.parametrize(
    ("stabilizer", "lag"),
    [("sta", None), ("sta", 3), ("sta-offline", None), ("one-euro", None), ("savitzky-golay", None)],
)
def test_points_are_those_of_tracking(clip: Path, raw: Tracks, stabilizer: str, lag: int | None) -> None:
    expected = steadyface.track(clip, weights="tiny", stabilizer=stabilizer, lag=lag, network_every=1)
    again = steadyface.stabilize(raw, clip, stabilizer=stabilizer, lag=lag)
    np.testing.assert_allclose(again.points, expected.points, rtol=0, atol=AS_TRACKED)
    assert again.jitter() < raw.jitter()
    for name in ("stabilizer", "parameters", "lag"):
        assert again.meta["options"].get(name) == expected.meta["options"].get(name), name
    np.testing.assert_array_equal(steadyface.stabilize(again, clip, stabilizer="none").points, raw.points)


def test_without_a_clip_each_face_is_filtered_alone() -> None:
    tracks = faces_at(range(0, 20), range(5, 25))
    again = steadyface.stabilize(tracks)
    for face in tracks.faces():
        number = int(face.face[0])
        expected = load_stabilizer().filter(face.raw_points.astype(float), face.seconds, face.scores)
        np.testing.assert_allclose(again.of_face(number).points, expected, rtol=0, atol=1e-4)
    assert again.meta["options"] == {"stabilizer": "sta", "parameters": "sta", "motion": False}


def test_held_rows_repeat_the_last_shape_and_a_long_loss_begins_anew() -> None:
    tracks = faces_at(range(0, 30))
    gone = tracks.frame >= 26
    tracks = replace(tracks, held=gone)
    again = steadyface.stabilize(tracks)
    for row in np.flatnonzero(gone):
        np.testing.assert_array_equal(again.points[row], again.points[25])
    kept = faces_at(range(0, 40))
    kept = kept._at(np.flatnonzero((kept.frame < 20) | (kept.frame >= 35)))  # 0.6 s without the face
    again = steadyface.stabilize(kept)
    np.testing.assert_array_equal(again.points[20], kept.raw_points[20])
    assert (again.points[21] != kept.raw_points[21]).any()


def test_frames_far_apart_in_time_are_no_loss() -> None:
    slow = Tracks.of_points(faces_at(range(0, 30)).points.astype(float), np.arange(30.0))
    again = steadyface.stabilize(slow)
    expected = load_stabilizer().filter(slow.raw_points.astype(float), slow.seconds, slow.scores)
    np.testing.assert_allclose(again.points, expected, rtol=0, atol=1e-4)


def test_missing_points_are_filled(raw: Tracks, clip: Path) -> None:
    points = raw.raw_points.astype(float)
    points[4, 10:20], points[6] = np.nan, np.nan
    tracks = Tracks.of_points(points, raw.seconds)
    assert (len(tracks), len(tracks.timeline)) == (FRAMES - 1, FRAMES)
    for source in (None, clip):
        again = steadyface.stabilize(tracks, source)
        assert np.abs(again.points - np.delete(raw.points, 6, axis=0)).max() < 3  # px: the noise of the raw


def test_progress_is_a_bar_or_reported(clip: Path, raw: Tracks) -> None:
    read: list[tuple[int, int | None]] = []
    reported = steadyface.stabilize(raw, clip, progress=lambda done, total: read.append((done, total)))
    assert read == [(done, FRAMES) for done in range(1, FRAMES + 1)]
    assert steadyface.stabilize(raw, clip, progress=True) == reported


@pytest.mark.parametrize("stabilizer", ["sta", "sta-offline", "one-euro", "savitzky-golay"])
def test_a_point_that_is_nowhere_leaves_the_others_alone(raw: Tracks, clip: Path, stabilizer: str) -> None:
    points = raw.raw_points.astype(float)
    points[:, 51], points[:4, 66] = np.nan, np.nan
    for source in (None, clip):
        again, whole = (
            steadyface.stabilize(
                Tracks.of_points(each, raw.seconds, raw.scores), source, stabilizer=stabilizer
            )
            for each in (points, raw.raw_points)
        )
        np.testing.assert_array_equal(np.isnan(again.points), np.isnan(points))
        assert np.nanmax(np.abs(again.points - whole.points)) < 0.5  # px: `sta` moves points together
        np.testing.assert_allclose(again.box, whole.box, atol=0.5)


def test_what_does_not_belong_together_is_refused(clip: Path, raw: Tracks, tmp_path: Path) -> None:
    other = scenes.write_clip(tmp_path / "other.mp4", scenes.frames(3))
    with pytest.raises(DataError, match=r"holds tracks of clip\.mp4, not of"):
        steadyface.stabilize(raw, other)
    with pytest.raises(VideoError, match="frame 3: ends before it"):
        steadyface.stabilize(Tracks.of_points(raw.points, raw.seconds), other)
    for stabilizer in ("sta", "one-euro", "none"):
        with pytest.raises(VideoError, match="No such file"):
            steadyface.stabilize(raw, tmp_path / "nothere.mp4", stabilizer=stabilizer)
    photographs = replace(raw, meta={**raw.meta, "options": {"independent": True}})
    with pytest.raises(ConfigError, match="photographs that were each taken by itself"):
        steadyface.stabilize(photographs, clip)
    with pytest.raises(ConfigError, match="one-euro has no mode that sees the future"):
        steadyface.stabilize(raw, clip, stabilizer="one-euro", lag=2)


class TestTimesAndSizeAreTheClips:
    """Of a table that does not name its source; OpenFace, for instance, counts frame / fps."""

    TIMES = np.cumsum([0, 1, 1, 5, 1, 2, 1, 1, 1, 3, 1, 1]) / 30

    @pytest.fixture
    def uneven(self, tmp_path: Path) -> Path:
        return make_clip(tmp_path / "clip.mp4", self.TIMES, size=(512, 512), rate=Fraction(30))

    @pytest.mark.parametrize("stabilizer", ["sta", "sta-offline", "one-euro", "savitzky-golay", "none"])
    def test_of_a_video(self, uneven: Path, stabilizer: str) -> None:
        tracks = faces_at(range(2, 10))
        tracks = replace(tracks, timeline=faces_at(range(0, 14)).timeline)
        again = steadyface.stabilize(tracks, uneven, stabilizer=stabilizer)
        np.testing.assert_allclose(again.seconds, self.TIMES[2:10], rtol=0, atol=1e-4)
        listed = [*self.TIMES, self.TIMES[-1] + 0.04, self.TIMES[-1] + 0.08]  # two that the clip lacks
        np.testing.assert_allclose(again.timeline.seconds, listed, rtol=0, atol=1e-4)
        assert np.isfinite(again.poses()).all()  # by the clip's size
        assert again.meta["source"] == uneven.name

    def test_the_filter_counts_by_them(self, uneven: Path) -> None:
        tracks = faces_at(range(0, 12))
        again = steadyface.stabilize(tracks, uneven, stabilizer="one-euro")
        expected = load_stabilizer("one-euro").filter(tracks.raw_points.astype(float), self.TIMES)
        np.testing.assert_allclose(again.points, expected, rtol=0, atol=1e-3)

    def test_images_and_tables_of_tracking_keep_their_times(self, uneven: Path, tmp_path: Path) -> None:
        tracks = faces_at(range(0, 12))
        named = replace(tracks, meta={**tracks.meta, "source": uneven.name})
        folder = tmp_path / "images"
        folder.mkdir()
        for k in range(12):
            write_image(folder / f"{k}.png", np.zeros((512, 512, 3), np.uint8))
        for table, clip in ((named, uneven), (tracks, folder)):
            again = steadyface.stabilize(table, clip, fps=10)
            np.testing.assert_array_equal(again.timeline.seconds, tracks.timeline.seconds)


class TestOblongPixels:
    """Other programs read the coded picture: 512 x 512 px where a player shows 768 x 512."""

    @pytest.fixture
    def oblong(self, tmp_path: Path) -> Path:
        return make_clip(tmp_path / "clip.mkv", np.arange(4) / 25, size=(512, 512), aspect=Fraction(3, 2))

    @pytest.mark.parametrize(("pixels", "width"), [("coded", 512), ("square", 768)])
    def test_of_another_program_are_those_that_are_named(
        self, oblong: Path, tmp_path: Path, pixels: str, width: int
    ) -> None:
        tracks = faces_at(range(0, 4))
        assert steadyface.stabilize(tracks, oblong, pixels=pixels).meta["size"] == [width, 512]
        tracks.save(tmp_path / "points.openface.csv")
        arguments = ["stabilize", str(tmp_path / "points.openface.csv"), str(oblong), "--pixels", pixels]
        with pytest.raises(SystemExit) as left:
            main([*arguments, "--out", str(tmp_path / "steady.npz")])
        assert left.value.code == 0
        steady = Tracks.load(tmp_path / "steady.npz")
        assert steady.meta["pixels"] == pixels
        assert (steady.timeline.size == [width, 512]).all()

    def test_have_to_be_named(self, oblong: Path, tmp_path: Path) -> None:
        tracks, fix = faces_at(range(0, 4)), steadyface.Correction(frame=2, face=0, point=30, x=200, y=200)
        told = r"does not say whether its points are px of the coded picture.*clip\.mkv has oblong ones"
        with pytest.raises(DataError, match=told):
            steadyface.stabilize(tracks, oblong)
        with pytest.raises(DataError, match=told):
            steadyface.correct_points(tracks, [fix], oblong)
        with pytest.raises(DataError, match=told):
            report_tracks(tracks, tmp_path / "page.html", clip=oblong)

    def test_of_a_table_that_has_its_own_cannot_be_named(self, clip: Path, raw: Tracks) -> None:
        for arguments in ((raw, clip), (faces_at(range(0, 4)), None)):
            with pytest.raises(ConfigError, match="pixels are told by the table, or there is no clip"):
                steadyface.stabilize(*arguments, pixels="coded")


class TestOtherPrograms:
    def openface(self, tracks: Tracks, path: Path) -> Path:
        """As OpenFace writes it: a space after each comma."""
        plain = tracks.save(path.with_suffix(".openface.csv")).read_text()
        path.write_text(plain.replace(",", ", "))
        return path

    def test_openface_s_table_is_read(self, tmp_path: Path) -> None:
        tracks = faces_at(range(0, 20), range(5, 25))
        tracks = replace(tracks, held=tracks.frame == 24)
        read = Tracks.load(self.openface(tracks, tmp_path / "clip.csv"))
        kept = tracks.without_held()
        for name in ("frame", "face", "seconds", "points", "raw_points", "scores", "box"):
            np.testing.assert_allclose(getattr(read, name), getattr(kept, name), atol=1e-6, err_msg=name)
        assert len(read.timeline) == 25

    @pytest.mark.parametrize("name", ["x_0", "y_67", "frame", "confidence"])
    def test_a_column_that_is_missing_is_told(self, tmp_path: Path, name: str) -> None:
        path = self.openface(faces_at(range(0, 3)), tmp_path / "clip.csv")
        header, *rows = path.read_text().splitlines()
        names = ["other" if each.strip() == name else each for each in header.split(",")]
        path.write_text("\n".join([",".join(names), *rows]))
        with pytest.raises(DataError, match="not a file of tracks: it lacks"):
            Tracks.load(path)

    @pytest.mark.usefixtures("unannotated")
    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ((np.zeros((5, 98, 2)),), "points must be the 68 of iBUG's markup"),
            ((np.zeros((68, 2)),), r"points must be of shape \(frames, 68, 2\)"),
            ((np.zeros((5, 68, 2)), np.arange(4.0)), "of as many frames, got shapes"),
            ((np.zeros((5, 68, 2)), None, np.ones((5, 3))), "of as many frames, got shapes"),
            ((np.zeros((5, 68, 2)), [0, 1, 3, 2, 4]), "seconds must be finite and not run backwards"),
            ((np.zeros((5, 68, 2)), [0, 1, 2, 3, np.nan]), "seconds must be finite"),
            ((np.zeros((5, 68, 2)), ["a"] * 5), "seconds must be numbers"),
            ((np.zeros((5, 68, 2)), None, np.full(5, 1.5)), "scores must be from 0 to 1"),
        ],
    )
    def test_points_of_another_shape_are_one_line(self, arguments: tuple[object, ...], told: str) -> None:
        with pytest.raises(ConfigError, match=told):
            Tracks.of_points(*arguments)
        with pytest.raises(ConfigError, match="fps must be positive"):
            Tracks.of_points(np.zeros((5, 68, 2)), fps=0)

    @pytest.mark.usefixtures("unannotated")
    def test_arguments_of_another_kind_are_one_line(self, clip: Path) -> None:
        tracks = faces_at(range(0, 4))
        for other, told in ((tracks.points, "ndarray"), ("clip.csv", "str")):
            with pytest.raises(ConfigError, match=rf"tracks must be of Tracks\.of_points or .*, got {told}"):
                steadyface.stabilize(other)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="clip must be a path, got list"):
            steadyface.stabilize(tracks, [np.zeros((9, 9, 3), np.uint8)])  # type: ignore[arg-type]
        sized = Tracks.of_points(tracks.points, size=(640, 480))
        with pytest.raises(DataError, match=r"holds points in frames of 640 x 480 px, and those of"):
            steadyface.stabilize(sized, clip)

    def test_no_frame_is_a_table_without_rows(self) -> None:
        tracks = Tracks.of_points(np.zeros((0, 68, 2)))
        assert (len(tracks), len(tracks.timeline), len(steadyface.stabilize(tracks))) == (0, 0, 0)

    def test_points_are_kept_in_every_file_that_can_be_read(self, tmp_path: Path) -> None:
        points = faces_at(range(0, 6)).points.astype(float)
        points[2, 30], points[4] = np.nan, np.nan
        tracks = Tracks.of_points(points, scores=np.linspace(0.5, 1, 6), size=(640, 480))
        for suffix in ("npz", "csv", "json"):
            assert Tracks.load(tracks.save(tmp_path / f"clip.{suffix}")) == tracks

    def test_what_lacks_points_is_corrected_after_it_was_stabilised(
        self, raw: Tracks, clip: Path, tmp_path: Path
    ) -> None:
        points = raw.points.astype(float)
        points[5, 3] = np.nan
        tracks, x, y = Tracks.of_points(points, raw.seconds), *points[4, 30].tolist()
        fixes = [steadyface.Correction(4, 0, 30, x + 2, y)]
        with pytest.raises(ConfigError, match="steadyface stabilize fills them in"):
            steadyface.correct_points(tracks, fixes, clip)
        with pytest.raises(ConfigError, match="steadyface stabilize fills them in"):
            Editor(tracks.save(tmp_path / "clip.npz"), clip)
        corrected = steadyface.correct_points(steadyface.stabilize(tracks, clip), fixes, clip)
        np.testing.assert_allclose(corrected.corrected_points[4, 30], [x + 2, y], atol=1e-3)


class TestCommand:
    @pytest.fixture
    def run(self, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
        def call(*words: object) -> tuple[int, str, str]:
            with pytest.raises(SystemExit) as left:
                main(["stabilize", *map(str, words)])
            printed = capsys.readouterr()
            return int(left.value.code or 0), printed.out, printed.err

        return call

    def test_writes_a_table(
        self, run: Callable[..., tuple[int, str, str]], raw: Tracks, clip: Path, tmp_path: Path
    ) -> None:
        table = raw.save(tmp_path / "clip.openface.csv")
        code, out, _ = run(table, clip, "--out", tmp_path / "new" / "steady.csv")
        assert (code, out.startswith(f"{tmp_path / 'new' / 'steady.csv'}: jitter ")) == (0, True)
        assert Tracks.load(tmp_path / "new" / "steady.csv").jitter() < raw.jitter()

    def test_says_what_is_wrong_before_it_works(
        self, run: Callable[..., tuple[int, str, str]], raw: Tracks, clip: Path, tmp_path: Path
    ) -> None:
        table = raw.save(tmp_path / "clip.csv")
        before = table.read_bytes()
        for out, told in (("a.xls", "unknown format 'xls'"), ("clip.csv", "is the table itself")):
            code, _, error = run(table, clip, "--out", tmp_path / out)
            assert (code, error.count("\n"), told in error) == (1, 1, True)
        assert table.read_bytes() == before
