"""A recording is the table that `Tracks.save` writes, however it was cut into blocks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from live_frames import message

from steadyface.errors import DataError
from steadyface.live.recording import Recording
from steadyface.live.server import _close
from steadyface.live.session import Networks, Session
from steadyface.tracking import TrackedFace
from steadyface.tracking.rows import add_rows
from steadyface.tracks import COLUMNS, Tracks, TracksBuilder
from steadyface.video import VideoFrame

IMAGE = np.zeros((48, 64, 3), np.uint8)
META = {"version": "x", "source": "webcam é", "frames": 0}


def faces_of(index: int) -> list[TrackedFace]:
    """None, one or two of them."""
    rng = np.random.default_rng(index)
    numbers = range(index % 3)
    return [TrackedFace(i, *rng.random((2, 68, 2)), rng.random(68), rng.random(4)) for i in numbers]


@pytest.mark.parametrize("count", [1, 31, 32, 33, 100])
def test_it_is_the_table_that_tracks_would_save(count: int, tmp_path: Path) -> None:
    recording, builder = Recording(tmp_path / "live.csv", dict(META)), TracksBuilder()
    for index in range(count):
        recording.add(IMAGE, index / 30, faces_of(index))
        add_rows(builder, VideoFrame(index, index / 30, IMAGE), faces_of(index))
    recording.finish()
    path = recording.path
    known = {"size": [64, 48], "start_seconds": 0.0}
    rate = {"fps": 30.0} if count > 1 else {}
    expected = builder.finish({**META, "frames": count, **known, **rate})
    unsized = {name: value for name, value in expected.meta.items() if name != "size"}
    saved = replace(expected, meta=unsized).save(tmp_path / "saved.csv")  # with a size in each row
    assert path.read_bytes() == saved.read_bytes()
    loaded = Tracks.load(path)
    assert loaded.meta == expected.meta
    assert recording.rows == len(loaded)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(expected, name))


def test_without_a_frame_it_is_an_empty_table(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "live.csv", dict(META))
    recording.finish()
    tracks = Tracks.load(recording.path)
    assert (len(tracks), len(tracks.timeline), tracks.meta) == (0, 0, META)


@pytest.mark.parametrize("first", [3, 32, 40])
def test_frames_of_another_size_are_measured_by_their_own(first: int, tmp_path: Path) -> None:
    recording = Recording(tmp_path / "live.csv", dict(META))
    for index in range(70):
        image = IMAGE if index < first else np.zeros((96, 128, 3), np.uint8)
        recording.add(image, index / 30, faces_of(index))
    recording.finish()
    tracks = Tracks.load(recording.path)
    assert tracks.timeline.size.tolist() == [[64, 48]] * first + [[128, 96]] * (70 - first)
    assert "size" not in tracks.meta
    table = tracks.to_pandas()
    assert table.width.tolist() == [64 if frame < first else 128 for frame in table.frame]


def test_its_time_begins_at_0(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "live.csv", dict(META))
    for index in range(40):
        recording.add(IMAGE, 100.5 + index / 30, faces_of(index))
    recording.finish()
    tracks = Tracks.load(recording.path)
    np.testing.assert_allclose(tracks.seconds, tracks.frame / 30, atol=1e-9)
    assert tracks.meta["start_seconds"] == 100.5
    assert tracks.to_pandas()["media_seconds"].iloc[-1] == pytest.approx(100.5 + 39 / 30)


def test_rows_go_to_the_disk_while_it_runs(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "live.csv", dict(META))
    for index in range(300):
        recording.add(IMAGE, index / 30, faces_of(index))
        assert len(recording._builder) <= 2 * 32  # two faces in each frame of a block
    assert len(Tracks.load(recording.path)) >= recording.rows - 2 * 32


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        Recording(tmp_path / "gone" / "live.csv", dict(META))


@pytest.fixture
def small_disk(request: pytest.FixtureRequest) -> Iterator[int]:
    """No file may grow beyond so many bytes."""
    resource = pytest.importorskip("resource", reason="file sizes can be limited on POSIX only")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = request.param
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    yield size
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("small_disk", [300_000], indirect=True)
def test_a_full_disk_leaves_whole_rows(small_disk: int, tmp_path: Path) -> None:
    recording = Recording(tmp_path / "live.csv", dict(META))

    def record(count: int) -> None:
        for index in range(count):
            recording.add(IMAGE, index / 30, faces_of(index))

    with pytest.raises(DataError, match="cannot be written: File too large"):
        record(3000)
    recording.finish()
    kept = Tracks.load(recording.path)
    assert kept.meta["frames"] == recording.frames
    assert len(kept) == recording.rows
    assert small_disk / 2 < recording.path.stat().st_size <= small_disk
    assert np.array_equal(kept.points[-1], faces_of(int(kept.frame[-1]))[-1].points.astype(np.float32))
    assert kept.frame[-1] < recording.frames


@pytest.mark.parametrize("small_disk", [30_000], indirect=True)
def test_what_fits_on_the_disk_is_handed_out(small_disk: int) -> None:
    session = Session(Networks())
    session.start_recording("webcam")
    for index in range(12):
        session.answer(message(index))
    saved = session.stop_recording()
    assert "File too large; the rows before are kept" in (saved.problem or "")
    kept = Tracks.load(session.recorded[saved.name])
    assert len(kept) == saved.rows < 12
    assert kept.meta["frames"] == 12
    session.close()
    assert not session.recorded


class Unread(StringIO):
    """Output of a process whose reader has gone."""

    def flush(self) -> None:
        raise BrokenPipeError


def test_a_recording_is_kept_though_nobody_reads_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(Networks(), out=tmp_path)
    session.start_recording("webcam")
    session.answer(message(0))
    monkeypatch.setattr(sys, "stdout", Unread())
    _close(session)
    [kept] = tmp_path.glob("*.csv")
    assert Tracks.load(kept).meta["frames"] == 1
