"""An image, or a folder of images, as the frames of a video."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

from steadyface.errors import VideoError
from steadyface.images import SUFFIXES, read_image
from steadyface.video.frames import DEFAULT_FPS, Frames, VideoFrame, check_span, positive


class ImageSequence(Frames):
    """Read an image, or the images of a folder in natural order (img2 before img10), as a video.

    Args:
        path: of an image or a folder; other files in the folder are ignored.
        fps: frame rate; image n is at n / fps seconds.
        start, end: seconds; the images from start on and before end are read.

    Attributes:
        width, height: px, of the first image; the others may differ.
        others: as of `Frames`.

    Raises:
        VideoError: the folder has no image, or none between start and end.
        DataError: an image cannot be read.
        ConfigError: fps is not positive, or end is not after start.
    """

    def __init__(
        self, path: str | Path, fps: float = DEFAULT_FPS, start: float = 0.0, end: float | None = None
    ) -> None:
        check_span(start, end)
        self.start, self.end = start, end
        self.path, self.fps = Path(path), float(positive("fps", fps))
        images = images_of(self.path) if self.path.is_dir() else [self.path]
        if not images:
            raise VideoError(path, f"the folder holds no image ({' '.join(sorted(SUFFIXES))})")
        first, last = _first_at(start, self.fps), math.inf if end is None else _first_at(end, self.fps)
        chosen = [(number, image) for number, image in enumerate(images) if first <= number < last]
        if not chosen:
            length = f"its {len(images)} images end at {len(images) / fps:g} s"
            raise VideoError(path, f"{length}, before the start, {start:g} s")
        self.frame_count = len(chosen)
        self.duration = self.frame_count / self.fps
        self.begin = first / self.fps
        self.height, self.width = read_image(chosen[0][1]).shape[:2]
        self._frames = self._read(chosen)

    def _read(self, images: list[tuple[int, Path]]) -> Iterator[VideoFrame]:
        folder = self.path.is_dir()
        for index, (number, path) in enumerate(images):
            yield VideoFrame(index, number / self.fps, read_image(path), path.name if folder else "")


def _first_at(seconds: float, fps: float) -> int:
    """Number of the first image at that time or later; float64 rounding errors count as equal."""
    return math.ceil(seconds * fps - 1e-6)


def images_of(folder: Path) -> list[Path]:
    """List a folder's images in natural order, without hidden files."""
    try:
        paths = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != "."]
    except OSError as error:
        raise VideoError(folder, f"cannot be listed: {error.strerror}") from error
    return sorted(paths, key=_natural)


def _natural(path: Path) -> tuple[list[int | str], str]:
    parts = re.split(r"(\d+)", path.name)
    return [int(part) if part.isdecimal() else part.lower() for part in parts], path.name
