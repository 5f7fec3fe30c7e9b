"""Read video forward, in constant memory, with its real timestamps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av

from steadyface.errors import SteadyfaceError, VideoError
from steadyface.video.container import (
    STDIN,
    Pipe,
    camera_number,
    is_live,
    open_camera,
    open_file,
    open_pipe,
    source_name,
    stream_duration,
    video_stream,
)
from steadyface.video.frames import DEFAULT_FPS, Frames, VideoFrame, check_span, unreadable
from steadyface.video.pages import is_image
from steadyface.video.pictures import ImageSequence
from steadyface.video.pixels import Deinterlacer, RgbConverter, display_matrix, is_large, upright

_MISSING = 0.5
"""Seconds before its announced end from which a stream that stops counts as damaged."""

_ROUNDING = 1e-6  # s: tolerance for times in float64
_EARLIER = (0.0, 2.0, 20.0)  # s before the start: some files' key frames are not where their index says


class VideoReader(Frames):
    """Read the frames of a video in the order in which they are shown.

    A damaged or truncated file is read as far as it goes: every frame that decodes is yielded, and then
    `damage` says in one line what was wrong. A missing timestamp, or one that runs backwards, is replaced by
    the previous one plus 1 / fps. All frames have the same width and height: one coded in another size is
    scaled. Interlaced frames are made whole.

    Args:
        source: path of a local file; `-`, standard input; or a camera's number, from 0.
        start, end: seconds since the start of the video; the frames from start on and before end are read,
            and keep their times. A file is decoded from the key frame before start.

    Attributes:
        width, height: px, of the upright frames.
        others: as of `Frames`.

    Raises:
        VideoError: no such file or camera, not a video, or no frame can be decoded.
        ConfigError: end is not after start.
    """

    _container: Any = None

    def __init__(self, source: str | Path, start: float = 0.0, end: float | None = None) -> None:
        check_span(start, end)
        self._source, self.start, self.end = source, start, end
        self._stop_at = math.inf if end is None else end
        self._pipe = Pipe() if str(source) == STDIN else None
        self._camera = camera_number(source)
        self._live = is_live(source)
        self.path = Path(source_name(source)) if self._live else Path(source)
        try:
            self._open()
            frames = self._read()
            first = next(frames, None)
            if first is None:
                raise VideoError(self.path, self._why_nothing())
        except SteadyfaceError:
            self.close()
            raise
        except Exception as error:  # codecs and file systems raise anything
            self.close()
            raise unreadable(self.path, error) from error
        finally:
            if self._pipe is not None and self._pipe.interrupted:
                raise KeyboardInterrupt
        self.begin = first.seconds if start else 0.0
        self.height, self.width = first.image.shape[:2]
        self._frames = chain([first], frames)

    def stop(self) -> None:
        if self._pipe is not None:
            self._pipe.stop()

    def close(self) -> None:
        """Close the file and end the iterator."""
        super().close()
        if self._container is not None:
            self._container.close()

    def _open(self) -> None:
        if self._pipe is not None:
            self._container = open_pipe(self._pipe)
        elif self._camera is not None:
            self._container = open_camera(self._camera)
        else:
            self._container = open_file(self._source)
        self._describe()

    def _describe(self) -> None:
        """Find the video stream, and set the attributes that it announces."""
        self._stream = stream = video_stream(self._container)
        if stream is None:
            raise VideoError(self.path, "holds no video stream")
        if stream.codec_context is None:
            convert = f"convert it first: ffmpeg -i {self.path.name} -c:v libx264 converted.mp4"
            raise VideoError(self.path, f"no decoder for this kind of video; {convert}")
        large = is_large(stream.codec_context.width, stream.codec_context.height)
        stream.thread_type = "AUTO" if large else "NONE"
        self.fps = float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
        whole = None if self._live else stream_duration(self._container, stream)
        self._set_length(whole, None if self._live else stream.frames)
        sound = bool(self._container.streams.audio)
        self.has_audio = sound and not self._live
        own_length = stream.duration or "DURATION" in stream.metadata or not sound
        self._announced = whole if own_length else None  # else the sound may be what is longer
        self._origin: Fraction | None = (
            None if stream.start_time is None else stream.start_time * stream.time_base
        )
        self._count, self._last, self._end = 0, -1 / self.fps, 0.0
        self.damage = None
        if self._container.options:
            self._damaged("its index is incomplete")

    def _set_length(self, whole: float | None, frames: int | None) -> None:
        """Set seconds and frames from start to end, as far as they are known."""
        end = min(self._stop_at, math.inf if whole is None else whole)
        self.duration = max(end - self.start, 0.0) if math.isfinite(end) else None
        all_of_it = self.start == 0 and end == (whole or math.inf)
        guess = None if not self.duration else math.ceil(self.duration * self.fps - 0.5)
        self.frame_count = (frames or guess) if all_of_it else guess

    def _why_nothing(self) -> str:
        if self._pipe is not None and not self._end:
            return "not one frame can be decoded; through a pipe, matroska and mpegts can be read"
        if not self.start or not self._end:
            return "not one frame can be decoded"
        return f"ends at {self._end:.2f} s, before the start, {self.start:g} s"

    def _read(self) -> Iterator[VideoFrame]:
        for frame in self._decoded_from_start():
            seconds = self._seconds(frame.pts, frame.time_base)
            if seconds >= self._stop_at - _ROUNDING:
                return
            self._last = seconds
            self._end = seconds + (float(frame.duration * frame.time_base) or 1 / self.fps)
            if seconds >= self.start - _ROUNDING:
                yield self._show(frame, seconds)
        if self._announced is not None and self._announced - self._end > _MISSING:
            self._damaged(f"the file announces {self._announced:.2f} s of video")

    def _decoded_from_start(self) -> Iterator[Any]:
        """Decode from a key frame at or before the start."""
        if self.start and self._origin is not None and not self._live:
            for earlier in _EARLIER:
                frames = self._decoded_from(self._origin + Fraction(max(self.start - earlier, 0.0)))
                first = next(frames, None)
                if first is not None and self._time_of(first) <= self.start + _ROUNDING:
                    return chain([first], frames)
            self._container.close()
            self._open()
        return self._decoded()

    def _decoded_from(self, time: Fraction) -> Iterator[Any]:
        try:
            self._container.seek(int(time / self._stream.time_base), stream=self._stream)
        except av.error.FFmpegError:  # a kind of file without an index
            return iter(())
        return self._decoded()

    def _time_of(self, frame: Any) -> float:
        """Time of a frame, s; infinite where it has no timestamp."""
        return math.inf if frame.pts is None else self._seconds(frame.pts, frame.time_base)

    def _decoded(self) -> Iterator[Any]:
        whole = Deinterlacer()
        for packet in self._packets():
            try:
                for frame in self._stream.decode(packet):
                    yield from whole(frame)
            except av.error.FFmpegError as error:
                self._damaged(error.strerror)
        yield from whole.flush()

    def _packets(self) -> Iterator[av.Packet]:
        """Yield the stream's packets, and finally the empty one that flushes the decoder.

        A packet that is cut short by the end of the file is dropped: a threaded decoder would lose others.
        """
        cut, failures = None, 0
        while failures <= 8:  # after an unreadable place, the next packet is often fine
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

    def _show(self, frame: Any, seconds: float) -> VideoFrame:
        """Convert a decoded frame to upright RGB."""
        if frame.is_corrupt:
            self._damaged("a frame decodes only in part")
        if self._count == 0:  # asking every frame for its side data would keep it until the garbage collector
            self._to_rgb = RgbConverter(frame.width, frame.height)
            self._turn = display_matrix(frame)
        try:
            image = self._to_rgb(frame)
        except (av.error.FFmpegError, ValueError) as error:
            problem = f"pixels of the kind {frame.format.name} cannot be brought to RGB"
            raise VideoError(self.path, problem, self._count) from error
        if self._turn is not None:
            image = upright(image, self._turn)
        self._count += 1
        return VideoFrame(self._count - 1, seconds, image)

    def _seconds(self, pts: int | None, time_base: Fraction) -> float:
        if pts is not None:
            time = pts * time_base
            self._origin = time if self._origin is None else self._origin
            seconds = float(time - self._origin)
            if seconds > self._last:
                return seconds
        return self._last + 1 / self.fps

    def _damaged(self, problem: object) -> None:
        """Keep the first problem only; later ones mostly follow from it."""
        if self.damage is None:
            kind = "ended" if self._live else "damaged"
            self.damage = f"{self.path}: {kind} after {self._count} frames ({self._end:.2f} s): {problem}"


def open_frames(
    source: str | Path, fps: float = DEFAULT_FPS, start: float = 0.0, end: float | None = None
) -> VideoReader | ImageSequence:
    """Open a video or .gif, an image, a folder of images, a pipe or a camera.

    Args:
        source: path; `-`, standard input; or a camera's number, from 0.
        fps: frame rate of images; a video has its own.
        start, end: seconds; the frames from start on and before end are read.

    Raises:
        VideoError, DataError: the source cannot be opened, or holds no frame in that part.
        ConfigError: `fps` is not positive, or `end` is not after `start`.
    """
    path = Path(source)
    if path.is_dir() or is_image(path):
        return ImageSequence(path, fps, start, end)
    return VideoReader(source, start, end)
