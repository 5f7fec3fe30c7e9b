"""Columns of a table of tracks: their names, types and shapes, and the meta that goes with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from steadyface.tracks.timeline import ClipTimeline

Meta = dict[str, Any]
"""JSON values by name: version, source, size, fps, frames, weights and options."""

Columns = dict[str, np.ndarray]
"""An array per name of `COLUMNS`, all with one entry a row."""

META = ".meta.json"
"""End of the name of the file beside a table that holds its meta."""

UNKNOWN = "unknown"
"""Name of a face that is none of the known people's."""

PEOPLE = "people"
"""Entry of meta: names of people, to which the column `person` is an index; missing if none were given."""

RESULTS = "results"
"""Entry of such a file, and not of a table's meta: the files of the same run, and whether they are whole."""

KIND = "a file of tracks"
"""Name of such a file in messages."""

COLUMNS: dict[str, tuple[str, tuple[int, ...]]] = {
    "frame": ("int64", ()),
    "seconds": ("float64", ()),
    "face": ("int64", ()),
    "points": ("float32", (68, 2)),
    "raw_points": ("float32", (68, 2)),
    "scores": ("float32", (68,)),
    "box": ("float32", (4,)),
    "held": ("bool", ()),
    "visible": ("float32", (68,)),
    "covariances": ("float32", (68, 2, 2)),
    "person": ("int64", ()),
    "similarity": ("float32", ()),
    "carried": ("bool", ()),
}
"""Name of each column → type and shape of one row."""


LAYERS: dict[str, tuple[str, tuple[int, ...]]] = {
    "corrected_points": ("float32", (68, 2)),
    "frontal_points": ("float32", (68, 2)),
    "head_pose": ("float32", (6,)),
    "reprojection_error": ("float32", ()),
}
"""Columns that a table has only on request; NaN in rows without a value."""


class Table(NamedTuple):
    """Content of a file of tracks: columns of the rows, frames of the clip, and meta."""

    columns: Columns
    timeline: ClipTimeline
    meta: Meta


def default_columns(rows: int) -> Columns:
    """Values of columns that a source lacks: no row is held or carried; visibility and person are unknown."""
    return {
        "held": np.zeros(rows, bool),
        "visible": np.full((rows, 68), np.nan, "float32"),
        "covariances": np.full((rows, 68, 2, 2), np.nan, "float32"),
        "person": np.full(rows, -1),
        "similarity": np.full(rows, np.nan, "float32"),
        "carried": np.zeros(rows, bool),
    }


def identities(columns: Columns) -> list[int]:
    """List the identities, in order of appearance."""
    return list(dict.fromkeys(columns["face"].tolist()))


def seen_rows(columns: Columns, face: int) -> np.ndarray:
    """Rows in which an identity is seen, and not only held."""
    return np.flatnonzero((columns["face"] == face) & ~columns["held"])


def names_of(person: np.ndarray, meta: Meta) -> np.ndarray:
    """Name of each number of a person: that in `meta`, or `unknown`; empty texts if it has no people."""
    if PEOPLE not in meta:
        return np.full(len(person), "")
    return np.array([*meta[PEOPLE], UNKNOWN])[person]


def as_columns(values: Mapping[str, Any]) -> Columns:
    """Bring the values of a file to the columns' types and shapes.

    Columns that a file of an early version lacks are those of `default_columns`; layers are not added.

    Raises:
        ValueError, KeyError, ArithmeticError: a column is missing, of another shape or length, or a number
            of a frame or face is not finite.
    """
    values = {**default_columns(len(values["frame"])), **values}
    with np.errstate(invalid="raise", over="raise"):
        columns = {
            name: np.asarray(values[name], dtype).reshape(-1, *shape)
            for name, (dtype, shape) in (COLUMNS | LAYERS).items()
            if name in COLUMNS or name in values
        }
    if len({len(column) for column in columns.values()}) != 1:
        raise ValueError("columns of different length")
    return columns


def as_meta(value: Any) -> Meta:
    """Check that a file's meta is an object.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, dict):
        raise ValueError(f"its meta is a {type(value).__name__}, not an object")
    return value
