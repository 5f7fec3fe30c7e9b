"""Pictures of decoded frames, of which only the parts that are read become RGB."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from steadyface.arrays import Crop, Frame
from steadyface.geometry import Affine, Region
from steadyface.images import shrink, warp
from steadyface.picture import Grey, Picture, every_nth, sample_plane
from steadyface.video.pixels import PQ, turning, upright

Plane = UInt8[np.ndarray, "_ _ ..."]
"""Brightness, or one or both of the differences of colour, at their own resolution."""

_FORMATS = frozenset(
    {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv440p", "yuvj440p", "yuv444p", "yuvj444p", "nv12"}
)
_MATRICES = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593)} | dict.fromkeys((2, 5, 6), (0.299, 0.114))
"""Shares of red and blue in the brightness, by FFmpeg's number of the matrix: BT.709, BT.2020, BT.601.

A frame that names no matrix (2) is taken for BT.601, as FFmpeg takes it.
"""
_FULL_RANGE = 2  # FFmpeg's number
_BLACK, _GREY = 16, 128  # level of black in the limited range; of no colour


def has_planes(frame: Any) -> bool:
    """Whether a decoded frame can be a `YuvPicture`: 8 bits of a known matrix, no PQ, the top line first."""
    if frame.format.name not in _FORMATS or frame.colorspace not in _MATRICES or frame.color_trc == PQ:
        return False
    return all(plane.line_size > 0 for plane in frame.planes)


class YuvPicture(Picture):
    """Picture of a decoded frame whose planes are read where they are.

    Each part is cut out of the planes, and only the part becomes RGB. It agrees with that part of the whole
    frame's conversion to less than a grey level in the mean.

    Args:
        frame: PyAV's, for which `has_planes` is true. Nothing else may write to it.
        width, height: px before it is turned; the frame may have another size.
        turn: display matrix for `upright`; None leaves it as it is.
        convert: brings the whole frame to RGB of that width and height.

    Equation: R, G, B = Y + 2(1 - r)V, Y - 2b(1 - b)/g·U - 2r(1 - r)/g·V, Y + 2(1 - b)U, with the shares r, g
    and b of the colours in Y, and U and V around 0.
    Source: ITU-R BT.601-7, 2.5; BT.709-6, 3.
    """

    def __init__(
        self,
        frame: Any,
        width: int,
        height: int,
        turn: Int[np.ndarray, "2 2"] | None,
        convert: Callable[[Any], Frame],
    ) -> None:
        self._frame, self._turn, self._convert = frame, turn, convert
        self._planes: list[Plane] = [np.from_dlpack(plane) for plane in frame.planes]
        shapes = tuple(plane.shape[:2] for plane in self._planes)
        places = _places(shapes, width, height, None if turn is None else tuple(turn.ravel().tolist()))
        across = places[0].matrix[0, 0] == 0  # rows have become columns
        super().__init__(*((height, width) if across else (width, height)))
        self._coded = width, height
        limited = frame.color_range != _FULL_RANGE and not frame.format.name.startswith("yuvj")
        self._black = _BLACK if limited else 0
        levels = (self._black, *(_GREY for _ in self._planes[1:]))  # outside the picture
        self._placed = list(zip(self._planes, places, levels, strict=True))
        self._to_rgb = _matrix(*_MATRICES[frame.colorspace], limited)

    def rgb(self) -> Frame:
        return self._rgb

    @cached_property
    def _rgb(self) -> Frame:
        image = self._convert(self._frame)
        return image if self._turn is None else upright(image, self._turn)

    def crop(self, region: Region, size: int) -> tuple[Crop, Affine]:
        to_crop = region.to_crop(size)
        parts = [
            warp(plane, to_picture.then(to_crop), size, outside=outside)
            for plane, to_picture, outside in self._placed
        ]
        return self._coloured(parts), to_crop

    def crop_grey(self, region: Region, size: int) -> tuple[Grey, Affine]:
        to_crop = region.to_crop(size)
        plane, to_picture, outside = self._placed[0]
        return self._levelled(warp(plane, to_picture.then(to_crop), size, outside=outside)), to_crop

    def sample(self, to_picture: Affine, side: int, border: int = cv2.BORDER_CONSTANT) -> Crop:
        return self._coloured(
            [
                sample_plane(plane, to_picture.then(from_plane.inverse), side, border, outside)
                for plane, from_plane, outside in self._placed
            ]
        )

    def resized(self, side: int) -> tuple[Frame, Affine]:
        scale = side / max(self.width, self.height)
        columns, rows = (max(1, round(length * scale)) for length in self._coded)
        (brightness, to_small), *colours = (shrink(plane, columns, rows) for plane in self._planes)
        small = self._coloured([brightness, *(colour for colour, _ in colours)])
        to_small = self._placed[0][1].inverse.then(to_small)
        if self._turn is None:
            return small, to_small
        return upright(small, self._turn), to_small.then(turning(self._turn, columns, rows))

    def grey_samples(self, columns: int, rows: int) -> Grey:
        if (self.width, self.height) != self._coded:
            columns, rows = rows, columns
        grey = self._levelled(every_nth(self._planes[0], columns, rows))
        return grey if self._turn is None else upright(grey, self._turn)

    def _coloured(self, parts: list[Plane]) -> Frame:
        """Convert parts of all planes, of one size, to RGB."""
        return cv2.transform(cv2.merge(parts), self._to_rgb)

    def _levelled(self, brightness: Grey) -> Grey:
        """Bring brightness to the full range."""
        return cv2.LUT(brightness, _FULL) if self._black else np.ascontiguousarray(brightness)


_FULL = np.clip((np.arange(256) - _BLACK) * (255 / 219) + 0.5, 0, 255).astype(np.uint8)
"""From levels of the limited range, 16 to 235, to those of the full one."""


@lru_cache
def _places(
    shapes: tuple[tuple[int, int], ...], width: int, height: int, turn: tuple[int, ...] | None
) -> tuple[Affine, ...]:
    """Maps from px of each plane to those of the picture; a video's frames have them in common.

    Args:
        shapes: rows and columns of each plane, that of brightness first.
        width, height, turn: as of `YuvPicture`, the latter by rows.
    """
    rows, columns = shapes[0]
    to_picture = Affine.scaling(width / columns, height / rows)
    if turn is not None:
        to_picture = to_picture.then(turning(np.reshape(turn, (2, 2)), width, height))
    finer = (Affine.scaling(round(columns / across), round(rows / down)) for down, across in shapes)
    return tuple(each.then(to_picture) for each in finer)


@lru_cache
def _matrix(red: float, blue: float, limited: bool) -> Float[np.ndarray, "3 4"]:
    """[A | b] that takes levels of Y, U and V to RGB."""
    green = 1 - red - blue
    colour = np.array(
        [
            [1, 0, 2 * (1 - red)],
            [1, -2 * blue * (1 - blue) / green, -2 * red * (1 - red) / green],
            [1, 2 * (1 - blue), 0],
        ]
    )
    if limited:
        colour *= [255 / 219, 255 / 224, 255 / 224]
    return np.column_stack([colour, -colour @ [_BLACK if limited else 0, _GREY, _GREY]])
