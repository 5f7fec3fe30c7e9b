"""Write video with every frame's timestamp and another file's sound."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.reformatter import Colorspace, VideoReformatter

from steadyface.arguments import positive
from steadyface.arrays import Frame
from steadyface.errors import ConfigError, VideoError
from steadyface.video.container import open_file, video_stream

WRITABLE = (".mp4", ".m4v", ".mov")
COPIED_AUDIO = frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"})
"""Codecs that are copied into the mp4; any other sound is encoded again, as AAC."""

_TICK = Fraction(1, 90_000)
_FINE, _PREVIEW = {"crf": "20", "preset": "veryfast"}, {"crf": "22", "preset": "superfast"}


class VideoWriter:
    """Write an H.264 mp4 that keeps each frame's timestamp, with the sound of another file.

    Leaving the `with` block finishes the file, also on an error or Ctrl-C: the frames so far play. Until then
    its name ends in `.part.mp4`. Without a frame there is no file. An odd width or height is padded by one
    column or row, because the codec halves the resolution of colour.

    Args:
        path: of the file to write, .mp4, .m4v or .mov; replaced if it exists.
        width, height: px, of the images to come.
        fps: nominal frame rate; it sets the duration of the last frame.
        audio_from: file whose sound is kept, shifted as `VideoReader` shifts its video, and cut at the end of
            the written frames; a file without sound adds none.
        begin: seconds of the first frame, which becomes the start of the file and of its sound.
        preview: encode in half of the time, for what is only looked at: the same error of a px, but more
            noise from frame to frame.

    Attributes:
        frame_count: number of frames written.
        damage: None, or one line about sound that cannot be read.

    Raises:
        ConfigError: a size or rate that is not positive, or another suffix.
        VideoError: the file cannot be written, or `audio_from` not read.
    """

    def __init__(
        self,
        path: str | Path,
        width: int,
        height: int,
        fps: float,
        audio_from: str | Path | None = None,
        begin: float = 0.0,
        preview: bool = False,
    ) -> None:
        self.path, self.frame_count, self.begin = Path(path), 0, begin
        self._encoding = _PREVIEW if preview else _FINE
        if self.path.suffix.lower() not in WRITABLE:
            raise ConfigError.choice("video suffix", self.path.suffix, WRITABLE)
        self.width, self.height = int(positive("width", width)), int(positive("height", height))
        self.fps, self._pts, self._last = positive("fps", fps), -1, -math.inf
        self._part = self.path.with_suffix(".part.mp4")
        self._reformatter = VideoReformatter()  # kept: to set one up takes a third of the time
        self._audio: _Audio | None = None
        with _as_video_error(self.path, "cannot be written"):
            self._container: Any = av.open(f"file:{self._part}", "w", format="mp4")
        try:
            self._start(audio_from)
        except VideoError:
            self._discard()
            raise

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def damage(self) -> str | None:
        return self._audio.damage if self._audio else None

    def write(self, image: Frame, seconds: float) -> None:
        """Add a frame.

        Args:
            image: RGB, of the writer's size.
            seconds: presentation time; later than that of the frame before, and not before `begin`.

        Raises:
            ConfigError: another size or kind of image, or a time that is not later.
            VideoError: the frame cannot be written.
        """
        expected = (self.height, self.width, 3)
        if image.shape != expected or image.dtype != np.uint8:
            raise ConfigError(f"image is {image.shape} {image.dtype}; the video takes {expected} uint8")
        if seconds < self.begin or not self._last < seconds < math.inf:
            allowed = f"finite, ≥ {self.begin:g} and later than {self._last} s"
            raise ConfigError(f"frame at {seconds} s; it must be {allowed}")
        frame = _as_yuv(image, self._reformatter)
        frame.pts, frame.time_base = max(round((seconds - self.begin) / _TICK), self._pts + 1), _TICK
        frame.duration = round(1 / (self.fps * _TICK))
        with _as_video_error(self.path, "cannot be written", self.frame_count):
            self._container.mux(self._stream.encode(frame))
            self._pts, self._last, self.frame_count = frame.pts, seconds, self.frame_count + 1
            if self._audio:
                self._audio.write_until(seconds - self.begin)

    def close(self) -> None:
        """Finish the file and rename it; a second call does nothing."""
        if self._container is None:
            return
        try:
            if self.frame_count:
                with _as_video_error(self.path, "cannot be finished"):
                    self._container.mux(self._stream.encode())
                    if self._audio:
                        self._audio.write_until(self._last - self.begin + 1 / self.fps)
                    self._container.close()
                    self._part.replace(self.path)
        finally:
            self._discard()

    def _start(self, audio_from: str | Path | None) -> None:
        """Add the streams and write the header, so that an unwritable path fails at once."""
        with _as_video_error(self.path, "cannot be written"):
            self._stream = stream = self._container.add_stream(
                "libx264",
                rate=Fraction(self.fps).limit_denominator(10_000),
                # No B-frames: with a variable frame rate, reordered frames give an mp4 a wrong length.
                options={**self._encoding, "bf": "0"},
                width=self.width + self.width % 2,
                height=self.height + self.height % 2,
                time_base=_TICK,
            )
            stream.colorspace = stream.color_primaries = stream.color_trc = stream.color_range = 1  # BT.709
        if audio_from is not None:
            with _as_video_error(Path(audio_from), "its sound cannot be kept"):
                self._audio = _Audio.of(audio_from, self._container, self.begin)
        with _as_video_error(self.path, "cannot be written"):
            self._container.start_encoding()

    def _discard(self) -> None:
        """Close all files and remove the unfinished one."""
        container, self._container = self._container, None
        if self._audio:
            self._audio.close()
        with suppress(av.error.FFmpegError):
            container.close()
        with suppress(OSError):
            self._part.unlink()


def _as_yuv(image: Frame, reformatter: VideoReformatter) -> Any:
    """Convert an image to the codec's colour space, BT.709, and pad it to even size."""
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    frame = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), "rgb24")
    return reformatter.reformat(frame, format="yuv420p", dst_colorspace=Colorspace.ITU709)


class _Audio:
    """Sound of a file, written into an mp4 piece by piece."""

    def __init__(
        self, path: str | Path, source: InputContainer, target: OutputContainer, begin: float
    ) -> None:
        self.path, self._source, self._target = path, source, target
        self._input: Any = source.streams.audio[0]
        self.damage: str | None = None
        self._last = -math.inf
        video = video_stream(source)
        late = video.start_time * video.time_base if video and video.start_time else Fraction(0)
        self._origin: Fraction = late + Fraction(begin)
        if begin:
            self._skip()
        if self._input.codec_context.codec.canonical_name in COPIED_AUDIO:
            self._output, self._packets = target.add_stream_from_template(self._input), self._copied()
        else:
            self._output = target.add_stream(
                "aac", rate=48_000, layout="mono" if self._input.channels == 1 else "stereo"
            )
            self._packets = self._encoded()
        self._next = self._take()

    @classmethod
    def of(cls, path: str | Path, target: OutputContainer, begin: float) -> _Audio | None:
        """Open the first sound of a file that can be decoded, or None."""
        source = open_file(path)
        if source.streams.audio and source.streams.audio[0].codec_context is not None:
            return cls(path, source, target, begin)
        source.close()
        return None

    def write_until(self, seconds: float) -> None:
        """Write the packets that start before `seconds`."""
        while self._next is not None and self._next.pts * self._next.time_base < seconds:
            self._target.mux(self._next)
            self._next = self._take()

    def close(self) -> None:
        self._packets.close()
        self._source.close()

    def _skip(self) -> None:
        with suppress(av.error.FFmpegError):  # without an index, sound is read from the beginning
            self._source.seek(round(self._origin / self._input.time_base), stream=self._input)

    def _take(self) -> Any:
        """Next packet, or None; packets that step back in time, as in damaged sound, are dropped for mp4."""
        try:
            packet = next((packet for packet in self._packets if packet.dts > self._last), None)
            self._last = packet.dts if packet else math.inf
            return packet
        except av.error.FFmpegError as error:
            self.damage = f"{self.path}: its sound ends early: {error.strerror}"
            return None

    def _copied(self) -> Generator[Any, None, None]:
        shift = round(self._origin / self._input.time_base)
        packet: Any
        for packet in self._source.demux(self._input):
            if packet.pts is None or packet.dts is None or packet.pts + (packet.duration or 0) < shift:
                continue
            packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, self._output
            yield packet

    def _encoded(self) -> Generator[Any, None, None]:
        for packet in self._source.demux(self._input):
            for frame in self._input.decode(packet):
                shift = round(self._origin / frame.time_base)
                if frame.pts is not None and frame.pts >= shift:
                    frame.pts -= shift
                    yield from self._output.encode(frame)
        yield from self._output.encode(None)


@contextmanager
def _as_video_error(path: Path, problem: str, frame: int | None = None) -> Iterator[None]:
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(path, f"{problem}: {error.strerror}", frame) from error
    except av.codec.codec.UnknownCodecError as error:
        raise VideoError(path, f"{problem}: this PyAV has no {error}", frame) from error
