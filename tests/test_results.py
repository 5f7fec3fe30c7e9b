"""Results are never mixed, overwritten by chance, or lost to a full disk; a run can be resumed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import scenes

from steadyface.cli import main
from steadyface.clips import ClipSummary, choose_names, track_clip
from steadyface.images import read_image, write_image
from steadyface.pipeline import Pipeline, TrackingOptions, build, track
from steadyface.report import report_clip, report_tracks
from steadyface.tracks import Tracks
from steadyface.tracks.formats import FORMATS, ending
from steadyface.video import VideoReader, identify


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return build(TrackingOptions(weights="tiny"))


def clip_in(folder: Path, count: int, name: str = "clip.mp4") -> Path:
    folder.mkdir(exist_ok=True)
    return scenes.write_clip(folder / name, scenes.frames(count))


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, list[str]]:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return int(left.value.code or 0), captured.out, captured.err.splitlines()


class TestNames:
    def test_another_clip_of_the_same_name_is_numbered(self, tmp_path: Path, pipeline: Pipeline) -> None:
        out = tmp_path / "out"
        first, second = clip_in(tmp_path / "a", 3), clip_in(tmp_path / "b", 4)
        track_clip(first, out, pipeline)
        before = (out / "clip.npz").read_bytes()
        summary = track_clip(second, out, pipeline, formats=("csv",))
        assert summary.notes == (
            f"{second}: results named clip are of another input or other options, so these are named clip-2",
        )
        assert summary.problems == ()
        assert (out / "clip.npz").read_bytes() == before
        kinds = (".overlay.mp4", ".meta.json")
        assert names_in(out) == {
            *(f"clip{kind}" for kind in (".npz", *kinds)),
            *(f"clip-2{kind}" for kind in (".csv", *kinds)),
        }
        assert len(Tracks.load(out / "clip-2.csv")) == 4

    def test_other_options_are_numbered_and_the_same_ones_are_not(
        self, tmp_path: Path, pipeline: Pipeline
    ) -> None:
        clip, out = clip_in(tmp_path / "a", 3), tmp_path / "out"
        other = build(TrackingOptions(weights="tiny", end=0.05))
        for used in (pipeline, other, pipeline, other):
            track_clip(clip, out, used, overlay=False)
        assert names_in(out) == {
            f"{name}{kind}" for name in ("clip", "clip-2") for kind in (".npz", ".meta.json")
        }
        assert [len(Tracks.load(out / name)) for name in ("clip.npz", "clip-2.npz")] == [3, 2]

    def test_a_file_of_somebody_else_is_kept(self, tmp_path: Path, pipeline: Pipeline) -> None:
        clip, out = clip_in(tmp_path / "a", 2), tmp_path / "out"
        out.mkdir()
        (out / "clip.json").write_text("{}")
        (out / "clip.meta.json").write_text("[not ours")
        track_clip(clip, out, pipeline, overlay=False, formats=("json",))
        assert (out / "clip.json").read_text() == "{}"
        assert len(Tracks.load(out / "clip-2.json")) == 2

    def test_overwrite_leaves_nothing_of_the_other_clip(self, tmp_path: Path, pipeline: Pipeline) -> None:
        out = tmp_path / "out"
        first, second = clip_in(tmp_path / "a", 3), clip_in(tmp_path / "b", 4)
        track_clip(first, out, pipeline, formats=("npz", "csv", "pts"))
        summary = track_clip(second, out, pipeline, overlay=False, overwrite=True)
        assert summary.notes == ()
        assert names_in(out) == {"clip.npz", "clip.meta.json"}
        assert len(Tracks.load(out / "clip.npz")) == 4

    def test_a_file_that_the_meta_names_elsewhere_is_not_removed(
        self, tmp_path: Path, pipeline: Pipeline
    ) -> None:
        out, precious = tmp_path / "out", tmp_path / "precious.txt"
        precious.touch()
        out.mkdir()
        listed = ["../precious.txt", str(precious), "clip.mp4"]
        (out / "clip.meta.json").write_text(json.dumps({"results": {"files": listed}}))
        clip = clip_in(out, 2)
        track_clip(clip, out, pipeline, overlay=False, overwrite=True)
        assert precious.exists()
        assert clip.exists()

    def test_formats_of_one_work_stay_together(self, tmp_path: Path, pipeline: Pipeline) -> None:
        clip, out = clip_in(tmp_path / "a", 2), tmp_path / "out"
        track_clip(clip, out, pipeline, overlay=False, formats=("csv",))
        track_clip(clip, out, pipeline, overlay=False, formats=("npz", "npz"))
        about = json.loads((out / "clip.meta.json").read_text())
        assert about["results"] == {"files": ["clip.csv", "clip.npz"], "whole": True}
        assert Tracks.load(out / "clip.csv").meta == Tracks.load(out / "clip.npz").meta

    def test_inputs_of_one_name_in_one_call_get_their_folders(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        clips = [
            clip_in(tmp_path / "a", 2),
            clip_in(tmp_path / "b", 3),
            clip_in(tmp_path / "b", 4, "clip.mov"),
        ]
        out = tmp_path / "out"
        options = ["--out", out, "--no-overlay", "--weights", "tiny", "--quiet"]
        code, _, err = run(capsys, "track", *clips, *options)
        assert code == 0
        assert len(err) == 1
        assert {name: len(Tracks.load(out / f"{name}.npz")) for name in ("a-clip", "b-clip", "b-clip-2")} == {
            "a-clip": 2,
            "b-clip": 3,
            "b-clip-2": 4,
        }

    def test_an_input_that_is_named_twice_counts_once(self) -> None:
        here = Path.cwd() / "clip.mp4"
        named = choose_names(["clip.mp4", "./clip.mp4", str(here), here.as_uri(), "a/clip.mp4", "clip.mp4"])
        assert named == {"clip.mp4": f"{here.parent.name}-clip", "a/clip.mp4": "a-clip"}
        assert choose_names(["clip.mp4", "clip.mp4"]) == {"clip.mp4": "clip"}

    def test_cameras_and_pipes_keep_their_names(self) -> None:
        assert list(choose_names(["0", "-", "0"]).values()) == ["camera0", "stdin"]


class TestIdentity:
    def test_of_a_file(self, tmp_path: Path) -> None:
        one, same, other = (tmp_path / name for name in ("one", "same", "other"))
        content = bytes(2**20) + b"end"
        one.write_bytes(content)
        same.write_bytes(content)
        other.write_bytes(b"1" + content[1:])
        assert identify(one) == identify(same) != identify(other)
        assert identify("-") is identify("0") is None

    def test_of_a_folder(self, tmp_path: Path) -> None:
        for name in ("0.png", "1.png"):
            write_image(tmp_path / name, scenes.frames(1)[0])
        before = identify(tmp_path)
        (tmp_path / "notes.txt").touch()
        assert identify(tmp_path) == before
        (tmp_path / "1.png").rename(tmp_path / "2.png")
        assert identify(tmp_path) != before

    def test_of_a_folder_with_an_image_that_cannot_be_read(self, tmp_path: Path) -> None:
        (folder := tmp_path / "images").mkdir()
        for name in (os.fsdecode(b"1\xff.png"), "0.png"):
            write_image(folder / "0.png", scenes.frames(1)[0])
            (folder / "0.png").rename(folder / name)
        (folder / "2.png").symlink_to("nowhere.png")
        (folder / "3.png").mkdir()
        before = identify(folder)
        tracks = track(folder, weights="tiny")
        assert (tracks.meta["input"], tracks.frame.tolist()) == (before, [0, 1])
        assert "2 of 4 images cannot be read" in tracks.meta["damage"]
        (folder / "2.png").unlink()
        assert identify(folder) != before

    def test_it_is_in_the_meta(self, tmp_path: Path) -> None:
        clip = clip_in(tmp_path / "a", 2)
        assert track(clip, weights="tiny").meta["input"] == identify(clip)


class TestResume:
    def summary(self, clip: Path, out: Path, pipeline: Pipeline, **options: object) -> ClipSummary:
        return track_clip(clip, out, pipeline, resume=True, overlay=False, **options)  # type: ignore[arg-type]

    def test_what_is_whole_is_left(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        clips, out = [clip_in(tmp_path / "a", 2), clip_in(tmp_path / "a", 3, "talk.mp4")], tmp_path / "out"
        options = ["--out", out, "--weights", "tiny", "--resume", "--json"]
        run(capsys, "track", clips[0], *options)
        before = (out / "clip.npz").stat().st_mtime_ns
        code, printed, err = run(capsys, "track", *clips, *options)
        assert (code, err) == (0, [])
        first, second = map(json.loads, printed.splitlines())
        assert (first["skipped"], first["frames"], first["files"]) == (
            True,
            2,
            [str(out / "clip.npz"), str(out / "clip.overlay.mp4")],
        )
        assert (second["skipped"], second["frames"]) == (False, 3)
        assert (out / "clip.npz").stat().st_mtime_ns == before

    def test_what_is_not_whole_is_done_again(self, tmp_path: Path, pipeline: Pipeline) -> None:
        clip, out = clip_in(tmp_path / "a", 4), tmp_path / "out"
        stops = iter([False, True])

        def interrupt(done: int, total: int | None) -> None:
            if next(stops, False):
                raise KeyboardInterrupt

        assert self.summary(clip, out, pipeline, progress=interrupt).frames == 2
        assert not self.summary(clip, out, pipeline).skipped
        assert len(Tracks.load(out / "clip.npz")) == 4
        assert self.summary(clip, out, pipeline).skipped
        assert not self.summary(clip, out, pipeline, formats=("npz", "csv")).skipped
        (out / "clip.csv").unlink()
        assert not self.summary(clip, out, pipeline, formats=("csv",)).skipped
        assert not self.summary(clip, out, build(TrackingOptions(weights="tiny", max_faces=2))).skipped
        clip_in(tmp_path / "a", 5)
        assert not self.summary(clip, out, pipeline).skipped
        assert names_in(out) >= {"clip.npz", "clip-2.npz", "clip-3.npz"}


class TestReport:
    def test_the_tracks_of_this_very_clip_are_shown(self, tmp_path: Path, pipeline: Pipeline) -> None:
        out = tmp_path / "out"
        first, second = clip_in(tmp_path / "a", 3), clip_in(tmp_path / "b", 4)
        for clip in (first, second):
            track_clip(clip, out, pipeline, overlay=False)
        page, summary = report_clip(second, out)
        assert (page.name, summary) == ("clip-2.report.html", None)

    def test_tracks_of_another_clip_of_the_same_name_are_refused(
        self, tmp_path: Path, pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "out"
        first, second = clip_in(tmp_path / "a", 3), clip_in(tmp_path / "b", 4)
        track_clip(first, out, pipeline, overlay=False)
        code, _, err = run(capsys, "report", second, "--out", out)
        assert code == 1
        assert err == [
            f"steadyface: {out / 'clip.npz'}: holds tracks of another clip.mp4, not of {second}: "
            "name another --clip or another --out"
        ]
        code, _, err = run(capsys, "report", out / "clip.npz", "--clip", second, "--out", out)
        assert (code, len(err)) == (1, 1)
        assert "holds tracks of another clip.mp4" in err[0]
        assert "clip.report.html" not in names_in(out)

    def test_old_tracks_are_told_by_their_size(self, tmp_path: Path, pipeline: Pipeline) -> None:
        clip = clip_in(tmp_path / "a", 3)
        tracks = track(clip, weights="tiny")
        old = {name: value for name, value in tracks.meta.items() if name != "input"}
        for change, fits in (({}, True), ({"size": [64, 48]}, False), ({"frames": 9}, False)):
            changed = Tracks(**{**tracks.__dict__, "meta": old | change})
            if fits:
                report_tracks(changed, tmp_path / "page.html", clip=clip)
            else:
                with pytest.raises(Exception, match=r"holds tracks of another clip\.mp4"):
                    report_tracks(changed, tmp_path / "page.html", clip=clip)


@pytest.fixture
def small_disk() -> Iterator[int]:
    """No file may grow beyond so many bytes."""
    resource = pytest.importorskip("resource", reason="file sizes can be limited on POSIX only")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, hard))
    yield 4_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_on_a_full_disk_what_fits_stays(tmp_path: Path, pipeline: Pipeline, small_disk: int) -> None:
    """One line for each file that does not fit, also of the overlay, and no half-written one."""
    clip = Path(__file__).parents[1] / "src" / "steadyface" / "assets" / "astronaut.jpg"
    out = tmp_path / "out"
    summary = track_clip(clip, out, pipeline, formats=FORMATS)
    fitting = ("pts", "blinks", "intervals", "eaf")
    failed = [name for name in FORMATS if not (out / f"astronaut{ending(name)}").exists()]
    assert set(fitting).isdisjoint(failed)
    assert {"npz", "csv", "json"} <= set(failed)
    assert len(summary.problems) == len(failed) + 1  # the picture does not fit either
    assert all(": cannot be written: " in problem for problem in summary.problems)
    assert not list(out.glob("*.part*"))
    assert all(path.stat().st_size <= small_disk for path in out.rglob("*") if path.is_file())
    assert json.loads((out / "astronaut.meta.json").read_text())["results"]["whole"] is False


class TestPhotographs:
    @pytest.fixture
    def photos(self, tmp_path: Path) -> Path:
        """Three photographs, the second upright and without a face."""
        folder = tmp_path / "photos"
        folder.mkdir()
        first, last = scenes.frames(2)
        images = {"a.png": first, "b.png": scenes.empty(1)[0].swapaxes(0, 1), "b.jpg": last[:, ::-1]}
        for name, image in images.items():
            write_image(folder / name, np.ascontiguousarray(image))
        return folder

    def test_images_of_different_size_are_taken_by_themselves(
        self, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "out"
        code, printed, err = run(
            capsys, "track", photos, "--out", out, "--format", "npz,csv", "--weights", "tiny"
        )
        assert (code, err) == (
            0,
            [f"steadyface: {photos}: its images differ in size, so each is taken by itself"],
        )
        assert "3 frames, 2 with a face (66.7 %), 2 faces" in printed
        assert names_in(out) == {"photos.npz", "photos.csv", "photos.meta.json", "photos.overlay"}
        assert names_in(out / "photos.overlay") == {"a.png", "b.png", "b.png.png"}
        tracks = Tracks.load(out / "photos.csv")
        assert tracks.timeline.file.tolist() == ["a.png", "b.jpg", "b.png"]
        assert tracks.timeline.size.tolist() == [[480, 270], [480, 270], [270, 480]]
        assert tracks.frame.tolist() == [0, 1]
        assert tracks.meta["options"]["independent"] is True
        assert tracks.meta["options"]["stabilizer"] == "none"

    def test_each_is_what_it_is_alone(self, photos: Path) -> None:
        tracks = track(photos, weights="tiny")
        for row, name in enumerate(("a.png", "b.jpg")):
            alone = track(photos / name, weights="tiny")
            assert np.array_equal(tracks.points[row], alone.points[0])
        assert np.array_equal(tracks.points, tracks.raw_points)

    def test_independent_images_of_one_size(self, tmp_path: Path) -> None:
        """A face that leaves is not held, and whoever comes next has no number of before."""
        folder = tmp_path / "photos"
        folder.mkdir()
        images = [*scenes.frames(2), *scenes.empty(1), scenes.frames(1)[0][:, ::-1]]
        for number, image in enumerate(images):
            write_image(folder / f"{number}.png", np.ascontiguousarray(image))
        tracks = track(folder, weights="tiny", independent=True, stabilizer="sta-offline")
        assert tracks.frame.tolist() == [0, 1, 3]
        assert tracks.face.tolist() == [0, 0, 0]
        assert not tracks.held.any()
        assert np.array_equal(tracks.points, tracks.raw_points)

    def test_the_drawing_of_a_photograph_is_a_picture(self, photos: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        summary = track_clip(photos / "a.png", out, build(TrackingOptions(stabilizer="sta-offline")))
        assert summary.files == (out / "a.npz", out / "a.overlay.png")
        drawn = read_image(out / "a.overlay.png").astype(int)
        changed = np.abs(drawn - read_image(photos / "a.png")).max(axis=2) > 80
        assert 0.001 < changed.mean() < 0.1

    def test_a_video_can_be_taken_frame_by_frame(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        pipeline = build(TrackingOptions(weights="tiny", independent=True))
        summary = track_clip(clip_in(tmp_path / "a", 3), out, pipeline)
        with VideoReader(out / "clip.overlay.mp4") as overlay:
            assert len(list(overlay)) == 3
        assert np.isnan(summary.jitter)
