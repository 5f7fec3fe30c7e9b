"""`.npz` and `.json`: the columns of the schema by name, and `meta`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from steadyface import files
from steadyface.files import reading
from steadyface.tracks.schema import COLUMNS, KIND, LAYERS, Columns, Meta, Table, as_columns, as_meta
from steadyface.tracks.timeline import ClipTimeline

_TIMELINE = "timeline_"
"""Prefix of the names of a timeline's arrays."""


def write_npz(path: Path, table: Table) -> None:
    """Write uncompressed arrays, those of the timeline as `timeline_…`, and `meta` as a string of JSON."""
    timeline = {f"{_TIMELINE}{name}": values for name, values in table.timeline.values().items()}
    meta = np.array(json.dumps(table.meta))
    files.write_arrays(path, {**table.columns, **timeline, "meta": meta}, compress=False)


def read_npz(path: Path) -> Table:
    """Read what `write_npz` wrote; arrays of other names are left out."""
    arrays = files.read_arrays(path, KIND)
    with reading(path, KIND):
        meta = as_meta(json.loads(str(arrays["meta"])))
        columns = as_columns({name: arrays[name] for name in (*COLUMNS, *LAYERS) if name in arrays})
        timeline = {
            name.removeprefix(_TIMELINE): values
            for name, values in arrays.items()
            if name.startswith(_TIMELINE)
        }
        return _table(columns, timeline, meta)


def write_json(path: Path, table: Table) -> None:
    """Write one object of lists, one entry a row, with `timeline`, one entry a frame, and `meta`.

    null stands for NaN, which JSON lacks.
    """
    lists = {name: _lists(values) for name, values in table.columns.items()}
    timeline = {name: values.tolist() for name, values in table.timeline.values().items()}
    files.write_text(path, json.dumps({"meta": table.meta, "timeline": timeline, **lists}))


def read_json(path: Path) -> Table:
    """Read what `write_json` wrote."""
    values = files.read_json(path, KIND)
    with reading(path, KIND):
        return _table(as_columns(values), values.get("timeline"), as_meta(values["meta"]))


def _lists(values: np.ndarray) -> list[Any]:
    unknown = np.isnan(values)
    if not unknown.any():
        return exact(values).tolist()
    plain = exact(values).astype(object)
    plain[unknown] = None
    return plain.tolist()


def exact(values: np.ndarray) -> np.ndarray:
    """Widen float32 to float64, so that text holds every digit."""
    return values.astype(float) if values.dtype == np.float32 else values


def _table(columns: Columns, timeline: Mapping[str, Any] | None, meta: Meta) -> Table:
    """Put a file's parts together; an early version lists only the frames that rows name."""
    if not timeline:
        frames = ClipTimeline.of_rows(columns["frame"], columns["seconds"], meta.get("size"))
    else:
        frames = ClipTimeline.from_values(timeline)
        frames.places(columns["frame"])
    return Table(columns, frames, meta)
