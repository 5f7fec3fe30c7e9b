"""A frame, and the base of all readers: an iterator of frames that can be closed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from steadyface.arrays import Frame
from steadyface.errors import ConfigError, SteadyfaceError, VideoError
from steadyface.images import Levels, as_rgb
from steadyface.picture import Picture, as_picture
from steadyface.progress import ReportProgress

SQUARE, CODED = "square", "coded"
"""Kinds of pixels of a frame: as they are shown, or as they are coded."""

DEFAULT_FPS = 25.0
"""Frame rate of image folders, and of streams that name none."""


class VideoFrame:
    """One frame as it is shown.

    Args:
        index: number in the source, from 0.
        seconds: presentation time since the start of the source; strictly increasing.
        image: RGB uint8 (H, W, 3), upright: a phone's display rotation is applied; or a `Picture` of it.
        file: name of its file, in a folder of images; else empty.

    Attributes:
        picture: what a `Tracker` takes: the parts that it needs of a decoded frame cost less than the image.
        others: as the arguments.
    """

    def __init__(self, index: int, seconds: float, image: Frame | Picture, file: str = "") -> None:
        self.index, self.seconds, self.file = index, seconds, file
        self.picture = as_picture(image)

    @property
    def image(self) -> Frame:
        """RGB uint8 (H, W, 3), upright, always the same array."""
        return self.picture.rgb()


class Frames:
    """Iterator of the frames of a source, or of a part of it.

    Attributes:
        path: of the source; `stdin` or `camera0` where it is no file.
        start, end: seconds of the source; the frames from start on and before end are read. None is its end.
        width, height: px.
        fps: average rate.
        duration: seconds of the part to be read; None where it is not known.
        frame_count: estimated number of frames of that part; None where it is not known.
        begin: seconds of the first frame where reading starts later than the source; else 0.
        has_audio: whether there is sound that a `VideoWriter` can take over.
        damage: None, or one line about what could not be read; complete once the last frame is taken.
        notes: lines about what is left out on purpose.
        pixels: `square`, or `coded` where oblong pixels are kept as they are coded.
        coded_size: width and height before the pixels are made square and the frame is turned, px; None for
            images.
        start_seconds: seconds from the start of the file, often that of its sound, to that of the video.
        identity: as of `identify`, to tell the source from others of its name; None where nothing does.
        levels: range of 16-bit levels that becomes 0 to 255; None for sources of other bits.
    """

    path: Path
    start: float = 0.0
    end: float | None = None
    width: int
    height: int
    fps: float
    duration: float | None = None
    frame_count: int | None = None
    begin = 0.0
    has_audio = False
    damage: str | None = None
    identity: dict[str, Any] | None = None
    levels: Levels | None = None
    pixels = SQUARE
    coded_size: tuple[int, int] | None = None
    start_seconds = 0.0
    _frames: Iterator[VideoFrame]

    @cached_property
    def notes(self) -> list[str]:
        return []

    def __iter__(self) -> Iterator[VideoFrame]:
        return self

    def __next__(self) -> VideoFrame:
        try:
            return next(self._frames)
        except (StopIteration, SteadyfaceError):
            raise
        except Exception as error:  # codecs and file systems raise anything
            raise unreadable(self.path, error) from error

    def __enter__(self) -> Frames:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def meta(self) -> dict[str, Any]:
        """Describe the frames for `Tracks.meta`; start and end only where a part of the source is read."""
        meta: dict[str, Any] = {"size": [self.width, self.height], "fps": self.fps, "damage": self.damage}
        if self.identity is not None:
            meta["input"] = self.identity
        if self.start or self.end is not None:
            meta |= {"start": self.start, "end": self.end}
        if self.coded_size:
            meta |= {"pixels": self.pixels, "coded_size": list(self.coded_size)}
            meta["start_seconds"] = self.start_seconds
        if self.notes:
            meta["notes"] = self.notes
        if self.levels and self.levels.stretched:
            meta["levels"] = [self.levels.low, self.levels.high]
        return meta

    def stop(self) -> None:
        """End a read that waits for more in another thread."""

    def close(self) -> None:
        """End the iterator."""
        self._frames = iter(())


def unreadable(path: Path, error: Exception) -> VideoError:
    """Error of one line for whatever a library raises while it reads."""
    reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
    return VideoError(path, f"cannot be read: {' '.join(reason.split())}")


def check_span(start: float, end: float | None) -> None:
    """Refuse a part of a video that cannot exist.

    Raises:
        ConfigError: start is negative or not finite, or end is not after it.
    """
    if not 0 <= start < math.inf:
        raise ConfigError(f"start is {start:g} s; it must be at least 0 and finite")
    if end is not None and not end > start:
        raise ConfigError(f"end is {end:g} s; it must be after the start, {start:g} s")


def check_pixels(pixels: str) -> str:
    """Return a kind of pixels.

    Raises:
        ConfigError: neither square nor coded.
    """
    if pixels not in (SQUARE, CODED):
        raise ConfigError.choice("kind of pixels", pixels, (SQUARE, CODED))
    return pixels


def as_frames(images: Iterable[np.ndarray | VideoFrame], fps: float) -> Iterator[VideoFrame]:
    """Number images, and give them times at a constant rate; frames stay as they are.

    Images that no sequence keeps are copied: frames are read ahead, and a camera may write each into the same
    array.

    Args:
        images: RGB uint8 (H, W, 3), or `VideoFrame`.
        fps: images per second.

    Raises:
        ConfigError: one is neither.
    """
    passing = not isinstance(images, Sequence | np.ndarray)
    for index, image in enumerate(images):
        if isinstance(image, VideoFrame):
            yield image
        else:
            rgb = as_rgb(image)
            yield VideoFrame(index, index / fps, rgb.copy() if passing else rgb)


def read_up_to(
    frames: Iterable[VideoFrame], last: int, progress: ReportProgress | None = None
) -> Iterator[VideoFrame]:
    """Yield frames up to the one of a number; none is read beyond it.

    Args:
        frames: in order of their numbers.
        last: number of the last frame wanted; below 0 there is none.
        progress: called once the caller is done with a frame, with frames done and frames in all.
    """
    if last < 0:
        return
    for done, frame in enumerate(frames, 1):
        if frame.index > last:  # the last frame itself is missing
            return
        yield frame
        if progress is not None:
            progress(done, done + last - frame.index)
        if frame.index == last:
            return
