"""File formats of tracks, one module per family; the end of a path's name chooses.

- `columns`: `.npz` and `.json`, the columns as they are.
- `tabular`: `.csv` and `.parquet`, one number a column, in the names of OpenFace.

To be written only:

- `openface`: `.openface.csv`, exactly OpenFace's columns.
- `pts`: a folder of annotations.
- `intervals`: `.blinks.csv`; `.intervals.csv` and `.eaf`, presence and blinks.
- `annotations`: `.coco.json` and `.cvat.xml`.
- `aftereffects`: a folder of key frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from steadyface.errors import ConfigError
from steadyface.tracks.formats.aftereffects import write_key_frames
from steadyface.tracks.formats.annotations import write_coco, write_cvat
from steadyface.tracks.formats.columns import read_json, read_npz, write_json, write_npz
from steadyface.tracks.formats.intervals import write_blinks, write_eaf, write_intervals
from steadyface.tracks.formats.openface import write_openface
from steadyface.tracks.formats.pts import write_folder
from steadyface.tracks.formats.tabular import (
    import_pyarrow,
    read_csv,
    read_parquet,
    write_csv,
    write_parquet,
)
from steadyface.tracks.schema import Table


@dataclass(frozen=True)
class Format:
    """A format of files of tracks.

    Args:
        ending: of the names of its files, or of its folders.
        write: writes a table to a path.
        read: reads it again; None for a format that is only written.
        check: raises `MissingExtraError` where an optional dependency is missing.
    """

    ending: str
    write: Callable[[Path, Table], None]
    read: Callable[[Path], Table] | None = None
    check: Callable[[], object] | None = None


_FORMATS = {
    "npz": Format(".npz", write_npz, read_npz),
    "csv": Format(".csv", write_csv, read_csv),
    "parquet": Format(".parquet", write_parquet, read_parquet, import_pyarrow),
    "json": Format(".json", write_json, read_json),
    "pts": Format(".pts", write_folder),
    "openface": Format(".openface.csv", write_openface),
    "blinks": Format(".blinks.csv", write_blinks),
    "intervals": Format(".intervals.csv", write_intervals),
    "eaf": Format(".eaf", write_eaf),
    "coco": Format(".coco.json", write_coco),
    "cvat": Format(".cvat.xml", write_cvat),
    "aftereffects": Format(".aftereffects", write_key_frames),
}

FORMATS = tuple(_FORMATS)
"""Names of the formats that tracks can be written in."""


def check_formats(names: Iterable[str]) -> None:
    """Refuse formats that cannot be written here, before any work is done for them.

    Raises:
        ConfigError: an unknown name.
        MissingExtraError: an optional dependency of one is not installed.
    """
    for name in names:
        check = _named(name).check
        if check is not None:
            check()


def ending(name: str) -> str:
    """End of the names of a format's files, such as `.openface.csv`.

    Raises:
        ConfigError: an unknown name.
    """
    return _named(name).ending


def write(path: Path, table: Table, name: str | None = None) -> None:
    """Write a table in a format.

    Args:
        path: of the file.
        table: content.
        name: of the format; None takes the one with the longest ending that the path has.

    Raises:
        ConfigError: no such format.
        MissingExtraError: `.parquet` without pyarrow.
        DataError: the file cannot be written.
    """
    _named(name or _name_of(path)).write(path, table)


def check_writable(path: Path) -> None:
    """Refuse the name of a file that could not be written, before any work is done for it.

    Raises:
        ConfigError: no format has such an ending.
        MissingExtraError: an optional dependency is not installed.
    """
    check_formats([_name_of(path)])


def read(path: Path) -> Table:
    """Read a table as the type that the suffix names.

    Raises:
        ConfigError: unknown suffix, or one that is only written.
        MissingExtraError: `.parquet` without pyarrow.
        DataError: the file is missing, or not one of tracks.
    """
    return _reader(path)(path)


def check_readable(path: Path) -> None:
    """Refuse the name of a file that could not be read again.

    Raises:
        ConfigError: unknown suffix, or one that is only written.
    """
    _reader(path)


def _reader(path: Path) -> Callable[[Path], Table]:
    format = _FORMATS.get(_suffix(path))
    if format is None or format.read is None:
        readable = [name for name, format in _FORMATS.items() if format.read is not None]
        raise ConfigError.choice("format to load", _suffix(path), readable)
    return format.read


def _named(name: str) -> Format:
    if not isinstance(name, str) or name not in _FORMATS:
        raise ConfigError.choice("format", name, FORMATS)
    return _FORMATS[name]


def _name_of(path: Path) -> str:
    """Name of the format with the longest ending that a path has."""
    fitting = [name for name, format in _FORMATS.items() if path.name.lower().endswith(format.ending)]
    return max(fitting, key=lambda name: len(_FORMATS[name].ending), default=_suffix(path))


def _suffix(path: Path) -> str:
    return path.suffix.removeprefix(".").lower()
