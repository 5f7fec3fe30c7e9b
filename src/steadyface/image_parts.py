"""Kinds and parts of image files by their bytes: undamaged parts of PNG, boxes of HEIF and AVIF."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

PNG = b"\x89PNG\r\n\x1a\n"
"""First bytes of a PNG file."""

JPEG = b"\xff\xd8"
"""First bytes of a JPEG file."""

HEAD = 64
"""Number of bytes from which a file's kind is known."""

_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1"})


def is_heif_data(head: bytes) -> bool:
    """Whether a file that begins with these bytes holds a HEIF still."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS and not is_avif_data(head)


def is_avif_data(head: bytes) -> bool:
    """Whether a file that begins with these bytes is AVIF by its brands; HEIF's mif1 may come first."""
    brands = head[8 : min(int.from_bytes(head[:4], "big"), HEAD)]
    return head[4:8] == b"ftyp" and b"avif" in brands


def undamaged_png(data: bytes) -> bytes:
    """Keep the undamaged parts of a PNG; libpng would print about the others to the error stream.

    Raises:
        ValueError: a part that the picture needs is damaged, or the end is missing.
    """
    parts, start, kind = [PNG], len(PNG), b""
    while kind != b"IEND":
        size, kind = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8]
        end = start + 8 + size
        if end + 4 > len(data):
            raise ValueError("its end is missing")
        if zlib.crc32(data[start + 4 : end]) == int.from_bytes(data[end : end + 4], "big"):
            parts.append(data[start : end + 4])
        elif kind[:1].isupper():  # lower case: a part that is not needed for the picture
            part = kind.decode("latin-1")
            raise ValueError(f"its part {part!a} is damaged")
        start = end + 4
    return b"".join(parts)


def boxes_in(data: bytes, *path: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of the boxes (ISO/IEC 14496-12) inside the nested boxes of a path."""
    start = 0
    while start + 8 <= len(data):
        size, kind = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8]
        content = data[start + 8 : start + size if size else len(data)]
        if not path:
            yield kind, content
        elif kind == path[0]:
            yield from boxes_in(content[4:] if kind == b"meta" else content, *path[1:])
        start += max(size, 8) if size else len(data)
