"""Files of tracks that early versions wrote still load."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from table_cases import gappy_tracks, make_tracks, same

from steadyface.tracks import COLUMNS, Tracks


def test_files_from_before_there_were_held_rows_still_load(tmp_path: Path) -> None:
    tracks = replace(make_tracks(30).without_held(), carried=np.zeros(27, bool))
    values = {name: getattr(tracks, name) for name in COLUMNS if name not in ("held", "carried")}
    np.savez(tmp_path / "old.npz", **values, meta=np.array(json.dumps(tracks.meta)))
    columns = {name: value.tolist() for name, value in values.items()}
    (tmp_path / "old.json").write_text(json.dumps({"meta": tracks.meta, **columns}))
    for suffix in ("npz", "json"):
        assert same(Tracks.load(tmp_path / f"old.{suffix}"), tracks)


def test_csv_without_its_meta_loads(tmp_path: Path) -> None:
    path = make_tracks(30).save(tmp_path / "clip.csv")
    (tmp_path / "clip.meta.json").unlink()
    assert Tracks.load(path).meta == {}


def test_files_that_list_no_frames_have_those_of_their_rows(tmp_path: Path) -> None:
    tracks = gappy_tracks()
    values = {name: getattr(tracks, name) for name in COLUMNS}
    np.savez(tmp_path / "old.npz", **values, meta=np.array(json.dumps(tracks.meta)))
    timeline = Tracks.load(tmp_path / "old.npz").timeline
    assert timeline.frame.tolist() == [1, 3, 4]
    assert timeline.size.tolist() == [[640, 480]] * 3


@pytest.mark.parametrize("suffix", ["npz", "csv", "parquet", "json"])
def test_files_from_before_there_was_visibility_still_load(tmp_path: Path, suffix: str) -> None:
    tracks = make_tracks(30)
    path = tracks.save(tmp_path / f"old.{suffix}")
    if suffix == "npz":
        arrays = dict(np.load(path))
        np.savez(path, **{name: arrays[name] for name in arrays if name not in ("visible", "covariances")})
    elif suffix == "json":
        values = json.loads(path.read_text())
        del values["visible"], values["covariances"]
        path.write_text(json.dumps(values))
    elif suffix == "csv":
        names, *rows = path.read_text().splitlines()
        kept = [i for i, name in enumerate(names.split(",")) if not name.startswith(("visible_", "cov_"))]
        path.write_text("\n".join(",".join(line.split(",")[i] for i in kept) for line in (names, *rows)))
    else:
        table = parquet.read_table(path)
        names = [name for name in table.column_names if not name.startswith(("visible_", "cov_"))]
        parquet.write_table(table.select(names), path)
    unknown = {name: np.full_like(getattr(tracks, name), np.nan) for name in ("visible", "covariances")}
    assert same(Tracks.load(path), replace(tracks, **unknown))
