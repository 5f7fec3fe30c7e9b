"""The result of tracking: one table, a row per face and frame. Save and load it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Bool, Float, Int

from steadyface import markup
from steadyface.errors import ConfigError, DataError, MissingExtraError
from steadyface.geometry import bounding_box
from steadyface.measures import HeadPose, eye_aspect_ratio, head_pose, mouth_aspect_ratio
from steadyface.metrics import jitter, lag
from steadyface.pts import write_pts
from steadyface.stabilizer import Stabilizer
from steadyface.stabilizer.base import require_smoother

Meta = dict[str, Any]

_GAP = 0.5  # s: after a longer loss a face begins anew


@dataclass(frozen=True)
class Tracks:
    """All faces of all frames; row n is one face in one frame, in order of frame and then face.

    Args:
        frame: (N,) number of the frame, from 0.
        seconds: (N,) its timestamp.
        face: (N,) identity of the face.
        points: (N, 68, 2) float32, stabilised, image px.
        raw_points: (N, 68, 2) float32, as the network gave them, image px.
        scores: (N, 68) float32 in [0, 1].
        box: (N, 4) float32 x0, y0, x1, y1 of the stabilised points, image px.
        held: (N,) bool: the face is lost, this is its last shape.
        meta: version, source, size, fps, frames, weights and options.
    """

    frame: Int[np.ndarray, "rows"]
    seconds: Float[np.ndarray, "rows"]
    face: Int[np.ndarray, "rows"]
    points: Float[np.ndarray, "rows 68 2"]
    raw_points: Float[np.ndarray, "rows 68 2"]
    scores: Float[np.ndarray, "rows 68"]
    box: Float[np.ndarray, "rows 4"]
    held: Bool[np.ndarray, "rows"]
    meta: Meta = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def faces(self) -> list[int]:
        """The identities, in order of appearance."""
        return list(dict.fromkeys(self.face.tolist()))

    def of_face(self, face: int) -> Tracks:
        """The rows of one identity."""
        return self._at(np.flatnonzero(self.face == face))

    def _at(self, rows: Int[np.ndarray, "chosen"]) -> Tracks:
        return Tracks(**{name: getattr(self, name)[rows] for name in COLUMNS}, meta=self.meta)

    def without_held(self) -> Tracks:
        """The rows in which the face was seen."""
        return self._at(np.flatnonzero(~self.held))

    def held_only(self) -> Tracks:
        """The rows in which the face is lost and its last shape held."""
        return self._at(np.flatnonzero(self.held))

    def jitter(self, column: str = "points") -> float:
        """`metrics.jitter` of `points` or `raw_points` over runs of successive frames, weighted by length."""
        return _average([(jitter(getattr(run, column)), len(run)) for run in self._runs()])

    def delay(self) -> float:
        """`metrics.lag` of `points` behind `raw_points`, averaged as `jitter`; NaN if none moves."""
        return _average([(lag(run.points, run.raw_points), len(run)) for run in self._runs()])

    def _runs(self) -> Iterator[Tracks]:
        """The rows of each face that is seen in at least three successive frames."""
        seen = self.without_held()
        for face in seen.faces:
            rows = seen.of_face(face)
            for run in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows.frame) != 1) + 1):
                if len(run) >= 3:
                    yield rows._at(run)

    def smoothed(self, stabilizer: Stabilizer, lag: int | None = None) -> Tracks:
        """With `points` made anew from `raw_points`, with sight of the future; held rows repeat the last.

        Args:
            stabilizer: one that has such a mode.
            lag: how many later frames each point may depend on; None means all, 0 makes it causal.

        Raises:
            ConfigError: the stabiliser has no such mode.
        """
        smoother = require_smoother(stabilizer, lag)
        points = self.points.copy()
        for face in self.faces:
            rows = np.flatnonzero((self.face == face) & ~self.held)
            for run in np.split(rows, np.flatnonzero(np.diff(self.seconds[rows]) > _GAP) + 1):
                raw, scores = self.raw_points[run].astype(float), self.scores[run].astype(float)
                points[run] = smoother.smooth(raw, self.seconds[run], scores, lag)
            held = np.flatnonzero((self.face == face) & self.held)
            if len(rows):
                points[held] = points[rows[np.maximum(np.searchsorted(rows, held) - 1, 0)]]
        return replace(self, points=points, box=bounding_box(points))

    def to_pandas(self) -> Any:
        """A pandas DataFrame with the columns of the `.csv`; `meta` is in its `attrs`.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtraError("pandas", "pandas") from error
        frame = pandas.DataFrame(_to_flat(self))
        frame.attrs.update(self.meta)
        return frame

    def save(self, path: str | Path) -> Path:
        """Write as the type that the path's suffix names: .npz, .csv, .parquet, .json or .pts.

        For `.pts` the path becomes a folder with one file per face and frame, none for a held row. A
        half-written file never bears the final name.

        Raises:
            ConfigError: unknown suffix.
            DataError: the file cannot be written (a missing folder, no permission, a full disk).
        """
        path = Path(path)
        write = _WRITERS[_suffix(path)]
        part = path.with_name(f"{path.name}.part")
        try:
            write(self, part)
            _replace(part, path)
        except OSError as error:
            part.unlink(missing_ok=True) if part.is_file() else None
            raise DataError(path, f"cannot be written: {error.strerror or error}") from error
        return path

    @classmethod
    def load(cls, path: str | Path) -> Tracks:
        """Read what `save` wrote as .npz, .csv, .parquet or .json.

        Raises:
            ConfigError: another suffix.
            DataError: missing, or not a file of tracks.
        """
        path = Path(path)
        suffix = _suffix(path)
        if suffix not in _READERS:
            raise ConfigError.choice("format to load", suffix, _READERS)
        try:
            values = _READERS[suffix](path)
            values.setdefault("held", np.zeros(len(values["frame"]), bool))
            columns = {n: np.asarray(values[n], d).reshape(-1, *s) for n, (d, s) in COLUMNS.items()}
            tracks = cls(**columns, meta=values["meta"])
        except OSError as error:
            raise DataError(path, error.strerror or str(error)) from error
        except (ValueError, KeyError, TypeError, EOFError, StopIteration, BadZipFile, TokenError) as error:
            raise DataError(path, f"not a file of tracks: {error}") from error
        if len({len(getattr(tracks, name)) for name in COLUMNS}) != 1:
            raise DataError(path, "not a file of tracks: columns of different length")
        return tracks


COLUMNS: dict[str, tuple[str, tuple[int, ...]]] = {
    "frame": ("int64", ()),
    "seconds": ("float64", ()),
    "face": ("int64", ()),
    "points": ("float32", (68, 2)),
    "raw_points": ("float32", (68, 2)),
    "scores": ("float32", (68,)),
    "box": ("float32", (4,)),
    "held": ("bool", ()),
}
"""Name of each column → type and shape of one row."""


class TracksBuilder:
    """Collects rows in blocks, so that a long video costs little more than its rows."""

    _BLOCK = 1024

    def __init__(self) -> None:
        self._blocks: dict[str, list[np.ndarray]] = {name: [] for name in COLUMNS}
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def add(self, **row: Any) -> None:
        """Append one row, given by column name; it is not held unless it says so."""
        row = {"held": False, **row}
        place = self._rows % self._BLOCK
        for name, (dtype, shape) in COLUMNS.items():
            if place == 0:
                self._blocks[name].append(np.empty((self._BLOCK, *shape), dtype))
            self._blocks[name][-1][place] = row[name]
        self._rows += 1

    def finish(self, meta: Meta) -> Tracks:
        """The table; the builder is empty afterwards."""
        columns = {}
        for name, (dtype, shape) in COLUMNS.items():
            blocks = self._blocks.pop(name)
            self._blocks[name] = []
            columns[name] = np.concatenate([np.empty((0, *shape), dtype), *blocks])[: self._rows]
            blocks.clear()
        self._rows = 0
        return Tracks(**columns, meta=meta)


# ------------------------------------------------------------------------------------------- formats


def _suffix(path: Path) -> str:
    suffix = path.suffix.removeprefix(".").lower()
    if suffix not in FORMATS:
        raise ConfigError.choice("format", suffix, FORMATS)
    return suffix


def _replace(part: Path, path: Path) -> None:
    if part.is_dir():
        for stale in path.glob("*.pts"):
            stale.unlink()
        path.mkdir(exist_ok=True)
        for file in part.iterdir():
            file.replace(path / file.name)
        part.rmdir()
    else:
        part.replace(path)


def _write_npz(tracks: Tracks, path: Path) -> None:
    columns = {name: getattr(tracks, name) for name in COLUMNS}
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **columns, meta=np.array(json.dumps(tracks.meta)))


def _read_npz(path: Path) -> dict[str, Any]:
    with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
        values = {name: file[name] for name in COLUMNS if name in file}
        return {**values, "meta": json.loads(str(file["meta"]))}


def _write_json(tracks: Tracks, path: Path) -> None:
    columns = {name: _exact(getattr(tracks, name)).tolist() for name in COLUMNS}
    path.write_text(json.dumps({"meta": tracks.meta, **columns}), encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _flat_names() -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """The flat tables' columns: name there, name here, index within a row."""
    for column, prefix in (("points", ""), ("raw_points", "raw_")):
        for axis, letter in enumerate("xy"):
            for i in range(markup.COUNT):
                yield f"{prefix}{letter}_{i}", column, (i, axis)
    for i in range(markup.COUNT):
        yield f"score_{i}", "scores", (i,)
    for i, name in enumerate(("box_x0", "box_y0", "box_x1", "box_y1")):
        yield name, "box", (i,)


def _to_flat(tracks: Tracks) -> dict[str, np.ndarray]:
    """OpenFace's names first, then what OpenFace does not have, then what follows from the points."""
    flat: dict[str, np.ndarray] = {
        "frame": tracks.frame,
        "face_id": tracks.face,
        "timestamp": tracks.seconds,
        "confidence": _exact(tracks.scores).mean(axis=1),
        "success": (~tracks.held).astype(int),
    }
    for name, column, index in _flat_names():
        flat[name] = getattr(tracks, column)[(slice(None), *index)]
    return flat | _measures(tracks)


def _measures(tracks: Tracks) -> dict[str, np.ndarray]:
    """What follows from the points: OpenFace's names for the head's pose, and how open eyes and mouth are."""
    points, size = tracks.points.astype(float), tracks.meta.get("size")
    nowhere = np.full((len(tracks), 3), np.nan)
    pose = head_pose(points, *size) if size else HeadPose(nowhere, nowhere)
    columns = {f"pose_T{axis}": pose.translation[:, i] for i, axis in enumerate("xyz")}
    columns |= {f"pose_R{axis}": pose.rotation[:, i] for i, axis in enumerate("xyz")}
    columns |= {
        f"ear_{side}": np.asarray(eye_aspect_ratio(points, f"{side}_eye")) for side in ("right", "left")
    }
    return {**columns, "mar": np.asarray(mouth_aspect_ratio(points))}


def _from_flat(flat: dict[str, np.ndarray], meta: Meta) -> dict[str, Any]:
    rows = len(flat["frame"])
    values: dict[str, Any] = {
        name: np.empty((rows, *shape), dtype) for name, (dtype, shape) in COLUMNS.items()
    }
    values |= {"frame": flat["frame"], "face": flat["face_id"], "seconds": flat["timestamp"], "meta": meta}
    values["held"] = flat["success"] == 0
    for name, column, index in _flat_names():
        values[column][(slice(None), *index)] = flat[name]
    return values


def _write_csv(tracks: Tracks, path: Path) -> None:
    flat = _to_flat(tracks)
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(f"# {json.dumps(tracks.meta)}\n")
        writer = csv.writer(file)
        writer.writerow(flat)
        writer.writerows(zip(*flat.values(), strict=True))


def _read_csv(path: Path) -> dict[str, Any]:
    with path.open(newline="", encoding="utf-8") as file:
        first = file.readline()
        if not first.startswith("# "):
            raise ValueError("the first line is not a comment with the options")
        rows = csv.reader(file)
        names = next(rows)
        table = np.array(list(rows), dtype=float).reshape(-1, len(names))
    return _from_flat(dict(zip(names, table.T, strict=True)), json.loads(first[2:]))


def _write_parquet(tracks: Tracks, path: Path) -> None:
    pyarrow, parquet = _pyarrow()
    table = pyarrow.table(_to_flat(tracks))
    parquet.write_table(table.replace_schema_metadata({"steadyface": json.dumps(tracks.meta)}), path)


def _read_parquet(path: Path) -> dict[str, Any]:
    _, parquet = _pyarrow()
    table = parquet.read_table(path)
    flat = {name: table[name].to_numpy() for name in table.column_names}
    return _from_flat(flat, json.loads((table.schema.metadata or {})[b"steadyface"]))


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "corpus") from error
    return pyarrow, parquet


def _write_pts(tracks: Tracks, path: Path) -> None:
    path.mkdir(exist_ok=True)
    seen = tracks.without_held()
    for frame, face, points in zip(seen.frame, seen.face, seen.points, strict=True):
        write_pts(path / f"{frame:06d}_face{face}.pts", points.astype(float))


def _average(weighted: list[tuple[float, int]]) -> float:
    known = [pair for pair in weighted if pair[0] == pair[0]]
    values, weights = np.array(known).reshape(-1, 2).T
    return float(np.average(values, weights=weights)) if len(values) else float("nan")


def _exact(values: np.ndarray) -> np.ndarray:
    return values.astype(float) if values.dtype == np.float32 else values


_WRITERS: dict[str, Callable[[Tracks, Path], None]] = {
    "npz": _write_npz,
    "csv": _write_csv,
    "parquet": _write_parquet,
    "json": _write_json,
    "pts": _write_pts,
}
_READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "npz": _read_npz,
    "csv": _read_csv,
    "parquet": _read_parquet,
    "json": _read_json,
}
FORMATS = tuple(_WRITERS)
