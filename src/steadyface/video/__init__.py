"""Read and write video: forward only, in constant memory, each frame with its real timestamp.

`VideoReader` (files, pipes, cameras) and `ImageSequence` are `Frames`: iterators of `VideoFrame` that know
their size, rate and length before the first frame is taken. `VideoWriter` keeps every timestamp and, if asked
to, a video's sound. `read_ahead` and `write_behind` let reading, work and writing overlap.
"""

from steadyface.video.frames import (
    DEFAULT_FPS,
    SQUARE,
    Frames,
    VideoFrame,
    as_frames,
    check_pixels,
    check_span,
    read_up_to,
)
from steadyface.video.hardware import check_hwaccel
from steadyface.video.identity import identify
from steadyface.video.pictures import ImageSequence
from steadyface.video.reader import VideoReader, open_frames
from steadyface.video.sources import VIDEO_SUFFIXES, display_name, is_live, source_name
from steadyface.video.stages import read_ahead, write_behind
from steadyface.video.writer import VideoWriter

__all__ = [
    "DEFAULT_FPS",
    "SQUARE",
    "VIDEO_SUFFIXES",
    "Frames",
    "ImageSequence",
    "VideoFrame",
    "VideoReader",
    "VideoWriter",
    "as_frames",
    "check_hwaccel",
    "check_pixels",
    "check_span",
    "display_name",
    "identify",
    "is_live",
    "open_frames",
    "read_ahead",
    "read_up_to",
    "source_name",
    "write_behind",
]
