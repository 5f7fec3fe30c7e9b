"""`.csv` and `.parquet`: one number a column, in the names of OpenFace; pandas gets the same."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from steadyface import markup
from steadyface.errors import MissingExtraError
from steadyface.files import atomic_write, reading
from steadyface.measures import HeadPose, eye_aspect_ratio, head_pose, mouth_aspect_ratio
from steadyface.tracks.formats.columns import exact
from steadyface.tracks.schema import COLUMNS, KIND, Columns, Meta, as_columns, as_meta

_META = b"steadyface"
"""Key of `meta` in a Parquet file's own."""


def write_csv(path: Path, columns: Columns, meta: Meta) -> None:
    """Write `meta` as a comment in the first line, then a header, then a line per row."""
    flat = to_flat(columns, meta)
    with atomic_write(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        file.write(f"# {json.dumps(meta)}\n")
        writer = csv.writer(file)
        writer.writerow(flat)
        writer.writerows(zip(*flat.values(), strict=True))


def read_csv(path: Path) -> tuple[Columns, Meta]:
    """Read what `write_csv` wrote; columns of other names are left out."""
    with reading(path, KIND), path.open(newline="", encoding="utf-8") as file:
        first = file.readline()
        if not first.startswith("# "):
            raise ValueError("the first line is not a comment with the options")
        rows = csv.reader(file)
        names = next(rows)
        table = np.array(list(rows), dtype=float).reshape(-1, len(names))
        return _from_flat(dict(zip(names, table.T, strict=True))), as_meta(json.loads(first[2:]))


def write_parquet(path: Path, columns: Columns, meta: Meta) -> None:
    """Write a Parquet table; `meta` is in the metadata of its schema."""
    pyarrow, parquet = _pyarrow()
    table = pyarrow.table(to_flat(columns, meta)).replace_schema_metadata({_META: json.dumps(meta)})
    with atomic_write(path) as part:
        parquet.write_table(table, part)


def read_parquet(path: Path) -> tuple[Columns, Meta]:
    """Read what `write_parquet` wrote; columns of other names are left out."""
    _, parquet = _pyarrow()
    with reading(path, KIND):
        table = parquet.read_table(path)
        flat = {name: table[name].to_numpy() for name in table.column_names}
        return _from_flat(flat), as_meta(json.loads((table.schema.metadata or {})[_META]))


def to_flat(columns: Columns, meta: Meta) -> dict[str, np.ndarray]:
    """Spread the columns: OpenFace's names first, then what OpenFace lacks, then measures of the points."""
    flat: dict[str, np.ndarray] = {
        "frame": columns["frame"],
        "face_id": columns["face"],
        "timestamp": columns["seconds"],
        "confidence": exact(columns["scores"]).mean(axis=1),
        "success": (~columns["held"]).astype(int),
    }
    for name, column, index in _flat_names():
        flat[name] = np.moveaxis(columns[column], 0, -1)[index]
    return flat | _measures(columns["points"].astype(float), meta.get("size"))


def _from_flat(flat: dict[str, np.ndarray]) -> Columns:
    rows = len(flat["frame"])
    values: dict[str, Any] = {
        name: np.empty((rows, *shape), dtype) for name, (dtype, shape) in COLUMNS.items()
    }
    values |= {"frame": flat["frame"], "face": flat["face_id"], "seconds": flat["timestamp"]}
    values["held"] = flat["success"] == 0
    for name, column, index in _flat_names():
        values[column][(slice(None), *index)] = flat[name]
    return as_columns(values)


def _flat_names() -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Yield name in the file, name of the column, and index within a row."""
    for column, prefix in (("points", ""), ("raw_points", "raw_")):
        for axis, letter in enumerate("xy"):
            for i in range(markup.COUNT):
                yield f"{prefix}{letter}_{i}", column, (i, axis)
    for i in range(markup.COUNT):
        yield f"score_{i}", "scores", (i,)
    for i, name in enumerate(("box_x0", "box_y0", "box_x1", "box_y1")):
        yield name, "box", (i,)


def _measures(points: np.ndarray, size: list[int] | None) -> dict[str, np.ndarray]:
    """Head pose in OpenFace's names, NaN without the frames' size, and how open eyes and mouth are."""
    nowhere = np.full((len(points), 3), np.nan)
    pose = head_pose(points, *size) if size else HeadPose(nowhere, nowhere)
    measures = {f"pose_T{axis}": pose.translation[:, i] for i, axis in enumerate("xyz")}
    measures |= {f"pose_R{axis}": pose.rotation[:, i] for i, axis in enumerate("xyz")}
    for side in ("right", "left"):
        measures[f"ear_{side}"] = np.asarray(eye_aspect_ratio(points, f"{side}_eye"))
    return measures | {"mar": np.asarray(mouth_aspect_ratio(points))}


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "corpus") from error
    return pyarrow, parquet
