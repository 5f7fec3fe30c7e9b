"""Locks that end with their process, and temporary folders that the next process removes after a crash.

A killed process cannot remove its temporary folder. While it runs it holds a lock in that folder, so that the
next process can tell which folders are no longer used.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from steadyface.errors import DataError
from steadyface.files import writing

_LOCK = "in-use.lock"

if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[str]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(path: str | Path) -> Iterator[bool]:
    """Hold a lock during the block; yields False where another process, or another block, holds it.

    The file of the lock is removed at the end. A process that dies gives up its locks.

    Raises:
        DataError: the file cannot be made.
    """
    path = Path(path)
    with writing(path):
        file = path.open("a")
    with file:
        try:
            _take(file)
        except OSError:
            yield False
            return
        if not _still_named(file, path):  # its holder has just removed it
            yield False
            return
        try:
            yield True
        finally:
            with suppress(OSError):
                path.unlink()


@contextmanager
def scratch_folder(
    prefix: str, place: str | Path | None = None, reap: Callable[[Path], object] | None = None
) -> Iterator[Path]:
    """Make a temporary folder for the block, and remove those that killed processes left behind.

    Args:
        prefix: of the names of the folder and of those to be removed.
        place: parent folder; None means the system's folder for temporary files.
        reap: called with each folder before it is removed.

    Raises:
        DataError: it cannot be made.
    """
    while True:
        with writing(place or "temporary folder"):
            place = Path(place or tempfile.gettempdir())
            _remove_abandoned(prefix, place, reap)
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        with locked(folder / _LOCK) as mine:
            if mine:  # else another process has just taken it for an abandoned one
                try:
                    yield folder
                finally:
                    shutil.rmtree(folder, ignore_errors=True)
                return


def _remove_abandoned(prefix: str, place: Path, reap: Callable[[Path], object] | None) -> None:
    """Remove this user's folders of a prefix whose lock is free."""
    for folder in place.glob(f"{prefix}*"):
        with suppress(OSError, DataError):
            if _is_ours(folder) and (folder / _LOCK).exists():
                with locked(folder / _LOCK) as abandoned:
                    if abandoned:
                        if reap is not None:
                            reap(folder)
                        shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    """True for a real folder of this user, so that no link of another one leads elsewhere."""
    about = folder.lstat()
    return folder.is_dir() and not folder.is_symlink() and (os.name == "nt" or about.st_uid == os.getuid())


def _still_named(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False
