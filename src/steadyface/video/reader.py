"""Read video forward, in constant memory, with its real timestamps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av

from steadyface.arrays import Frame
from steadyface.errors import ConfigError, SteadyfaceError, VideoError
from steadyface.image_size import MOST_PIXELS, too_many
from steadyface.picture import Picture
from steadyface.video.clock import Clock
from steadyface.video.container import (
    Pipe,
    decodes_in_hardware,
    open_camera,
    open_file,
    open_pipe,
    start_in_file,
    stream_duration,
    video_stream,
)
from steadyface.video.damage import Damage
from steadyface.video.depth import find_levels, has_sixteen_bits
from steadyface.video.frames import (
    DEFAULT_FPS,
    SQUARE,
    Frames,
    VideoFrame,
    check_pixels,
    check_span,
    unreadable,
)
from steadyface.video.hardware import NONE, check_hwaccel
from steadyface.video.identity import identify
from steadyface.video.pages import is_image
from steadyface.video.pictures import ImageSequence
from steadyface.video.pixels import (
    Deinterlacer,
    RgbConverter,
    display_matrix,
    is_large,
    shown_size,
    upright,
)
from steadyface.video.planes import YuvPicture, has_planes
from steadyface.video.sources import STDIN, camera_number, is_live, is_url, local, source_name

_ROUNDING = 1e-6  # s: tolerance for times in float64
_EARLIER = (0.0, 2.0, 20.0)  # s before the start: some files' key frames are not where their index says


class VideoReader(Frames):
    """Read the frames of a video in the order in which they are shown.

    A damaged or truncated file is read as far as it goes: every frame that decodes is yielded, and then
    `damage` says in one line what was wrong. A missing timestamp, or one that runs backwards, is replaced by
    the previous one plus 1 / fps. All frames have the same width and height: one coded in another size is
    scaled. Interlaced frames are made whole.

    Args:
        source: path of a file; a URL that FFmpeg opens; `-`, standard input; or a camera's number, from 0.
        start, end: seconds since the start of the video; the frames from start on and before end are read,
            and keep their times and numbers. A file is decoded from the key frame before start.
        pixels: `square` scales the width of a picture whose pixels are coded as oblong, as a player does;
            `coded` keeps them.
        max_pixels: number of pixels of the largest picture that is decoded.
        hwaccel: hardware that decodes a file or a URL, as of `check_hwaccel`; where it cannot, the processor
            does, and `notes` says so.

    Attributes:
        width, height: px, of the upright frames.
        others: as of `Frames`.

    Raises:
        VideoError: no such file or camera, not a video, or no frame can be decoded.
        ConfigError: end is not after start, another kind of pixels, or unknown hardware.
    """

    _container: Any = None

    def __init__(
        self,
        source: str | Path,
        start: float = 0.0,
        end: float | None = None,
        pixels: str = SQUARE,
        max_pixels: int = MOST_PIXELS,
        hwaccel: str = NONE,
    ) -> None:
        check_span(start, end)
        self._hwaccel = check_hwaccel(hwaccel)
        self.pixels, self._max_pixels = check_pixels(pixels), max_pixels
        self._source, self.start, self.end = local(source), start, end
        self._stop_at = math.inf if end is None else end
        self._pipe = Pipe() if str(source) == STDIN else None
        self._camera = camera_number(source)
        self._live = is_live(source)
        named = self._live or is_url(self._source)
        self.path = Path(source_name(source)) if named else Path(self._source)
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
        self.width, self.height = first.picture.width, first.picture.height
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
            self._container = open_file(self._source, self._hwaccel)
        self._describe()

    def _describe(self) -> None:
        """Find the video stream, and set the attributes that it announces."""
        self._stream = stream = video_stream(self._container)
        if stream is None:
            raise VideoError(self.path, "holds no video stream")
        if stream.codec_context is None:
            convert = f"convert it first: ffmpeg -i {self.path.name} -c:v libx264 converted.mp4"
            raise VideoError(self.path, f"no decoder for this kind of video; {convert}")
        pixels = stream.codec_context.width * stream.codec_context.height
        if pixels > self._max_pixels:
            raise VideoError(self.path, too_many(pixels, self._max_pixels))
        padded = 2 * self._max_pixels + 65_536  # of a later frame that differs, in whole blocks
        stream.codec_context.options = {"max_pixels": str(padded)}
        large = is_large(stream.codec_context.width, stream.codec_context.height)
        stream.thread_type = "AUTO" if large and not decodes_in_hardware(stream) else "NONE"
        self.fps = float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
        whole = None if self._live else stream_duration(self._container, stream)
        self._set_length(whole, None if self._live else stream.frames)
        sound = bool(self._container.streams.audio)
        self.has_audio = sound and not self._live and not is_url(self._source)
        own_length = stream.duration or "DURATION" in stream.metadata or not sound
        self._announced = whole if own_length else None  # else the sound may be what is longer
        avi = self._container.format.name == "avi"
        self._packet_count = stream.frames if avi and not self.start else None  # others say it by their index
        self.start_seconds = 0.0 if self._live else start_in_file(self._container, stream)
        decoding_only = avi and stream.codec_context.has_b_frames
        unknown = self._live or decoding_only or stream.start_time is None
        origin = None if unknown else stream.start_time * stream.time_base
        self._clock = Clock(self.fps, origin, decoding_only)
        self._shown = self._number = 0
        self._end = 0.0
        self._begin_damage()

    def _begin_damage(self) -> None:
        self._damage = Damage(self.path, self.fps, self._live, self._announced, self._packet_count)
        if "seekable" in self._container.options:
            self._damage.note("its index is incomplete", 0, 0.0)

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
        whole, source = False, None
        try:
            for frame in self._decoded_from_start():
                seconds = self._clock.seconds(self._clock.stamp(frame))
                if seconds >= self._stop_at - _ROUNDING:
                    break
                self._clock.last = seconds
                self._end = seconds + (float(frame.duration * frame.time_base) or 1 / self.fps)
                self._number += 1
                if seconds >= self.start - _ROUNDING:
                    self.damage = self._damage.line()  # so far
                    yield self._show(frame, self._number - 1, seconds)
            else:
                whole = True
            source = None if self._live else self._source
        finally:  # also where the work ends before the frames do
            self._damage.finish(whole, self._number, self._end, source)
            self.damage = self._damage.line()

    def _decoded_from_start(self) -> Iterator[Any]:
        """Decode from a key frame at or before the start."""
        if self.start and not self._live:
            if self._clock.origin is None and self._clock.decoding_only:
                self._clock.origin = next(map(self._clock.stamp, self._decoded()), None)
            if self._clock.origin is not None:
                for earlier in _EARLIER:
                    frames = self._decoded_from(self._clock.origin + Fraction(max(self.start - earlier, 0.0)))
                    if frames is not None:
                        return frames
            self._container.close()
            self._open()
        return self._decoded()

    def _decoded_from(self, time: Fraction) -> Iterator[Any] | None:
        """Decode from a key frame near a stream time; None if that is after the start, or not known."""
        self._clock.restart()
        self._begin_damage()
        try:
            self._container.seek(int(time / self._stream.time_base), stream=self._stream)
        except av.error.FFmpegError:  # a kind of file without an index
            return None
        frames = self._decoded()
        first = next(frames, None)
        stamp = None if first is None else self._clock.stamp(first)
        if stamp is None or self._clock.seconds(stamp) > self.start + _ROUNDING:
            return None
        number = self._number_at(stamp)
        if number is None:
            return None
        self._number = number
        self._clock.restart()
        return chain([first], frames)

    def _number_at(self, stamp: Fraction) -> int | None:
        """Count the frames before one, without decoding them; None where a packet has no time."""
        number, origin = 0, self._clock.origin or Fraction(0)
        with open_file(self._source) as container:
            stream: Any = container.streams[self._stream.index]
            for packet in container.demux(stream):
                if not packet.size or packet.is_discard:
                    continue
                own = packet.dts if self._clock.decoding_only else packet.pts
                if own is None:
                    return None
                number += origin <= own * packet.time_base < stamp
                if packet.dts is not None and packet.dts * packet.time_base > stamp:
                    break
        return number

    def _decoded(self) -> Iterator[Any]:
        whole = Deinterlacer()
        for packet in self._packets():
            try:
                for frame in self._stream.decode(packet):
                    self._damage.decoded(frame)
                    yield from whole(frame)
            except av.error.FFmpegError as error:
                self._damage.failed(error.strerror, self._number, self._end)
        yield from whole.flush()

    def _packets(self) -> Iterator[av.Packet]:
        """Yield the stream's packets, and finally the empty one that flushes the decoder.

        A packet that is cut short by the end of the file is dropped: a threaded decoder would lose others.
        """
        cut, failures = None, 0
        while failures <= 8:  # after an unreadable place, the next packet is often fine
            try:
                for packet in self._container.demux(self._stream):
                    self._damage.fed(packet)
                    if cut is not None and packet.size:
                        yield cut
                    cut = packet if packet.is_corrupt else None
                    if cut is None:
                        yield packet
                    else:
                        self._damage.note("a part of the stream is missing", self._number, self._end)
                return
            except av.error.FFmpegError as error:
                failures += 1
                self._damage.note(error.strerror, self._number, self._end)
        yield av.Packet()

    def _show(self, frame: Any, number: int, seconds: float) -> VideoFrame:
        """Number a decoded frame, and note what is wrong with it."""
        if frame.is_corrupt:
            self._damage.partial(number, seconds)
        self._damage.shown(number, seconds)
        if not self._shown:  # asking every frame for its side data would keep it until the garbage collector
            self._prepare(frame)
        self._shown += 1
        return VideoFrame(number, seconds, self._picture(frame, number))

    def _picture(self, frame: Any, number: int) -> Picture | Frame:
        """Leave the planes as they are where they can be read, or else convert the frame to RGB."""
        if has_planes(frame):
            return YuvPicture(frame, *self._size, self._turn, self._to_rgb)
        try:
            image = self._to_rgb(frame)
        except (av.error.FFmpegError, ValueError) as error:
            problem = f"pixels of the kind {frame.format.name} cannot be brought to RGB"
            raise VideoError(self.path, problem, number) from error
        return image if self._turn is None else upright(image, self._turn)

    def _prepare(self, frame: Any) -> None:
        """Choose the conversion of all frames by the first one."""
        if self._hwaccel != NONE and not decodes_in_hardware(self._stream):
            self.notes.append(f"{self.path}: no hardware for it ({self._hwaccel}); the processor decodes it")
        self.coded_size = frame.width, frame.height
        size = self.coded_size
        if self.pixels == SQUARE:
            size = shown_size(*size, self._stream.sample_aspect_ratio)
        if size[0] * size[1] > self._max_pixels:  # by its oblong pixels
            raise VideoError(self.path, too_many(size[0] * size[1], self._max_pixels))
        if has_sixteen_bits(frame):
            self.levels = find_levels(frame, None if self._live else self._source)
        self._size = size
        self._to_rgb = RgbConverter(*size, self.levels)
        self._turn = display_matrix(frame)


def open_frames(
    source: str | Path,
    fps: float = DEFAULT_FPS,
    start: float = 0.0,
    end: float | None = None,
    pixels: str = SQUARE,
    max_pixels: int = MOST_PIXELS,
    hwaccel: str = NONE,
) -> VideoReader | ImageSequence:
    """Open a video or .gif, an image, a folder of images, a URL, a pipe or a camera.

    Args:
        source: path; a URL; `-`, standard input; or a camera's number, from 0.
        fps: frame rate of images; a video has its own.
        start, end: seconds; the frames from start on and before end are read.
        pixels: square or coded, as of `VideoReader`.
        max_pixels: number of pixels of the largest picture that is decoded.
        hwaccel: hardware that decodes a video, as of `VideoReader`.

    Raises:
        VideoError, DataError: the source cannot be opened, is too large, or holds no frame in that part.
        ConfigError: `source` is no text and no path, `fps` is not positive, `end` is not after `start`,
            another kind of pixels, or unknown hardware.
    """
    if not isinstance(source, str | Path):
        raise ConfigError(f"source must be a path or a URL, got {type(source).__name__}")
    if source == "":  # would be the current folder
        raise VideoError("''", "an empty name is no input; the current folder is .")
    source = local(source)
    images = not is_url(source) and (Path(source).is_dir() or is_image(Path(source)))
    frames = (
        ImageSequence(source, fps, start, end, max_pixels)
        if images
        else VideoReader(source, start, end, pixels, max_pixels, hwaccel)
    )
    frames.identity = identify(source)
    return frames
