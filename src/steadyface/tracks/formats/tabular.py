"""`.csv` and `.parquet`: one number a column, in the names of OpenFace; pandas gets the same."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from steadyface import files, markup
from steadyface.camera import camera_for
from steadyface.errors import ConfigError, MissingExtraError
from steadyface.files import atomic_write, reading
from steadyface.measures import eye_aspect_ratio, head_pose, mouth_aspect_ratio
from steadyface.tracks.formats.columns import exact
from steadyface.tracks.schema import (
    COLUMNS,
    KIND,
    LAYERS,
    META,
    PEOPLE,
    RESULTS,
    Columns,
    Meta,
    Table,
    as_columns,
    as_meta,
    default_columns,
    names_of,
)
from steadyface.tracks.timeline import ClipTimeline
from steadyface.wording import as_utf8

NO_FACE = -1
"""`face_id` of the row of a frame without a face."""

_META = b"steadyface"
"""Key of `meta` in a Parquet file's own."""

_FILE, _NAME = "file", "name"
_TEXTS = frozenset({_FILE, _NAME})
"""Columns that are text."""

POSE = tuple(f"pose_{kind}{axis}" for kind in "TR" for axis in "xyz")
"""Columns of a head's pose: translation in mm, rotation in radians."""

_FITTED = "reprojection_error"
"""Column that says that the pose is that of a fitted model."""


def meta_path(path: Path) -> Path:
    """Path of the meta that belongs to a table: `clip.meta.json` beside `clip.csv`."""
    return path.with_name(f"{path.stem}{META}")


def write_csv(path: Path, table: Table) -> None:
    """Write a header and a line per row, a missing number as an empty cell; `meta` goes to `meta_path`."""
    write_rows(path, to_flat(table))
    files.write_text(meta_path(path), json.dumps(table.meta, indent=1))


def write_rows(path: Path, flat: Mapping[str, np.ndarray]) -> None:
    """Write columns as a CSV file; NaN is an empty cell."""
    with atomic_write(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(flat)
        writer.writerows(zip(*map(_cells, flat.values()), strict=True))


def read_csv(path: Path) -> Table:
    """Read what `write_csv` wrote, or OpenFace 2; columns of other names are left out.

    Without a file of meta beside it, `meta` is empty.
    """
    meta = read_meta(meta_path(path))
    with reading(path, KIND), path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        names = [name.strip() for name in next(rows, [])]  # OpenFace puts a space after each comma
        cells = list(zip(*rows, strict=True)) or [()] * len(names)
        flat = {name: _numbers(name, column) for name, column in zip(names, cells, strict=True)}
        return _from_flat(_of_openface(flat) if _is_openface(flat) else flat, meta)


def _is_openface(flat: dict[str, np.ndarray]) -> bool:
    """Whether columns are those of OpenFace's 2-D landmarks, which are all of one kind."""
    return {"frame", "timestamp", "confidence", "success", "x_0"} <= set(flat) and "raw_x_0" not in flat


def _of_openface(flat: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Columns of OpenFace as `to_flat` has them: frames from 0, and no face where it reports no success.

    Source: Baltrušaitis et al. 2018, `RecorderCSV` of OpenFace 2.2.
    """
    axes = [np.stack([flat[f"{axis}_{i}"] for i in range(markup.COUNT)], axis=-1) for axis in "xy"]
    points, scores = np.stack(axes, axis=-1), np.tile(flat["confidence"], (markup.COUNT, 1))
    box = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
    face = np.where(flat["success"] == 1, flat.get("face_id", np.zeros(len(points))), NO_FACE)
    full = {"points": points, "raw_points": points, "scores": scores.T, "box": box}
    columns = [(name, column, index) for name, column, index in _flat_names() if column in full]
    spread = {name: np.moveaxis(full[column], 0, -1)[index] for name, column, index in columns}
    head = {name: flat[name] for name in ("timestamp", "success")}
    return {"frame": flat["frame"] - 1, "face_id": face} | head | spread


def read_meta(path: Path, with_results: bool = False) -> Meta:
    """Read the meta beside a table; empty where there is none.

    Args:
        path: of the file.
        with_results: keep the entry `RESULTS`, which is about the files rather than the table.

    Raises:
        DataError: it is broken.
    """
    if not path.exists():
        return {}
    with reading(path, "the meta of tracks"):
        meta = as_meta(files.read_json(path, "the meta of tracks"))
        return meta if with_results else {name: meta[name] for name in meta if name != RESULTS}


def write_parquet(path: Path, table: Table) -> None:
    """Write a Parquet table; `meta` is in the metadata of its schema."""
    pyarrow, parquet = import_pyarrow()
    rows = pyarrow.table(to_flat(table)).replace_schema_metadata({_META: json.dumps(table.meta)})
    with atomic_write(path) as part, part.open("wb") as file:  # Arrow takes no path that is not UTF-8
        parquet.write_table(rows, file)


def read_parquet(path: Path) -> Table:
    """Read what `write_parquet` wrote; columns of other names are left out."""
    _, parquet = import_pyarrow()
    with reading(path, KIND):
        with path.open("rb") as file:
            table = parquet.read_table(file)
        flat = {name: table[name].to_numpy() for name in table.column_names}
        return _from_flat(flat, as_meta(json.loads((table.schema.metadata or {})[_META])))


def to_flat(table: Table) -> dict[str, np.ndarray]:
    """Spread the columns: OpenFace's names first, then what OpenFace lacks, then measures, then layers.

    A frame without a face has one row: `face_id` is `NO_FACE`, `confidence` and `success` are 0, and the
    other numbers NaN. Images also get the columns `width` and `height`, and those of folders `file`.
    """
    columns, timeline, meta = table
    places = timeline.places(columns["frame"])
    flat: dict[str, np.ndarray] = {
        "frame": columns["frame"],
        "face_id": columns["face"],
        "timestamp": columns["seconds"],
        "confidence": exact(columns["scores"]).mean(axis=1),
        "success": (~columns["held"]).astype(int),
    }
    of_frames = _frame_columns(timeline, meta)
    flat |= {name: values[places] for name, values in of_frames.items()}
    if PEOPLE in meta:
        flat |= {_NAME: names_of(columns["person"], meta), "similarity": exact(columns["similarity"])}
    for name, column, index in _flat_names():
        flat[name] = np.moveaxis(columns[column], 0, -1)[index]
    flat["carried"] = columns["carried"].astype(int)
    flat |= _measures(columns, timeline.size[places], meta)
    for name, column, index in _layer_names():
        if column in columns:
            flat[name] = np.moveaxis(columns[column], 0, -1)[index]
    without_face = ~np.isin(timeline.frame, columns["frame"])
    if without_face.any():
        of_empty = {name: values[without_face] for name, values in of_frames.items()}
        flat = _with_frames(flat, timeline.at(without_face), of_empty)
    return flat | {"media_seconds": flat["timestamp"] + float(meta.get("start_seconds", 0.0))}


def inside(points: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Whether points lie in the picture, whose pixels reach half a px beyond their centres.

    Args:
        points: (N, 68, 2) image px.
        size: (N, 2) width and height, px.

    Returns:
        (N, 68) bool.
    """
    return np.all((points >= -0.5) & (points < size[:, None] - 0.5), axis=-1)


def _with_frames(
    flat: dict[str, np.ndarray], empty: ClipTimeline, of_frames: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Add a row for each frame without a face, in order of frame.

    Args:
        flat: columns of the other rows.
        empty: frames without a face.
        of_frames: their `_frame_columns`.
    """
    own = {"frame": empty.frame, "timestamp": empty.seconds, "face_id": np.full(len(empty), NO_FACE)}
    own |= {"confidence": np.zeros(len(empty))}
    own |= dict.fromkeys(("success", "carried"), np.zeros(len(empty), int))
    own |= of_frames
    own |= {_NAME: np.full(len(empty), "")} if _NAME in flat else {}
    order = np.argsort(np.concatenate([flat["frame"], empty.frame]), kind="stable")
    filled = {}
    for name, values in flat.items():
        blank = np.zeros(len(empty), int) if name.startswith("inside_") else np.full(len(empty), np.nan)
        filled[name] = np.concatenate([values, own.get(name, blank).astype(values.dtype)])[order]
    return filled


def _frame_columns(timeline: ClipTimeline, meta: Meta) -> dict[str, np.ndarray]:
    """Names and sizes of frames that `meta` does not say: those of images in a folder or in memory."""
    columns = (
        {_FILE: np.array([as_utf8(name) for name in timeline.file.tolist()])}
        if (timeline.file != "").any()
        else {}
    )
    if columns or (not meta.get("size") and timeline.size.any()):
        columns |= {"width": timeline.size[:, 0], "height": timeline.size[:, 1]}
    return columns


def _from_flat(flat: dict[str, np.ndarray], meta: Meta) -> Table:
    """Separate the rows of faces from those of frames alone."""
    with np.errstate(invalid="raise"):
        frame, first = np.unique(np.asarray(flat["frame"], int), return_index=True)
    sizes = [flat.get(name, np.full(len(flat["frame"]), value)) for name, value in _sizes(meta)]
    timeline = ClipTimeline.from_values(
        {
            "frame": frame,
            "seconds": flat["timestamp"][first],
            "size": np.stack(sizes, axis=-1)[first],
            "file": flat.get(_FILE, np.full(len(flat["frame"]), ""))[first],
        }
    )
    with_face = flat["face_id"] != NO_FACE
    columns = _columns({name: values[with_face] for name, values in flat.items()}, meta)
    return Table(columns, timeline, meta)


def _sizes(meta: Meta) -> list[tuple[str, int]]:
    return list(zip(("width", "height"), meta.get("size") or (0, 0), strict=True))


def _columns(flat: dict[str, np.ndarray], meta: Meta) -> Columns:
    rows = len(flat["frame"])
    values: dict[str, Any] = {
        name: np.empty((rows, *shape), dtype) for name, (dtype, shape) in COLUMNS.items()
    }
    optional = default_columns(rows)
    values |= {"frame": flat["frame"], "face": flat["face_id"], "seconds": flat["timestamp"], **optional}
    values["held"] = flat["success"] == 0
    if _NAME in flat:
        known = {name: place for place, name in enumerate(meta.get(PEOPLE, []))}
        values["person"] = np.array([known.get(name, -1) for name in flat[_NAME].tolist()], int)
        values["similarity"] = flat["similarity"]
    values["carried"] = flat.get("carried", optional["carried"]) == 1
    for name, column, index in _flat_names():
        if name in flat or column not in optional:
            values[column][(slice(None), *index)] = flat[name]
    for name, column, index in _layer_names():
        if name in flat:
            dtype, shape = LAYERS[column]
            values.setdefault(column, np.empty((rows, *shape), dtype))[(slice(None), *index)] = flat[name]
    if _FITTED in values:
        values["head_pose"] = np.stack([flat[name] for name in POSE], axis=-1)
    values["covariances"][..., 1, 0] = values["covariances"][..., 0, 1]
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
    for i in range(markup.COUNT):
        yield f"visible_{i}", "visible", (i,)
    for name, j, k in (("xx", 0, 0), ("xy", 0, 1), ("yy", 1, 1)):
        for i in range(markup.COUNT):
            yield f"cov_{name}_{i}", "covariances", (i, j, k)


def _layer_names() -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Yield name in the file, name of the layer, and index within a row; a head's pose has `POSE`."""
    for column in ("corrected_points", "frontal_points"):
        for axis, letter in enumerate("xy"):
            for i in range(markup.COUNT):
                yield f"{column.removesuffix('points')}{letter}_{i}", column, (i, axis)
    yield _FITTED, _FITTED, ()


def _measures(columns: Columns, size: np.ndarray, meta: Meta) -> dict[str, np.ndarray]:
    """Head pose in OpenFace's names, openness of eyes and mouth, and the points inside the picture.

    Without the frames' size poses are NaN, and nothing says which points are inside.
    """
    points = columns["points"].astype(float)
    pose = head_poses(columns, size, meta)
    measures = {name: pose[:, i] for i, name in enumerate(POSE)}
    for side in ("right", "left"):
        measures[f"ear_{side}"] = np.asarray(eye_aspect_ratio(points, f"{side}_eye"))
    measures["mar"] = np.asarray(mouth_aspect_ratio(points))
    if size.all():
        within = inside(points, size).astype(int)
        measures |= {f"inside_{i}": within[:, i] for i in range(markup.COUNT)}
    return measures


def head_poses(columns: Columns, size: np.ndarray, meta: Meta) -> np.ndarray:
    """(N, 6) translation and rotation: the layer, or by the mean face and the camera in `meta`.

    NaN where the size is not known, or the camera's is of another shape.
    """
    if "head_pose" in columns:
        return columns["head_pose"]
    points = columns["points"].astype(float)
    poses = np.full((len(points), 6), np.nan)
    for width, height in np.unique(size, axis=0).tolist():
        rows = (size == (width, height)).all(axis=1)
        if width and height:
            with suppress(ConfigError):
                pose = head_pose(
                    points[rows], width, height, camera=camera_for(meta.get("camera"), width, height)
                )
                poses[rows] = np.concatenate([pose.translation, pose.rotation], axis=1)
    return poses


def _cells(values: np.ndarray) -> Iterable[Any]:
    """Values of a column as they are written; exact() is the same number in every digit that text shows."""
    if values.dtype.kind == "f" and np.isnan(values).any():
        return ["" if missing else value for value, missing in zip(values, np.isnan(values), strict=True)]
    return values


def _numbers(name: str, cells: Iterable[str]) -> np.ndarray:
    if name in _TEXTS:
        return np.array(list(cells), str)
    return np.array([cell.strip() or "nan" for cell in cells], float)


def import_pyarrow() -> tuple[Any, Any]:
    """Import pyarrow and its Parquet.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "corpus") from error
    return pyarrow, parquet
