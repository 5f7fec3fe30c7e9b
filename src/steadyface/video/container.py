"""Open what holds frames: a file, a pipe, or a camera; and find the video in it."""

from __future__ import annotations

import os
import re
import select
import sys
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from steadyface.errors import VideoError

STDIN = "-"
"""The source that is a pipe."""

_POLL = 0.1  # s: how soon a read that waits sees that it should end
_CAMERAS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


class Pipe:
    """Standard input, as PyAV reads it: forward only, and never stuck in a read.

    Attributes:
        interrupted: by Ctrl-C in a read, which PyAV would swallow.
    """

    def __init__(self) -> None:
        self._handle = sys.stdin.fileno()
        self._stopped = self.interrupted = False

    def read(self, size: int) -> bytes:
        """What there is, up to `size` bytes; nothing at the end, or once stopped."""
        try:
            while not self._stopped:
                # Windows cannot wait for a pipe with a limit of time.
                if os.name == "nt" or select.select([self._handle], [], [], _POLL)[0]:
                    return os.read(self._handle, size)
        except KeyboardInterrupt:
            self.interrupted = True
        return b""

    def stop(self) -> None:
        """End a read that waits, from another thread."""
        self._stopped = True


def camera_number(source: str | Path) -> int | None:
    """Which camera a source means: a whole number that is no file's name; else None."""
    text = str(source)
    return int(text) if re.fullmatch(r"\d{1,3}", text) and not Path(source).exists() else None


def is_live(source: str | Path) -> bool:
    """Whether a source is a pipe or a camera, which can be read only once."""
    return str(source) == STDIN or camera_number(source) is not None


def source_name(source: str | Path) -> str:
    """The name that a source gives its results: a folder's, a file's without suffix, `stdin`, `camera0`."""
    number = camera_number(source)
    if number is not None:
        return f"camera{number}"
    if str(source) == STDIN:
        return "stdin"
    path = Path(source).resolve()
    return path.name if path.is_dir() else path.stem


def open_file(path: str | Path) -> InputContainer:
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


def open_pipe(pipe: Pipe) -> InputContainer:
    """Open what comes through standard input.

    Raises:
        VideoError: nothing comes, or not a video that can be read forward.
        KeyboardInterrupt: as ever.
    """
    if os.isatty(sys.stdin.fileno()):
        raise VideoError("stdin", "no pipe; try: ffmpeg -i FILE -f matroska - | steadyface track -")
    try:
        return av.open(pipe, "r", metadata_errors="replace")
    except av.error.FFmpegError as error:
        if pipe.interrupted:
            raise KeyboardInterrupt from None
        problem = f"not a video that can be read forward: {error.strerror}; matroska and mpegts can"
        raise VideoError("stdin", problem) from error


def open_camera(number: int) -> InputContainer:
    """Open a camera, by its number.

    Raises:
        VideoError: no such camera, or it is in use or forbidden; the message says which there are.
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
    """What FFmpeg calls a camera on this system, and the options that it needs."""
    if kind == "dshow":
        cameras = [found for found in av.device.enumerate_input_devices(kind) if "video" in found.media_types]
        return f"video={cameras[number].name}", {}
    return (f"{number}:none", {"framerate": "30"}) if kind == "avfoundation" else (f"/dev/video{number}", {})


def video_stream(container: InputContainer) -> Any:
    """The first video; a song's cover picture is none; None without one."""
    cover = av.stream.Disposition.attached_pic
    return next((stream for stream in container.streams.video if not stream.disposition & cover), None)


def stream_duration(container: InputContainer, stream: Any) -> float | None:
    """Length of the video in seconds: as the stream says, else its tag (Matroska), else the whole file's."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
    if tag:
        hours, minutes, seconds = map(float, tag.groups())
        return 3600 * hours + 60 * minutes + seconds - float((stream.start_time or 0) * stream.time_base)
    return container.duration / av.time_base if container.duration else None
