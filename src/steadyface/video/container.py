"""Open a file, a pipe or a camera, and find the video stream in it."""

from __future__ import annotations

import os
import re
import select
import struct
import sys
from functools import partial
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from steadyface.errors import VideoError
from steadyface.video.hardware import NONE, accelerators
from steadyface.video.sources import display_name, is_url

_POLL = 0.1  # s: longest time until a waiting read notices that it should end
_MOST_BOXES = 100  # kinds of them in an MP4 or MOV file, outside of each other; few have more than ten
_TIMEOUTS = (10.0, 20.0)  # s: to open a URL, and to read from it
_CAMERAS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


class Pipe:
    """Standard input as a file for PyAV: forward only, and a read that waits can be ended.

    Attributes:
        interrupted: whether Ctrl-C came during a read, which PyAV would swallow.
    """

    def __init__(self) -> None:
        if sys.stdin is None:
            raise VideoError("stdin", "standard input is closed")
        self._handle = sys.stdin.fileno()
        self._stopped = self.interrupted = False

    @property
    def is_terminal(self) -> bool:
        """Whether it is a terminal, and no pipe."""
        return os.isatty(self._handle)

    def read(self, size: int) -> bytes:
        """Read what is available, up to `size` bytes; nothing at the end or once stopped."""
        try:
            while not self._stopped:
                # Windows cannot wait for a pipe with a limit of time.
                if os.name == "nt" or select.select([self._handle], [], [], _POLL)[0]:
                    return os.read(self._handle, size)
        except KeyboardInterrupt:
            self.interrupted = True
        return b""

    def stop(self) -> None:
        """End a waiting read, from another thread."""
        self._stopped = True


def open_file(path: str | Path, hwaccel: str = NONE) -> InputContainer:
    """Open a file or a URL; a file whose index is broken, as a stream, which finds the complete fragments.

    Args:
        path: of the file, or the URL.
        hwaccel: hardware that decodes its video, if it can; as of `check_hwaccel`.

    Raises:
        VideoError: it cannot be opened, or is no video; without the user and password of a URL.
    """
    problem: object = None
    remote = is_url(path)
    address = str(path) if remote else f"file:{path}"
    opened = partial(av.open, address, metadata_errors="replace", timeout=_TIMEOUTS if remote else None)
    for accelerator in accelerators(hwaccel):
        try:
            container = opened(hwaccel=accelerator)
        except av.error.FFmpegError:  # no such chip here
            continue
        if decodes_in_hardware(video_stream(container)):
            return container
        container.close()
    attempts: tuple[dict[str, str], ...] = ({},) if remote else ({}, {"seekable": "0"})
    for options in attempts:
        try:
            container = opened(options=options)
        except av.error.FFmpegError as error:
            problem = problem or error.strerror
            continue
        if container.format.name == "tty":  # FFmpeg renders text files as video
            problem = "a text file"
        elif container.streams:
            return container
        else:
            problem = problem or "no stream can be found in it"
        container.close()
    if remote:
        raise VideoError(display_name(path), f"not a video that can be read: {problem}")
    cut_off = _cut_off(Path(path)) if Path(path).is_file() else None
    raise VideoError(path, f"not a video that can be read: {cut_off or problem}")


def _cut_off(path: Path) -> str | None:
    """Reason that a file cannot be opened, where its recording or copying broke off; else None."""
    size = path.stat().st_size
    if size == 0:
        return "an empty file"
    boxes: dict[bytes, bool] = {}
    place = 0
    with path.open("rb") as file:
        while place + 16 <= size and len(boxes) < _MOST_BOXES:
            file.seek(place)
            length, kind, long = struct.unpack(">I4sQ", file.read(16))
            length = {0: size - place, 1: long}.get(length, length)
            place += length
            boxes[kind] = place <= size
            if length < 8 or not boxes.keys() & {b"ftyp", b"wide", b"mdat"}:
                return None
    lacks_index = b"mdat" in boxes and not boxes.get(b"moov", False)
    return "its index (moov) is not whole: its recording or copying broke off" if lacks_index else None


def complaint(path: str | Path) -> str | None:
    """First error that FFmpeg's demuxer logs on the way through a file; None if it logs none."""
    before = av.logging.get_level()
    with open_file(path) as container, av.logging.Capture() as log:
        av.logging.set_level(av.logging.ERROR)
        try:
            for _ in container.demux():
                pass
        except av.error.FFmpegError as error:
            return error.strerror
        finally:
            av.logging.set_level(before)
    errors = [" ".join(text.split()) for level, _, text in log if level <= av.logging.ERROR]
    return errors[0] if errors else None


def open_pipe(pipe: Pipe) -> InputContainer:
    """Open standard input.

    Raises:
        VideoError: no pipe, or not a video that can be read forward.
        KeyboardInterrupt: Ctrl-C during the first reads.
    """
    if pipe.is_terminal:
        raise VideoError("stdin", "no pipe; try: ffmpeg -i FILE -f matroska - | steadyface track -")
    try:
        return av.open(pipe, "r", metadata_errors="replace")
    except av.error.FFmpegError as error:
        if pipe.interrupted:
            raise KeyboardInterrupt from None
        problem = f"not a video that can be read forward: {error.strerror}; matroska and mpegts can"
        raise VideoError("stdin", problem) from error


def open_camera(number: int) -> InputContainer:
    """Open a camera by its number.

    Raises:
        VideoError: there is no such camera, or it is in use or forbidden; the message lists the cameras.
    """
    kind = _CAMERAS.get(sys.platform)
    if kind is None:
        raise VideoError(f"camera{number}", f"cameras cannot be read on {sys.platform}")
    try:
        device, options = _device(kind, number)
        return av.open(device, format=kind, options=options)
    except (av.error.FFmpegError, OSError) as error:
        there = ", ".join(path.name for path in sorted(Path("/dev").glob("video*"))) or "none"
        hint = f"; in /dev there are: {there}" if kind == "v4l2" else ""
        raise VideoError(f"camera{number}", f"cannot be opened: {error.strerror}{hint}") from error
    except IndexError as error:
        raise VideoError(f"camera{number}", "there is no such camera") from error


def _device(kind: str, number: int) -> tuple[str, dict[str, str]]:
    """Name of a camera for FFmpeg on this system, and the options it needs."""
    if kind == "dshow":
        cameras = [found for found in av.device.enumerate_input_devices(kind) if "video" in found.media_types]
        return f"video={cameras[number].name}", {}
    return (f"{number}:none", {"framerate": "30"}) if kind == "avfoundation" else (f"/dev/video{number}", {})


def video_stream(container: InputContainer) -> Any:
    """First video stream that is no cover picture, and no still where there is a moving one; or None."""
    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    moving = [stream for stream in streams if stream.frames != 1]
    return next(iter(moving or streams), None)


def decodes_in_hardware(stream: Any) -> bool:
    """Whether a stream was opened with hardware that knows its codec; false for None."""
    return stream is not None and stream.codec_context is not None and stream.codec_context.is_hwaccel


def start_in_file(container: InputContainer, stream: Any) -> float:
    """Seconds from the start of the file, often that of its sound, to the start of the video."""
    if stream.start_time is None or container.start_time is None:
        return 0.0
    return round(float(stream.start_time * stream.time_base) - container.start_time / av.time_base, 6)


def stream_duration(container: InputContainer, stream: Any) -> float | None:
    """Length of the video, s: from the stream, else from its tag (Matroska), else from the file."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
    if tag:
        hours, minutes, seconds = map(float, tag.groups())
        return 3600 * hours + 60 * minutes + seconds - float((stream.start_time or 0) * stream.time_base)
    return container.duration / av.time_base if container.duration else None
