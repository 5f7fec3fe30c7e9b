"""Range of levels of videos with 16 bits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from steadyface.images import Levels, Pixels, histogram_of
from steadyface.video.container import open_file, stream_duration, video_stream

_SAMPLES = 16
"""Number of frames, evenly over the video, that `Levels` are taken from."""


def has_sixteen_bits(frame: Any) -> bool:
    """Whether a decoded frame has whole numbers of 16 bits."""
    return max(component.bits for component in frame.format.components) == 16


def sixteen_bits(frame: Any) -> str:
    """FFmpeg's name of the pixels with 16 bits that a frame is converted to."""
    return "gray16le" if len(frame.format.components) == 1 else "rgb48le"


def find_levels(first: Any, source: str | Path | None) -> Levels:
    """Find the range of levels of a video.

    Args:
        first: its first frame.
        source: the file or URL; None for one that can be read only once, of which the first frame counts.
    """
    if source is None:
        return Levels.of(_histogram(first))
    with open_file(source) as container:
        histograms = [_histogram(frame) for frame in _samples(container)]
    return Levels.of(np.sum(histograms or [_histogram(first)], axis=0))


def _samples(container: Any) -> Iterator[Any]:
    """Yield frames evenly over the video."""
    stream = video_stream(container)
    length = stream_duration(container, stream) or 0.0
    start = float((stream.start_time or 0) * stream.time_base)
    for time in np.linspace(start, start + length, _SAMPLES if length else 0):
        try:
            container.seek(int(time / stream.time_base), stream=stream)
            frame = _frame_at(container.decode(stream), time)
        except av.error.FFmpegError:  # reported when it is read
            continue
        if frame is not None:
            yield frame


def _frame_at(frames: Iterator[Any], time: float) -> Any:
    """First frame at a stream time or later, else the last one; None without frames."""
    frame = None
    for frame in frames:
        if frame.pts is None or frame.time >= time:
            break
    return frame


def _histogram(frame: Any) -> Any:
    levels: Pixels = frame.reformat(format=sixteen_bits(frame)).to_ndarray()
    return histogram_of(np.atleast_3d(levels))
