"""Convert decoded frames to upright RGB as a screen shows them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from threading import Lock
from typing import Any

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter
from jaxtyping import Int, UInt8

from steadyface.arrays import Frame
from steadyface.geometry import Affine
from steadyface.images import Levels
from steadyface.video.depth import sixteen_bits

_LARGE = 1920 * 1088  # px
_SIDE_DATA_KINDS = 64  # FFmpeg's kinds of side data have numbers below this; 8.1 has 33
_OBLONG = 8  # largest aspect ratio of a pixel; files with others are wrong
PQ = 16
"""FFmpeg's number of the transfer function of SMPTE ST 2084."""

_SCREEN_WHITE = 203.0  # cd/m²: of graphics and a white page, ITU-R BT.2408
_BRIGHTEST = 1000.0  # cd/m²: becomes 255


def is_large(width: int, height: int) -> bool:
    """True if decoding such a frame in one thread takes longer than tracking its faces."""
    return width * height > _LARGE


class RgbConverter:
    """Convert decoded frames to 8-bit RGB of one size; grey is repeated, alpha is dropped.

    HDR with the PQ transfer function is tone-mapped to a screen's range; HLG already suits a screen and
    stays as it is. Calls from several threads wait for each other.

    Args:
        width, height: px, of the output; a frame of another size is scaled.
        levels: range of 16-bit levels that becomes 0 to 255; None or all levels scale as FFmpeg does.
    """

    def __init__(self, width: int, height: int, levels: Levels | None = None) -> None:
        self._width, self._height, self._threads = width, height, 2 if is_large(width, height) else 1
        self._levels = levels if levels and levels.stretched else None
        self._reformatter = VideoReformatter()  # kept: to set one up takes longer than to use it
        self._lock = Lock()

    def __call__(self, frame: Any) -> Frame:
        if self._levels is not None:
            image = self._levels(self._convert(frame, sixteen_bits(frame)))
            return image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
        image = self._convert(frame, "rgb24")
        return cv2.LUT(image, _PQ_TO_SCREEN) if frame.color_trc == PQ else image

    def _convert(self, frame: Any, kind: str) -> Any:
        size = self._width, self._height
        with self._lock:
            return self._reformatter.reformat(frame, *size, kind, threads=self._threads).to_ndarray()


def shown_size(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Size in square pixels: the width is scaled by the pixels' aspect ratio, unless that cannot be meant.

    >>> shown_size(720, 576, Fraction(16, 15))
    (768, 576)
    """
    if aspect is None or not 1 / _OBLONG <= aspect <= _OBLONG:
        return width, height
    return max(1, round(width * aspect)), height


def _pq_to_screen() -> UInt8[np.ndarray, "256"]:
    """Lookup table from each PQ level to the level on a screen.

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


def display_matrix(frame: Any) -> Int[np.ndarray, "2 2"] | None:
    """Display matrix of a decoded frame for `upright`; None where it has none."""
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV refuses a frame with side data of a kind that it does not know, such as EXIF
        data = _without_unknown_side_data(frame).side_data.get("DISPLAYMATRIX")
    return None if data is None else np.frombuffer(data, np.int32)[[0, 1, 3, 4]].reshape(2, 2)


def _without_unknown_side_data(frame: Any) -> Any:
    """Copy of a frame that has only side data of the kinds in PyAV's list."""
    known = {kind.value for kind in Type}
    unknown = sorted(set(range(_SIDE_DATA_KINDS)) - known)
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    removing = [graph.add("sidedata", f"mode=delete:type={kind}") for kind in unknown]
    graph.link_nodes(source, *removing, graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()


def upright(
    image: UInt8[np.ndarray, "height width *channels"], matrix: Int[np.ndarray, "2 2"]
) -> UInt8[np.ndarray, "shown_height shown_width *channels"]:
    """Turn (and mirror) an image by a display matrix [[a, b], [c, d]]: x' = a·x + c·y, y' = b·x + d·y.

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


def turning(matrix: Int[np.ndarray, "2 2"], width: int, height: int) -> Affine:
    """Map from px of an image of some width and height to px of the image that `upright` makes of it.

    >>> turning(np.array([[0, 1], [-1, 0]]), 2, 1)(np.array([[1.0, 0.0]])) + 0.0
    array([[0., 1.]])
    """
    (a, b), (c, d) = matrix.tolist()
    linear = np.sign([[0, c], [b, 0]] if abs(b) > abs(a) else [[a, 0], [0, d]]).astype(float)
    last = np.array([width - 1, height - 1])
    return Affine(np.column_stack([linear, np.minimum(linear, 0) @ -last]))


class Deinterlacer:
    """Turn interlaced frames into whole ones, as many and at the same times; others pass unchanged.

    FFmpeg's bwdif interpolates the lines of one field from those around, before and after. It starts at the
    first frame that is marked as interlaced, and is then one frame late until it is flushed.
    """

    def __init__(self) -> None:
        self._graph: Any = None
        self._kind: tuple[object, ...] = ()

    def __call__(self, frame: Any) -> Iterator[Any]:
        """Yield the frames that are ready once this one is given."""
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
        """Yield the last frames; the next frame decides again whether it is interlaced."""
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
