"""Read video, images and folders of images: forward only, in constant memory, with real timestamps."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.container import InputContainer
from jaxtyping import Int, UInt8

from steadyface.errors import ConfigError, VideoError
from steadyface.images import SUFFIXES, Frame, read_image

DEFAULT_FPS = 25.0
"""The rate of image folders, and of streams that name none."""

_MISSING = 0.5
"""A stream that ends this many seconds before its announced end is called damaged."""


@dataclass(frozen=True)
class VideoFrame:
    """One shown frame.

    Args:
        index: counts the frames that were decoded, from 0.
        seconds: presentation time since the stream's start; strictly increasing.
        image: RGB, upright: a phone's display rotation is applied.
    """

    index: int
    seconds: float
    image: Frame


class _Frames:
    """What the readers share: an iterator that can be closed."""

    _frames: Iterator[VideoFrame]

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[VideoFrame]:
        return self

    def __next__(self) -> VideoFrame:
        return next(self._frames)

    def close(self) -> None:
        """End the iterator."""
        self._frames = iter(())


class VideoReader(_Frames):
    """The frames of a video file, in the order in which they are shown.

    A damaged or truncated file is read as far as it goes: every frame that decodes is yielded, and then
    `damage` says in one line what was wrong. A missing timestamp, or one that runs backwards, is replaced by
    the previous one plus 1 / fps. Width and height hold for every frame: one coded in another size is scaled.

    Args:
        path: of a local file.

    Attributes:
        width, height: px, of the upright frames.
        fps: average rate.
        duration: seconds, and frame_count: an estimate; None where the file does not tell.
        has_audio: whether there is sound.
        damage: None, or one line about what could not be read; complete once the last frame is taken.

    Raises:
        VideoError: no such file, not a video, or not one frame can be decoded.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.damage: str | None = None
        self._container = open_container(path)
        try:
            self._describe()
            frames = self._read()
            first = next(frames, None)
            if first is None:
                raise VideoError(path, "not one frame can be decoded")
        except VideoError:
            self._container.close()
            raise
        self.height, self.width = first.image.shape[:2]
        self._frames = chain([first], frames)

    def __enter__(self) -> VideoReader:
        return self

    def close(self) -> None:
        """Let go of the file; the iterator has then ended."""
        super().close()
        self._container.close()

    def _describe(self) -> None:
        """Find the video stream, and set what the file says about it."""
        self._stream = stream = video_stream(self._container)
        if stream is None:
            raise VideoError(self.path, "holds no video stream")
        if stream.codec_context is None:
            raise VideoError(self.path, "no decoder for this kind of video")
        stream.thread_type = "AUTO"
        self.fps = float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
        self.duration = _duration(self._container, stream)
        self.frame_count = stream.frames or (round(self.duration * self.fps) if self.duration else None)
        self.has_audio = bool(self._container.streams.audio)
        own_length = stream.duration or "DURATION" in stream.metadata or not self.has_audio
        self._announced = self.duration if own_length else None  # else the sound may be what is longer
        self._origin = stream.start_time
        self._count, self._last, self._end = 0, -1 / self.fps, 0.0
        if self._container.options:
            self._damaged("its index is incomplete")

    def _read(self) -> Iterator[VideoFrame]:
        for packet in self._packets():
            try:
                for frame in self._stream.decode(packet):
                    yield self._show(frame)
            except av.error.FFmpegError as error:
                self._damaged(error.strerror)
        if self._announced is not None and self._announced - self._end > _MISSING:
            self._damaged(f"the file announces {self._announced:.2f} s of video")

    def _packets(self) -> Iterator[av.Packet]:
        """The stream's packets, and at last the empty one that flushes the decoder.

        A packet that the file's end cuts short is left out: a threaded decoder would lose others with it.
        """
        cut, failures = None, 0
        while failures <= 8:  # past a place that cannot be read, the next packet often can
            try:
                for packet in self._container.demux(self._stream):
                    if cut is not None and packet.size:
                        yield cut
                    cut = packet if packet.is_corrupt else None
                    if cut is None:
                        yield packet
                    else:
                        self._damaged("a part of the stream is missing")
                return
            except av.error.FFmpegError as error:
                failures += 1
                self._damaged(error.strerror)
        yield av.Packet()

    def _show(self, frame: Any) -> VideoFrame:
        """Give a decoded frame its time, and turn its picture into upright RGB."""
        if frame.is_corrupt:
            self._damaged("a frame decodes only in part")
        if self._count == 0:  # asking every frame for its side data would keep it until the garbage collector
            self._coded_size = {"width": frame.width, "height": frame.height}
            matrix = frame.side_data.get("DISPLAYMATRIX")
            self._turn = (
                None if matrix is None else np.frombuffer(matrix, np.int32)[[0, 1, 3, 4]].reshape(2, 2)
            )
        image = frame.to_ndarray(format="rgb24", **self._coded_size)
        if self._turn is not None:
            image = _upright(image, self._turn)
        shown = VideoFrame(self._count, self._seconds(frame.pts), image)
        self._count, self._last = self._count + 1, shown.seconds
        self._end = shown.seconds + (float(frame.duration * self._stream.time_base) or 1 / self.fps)
        return shown

    def _seconds(self, pts: int | None) -> float:
        if pts is not None:
            self._origin = pts if self._origin is None else self._origin
            seconds = float((pts - self._origin) * self._stream.time_base)
            if seconds > self._last:
                return seconds
        return self._last + 1 / self.fps

    def _damaged(self, problem: object) -> None:
        """Keep the first problem only: the later ones mostly follow from it."""
        if self.damage is None:
            self.damage = f"{self.path}: damaged after {self._count} frames ({self._end:.2f} s): {problem}"


class ImageSequence(_Frames):
    """An image, or the images of a folder in natural order (img2 before img10), as the frames of a video.

    Args:
        path: of an image or a folder; files of other kinds in it are passed over.
        fps: rate, hence seconds = index / fps.

    Attributes:
        width, height: px, of the first image; the others may differ.
        fps, duration, frame_count, has_audio, damage: as of a `VideoReader`.

    Raises:
        VideoError: the folder holds no image.
        DataError: an image cannot be read.
        ConfigError: fps is not positive.
    """

    has_audio = False
    damage: str | None = None

    def __init__(self, path: str | Path, fps: float = DEFAULT_FPS) -> None:
        self.path, self.fps = Path(path), float(positive("fps", fps))
        self._paths = _images_of(self.path) if self.path.is_dir() else [self.path]
        if not self._paths:
            raise VideoError(path, f"the folder holds no image ({' '.join(sorted(SUFFIXES))})")
        self.frame_count = len(self._paths)
        self.duration = self.frame_count / self.fps
        self.height, self.width = read_image(self._paths[0]).shape[:2]
        self._frames = (
            VideoFrame(index, index / self.fps, read_image(path)) for index, path in enumerate(self._paths)
        )

    def __enter__(self) -> ImageSequence:
        return self


def open_frames(source: str | Path, fps: float = DEFAULT_FPS) -> VideoReader | ImageSequence:
    """Open whatever holds frames: a video or .gif, an image, or a folder of images.

    Args:
        source: path.
        fps: rate of images; a video has its own.
    """
    path = Path(source)
    if path.is_dir() or path.suffix.lower() in SUFFIXES:
        return ImageSequence(path, fps)
    return VideoReader(path)


def open_container(path: str | Path) -> InputContainer:
    """Open a local file; if its index is broken, as a stream, which finds a recording's whole fragments."""
    problem: object = None
    attempts: tuple[dict[str, str], ...] = ({}, {"seekable": "0"})
    for options in attempts:
        try:
            container = av.open(f"file:{path}", options=options, metadata_errors="replace")
        except av.error.FFmpegError as error:
            problem = problem or error.strerror
            continue
        if container.format.name == "tty":  # FFmpeg would draw a text file
            problem = "a text file"
        elif container.streams:
            return container
        else:
            problem = problem or "no stream can be found in it"
        container.close()
    raise VideoError(path, f"not a video that can be read: {problem}")


def video_stream(container: InputContainer) -> Any:
    """The first video; a song's cover picture is none; None without one."""
    cover = av.stream.Disposition.attached_pic
    return next((stream for stream in container.streams.video if not stream.disposition & cover), None)


def _duration(container: InputContainer, stream: Any) -> float | None:
    """Length of the video in seconds: as the stream says, else its tag (Matroska), else the whole file's."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
    if tag:
        hours, minutes, seconds = map(float, tag.groups())
        return 3600 * hours + 60 * minutes + seconds - float((stream.start_time or 0) * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _upright(image: Frame, matrix: Int[np.ndarray, "2 2"]) -> UInt8[np.ndarray, "shown_height shown_width 3"]:
    """Turn (and mirror) an image as a display matrix [[a, b], [c, d]] says: x' = a·x + c·y, y' = b·x + d·y.

    >>> _upright(np.uint8([[[1] * 3, [2] * 3]]), np.array([[0, 1], [-1, 0]]))[..., 0]
    array([[1],
           [2]], dtype=uint8)
    """
    (a, b), (c, d) = matrix.tolist()
    if abs(b) > abs(a):
        image, a, d = cv2.transpose(image), c, b
    if a < 0 or d < 0:
        image = cv2.flip(image, -1 if a < 0 and d < 0 else int(a < 0))
    return image


def _images_of(folder: Path) -> list[Path]:
    """The folder's images in natural order; hidden files are no images."""
    try:
        paths = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != "."]
    except OSError as error:
        raise VideoError(folder, f"cannot be listed: {error.strerror}") from error
    return sorted(paths, key=_natural)


def _natural(path: Path) -> tuple[list[int | str], str]:
    parts = re.split(r"(\d+)", path.name)
    return [int(part) if part.isdecimal() else part.lower() for part in parts], path.name


def positive(name: str, value: int | float) -> int | float:
    if not 0 < value < math.inf:
        raise ConfigError(f"{name} is {value}; it must be positive")
    return value
