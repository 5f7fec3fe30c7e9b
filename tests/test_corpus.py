"""A corpus: what is found, where it goes, what is told of it; a crash or a bad video costs itself alone."""

from __future__ import annotations

import gc
import json
import os
import shutil
import socket
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import numbered_clips
import numpy as np
import psutil
import pytest
import scenes
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

import steadyface
from steadyface.cli import main
from steadyface.corpus import track_corpus, work
from steadyface.corpus.cluster import Share, connect, share_out
from steadyface.corpus.inputs import choose_outputs, find_videos
from steadyface.corpus.manifest import DONE, ERROR, Entry, Manifest
from steadyface.corpus.work import ATTEMPTS, Worker, options_key, recorded
from steadyface.errors import ConfigError, DataError, SteadyfaceError, WeightsError
from steadyface.pipeline import TrackingOptions
from steadyface.report import writing
from steadyface.report.moments import Moment
from steadyface.tracks import COLUMNS, Tracks
from steadyface.video import VideoFrame

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")  # Ray warns of its own defaults

TINY = TrackingOptions(weights="tiny")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", scenes.frames(8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four files that are videos by their names, and others."""
    for name in ("a/one.mp4", "a/deep/one.MOV", "b/two.v2.mkv", "three.webm", "a/._one.mp4", "b/notes.txt"):
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "videos"


def track_with(worker: Worker, source: str | Path, output: str = "clip.parquet") -> Entry:
    return Entry(**json.loads(worker({"input": str(source), "output": output})["entry"]))


# -------------------------------------------------------------------------------------------- inputs


def test_a_folder_is_mirrored(folder: Path) -> None:
    expected = ["a/deep/one.MOV", "a/one.mp4", "b/two.v2.mkv", "three.webm"]
    assert find_videos([str(folder)]) == {str(folder / name): name for name in expected}
    outputs = choose_outputs(find_videos([str(folder)]), {})
    assert list(outputs.values()) == [
        "a/deep/one.parquet",
        "a/one.parquet",
        "b/two.v2.parquet",
        "three.parquet",
    ]


def test_links_to_files_are_videos(tmp_path: Path) -> None:
    """As in stores of data that keep each file under a hash; a link that leads nowhere fails with a line."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "0a").touch()
    (clips := tmp_path / "clips").mkdir()
    for name, target in (("one.mp4", "../store/0a"), ("lost.mp4", "../store/0b"), ("dir.mp4", "../store")):
        (clips / name).symlink_to(target)
    expected = {str(clips / name): name for name in ("lost.mp4", "one.mp4")}
    assert find_videos(clips) == find_videos(f"{clips}/*.mp4") == expected


def test_a_pattern_is_mirrored_below_its_fixed_part(folder: Path) -> None:
    found = find_videos([f"{folder}/*/one.*"])
    assert found == {str(folder / "a/one.mp4"): "a/one.mp4"}
    assert set(find_videos([f"{folder}/a/**/one.*"]).values()) == {"one.mp4", "deep/one.MOV"}


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    odd = tmp_path / "take [1].mp4"
    odd.touch()
    assert find_videos([str(odd)]) == {str(odd): "take [1].mp4"}


def test_a_list_names_paths_and_urls(folder: Path) -> None:
    listed = folder / "list.txt"
    listed.write_text(
        "\ufeffa/one.mp4\n# of all\n\na/one.mp4\n  s3://bucket/x/clip.mp4\n/elsewhere/missing.avi\n"
    )
    assert find_videos([str(listed), str(folder / "a/one.mp4")]) == {
        str(folder / "a/one.mp4"): "one.mp4",
        "s3://bucket/x/clip.mp4": "clip.mp4",
        "/elsewhere/missing.avi": "missing.avi",
    }


def test_one_input_needs_no_list(folder: Path) -> None:
    """A text is no list of letters, of which . would be the current folder."""
    clip = folder / "three.webm"
    assert find_videos(str(clip)) == find_videos(clip) == find_videos([clip]) == {str(clip): "three.webm"}


def test_a_list_that_is_missing_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"list\.txt: No such file"):
        find_videos([str(tmp_path / "list.txt")])


def test_urls_are_folders_patterns_and_files(folder: Path) -> None:
    files = fsspec.filesystem("memory")
    for name in ("c/one.mp4", "c/d/two.mp4", "c/d/readme"):
        files.pipe(f"/corpus-test/{name}", b"x")
    one, two = (f"memory:///corpus-test/c/{name}" for name in ("one.mp4", "d/two.mp4"))
    assert find_videos(["memory://corpus-test/c/"]) == {one: "one.mp4", two: "d/two.mp4"}
    assert find_videos(["memory://corpus-test/c/*/two*"]) == {two: "d/two.mp4"}
    signed = "https://host/one.mp4?key=[a]"
    assert find_videos([signed]) == {signed: "one.mp4"}
    local = folder / "three.webm"
    assert find_videos([local.as_uri(), str(local)]) == {str(local): "three.webm"}
    archive = folder / "all.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("x/four.mp4", b"x")
    assert find_videos([f"zip://x/*.mp4::file://{archive}"]) == {
        f"zip://x/four.mp4::file://{archive}": "four.mp4"
    }


@pytest.mark.parametrize(
    ("text", "told"), [("empty", "no video"), ("*.mkv", "no file matches"), ("odd://x/*", "odd")]
)
def test_inputs_that_mean_nothing_are_refused(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=told):
        find_videos([text if "://" in text else str(tmp_path / text)])
    with pytest.raises(ConfigError, match="nothing to track"):
        find_videos([])


PLACES = st.lists(st.sampled_from(["a.mp4", "A.mov", "a.mkv", "x/a.mp4", "manifest.mp4", "b.v2.mp4"]))


@given(first=PLACES, second=PLACES)
def test_no_two_videos_share_a_file_and_none_changes_its_own(first: list[str], second: list[str]) -> None:
    earlier = choose_outputs({f"/1/{i}": place for i, place in enumerate(first)}, {})
    later = {f"/2/{i}": place for i, place in enumerate(second)}
    found = {**{f"/1/{i}": place for i, place in enumerate(first)}, **later}
    outputs = choose_outputs(found, earlier)
    assert len({file.lower() for file in (*outputs.values(), "manifest.parquet")}) == len(found) + 1
    assert earlier.items() <= outputs.items()
    for address, place in found.items():
        assert outputs[address].startswith(str(PurePosixPath(place).with_suffix("")))


# ------------------------------------------------------------------------------------------ manifest


ENTRIES = [
    Entry("/ä/one.mp4", "one.parquet", DONE, 8, 7, 1, 0.5, options={"weights": "tiny"}),
    Entry.failed("/ä/two.mp4", "two.parquet", "two\nlines", {}),
    Entry("/ä/three.mp4", "three.parquet", DONE, 3, 0, 0, 0.1),
]


def test_a_manifest_cut_anywhere_keeps_its_whole_lines(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    for entry in ENTRIES:
        manifest.add(entry)
    journal = tmp_path / "manifest.jsonl"
    whole = journal.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for length in sorted({*range(0, len(whole), 97), *ends, *(end - 1 for end in ends)}):
        journal.write_bytes(whole[:length])
        again = Manifest(tmp_path)
        assert list(again.entries.values()) == ENTRIES[: sum(end <= length for end in ends)]
        again.add(ENTRIES[0])  # after a broken line, too
        assert Manifest(tmp_path).entries[ENTRIES[0].input] == ENTRIES[0]


def test_a_name_that_is_not_utf8_is_an_entry_and_written_out_in_the_table(tmp_path: Path) -> None:
    entry = Entry("/ä/\udcff.mp4", "\udcff.parquet", DONE, 3, 0, 0, 0.1)
    manifest = Manifest(tmp_path)
    manifest.add(entry)
    manifest.close()
    (row,) = parquet.read_table(tmp_path / "manifest.parquet").to_pylist()
    assert row["input"] == r"/ä/\udcff.mp4"
    assert list(Manifest(tmp_path).entries.values()) == [entry]


def test_the_table_tells_the_same_as_the_journal(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    for entry in ENTRIES:
        manifest.add(entry)
    manifest.add(replace(ENTRIES[1], status=DONE, error=None))
    assert not (tmp_path / "manifest.parquet").exists()
    manifest.close()
    rows = parquet.read_table(tmp_path / "manifest.parquet").to_pylist()
    assert [Entry(**row | {"options": json.loads(row["options"])}) for row in rows] == list(
        Manifest(tmp_path).entries.values()
    )
    assert [row["status"] for row in rows] == [DONE, DONE, DONE]


def test_what_is_no_manifest_is_not_overwritten(tmp_path: Path) -> None:
    journal = tmp_path / "manifest.jsonl"
    journal.write_text('{"camera": 1}\n')
    with pytest.raises(DataError, match=r"manifest\.jsonl:1"):
        Manifest(tmp_path)
    assert journal.read_text() == '{"camera": 1}\n'


# ---------------------------------------------------------------------------------------- one worker


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Worker:
    root = tmp_path_factory.mktemp("worker")
    return Worker(replace(TINY, threads=1), root / "out", root / "scratch")


def test_a_worker_tracks_as_the_library_does(worker: Worker, clip: Path) -> None:
    entry = track_with(worker, clip)
    assert (entry.status, entry.frames, entry.frames_with_face, entry.faces) == (DONE, 8, 8, 1)
    tracks = Tracks.load(worker._out / "clip.parquet")
    expected = steadyface.track(clip, weights="tiny")
    for name in COLUMNS:
        assert np.array_equal(getattr(tracks, name), getattr(expected, name), equal_nan=True), name
    assert tracks.meta["size"] == [scenes.WIDTH, scenes.HEIGHT]


@pytest.mark.parametrize(
    "asked",
    [
        {"start": 0.08, "end": 0.24},
        {"start": 0.08, "stabilizer": "sta-offline", "lag": 2, "max_faces": 1, "min_face": 60.0},
    ],
    ids=["part", "lag"],
)
def test_command_python_and_corpus_write_the_same_table(
    asked: dict[str, Any], clip: Path, tmp_path: Path
) -> None:
    options = {"weights": "tiny", "threads": 1, **asked}
    python = steadyface.track(clip, **options)
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    with pytest.raises(SystemExit) as left:
        main(["track", str(clip), "--out", str(tmp_path), "--no-overlay", "--quiet", *flags])
    assert not left.value.code
    assert track_with(Worker(TrackingOptions(**options), tmp_path, tmp_path / "scratch"), clip).status == DONE
    command, corpus = Tracks.load(tmp_path / "clip.npz"), Tracks.load(tmp_path / "clip.parquet")
    assert len(python) == (4 if "end" in asked else 6)
    for tracks in (command, corpus):
        for name in COLUMNS:
            np.testing.assert_array_equal(getattr(tracks, name), getattr(python, name), name)
    assert command.meta == python.meta
    assert corpus.meta == python.meta | {"corpus": corpus.meta["corpus"]}
    assert (python.meta["start"], python.meta["end"]) == (0.08, asked.get("end"))


def test_a_report_of_a_part_shows_the_frames_of_that_part(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(replace(TINY, start=0.08, end=0.24), tmp_path, tmp_path / "scratch")
    assert track_with(worker, clip).status == DONE
    tracks, shown = Tracks.load(tmp_path / "clip.parquet"), {}

    def note(moments: list[Moment], faces: object, frames: Iterable[VideoFrame], progress: object) -> dict:
        seconds = {frame.index: frame.seconds for frame in frames}
        shown.update({moment.seconds: seconds[moment.frame] for moment in moments if moment.kind != "loss"})
        return {}

    monkeypatch.setattr(writing, "pictures", note)
    writing.report_tracks(tracks, tmp_path / "page.html", clip=clip)
    assert shown
    for moment, picture in shown.items():
        assert picture == pytest.approx(moment, abs=1e-9)  # 90 kHz ticks hold both exactly


def test_a_url_is_copied_and_the_copy_leaves_no_trace(worker: Worker, clip: Path) -> None:
    truncated = numbered_clips.cut(numbered_clips.make_clip(clip.with_name("cut.mkv"), noise=True))
    files = fsspec.filesystem("memory")
    files.pipe("/corpus-test/clip.mp4", clip.read_bytes())
    files.pipe("/corpus-test/cut.mkv", truncated.read_bytes())
    entry = track_with(worker, "memory://corpus-test/clip.mp4", "remote.parquet")
    assert (entry.status, entry.frames) == (DONE, 8)
    tracks = Tracks.load(worker._out / "remote.parquet")
    assert tracks.meta["source"] == "clip.mp4"
    assert np.array_equal(tracks.points, steadyface.track(clip, weights="tiny").points)
    damaged = track_with(worker, "memory://corpus-test/cut.mkv", "cut.parquet")
    assert damaged.status == ERROR
    assert (damaged.error or "").startswith("memory://corpus-test/cut.mkv: damaged at frame ")
    assert 0 < damaged.frames == Tracks.load(worker._out / "cut.parquet").meta["frames"] < 50
    assert all(path.suffix == ".begun" for path in worker._scratch.iterdir())


@pytest.mark.parametrize("address", ["/missing/clip.mp4", "memory://missing/clip.mp4", "odd://clip.mp4"])
def test_what_cannot_be_fetched_is_told_in_a_line(address: str, worker: Worker) -> None:
    entry = track_with(worker, address, "missing.parquet")
    assert entry.status == ERROR
    assert (entry.error or "").startswith(f"{address}: ")
    assert "\n" not in (entry.error or "")
    assert not (worker._out / "missing.parquet").exists()


def test_a_video_that_kills_its_workers_is_given_up(worker: Worker, clip: Path) -> None:
    deadly = shutil.copy(clip, clip.with_name("deadly.mp4"))
    for _ in range(ATTEMPTS):
        assert track_with(worker, deadly, "deadly.parquet").status == DONE
    entry = track_with(worker, deadly, "deadly.parquet")
    assert f"its worker died {ATTEMPTS} times" in (entry.error or "")


def test_a_table_is_known_by_its_source_and_options(
    worker: Worker, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = str(shutil.copy(clip, tmp_path / "known.mp4"))
    entry = replace(track_with(worker, source, "known.parquet"), seconds=None)
    asked = options_key(TINY)

    def known(output: str = "known.parquet", asked: dict[str, object] = asked) -> Entry | None:
        return recorded(source, output, worker._out, asked)

    assert known() == entry
    assert known(asked=options_key(replace(TINY, device="cpu", threads=2))) == entry
    assert known(asked=options_key(replace(TINY, max_faces=1))) is None
    assert known("nothing.parquet") is None
    with monkeypatch.context() as patch:
        patch.setattr(work, "__version__", "0")
        assert known() is None
    (worker._out / "broken.parquet").write_bytes((worker._out / "known.parquet").read_bytes()[:-100])
    assert known("broken.parquet") is None
    os.utime(source, ns=(1, 1))
    assert known() is None
    Path(source).unlink()
    assert known() is None


def test_a_file_of_weights_is_known_by_its_content(tmp_path: Path) -> None:
    weights = tmp_path / "own.onnx"
    codes = set()
    for content in (b"1", b"2"):
        weights.write_bytes(content)
        codes.add(options_key(TrackingOptions(weights=weights))["weights"])
    assert len(codes) == 2


def test_options_are_refused_before_anything_is_begun(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="nothing"):
        track_corpus([str(clip)], tmp_path / "out", TrackingOptions(weights="nothing"))
    with pytest.raises(ConfigError, match=r"^an empty name is no input; the current folder is \.$"):
        track_corpus([""], tmp_path / "out")
    with pytest.raises(ConfigError, match="workers"):
        track_corpus([str(clip)], tmp_path / "out", workers=0)
    assert not (tmp_path / "out").exists()


def test_a_cluster_that_is_not_there_is_told_at_once() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # not listening
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(SteadyfaceError, match=f"no Ray cluster at {address}"), connect(address, None):
            pass


# ----------------------------------------------------------------------------------------------- Ray


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    with connect(None, 2):
        yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # Ray ends its processes and does not wait for them
        gc.collect()


@pytest.fixture
def videos(clip: Path, tmp_path: Path) -> Path:
    """Six clips of one face."""
    folder = tmp_path / "videos"
    for index in range(6):
        (folder / f"{index % 2}").mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, folder / f"{index % 2}" / f"{index}.mp4")
    return folder


def assert_same_tables(folder: Path, expected: Path) -> None:
    names = {str(path.relative_to(expected)) for path in expected.rglob("*.parquet")}
    assert names == {str(path.relative_to(folder)) for path in folder.rglob("*.parquet")}
    assert not list(folder.rglob("*.part"))
    for name in names - {"manifest.parquet"}:
        one, other = parquet.read_table(folder / name), parquet.read_table(expected / name)
        assert one.schema.equals(other.schema, check_metadata=True), name
        assert one.to_pandas().equals(other.to_pandas()), name  # NaN is NaN


def test_workers_that_are_killed_change_nothing(session: None, videos: Path, tmp_path: Path) -> None:
    expected = tmp_path / "expected"
    alone = Worker(replace(TINY, threads=1), expected, tmp_path / "scratch")
    for source, output in choose_outputs(find_videos([str(videos)]), {}).items():
        assert track_with(alone, source, output).status == DONE
    Manifest(expected).close()
    killed = []

    def kill(done: int, total: int, speed: float) -> None:
        if done == 1:
            for process in psutil.Process().children(recursive=True):
                if process.name().startswith("ray::MapWorker"):
                    process.kill()
                    killed.append(process.pid)

    summary = track_corpus(
        [str(videos)], tmp_path / "out", replace(TINY, threads=1), workers=2, progress=kill
    )
    assert killed
    assert (summary.done, summary.kept, summary.frames, summary.failed) == (6, 0, 48, ())
    assert_same_tables(tmp_path / "out", expected)


def test_the_command_goes_on_where_it_was_stopped(
    session: None, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (videos / "text.mp4").write_text("no video")
    (videos / "empty.mp4").touch()
    out = tmp_path / "out"
    inputs = [str(videos), str(tmp_path / "missing.mp4")]

    def stop(done: int, total: int, speed: float) -> None:
        assert total == 9
        if done == 4:
            raise KeyboardInterrupt

    first = track_corpus(inputs, out, TINY, workers=2, progress=stop)
    assert first.interrupted
    written = {path: path.stat().st_mtime_ns for path in out.glob("?/*.parquet")}
    assert 0 < first.done < 6
    with pytest.raises(SystemExit) as left:
        main(["corpus", *inputs, "--out", str(out), "--weights", "tiny", "--workers", "2"])
    assert left.value.code == 1
    printed = capsys.readouterr()
    assert "6 of 9 videos done" in printed.out
    lines = printed.err.splitlines()[-4:]  # Ray may report the workers of the run before, which were stopped
    reasons = [line.partition(".mp4: ")[0].rpartition("/")[2] for line in lines[:3]]
    assert sorted(reasons) == ["empty", "missing", "text"]
    assert lines[3] == "steadyface: 3 of 9 videos failed"
    assert all(path.stat().st_mtime_ns == time for path, time in written.items())
    entries = Manifest(out).entries.values()
    errors = {Path(entry.input).name for entry in entries if entry.status == ERROR}
    assert errors == {"text.mp4", "empty.mp4", "missing.mp4"}
    assert all(entry.error for entry in entries if entry.status == ERROR)
    done = [entry for entry in entries if entry.status == DONE]
    assert {entry.input for entry in done} == {str(path) for path in videos.glob("?/*.mp4")}
    assert all(len(Tracks.load(out / entry.output)) == entry.frames == 8 for entry in done)


def test_no_worker_is_started_without_a_video(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray starts as many processes as it is told, which for a hundred thousand takes for ever."""
    asked = []

    def connect(address: str | None, workers: int | None) -> None:
        asked.append(workers)
        raise SteadyfaceError("not today")

    monkeypatch.setattr("steadyface.corpus.run.connect", connect)
    for workers in (100_000, None):
        with pytest.raises(SteadyfaceError, match="not today"):
            track_corpus([str(clip)], tmp_path, TINY, workers=workers)
    assert asked == [1, None]


def test_cores_are_shared_among_the_workers(session: None) -> None:
    assert share_out(100, 1, 1, "cpu") == Share(1, 1)
    assert share_out(1, 2, None, "cpu").workers == 1
    assert share_out(100, None, 1, "cpu").workers >= 2
    assert share_out(100, 2, None, "cpu").threads * 2 <= share_out(100, None, 1, "cpu").workers
    with pytest.raises(ConfigError, match="do not fit"):
        share_out(10_000, 5_000, 1, "cpu")
