"""Identity of a source, which differs between two files of one name."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from steadyface.errors import DataError
from steadyface.files import reading
from steadyface.video.pictures import images_of
from steadyface.video.sources import is_live, is_url

_HASHED = 2**20  # bytes of each file; a whole film would take as long to read as to track


def identify(source: str | Path) -> dict[str, Any] | None:
    """Identify a file or a folder of images by its size and the SHA-256 of its first megabyte.

    Of a folder, the size is that of all its images, and the hash is of their names, sizes and beginnings; an
    image that cannot be read counts by its name.

    Returns:
        `bytes` and `sha256_start`; None for a pipe, a camera or a URL, whose content may differ each time.

    Raises:
        DataError: it cannot be read.
    """
    if is_live(source) or is_url(source):
        return None
    path = Path(source)
    if not path.is_dir():
        size, start = _size_and_start(path)
        return {"bytes": size, "sha256_start": hashlib.sha256(start).hexdigest()}
    code, total = hashlib.sha256(), 0
    for image in images_of(path):
        try:
            size, start = _size_and_start(image)
        except DataError:  # named when it is read
            code.update(os.fsencode(f"{image.name}\n"))
            continue
        code.update(os.fsencode(f"{image.name}\n{size}\n") + start)
        total += size
    return {"bytes": total, "sha256_start": code.hexdigest()}


def _size_and_start(path: Path) -> tuple[int, bytes]:
    with reading(path, "a file"), path.open("rb") as file:
        return path.stat().st_size, file.read(_HASHED)
