"""File formats of tracks, one module per family; the suffix of a path chooses.

- `columns`: `.npz` and `.json`, the columns as they are.
- `tabular`: `.csv` and `.parquet`, one number a column, in the names of OpenFace.
- `pts`: a folder of annotations, to be written only.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from steadyface.errors import ConfigError
from steadyface.tracks.formats.columns import read_json, read_npz, write_json, write_npz
from steadyface.tracks.formats.pts import write_folder
from steadyface.tracks.formats.tabular import read_csv, read_parquet, write_csv, write_parquet
from steadyface.tracks.schema import Columns, Meta

_WRITERS: dict[str, Callable[[Path, Columns, Meta], None]] = {
    "npz": write_npz,
    "csv": write_csv,
    "parquet": write_parquet,
    "json": write_json,
    "pts": write_folder,
}
_READERS: dict[str, Callable[[Path], tuple[Columns, Meta]]] = {
    "npz": read_npz,
    "csv": read_csv,
    "parquet": read_parquet,
    "json": read_json,
}

FORMATS = tuple(_WRITERS)
"""Suffixes that tracks can be written as."""


def write(path: Path, columns: Columns, meta: Meta) -> None:
    """Write a table as the type that the suffix names.

    Raises:
        ConfigError: unknown suffix.
        MissingExtraError: `.parquet` without pyarrow.
        DataError: the file cannot be written.
    """
    _WRITERS[_suffix(path)](path, columns, meta)


def read(path: Path) -> tuple[Columns, Meta]:
    """Read a table as the type that the suffix names.

    Raises:
        ConfigError: unknown suffix, or one that is only written.
        MissingExtraError: `.parquet` without pyarrow.
        DataError: the file is missing, or not one of tracks.
    """
    suffix = _suffix(path)
    if suffix not in _READERS:
        raise ConfigError.choice("format to load", suffix, _READERS)
    return _READERS[suffix](path)


def _suffix(path: Path) -> str:
    suffix = path.suffix.removeprefix(".").lower()
    if suffix not in FORMATS:
        raise ConfigError.choice("format", suffix, FORMATS)
    return suffix
