"""Size of an image by its header, as its decoder reads it, before memory is taken for the picture."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Literal

MOST_PIXELS = 200_000_000
"""Pixels of the largest picture that is read by default."""

_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of JPEG's frame headers
_ALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})  # markers without a length
_PPM = re.compile(rb"P[1-7]\s+(?:#[^\n]*\n\s*)*(\d{1,12})\s+(?:#[^\n]*\n\s*)*(\d{1,12})")
_PAM = re.compile(rb"P7\s.*?WIDTH\s+(\d{1,12})\s.*?HEIGHT\s+(\d{1,12})", re.DOTALL)
_CODESTREAM = b"\xff\x4f\xff\x51"  # of JPEG 2000
_MOST_PAGES = 100_000


def claimed_pixels(data: bytes) -> int:
    """Number of pixels of an image file's largest picture; 0 for a kind without a known header.

    Args:
        data: the file.
    """
    for opening, count in _KINDS:
        if data.startswith(opening):
            try:
                return count(data)
            except (struct.error, IndexError):  # cut off: the decoder says so
                return 0
    return _of_boxes(data) if data[4:8] == b"ftyp" else 0


def too_many(pixels: int, most: int) -> str:
    """Words for a picture that is too large."""
    return f"a picture of {pixels:,} pixels, and the most is {most:,}: see --max-pixels"


def _of_png(data: bytes) -> int:
    width, height = struct.unpack_from(">II", data, 16)
    return width * height


def _of_jpeg(data: bytes) -> int:
    start = 2
    while (start := data.find(b"\xff", start)) >= 0:
        while data[start] == 0xFF:  # fill bytes
            start += 1
        marker = data[start]
        if marker in _SIZES:
            height, width = struct.unpack_from(">HH", data, start + 4)
            return width * height
        if marker not in _ALONE:
            start += struct.unpack_from(">H", data, start + 1)[0]
        start += 1
    return 0


def _of_bmp(data: bytes) -> int:
    old = struct.unpack_from("<I", data, 14)[0] == 12
    width, height = struct.unpack_from("<HH" if old else "<ii", data, 18)
    return abs(width * height)


def _of_webp(data: bytes) -> int:
    kind = data[12:16]
    if kind == b"VP8X":
        return (1 + int.from_bytes(data[24:27], "little")) * (1 + int.from_bytes(data[27:30], "little"))
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return (1 + (bits & 0x3FFF)) * (1 + (bits >> 14 & 0x3FFF))
    width, height = struct.unpack_from("<HH", data, 26)
    return (width & 0x3FFF) * (height & 0x3FFF)


def _of_tiff(data: bytes) -> int:
    """Pixels of the largest page."""
    order: Literal["<", ">"] = "<" if data.startswith(b"I") else ">"
    big = 43 in data[2:4]
    first_page, entry, count, offset = (8, 20, "Q", "Q") if big else (4, 12, "H", "I")
    start, largest = struct.unpack_from(order + offset, data, first_page)[0], 0
    for _ in range(_MOST_PAGES):
        if not start:
            break
        entries = struct.unpack_from(order + count, data, start)[0]
        first, sides = start + struct.calcsize("<" + count), {}
        for position in range(first, min(first + entries * entry, len(data)), entry):
            tag, kind = struct.unpack_from(order + "HH", data, position)
            if tag in (256, 257):
                code = order + {3: "H", 16: "Q"}.get(kind, "I")
                [sides[tag]] = struct.unpack_from(code, data, position + entry - struct.calcsize(offset))
        largest = max(largest, sides.get(256, 0) * sides.get(257, 0))
        start = struct.unpack_from(order + offset, data, first + entries * entry)[0]
    return largest


def _of_ppm(data: bytes) -> int:
    found = _PAM.match(data) or _PPM.match(data)
    return int(found[1]) * int(found[2]) if found else 0


def _of_jpeg2000(data: bytes) -> int:
    right, bottom, left, top = struct.unpack_from(">4I", data, data.find(_CODESTREAM) + 8)
    return max(right - left, 0) * max(bottom - top, 0)


def _of_boxes(data: bytes) -> int:
    """Pixels of the largest picture of a HEIF or AVIF file, by the properties `ispe`."""
    starts = (found.end() for found in re.finditer(b"ispe", data))
    sizes = (struct.unpack_from(">II", data, start + 4) for start in starts if start + 12 <= len(data))
    return max((width * height for width, height in sizes), default=0)


_KINDS: tuple[tuple[bytes, Callable[[bytes], int]], ...] = (
    (b"\x89PNG", _of_png),
    (b"\xff\xd8", _of_jpeg),
    (b"BM", _of_bmp),
    (b"RIFF", _of_webp),
    (b"II", _of_tiff),
    (b"MM", _of_tiff),
    (b"\0\0\0\x0cjP  ", _of_jpeg2000),
    (_CODESTREAM, _of_jpeg2000),
    *((b"P%d" % number, _of_ppm) for number in range(1, 8)),
)
