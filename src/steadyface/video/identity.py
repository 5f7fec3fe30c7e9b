"""Identity of a source, which differs between two files of one name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from steadyface.files import reading
from steadyface.video.pictures import images_of
from steadyface.video.sources import is_live, is_url

_HASHED = 2**20  # bytes of each file; a whole film would take as long to read as to track


def identify(source: str | Path) -> dict[str, Any] | None:
    """Identify a file or a folder of images by its size and the SHA-256 of its first megabyte.

    Of a folder, the size is that of all its images, and the hash is of their names, sizes and beginnings.

    Returns:
        `bytes` and `sha256_start`; None for a pipe, a camera or a URL, whose content may differ each time.

    Raises:
        DataError: it cannot be read.
    """
    if is_live(source) or is_url(source):
        return None
    path = Path(source)
    code, size = hashlib.sha256(), 0
    images = images_of(path) if path.is_dir() else [path]
    for image in images:
        with reading(image, "a file"), image.open("rb") as file:
            length = image.stat().st_size
            if path.is_dir():
                code.update(f"{image.name}\n{length}\n".encode())
            code.update(file.read(_HASHED))
        size += length
    return {"bytes": size, "sha256_start": code.hexdigest()}
