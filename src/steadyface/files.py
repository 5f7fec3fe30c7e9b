"""Folders, atomic writes and reading, with errors of one line.

A message reads "PATH: cannot be written: No space left on device".
"""

from __future__ import annotations

import csv
import glob
import json
import lzma
import math
import os
import pickle
import shutil
import struct
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from steadyface.arguments import check_class
from steadyface.errors import DataError, SteadyfaceError
from steadyface.wording import as_utf8

MakeError = Callable[[Path, str], SteadyfaceError]
"""Makes an exception of a path and a problem: `DataError` or `WeightsError.at`."""

_MALFORMED = (
    *(ValueError, KeyError, TypeError, AttributeError, IndexError, StopIteration, ArithmeticError),
    *(EOFError, RuntimeError, SyntaxError, MemoryError, struct.error),
    *(BadZipFile, csv.Error, pickle.PickleError, TokenError, zlib.error, lzma.LZMAError),
)
"""Raised by numpy, zipfile, json, csv and torch on a file that is cut off, of another kind or too large."""


_MOST_UNPACKED, _MOST_TIMES = 64 << 20, 100
"""Bytes, and times its own size, to which an archive may unpack; a table of ours does to less than ten."""


def as_path(name: str, value: object) -> Path:
    """Return an argument that is a path.

    Args:
        name: of the argument.
        value: given for it.

    Raises:
        ConfigError: it is none.
    """
    check_class(name, value, str | os.PathLike, "a path")
    return Path(value)  # type: ignore[arg-type]


def make_folder(folder: str | Path) -> Path:
    """Make a folder and those above it, unless it exists.

    Raises:
        DataError: it cannot be made.
    """
    folder = Path(folder)
    with _one_line(folder, "cannot be made"):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def list_shown(folder: Path, suffixes: Collection[str] | None = None) -> list[Path]:
    """List a folder, sorted, without hidden files, such as those that macOS puts beside each file.

    Args:
        folder: one that is missing counts as empty.
        suffixes: in lower case, of the files that are listed; None lists all, and folders.
    """
    shown = sorted(path for path in folder.glob("*") if not path.name.startswith("."))
    return shown if suffixes is None else [path for path in shown if path.suffix.lower() in suffixes]


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn an `OSError` of the block into an error of one line: "PATH: cannot be written: REASON".

    Raises:
        DataError: the block could not write.
    """
    with _one_line(Path(path), "cannot be written"):
        yield


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Write a file that has its name only once it is whole.

    Yields the path to write to, PATH.part. Leaving the block renames it; an exception removes it, and a file
    that had the name before stays. What is there and no regular file, such as `/dev/null` or a named pipe, is
    written to as it is.

    Raises:
        DataError: the file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(f"{folder}/points.txt") as part:
    ...         size = part.write_text("1 2")
    ...     print(Path(folder, "points.txt").read_text(), part.exists())
    1 2 False
    """
    path = Path(path)
    with writing(path):
        if path.exists() and not path.is_file():
            yield path
            return
        part = path.with_name(f"{path.name}.part")
        try:
            yield part
            part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink()


def remove_parts(base: str | Path) -> None:
    """Remove the unfinished files and folders BASE.….part and BASE.….part.mp4 that a killed process left.

    Raises:
        DataError: one cannot be removed.
    """
    base = Path(base)
    for part in base.parent.glob(f"{glob.escape(base.name)}.*"):
        if part.name.endswith((".part", ".part.mp4")):
            remove(part)


def remove(path: str | Path) -> None:
    """Remove a file, or a folder with all that is in it.

    Raises:
        DataError: it cannot be removed.
    """
    path = Path(path)
    with _one_line(path, "cannot be removed"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def atomic_folder(path: str | Path, pattern: str) -> Iterator[Path]:
    """Write the files of a folder that holds no half-written one.

    Yields the folder to write into, PATH.part. Leaving the block moves its files to PATH, where those of an
    earlier run that match the pattern are removed first; an exception removes them.

    Raises:
        DataError: a file or the folder cannot be written.
    """
    path = Path(path)
    part = path.with_name(f"{path.name}.part")
    try:
        with writing(path):
            part.mkdir(exist_ok=True)
            yield part
            path.mkdir(exist_ok=True)
            for stale in path.glob(pattern):
                stale.unlink()
            for file in part.iterdir():
                file.replace(path / file.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write bytes by `atomic_write`.

    Raises:
        DataError: the file cannot be written.
    """
    with atomic_write(path) as part:
        part.write_bytes(content)
    return Path(path)


def write_text(path: str | Path, text: str) -> Path:
    """Write text as UTF-8 by `atomic_write`, with its line ends as they are; `as_utf8` of it.

    Raises:
        DataError: the file cannot be written.
    """
    return write_bytes(path, as_utf8(text).encode())


def write_arrays(path: str | Path, arrays: Mapping[str, Any], compress: bool = True) -> Path:
    """Write named arrays as `.npz` by `atomic_write`; the path may have any suffix.

    Raises:
        DataError: the file cannot be written.
    """
    save = np.savez_compressed if compress else np.savez
    with atomic_write(path) as part, part.open("wb") as file:
        save(file, allow_pickle=False, **arrays)
    return Path(path)


@contextmanager
def reading(path: str | Path, kind: str, error: MakeError = DataError) -> Iterator[None]:
    """Turn what a missing, unreadable or broken file raises in the block into an error of one line.

    Args:
        path: of the file, for the message.
        kind: of file that was expected, such as "a file of tracks": the message of a broken one is
            "PATH: not a file of tracks: REASON". The block also indexes and converts what was read.
        error: kind of the exception.

    Raises:
        DataError: the file is missing, cannot be read, or is of another form.
    """
    with _one_line(Path(path), error=error):
        try:
            yield
        except _MALFORMED as problem:
            text = " ".join(str(problem).split()) or type(problem).__name__
            if isinstance(problem, KeyError) and str(problem.args[0]).isidentifier():
                text = f"it lacks {text}"
            raise error(Path(path), f"not {kind}: {text}") from problem


def read_bytes(path: str | Path) -> bytes:
    """Read a whole file.

    Raises:
        DataError: it is missing or cannot be read.
    """
    path = Path(path)
    with _one_line(path):
        return path.read_bytes()


def read_json(path: str | Path, kind: str, error: MakeError = DataError, most_bytes: float = math.inf) -> Any:
    """Read a JSON file.

    Args:
        path, kind, error: as of `reading`.
        most_bytes: size from which it is not read, because no file of this kind is as large.

    Raises:
        DataError: it is missing, cannot be read, is not JSON, or is too large.
    """
    with reading(path, kind, error):
        size = Path(path).stat().st_size
        if size > most_bytes:
            raise ValueError(f"{size / 1e6:.0f} MB, where {most_bytes / 1e6:.0f} are the most")
        return json.loads(Path(path).read_text(encoding="utf-8"))


def read_arrays(path: str | Path, kind: str, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Read arrays of an `.npz` file; pickled objects are refused, and so is what unpacks to far more.

    Args:
        path: of the file.
        kind: as of `reading`.
        names: of the arrays to read; None reads all.

    Raises:
        DataError: the file is missing, cannot be read, is broken, or lacks a name.
    """
    with (
        reading(path, kind),
        Path(path).open("rb") as file,
        np.load(file, allow_pickle=False) as zipped,
    ):
        if (archive := getattr(zipped, "zip", None)) is not None:  # one array alone has none
            _check_unpacked_size(archive, Path(path).stat().st_size)
        arrays = {name: zipped[name] for name in (zipped.files if names is None else names)}
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray):
                raise ValueError(f"{name} is no array")
        return arrays


def array_names(path: str | Path, kind: str) -> list[str]:
    """Names of the arrays of an `.npz` file.

    Raises:
        DataError: the file is missing, cannot be read, or is broken.
    """
    with reading(path, kind), np.load(Path(path), allow_pickle=False) as zipped:
        return list(zipped.files)


def _check_unpacked_size(archive: ZipFile, size: int) -> None:
    """Refuse an archive that was made to fill the memory.

    Raises:
        ValueError: it unpacks to more than `_MOST_UNPACKED` bytes and `_MOST_TIMES` its size.
    """
    unpacked = sum(file.file_size for file in archive.infolist())
    if unpacked > max(_MOST_UNPACKED, _MOST_TIMES * size):
        raise ValueError(f"its {size / 1e6:.1f} MB unpacks to {unpacked / 1e6:.0f} MB")


@contextmanager
def _one_line(path: Path, verb: str = "", error: MakeError = DataError) -> Iterator[None]:
    """Turn an `OSError` of the block into "PATH: VERB: REASON"."""
    try:
        yield
    except OSError as problem:
        reason = problem.strerror or " ".join(str(problem).split()).removesuffix(f": {path}")
        raise error(path, f"{verb}: {reason}" if verb else reason) from problem
