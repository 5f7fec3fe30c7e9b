"""The table of results: every format keeps it, a bad file is named."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from steadyface.datasets.pts import read_pts
from steadyface.errors import ConfigError, DataError
from steadyface.tracks import COLUMNS, Tracks, TracksBuilder


def make_tracks(rows: int = 2500) -> Tracks:
    """More rows than a block, two faces, a gap in the frames."""
    rng = np.random.default_rng(0)
    builder = TracksBuilder()
    for n in range(rows):
        frame = n // 2 + (7 if n > rows // 2 else 0)
        points = rng.uniform(0, 1000, (68, 2))
        builder.add(
            frame=frame,
            seconds=frame / 29.97,
            face=n % 2,
            points=points,
            raw_points=points + rng.normal(0, 1, (68, 2)),
            scores=rng.uniform(0, 1, 68),
            box=rng.uniform(0, 1000, 4),
        )
    return builder.finish({"source": "clip.mp4", "fps": 29.97})


def same(one: Tracks, other: Tracks) -> bool:
    columns = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in COLUMNS)
    types = all(getattr(one, name).dtype == getattr(other, name).dtype for name in COLUMNS)
    return columns and types and one.meta == other.meta


@pytest.mark.parametrize("suffix", ["npz", "csv", "parquet", "json"])
@pytest.mark.parametrize("rows", [0, 1, 120])
def test_save_and_load_are_inverse(tmp_path: Path, suffix: str, rows: int) -> None:
    tracks = make_tracks(rows)
    path = tracks.save(tmp_path / f"clip.{suffix}")
    assert same(Tracks.load(path), tracks)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_builder_keeps_order_over_blocks() -> None:
    tracks = make_tracks()
    assert len(tracks) == 2500
    assert np.all(np.diff(tracks.frame) >= 0)
    assert tracks.faces == [0, 1]
    assert len(tracks.of_face(1)) == 1250


def test_csv_has_the_names_of_openface(tmp_path: Path) -> None:
    path = make_tracks(3).save(tmp_path / "clip.csv")
    with path.open() as file:
        file.readline()
        names = next(csv.reader(file))
    assert names[:6] == ["frame", "face_id", "timestamp", "confidence", "success", "x_0"]
    assert {"x_67", "y_0", "y_67"} <= set(names)


def test_pts_is_a_folder_with_a_file_per_face_and_frame(tmp_path: Path) -> None:
    tracks = make_tracks(4)
    make_tracks(10).save(tmp_path / "clip.pts")
    path = tracks.save(tmp_path / "clip.pts")
    files = sorted(entry.name for entry in path.iterdir())
    assert files == [f"{f:06d}_face{i}.pts" for f, i in zip(tracks.frame, tracks.face, strict=True)]
    # Four decimals are written: half of the last one, and float32's own precision at 1000 px.
    assert np.abs(read_pts(path / files[0]) - tracks.points[0]).max() < 1.2e-4


def test_jitter_ignores_the_gap() -> None:
    steady = np.linspace(0, 100, 136).reshape(68, 2)
    builder = TracksBuilder()
    for frame in [*range(10), *range(20, 30)]:
        moved = steady + frame * 3 + (500 if frame >= 20 else 0)
        row = {"points": moved, "raw_points": moved, "scores": np.ones(68), "box": np.zeros(4)}
        builder.add(frame=frame, seconds=frame / 25, face=0, **row)
    # A uniform motion has no jitter beyond float32's precision at 600 px.
    assert builder.finish({}).jitter() < 1e-3


def test_unknown_format_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="npz, csv, parquet, json, pts"):
        make_tracks(1).save(tmp_path / "clip.xls")
    with pytest.raises(ConfigError, match="npz, csv, parquet, json"):
        Tracks.load(tmp_path / "clip.pts")


@pytest.mark.parametrize("suffix", ["npz", "csv", "parquet", "json"])
@pytest.mark.parametrize("content", [b"", b"rubbish", b"# {}\nframe\n1\n", b'{"meta": {}}', b"PK\x03\x04"])
def test_other_files_are_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"bad.{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match="bad"):
        Tracks.load(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        Tracks.load(tmp_path / "none.npz")
    with pytest.raises(DataError, match="No such file"):
        make_tracks(1).save(tmp_path / "none" / "clip.npz")
