"""`.npz` and `.json`: the columns of the schema by name, and `meta`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from steadyface import files
from steadyface.files import reading
from steadyface.tracks.schema import COLUMNS, KIND, Columns, Meta, as_columns, as_meta


def write_npz(path: Path, columns: Columns, meta: Meta) -> None:
    """Write uncompressed arrays, and `meta` as a string of JSON."""
    files.write_arrays(path, {**columns, "meta": np.array(json.dumps(meta))}, compress=False)


def read_npz(path: Path) -> tuple[Columns, Meta]:
    """Read what `write_npz` wrote; arrays of other names are left out."""
    arrays = files.read_arrays(path, KIND)
    with reading(path, KIND):
        meta = as_meta(json.loads(str(arrays["meta"])))
        return as_columns({name: arrays[name] for name in COLUMNS if name in arrays}), meta


def write_json(path: Path, columns: Columns, meta: Meta) -> None:
    """Write one object of lists, one entry a row, and `meta`."""
    lists = {name: exact(columns[name]).tolist() for name in COLUMNS}
    files.write_text(path, json.dumps({"meta": meta, **lists}))


def read_json(path: Path) -> tuple[Columns, Meta]:
    """Read what `write_json` wrote."""
    values = files.read_json(path, KIND)
    with reading(path, KIND):
        return as_columns(values), as_meta(values["meta"])


def exact(values: np.ndarray) -> np.ndarray:
    """Widen float32 to float64, so that text holds every digit."""
    return values.astype(float) if values.dtype == np.float32 else values
