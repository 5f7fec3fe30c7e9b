"""Find the videos of a corpus, and choose the file of results of each."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from steadyface.errors import ConfigError, DataError
from steadyface.files import reading
from steadyface.video import VIDEO_SUFFIXES
from steadyface.video.sources import named_path

LIST = ".txt"
"""Suffix of a list of videos."""

RESERVED = "manifest.parquet"


def find_videos(inputs: str | Path | Iterable[str | Path]) -> dict[str, str]:
    """Find the videos of all inputs, in their order, each once.

    Args:
        inputs: videos, folders (with all below them), glob patterns, and lists, which are .txt files of one
            path or URL a line (# begins a comment; paths are relative to the list's folder). Also
            URLs, of which a folder ends in / and a pattern holds a *. One alone needs no list.

    Returns:
        Address (an absolute path or a URL) → its place: the path below the folder, or below the fixed part of
        the pattern, in which it was found; the name alone for others.

    Raises:
        ConfigError: no input, an empty name, a folder without videos, a pattern that nothing matches, a URL
            of an unknown kind.
        DataError: a folder or list that is missing or cannot be read.
    """
    found: dict[str, str] = {}
    texts = [str(each) for each in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    if not texts:
        raise ConfigError("nothing to track: name at least one video, folder, pattern or list")
    for text in texts:
        if not text:
            raise ConfigError("an empty name is no input; the current folder is .")
        for address, place in _expand(text):
            found.setdefault(address, place)
    return found


def choose_outputs(found: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """Choose the file of results of each video, below the folder of results.

    It is PLACE.parquet; or PLACE-HASH.parquet, with a hash of the address, where several videos would write
    the same file or another one has it. Upper and lower case count as the same, as on some disks.

    Args:
        found: address → place with suffix.
        known: address → file, of earlier runs; a video keeps its file.
    """
    plain = {address: f"{_below(place).with_suffix('')}.parquet" for address, place in found.items()}
    new = Counter(file.lower() for address, file in plain.items() if address not in known)
    taken = {file.lower() for file in (*known.values(), RESERVED)}
    outputs = {}
    for address, file in plain.items():
        if new[file.lower()] > 1 or file.lower() in taken:
            code = hashlib.sha256(os.fsencode(address)).hexdigest()[:8]
            file = f"{file.removesuffix('.parquet')}-{code}.parquet"
        outputs[address] = known.get(address, file)
    return outputs


def _below(place: str) -> PurePosixPath:
    """A place without steps upwards, which the listing of a foreign server may hold."""
    return PurePosixPath(*(part for part in PurePosixPath(place).parts if part not in ("/", "..")))


def state(address: str) -> dict[str, Any]:
    """Size in bytes, and time of change (of a URL: its key), which tell versions of a file apart.

    Raises:
        OSError: it is missing or cannot be reached.
    """
    if not is_url(address):
        stat = Path(address).stat()
        return {"size": stat.st_size, "changed": str(stat.st_mtime_ns)}
    files, path = url_to_fs(address)
    return {"size": files.info(path)["size"], "changed": files.ukey(path)}


@contextmanager
def local_copy(address: str, scratch: Path) -> Iterator[Path]:
    """Yield the file itself; of a URL, a copy below `scratch` that is removed afterwards."""
    if not is_url(address):
        yield Path(address)
        return
    files, path = url_to_fs(address)
    with TemporaryDirectory(dir=scratch) as folder:
        copy = Path(folder) / _name(address)
        files.get_file(path, str(copy))
        yield copy


def is_url(address: str) -> bool:
    """True for addresses that fsspec opens."""
    return "://" in address or "::" in address


def _expand(text: str) -> Iterator[tuple[str, str]]:
    if text.startswith("file://") and "::" not in text:
        text = url_to_fs(text)[1]
    if is_url(text):
        folder, pattern = text.endswith("/"), "*" in text
    else:
        path = Path(text)
        if path.suffix.lower() == LIST and not (path.is_dir() or _is_pattern(text)):
            yield from _listed(path)
            return
        folder, pattern = path.is_dir(), _is_pattern(text) and not path.exists()
        text = str(path.resolve()) if folder else str(named_path(path))
    if folder or pattern:
        yield from _contents(text, folder)
    else:
        yield text, _name(text)


def _listed(path: Path) -> Iterator[tuple[str, str]]:
    with reading(path, "a list of videos"):
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # Windows puts a mark of order first
    for line in map(str.strip, lines):
        if line and not line.startswith("#"):
            address = line if is_url(line) else str(named_path(path.parent / line))
            yield address, _name(address)


def _contents(text: str, folder: bool) -> Iterator[tuple[str, str]]:
    """List the videos of a folder, or the files that match a pattern."""
    try:
        files, where = url_to_fs(text)
        listing = files.find(where, detail=True) if folder else files.glob(where, detail=True)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{text}: {error}") from error
    except OSError as error:
        raise DataError(text, f"cannot be listed: {error.strerror or error}") from error
    root = PurePosixPath(where)
    if not folder:
        root = PurePosixPath(*takewhile(lambda part: not _is_pattern(part), root.parts))
    names = sorted(
        name for name, about in listing.items() if about["type"] == "file" or _is_link(name, about)
    )
    if folder:
        names = [name for name in names if _is_video(PurePosixPath(name))]
    if not names:
        what = f"no video ({', '.join(VIDEO_SUFFIXES)})" if folder else "no file matches"
        raise ConfigError(f"{text}: {what}")
    chain = text.partition("::")
    for name in names:
        local = isinstance(files, LocalFileSystem)
        address = name if local else files.unstrip_protocol(name) + "".join(chain[1:])
        yield address, str(PurePosixPath(name).relative_to(root))


def _is_link(name: str, about: Mapping[str, Any]) -> bool:
    """Whether a local path is a link to a file; one that leads nowhere is an input that cannot be read."""
    return bool(about.get("islink")) and not Path(name).is_dir()


def _is_pattern(text: str) -> bool:
    return any(sign in text for sign in "*?[")


def _is_video(path: PurePosixPath) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")


def _name(address: str) -> str:
    """Last part of a path or URL."""
    if is_url(address):
        return PurePosixPath(urlsplit(address.partition("::")[0]).path).name or "video"
    return Path(address).name
