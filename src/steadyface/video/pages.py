"""Image files that hold several frames: animated PNG, AVIF and WebP, and TIFF with several pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import SEEK_END
from pathlib import Path
from typing import Any, BinaryIO, Literal

import cv2
import numpy as np

from steadyface.errors import DataError
from steadyface.files import read_bytes, reading
from steadyface.image_size import MOST_PIXELS
from steadyface.images import SUFFIXES, Pixels, check_size, is_heif, rgb_of_bgr
from steadyface.quiet import quiet_opencv

VIDEO = "video"
"""Kind of a file whose frames FFmpeg reads, with their times: animated PNG and AVIF, HEIF sequences."""
WEBP, TIFF = "webp", "tiff"

_SEQUENCES = frozenset({b"avis", b"hevc", b"hevx", b"msf1"})
_TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TOGETHER = 8  # pages that are decoded at a time


def kind_of_pages(path: Path) -> str | None:
    """Kind of a file that holds several frames: `VIDEO`, `WEBP` or `TIFF`; None for any other file.

    Raises:
        DataError: the file cannot be read.
    """
    with reading(path, "an image that can be read"), path.open("rb") as file:
        head = file.read(24)
        if head[:4] in _TIFF_HEADS:
            count, damage = _count_pages(file)
            return TIFF if count > 1 or (count and damage) else None
        if head[4:8] == b"ftyp" and head[8:12] in _SEQUENCES:
            return VIDEO
        if head.startswith(b"\x89PNG"):
            return VIDEO if _is_animated_png(file) else None
        if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) > 20 and head[20] & 2:
            return WEBP
        return None


def is_image(path: Path) -> bool:
    """Whether a path names an image, also one with several frames, that FFmpeg does not read."""
    if path.suffix.lower() not in SUFFIXES:
        return path.is_file() and is_heif(path)
    try:
        return kind_of_pages(path) != VIDEO
    except DataError:  # said by the reader of images
        return True


def _is_animated_png(file: BinaryIO) -> bool:
    """Whether the part acTL comes before the picture."""
    start = 8
    while True:
        head = _read_at(file, start, 8)
        size, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind in (b"acTL", b"IDAT", b""):
            return kind == b"acTL"
        start += 12 + size


def _count_pages(file: BinaryIO) -> tuple[int, str | None]:
    """Count the directories of a TIFF, and say if the file ends before the last one."""
    size, head = file.seek(0, SEEK_END), _read_at(file, 0, 16)
    order: Literal["little", "big"] = "little" if head.startswith(b"I") else "big"
    count, entry, place = (8, 20, 8) if 43 in head[2:4] else (2, 12, 4)  # BigTIFF, TIFF
    offset, seen = int.from_bytes(head[place : 2 * place], order), set[int]()
    while offset and offset not in seen:
        entries = int.from_bytes(_read_at(file, offset, count), order)
        after = offset + count + entries * entry
        if after + place > size:
            return len(seen), f"its page {len(seen)} is missing"
        seen.add(offset)
        offset = int.from_bytes(_read_at(file, after, place), order)
    return len(seen), None


def _read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


class Pages:
    """Frames of an animated WebP, or pages of a TIFF.

    Args:
        path: of the file.
        kind: `WEBP` or `TIFF`.
        max_pixels: as of `read_image`.

    Attributes:
        count: number of frames.
        seconds: time of each frame of an animation, and of its end; None for pages.
        damage: None, or what is missing.

    Raises:
        DataError: the file cannot be read, or its frames are too large.
    """

    def __init__(self, path: Path, kind: str, max_pixels: int = MOST_PIXELS) -> None:
        self.path, self._kind, self._data = path, kind, read_bytes(path)
        check_size(path, self._data, max_pixels)
        self.seconds: list[float] | None = None
        self.damage: str | None = None
        if kind == TIFF:
            with path.open("rb") as file:
                self.count, self.damage = _count_pages(file)
        else:
            self.seconds = [0.0]
            for duration in _durations(self._data):
                self.seconds.append(self.seconds[-1] + duration)
            self.count = len(self.seconds) - 1

    def __call__(self, first: int, last: int) -> Iterator[Pixels]:
        """Decode the frames from number `first` on and before `last`, as RGB of 8 or 16 bits.

        Raises:
            DataError: a frame cannot be decoded.
        """
        for start in range(first, last, _TOGETHER):
            count = min(_TOGETHER, last - start)
            images = self._decode(start, count)
            if len(images) < count:
                raise DataError(self.path, f"its frame {start + len(images)} cannot be decoded")
            for image in images:
                yield rgb_of_bgr(image)

    def _decode(self, start: int, count: int) -> Sequence[Any]:
        data = np.frombuffer(self._data, np.uint8)
        try:
            with quiet_opencv():
                if self._kind == TIFF:
                    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
                    _, images = cv2.imdecodemulti(data, flags, range=(start, start + count))
                else:
                    _, animation = cv2.imdecodeanimation(data[None], start, count)
                    images = animation.frames
        except cv2.error as error:
            raise DataError(self.path, f"its frame {start} cannot be decoded: {error.err}") from error
        return images


def _durations(webp: bytes) -> Iterator[float]:
    """Yield the duration of each frame of an animated WebP, s; as in browsers, at least 10 ms."""
    start = 12
    while start + 8 <= len(webp):
        size = int.from_bytes(webp[start + 4 : start + 8], "little")
        if webp[start : start + 4] == b"ANMF":
            yield max(int.from_bytes(webp[start + 20 : start + 23], "little") / 1000, 0.01)
        start += 8 + size + size % 2
