"""From a decoded picture to upright RGB that shows what a screen would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from jaxtyping import Int, UInt8

from steadyface.arrays import Frame

_LARGE = 1920 * 1088  # px
_PQ = 16  # FFmpeg's number of the transfer function of SMPTE ST 2084
_SCREEN_WHITE = 203.0  # cd/m²: of graphics and a white page, ITU-R BT.2408
_BRIGHTEST = 1000.0  # cd/m²: becomes 255


def is_large(width: int, height: int) -> bool:
    """Whether one thread would take longer to decode such a frame than its faces take to be tracked."""
    return width * height > _LARGE


class RgbConverter:
    """Makes RGB of decoded frames, all of one size: grey is repeated, alpha dropped, 10 bit become 8.

    HDR of the kind PQ is brought to a screen's range; HLG shows well on one as it is, and stays.

    Args:
        width, height: px, of the RGB; a frame of another size is scaled.
    """

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height, self._threads = width, height, 2 if is_large(width, height) else 1
        self._reformatter = VideoReformatter()  # kept: to set one up takes longer than to use it

    def __call__(self, frame: Any) -> Frame:
        rgb = self._reformatter.reformat(frame, self._width, self._height, "rgb24", threads=self._threads)
        image = rgb.to_ndarray()
        return cv2.LUT(image, _PQ_TO_SCREEN) if frame.color_trc == _PQ else image


def _pq_to_screen() -> UInt8[np.ndarray, "256"]:
    """Each level of PQ → the level on a screen.

    Equations: ST 2084 gives the luminance Y of a code; with L = Y / 203 and W = 1000 / 203 the screen shows
    L (1 + L / W²) / (1 + L), at a gamma of 2.2.
    Source: SMPTE ST 2084; Reinhard et al. 2002, Eq. (4).
    """
    code = np.linspace(0, 1, 256) ** (1 / 78.84375)
    luminance = 1e4 * (np.maximum(code - 0.8359375, 0) / (18.8515625 - 18.6875 * code)) ** (
        1 / 0.1593017578125
    )
    relative, white = luminance / _SCREEN_WHITE, _BRIGHTEST / _SCREEN_WHITE
    shown = relative * (1 + relative / white**2) / (1 + relative)
    return np.round(255 * np.clip(shown, 0, 1) ** (1 / 2.2)).astype(np.uint8)


_PQ_TO_SCREEN = _pq_to_screen()


def upright(image: Frame, matrix: Int[np.ndarray, "2 2"]) -> UInt8[np.ndarray, "shown_height shown_width 3"]:
    """Turn (and mirror) an image as a display matrix [[a, b], [c, d]] says: x' = a·x + c·y, y' = b·x + d·y.

    >>> upright(np.uint8([[[1] * 3, [2] * 3]]), np.array([[0, 1], [-1, 0]]))[..., 0]
    array([[1],
           [2]], dtype=uint8)
    """
    (a, b), (c, d) = matrix.tolist()
    if abs(b) > abs(a):
        image, a, d = cv2.transpose(image), c, b
    if a < 0 or d < 0:
        image = cv2.flip(image, -1 if a < 0 and d < 0 else int(a < 0))
    return image


class Deinterlacer:
    """Makes whole frames of interlaced ones, as many and at the same times; others pass as they are.

    FFmpeg's bwdif fills in the lines of one field from those around, before and after; it takes up its work
    at the first frame that is marked as interlaced, and is then one frame late until it is flushed.
    """

    def __init__(self) -> None:
        self._graph: Any = None
        self._kind: tuple[object, ...] = ()

    def __call__(self, frame: Any) -> Iterator[Any]:
        """The frames that are ready once this one is known."""
        if self._graph is None and not frame.interlaced_frame:
            yield frame
            return
        kind = frame.width, frame.height, frame.format.name
        if kind != self._kind:
            yield from self.flush()
            self._start(frame)
            self._kind = kind
        self._graph.vpush(frame)
        yield from self._ready()

    def flush(self) -> Iterator[Any]:
        """The last frames; what follows is looked at anew."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()
        self._graph, self._kind = None, ()

    def _start(self, frame: Any) -> None:
        self._graph = graph = av.filter.Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        filling = graph.add("bwdif", "mode=send_frame:deint=interlaced")
        graph.link_nodes(source, filling, graph.add("buffersink")).configure()

    def _ready(self) -> Iterator[Any]:
        while True:
            try:
                yield self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
