"""Names of sources: files, URLs, standard input and cameras."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from urllib.request import url2pathname

STDIN = "-"
"""Name of standard input as a source."""

VIDEO_SUFFIXES = (
    *(".3gp", ".asf", ".avi", ".divx", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"),
    *(".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
)
"""Suffixes by which videos are found in a folder; a file that is named may have any other."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_STREAMS = frozenset({"rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp"})


def is_url(source: str | Path) -> bool:
    """Whether a source is a URL that FFmpeg opens; `file://` names a file."""
    return isinstance(source, str) and _URL.match(source) is not None


def local(source: str | Path) -> str | Path:
    """Path of a `file://` URL; any other source as it is."""
    text = str(source)
    return Path(url2pathname(urlsplit(text).path)) if text.lower().startswith("file://") else source


def camera_number(source: str | Path) -> int | None:
    """Number of the camera that a source names, as 0 or /dev/video0; None for others, and for a file."""
    device = re.fullmatch(r"(/dev/video)?(\d{1,3})", str(source))
    if device is None or (device[1] is None and Path(source).exists()):
        return None
    return int(device[2])


def is_live(source: str | Path) -> bool:
    """True for a pipe, a camera or a stream of the network, which can be read only once."""
    streamed = is_url(source) and urlsplit(str(source)).scheme.lower() in _STREAMS
    return str(source) == STDIN or camera_number(source) is not None or streamed


def source_name(source: str | Path) -> str:
    """Name of a source's results: a folder's name, a file's without suffix, `stdin` or `camera0`.

    That of a URL is the last part of its path without suffix, or the host; that of a link is its own, since
    stores of data keep what it points to under a hash.
    """
    number = camera_number(source)
    if number is not None:
        return f"camera{number}"
    if str(source) == STDIN:
        return "stdin"
    source = local(source)
    if is_url(source):
        url = urlsplit(str(source))
        return PurePosixPath(url.path).stem or url.hostname or "stream"
    path = named_path(source)
    return path.name if path.is_dir() else path.stem


def named_path(source: str | Path) -> Path:
    """Absolute path of a file or folder, without `.` and `..`; a link at its end is not followed."""
    path = Path(source)
    return path.resolve() if path.name in ("", "..") else path.parent.resolve() / path.name


def display_name(source: str | Path) -> str:
    """Name of a source in messages; that of a URL has neither user, password nor query."""
    if is_url(source):
        url = urlsplit(str(source))
        host = url.netloc.rpartition("@")[2]
        return (
            f"{url.scheme}://{'…@' if '@' in url.netloc else ''}{host}{url.path}{'?…' if url.query else ''}"
        )
    return source_name(source) if is_live(source) else str(source)
