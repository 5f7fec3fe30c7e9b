"""An image, the frames of an image file, or a folder of images, as the frames of a video."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from steadyface.arguments import positive
from steadyface.arrays import Frame
from steadyface.errors import DataError, VideoError
from steadyface.image_size import MOST_PIXELS
from steadyface.images import (
    HEIF_SUFFIXES,
    SUFFIXES,
    Levels,
    Pixels,
    has_heif,
    histogram_of,
    read_image,
    read_levels,
)
from steadyface.video.frames import DEFAULT_FPS, Frames, VideoFrame, check_span
from steadyface.video.pages import Pages, kind_of_pages
from steadyface.video.sources import VIDEO_SUFFIXES
from steadyface.wording import counted

_OTHERS = frozenset(
    {
        *(".gif", ".jxl", ".exr", ".hdr", ".tga", ".psd", ".svg", ".ico", ".pbm", ".pnm", ".jfif", ".mpo"),
        *(".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2"),
    }
)
"""Suffixes of images that are not read in folders, and named."""

_EIGHT_BITS = frozenset({".jpg", ".jpeg", ".bmp", ".webp"})

_ROUNDING = 1e-6
"""Tolerance of times in frames: rounding errors of float64 count as equal."""

_SAMPLES = 16
"""Number of images that `Levels` are taken from."""


class ImageSequence(Frames):
    """Read an image, the frames of an image file, or the images of a folder in natural order, as a video.

    In natural order img2 comes before img10. An image of a folder that cannot be read is left out, and named
    in `damage`; the others keep their numbers.

    Args:
        path: of an image or a folder; other files in the folder are ignored.
        fps: frame rate; image n is at n / fps seconds. An animated WebP has times of its own.
        start, end: seconds; the images from start on and before end are read.
        max_pixels: number of pixels of the largest picture that is decoded.

    Attributes:
        width, height: px, of the first image; the others may differ.
        levels: range of 16-bit images that becomes 0 to 255, from all of them; None for images of 8 bits.
        others: as of `Frames`.

    Raises:
        VideoError: the folder has no image that can be read, or none between start and end.
        DataError: a single image cannot be read.
        ConfigError: fps is not positive, or end is not after start.
    """

    def __init__(
        self,
        path: str | Path,
        fps: float = DEFAULT_FPS,
        start: float = 0.0,
        end: float | None = None,
        max_pixels: int = MOST_PIXELS,
    ) -> None:
        check_span(start, end)
        self._max_pixels = max_pixels
        self.start, self.end = start, end
        self.path, self.fps = Path(path), positive("fps", fps)
        self._lost: list[tuple[int, DataError]] = []
        self._doubtful: list[str] = []
        self._pages: Pages | None = None
        if self.path.is_dir():
            self._images = self._list()
        else:
            self._images = [self.path]
            kind = kind_of_pages(self.path)
            self._pages = Pages(self.path, kind, max_pixels) if kind else None
            if self._pages and self._pages.damage:
                self.damage = f"{self.path}: {self._pages.damage}"
        self._choose()
        self._find_levels()
        frames = self._read()
        first = next(frames, None)
        if first is None:
            raise VideoError(
                self.path, f"none of {counted(len(self._images), 'image')} can be read: {self._lost[0][1]}"
            )
        self.begin = first.seconds if start else 0.0
        self.width, self.height = first.picture.width, first.picture.height
        self._frames = chain([first], frames)

    def _list(self) -> list[Path]:
        """List the folder's images; those that are skipped are named in `notes`."""
        images = images_of(self.path)
        if not has_heif():
            images = [path for path in images if path.suffix.lower() not in HEIF_SUFFIXES]
        others = images_of(self.path, _OTHERS if has_heif() else _OTHERS | HEIF_SUFFIXES)
        counts = Counter(path.suffix.lower() for path in others)
        if counts:
            listed = ", ".join(f"{count} {suffix}" for suffix, count in sorted(counts.items()))
            hint = "; HEIF needs: pip install 'steadyface[heif]'" if HEIF_SUFFIXES & set(counts) else ""
            self.notes.append(f"{self.path}: images of kinds that are not read: {listed}{hint}")
        if not images:
            none = self.notes[0] if self.notes else f"{self.path}: no image ({' '.join(sorted(SUFFIXES))})"
            still = [path for path in others if path.suffix.lower() != ".gif"]  # which is a video too
            files = any(path.is_file() and path not in still for path in self.path.iterdir())
            folders = any(path.is_dir() for path in self.path.iterdir())
            hint = "; its folders are not searched" if folders else ""
            hint = "; name its videos one by one, or take steadyface corpus" if files else hint
            raise VideoError(self.path, f"the folder holds {none.partition(': ')[2]}{hint}")
        videos = [path for path in images_of(self.path, frozenset(VIDEO_SUFFIXES)) if path not in others]
        if videos:
            left = "is left out" if len(videos) == 1 else "are left out"
            advice = "name each, or take steadyface corpus"
            self.notes.append(f"{self.path}: {counted(len(videos), 'video')} {left}: {advice}")
        animated = [path.name for path in images if _holds_several(path)]
        if animated:
            several = f"{counted(len(animated), 'image')} with several frames, of which the first is read"
            self.notes.append(f"{self.path}: {several}: {', '.join(animated[:3])}")
        return images

    def _choose(self) -> None:
        """Find the times of all images, and which lie between start and end."""
        pages = self._pages
        times = pages.seconds if pages else None
        count = pages.count if pages else len(self._images)
        self._times = np.arange(count + 1) / self.fps if times is None else np.array(times)
        if times is not None and times[-1]:
            self.fps = count / times[-1]
        slack = _ROUNDING / self.fps
        inside = self._times[:-1] >= self.start - slack
        if self.end is not None:
            inside &= self._times[:-1] < self.end - slack
        self._chosen = np.flatnonzero(inside)
        if not len(self._chosen):
            length = f"it ends at {self._times[-1]:g} s ({counted(count, 'image')})"
            raise VideoError(self.path, f"{length}, before the start, {self.start:g} s")
        self.frame_count = len(self._chosen)
        self.duration = float(self._times[self._chosen[-1] + 1] - self._times[self._chosen[0]])

    def _find_levels(self) -> None:
        """Find the range of 16-bit levels over all images, from some of them."""
        count = len(self._times) - 1
        histograms = []
        for number in dict.fromkeys(np.linspace(0, count - 1, _SAMPLES).astype(int).tolist()):
            try:
                image = self._levels_of(number)
            except DataError:  # named when it is read
                continue
            if image is None or image.dtype != np.uint16:
                return
            histograms.append(histogram_of(image))
        self.levels = Levels.of(np.sum(histograms, axis=0)) if histograms else None

    def _levels_of(self, number: int) -> Pixels | None:
        """Pixels of an image as the file has them; None for a kind that always has 8 bits."""
        if self._pages is not None:
            return next(self._pages(number, number + 1))
        path = self._images[number]
        return None if path.suffix.lower() in _EIGHT_BITS else read_levels(path, max_pixels=self._max_pixels)

    def _read(self) -> Iterator[VideoFrame]:
        if self._pages is not None:
            first, last = int(self._chosen[0]), int(self._chosen[-1]) + 1
            for number, image in enumerate(self._pages(first, last), first):
                levels = self.levels or Levels()
                page = levels(image) if image.dtype == np.uint16 else image
                yield VideoFrame(number, float(self._times[number]), page)
            return
        folder = self.path.is_dir()
        try:
            for number in self._chosen.tolist():
                path = self._images[number]
                shown = self._try(number, path) if folder else self._image(path)
                if shown is not None:
                    yield VideoFrame(number, float(self._times[number]), shown, path.name if folder else "")
        finally:  # also where the work ends before the images do
            if self._doubtful:
                count = f"{counted(len(self._doubtful), 'image')} of which a part may be wrong"
                self.notes.append(f"{self.path}: {count}, the first is {self._doubtful[0]}")

    def _image(self, path: Path) -> Frame:
        warnings: list[str] = []
        image = read_image(path, self.levels, warnings, self._max_pixels)
        self._doubtful += [f"{path.name}: {warning}" for warning in warnings[:1]]
        return image

    def _try(self, number: int, path: Path) -> Frame | None:
        """Read an image; one that cannot be read becomes `damage`."""
        try:
            return self._image(path)
        except DataError as error:
            self._lost.append((number, error))
            first, problem = self._lost[0]
            lost = f"{len(self._lost)} of {counted(len(self._images), 'image')} cannot be read"
            self.damage = f"{self.path}: {lost}, the first is frame {first}: {problem}"
            return None


def _holds_several(path: Path) -> bool:
    try:
        return kind_of_pages(path) is not None
    except DataError:  # named when it is read
        return False


def images_of(folder: Path, suffixes: frozenset[str] = SUFFIXES) -> list[Path]:
    """List a folder's images in natural order, without hidden files."""
    try:
        paths = [path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.name[0] != "."]
    except OSError as error:
        raise VideoError(folder, f"cannot be listed: {error.strerror}") from error
    return sorted(paths, key=_natural)


def _natural(path: Path) -> tuple[list[int | str], str]:
    parts = re.split(r"(\d+)", path.name)
    return [int(part) if part.isdecimal() else part.lower() for part in parts], path.name
