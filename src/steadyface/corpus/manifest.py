"""Record of all videos: a journal that a kill cannot corrupt, and the same as a table."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow
from pyarrow import parquet

from steadyface._version import __version__
from steadyface.errors import DataError
from steadyface.files import atomic_write, make_folder, read_bytes, write_text, writing
from steadyface.wording import as_utf8

JOURNAL = "manifest.jsonl"
TABLE = "manifest.parquet"
DONE, ERROR = "done", "error"
_OPENING = b'{"input": '

_SCHEMA = pyarrow.schema(
    [
        *((name, pyarrow.string()) for name in ("input", "output", "status")),
        *((name, pyarrow.int64()) for name in ("frames", "frames_with_face", "faces")),
        ("seconds", pyarrow.float64()),
        *((name, pyarrow.string()) for name in ("error", "version", "options")),
    ]
)


@dataclass(frozen=True)
class Entry:
    """Result of one video.

    Args:
        input: absolute path or URL.
        output: its file of tracks, below the folder of results; after an error it may be missing.
        status: done or error.
        frames, frames_with_face, faces: counts.
        seconds: wall time, with fetching; None where it is no longer known.
        error: one line, or None.
        version: of steadyface.
        options: from `work.options_key`.
    """

    input: str
    output: str
    status: str
    frames: int = 0
    frames_with_face: int = 0
    faces: int = 0
    seconds: float | None = None
    error: str | None = None
    version: str = __version__
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def failed(cls, source: str, output: str, error: str, options: dict[str, Any]) -> Entry:
        """Entry of a video without results."""
        return cls(source, output, ERROR, error=" ".join(error.split()), options=options)

    @classmethod
    def from_json(cls, line: bytes) -> Entry:
        """Read a line of `as_json`.

        Raises:
            ValueError: not such a line, one of a newer version, or an output outside the folder of results.
        """
        values = json.loads(line)
        if not isinstance(values, dict):
            raise ValueError(f"{type(values).__name__} where an object is expected")
        if unknown := set(values) - set(_TYPES):
            raise ValueError(f"a newer version has written {sorted(unknown)[0]!r}")
        for name, value in values.items():
            if not isinstance(value, _TYPES[name]) or isinstance(value, bool):
                raise ValueError(f"{name} is {str(value)[:80]!r}")
        entry = cls(**values)
        path = PurePosixPath(entry.output)
        if (
            path.is_absolute()
            or ".." in path.parts
            or path.suffix != ".parquet"
            or str(path).lower() == TABLE
        ):
            raise ValueError(
                f"output is {entry.output!r}, and must be a .parquet below the folder of results"
            )
        return entry

    def as_json(self) -> str:
        """One line of JSON; all in ASCII where a name is not valid UTF-8."""
        line = json.dumps(asdict(self), ensure_ascii=False)
        return line if line == as_utf8(line) else json.dumps(asdict(self))


_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("input", "output", "status", "version"), str),
    **dict.fromkeys(("frames", "frames_with_face", "faces"), int),
    "seconds": (int, float, type(None)),
    "error": (str, type(None)),
    "options": dict,
}


class Manifest:
    """Latest entry of each video of a folder of results; the folder is made if missing.

    `manifest.jsonl` gets a line as soon as a video has ended, so that a kill can only break the last line,
    which is then ignored. `manifest.parquet` holds the same and is written at the end of a run.

    Raises:
        DataError: the folder cannot be made or written, or its manifest is not one.
    """

    def __init__(self, folder: Path) -> None:
        self._journal, self._table = folder / JOURNAL, folder / TABLE
        make_folder(folder)
        self.entries = self._read()
        with writing(self._table):
            self._table.unlink(missing_ok=True)
        write_text(self._journal, "".join(f"{entry.as_json()}\n" for entry in self.entries.values()))

    def add(self, entry: Entry) -> None:
        """Record the result of a video.

        Raises:
            DataError: the journal cannot be written.
        """
        line = f"{entry.as_json()}\n".encode()
        with writing(self._journal), self._journal.open("ab", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            written = file.write(line)
            if written < len(line):  # the disk is full: no half a line
                file.truncate(end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.entries[entry.input] = entry

    def close(self) -> None:
        """Write the table.

        Raises:
            DataError: it cannot be written.
        """
        rows = [
            {
                name: as_utf8(value) if isinstance(value, str) else value
                for name, value in asdict(entry).items()
            }
            | {"options": json.dumps(entry.options)}
            for entry in self.entries.values()
        ]
        with atomic_write(self._table) as part:
            parquet.write_table(pyarrow.Table.from_pylist(rows, _SCHEMA), part)

    def of(self, inputs: Iterable[str]) -> list[Entry]:
        """Select the entries of these videos; those without one are left out."""
        return [self.entries[source] for source in inputs if source in self.entries]

    def _read(self) -> dict[str, Entry]:
        if not self._journal.exists():
            return {}
        entries: dict[str, Entry] = {}
        outputs: dict[str, str] = {}
        for number, line in enumerate(read_bytes(self._journal).splitlines(keepends=True), 1):
            if not line.endswith(b"\n") and line[: len(_OPENING)] == _OPENING[: len(line)]:
                break  # by a kill
            try:
                entry = Entry.from_json(line)
                if outputs.setdefault(entry.output.lower(), entry.input) != entry.input:
                    raise ValueError(f"output {entry.output!r} is already that of another input")
            except (ValueError, TypeError) as error:
                raise DataError(self._journal, f"not a line of a manifest: {error}", number) from error
            entries[entry.input] = entry
        return entries
