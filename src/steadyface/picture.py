"""Pictures: frames from which a tracker reads the parts that it needs, at little cost.

A tracker never needs a whole frame as RGB: it reads crops of the faces, a small copy for the finder and some
pixels for the detection of cuts. `RgbPicture` reads them from an RGB image, `video.planes.YuvPicture` from
the planes of a decoded frame.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from steadyface.arrays import Crop, Frame
from steadyface.geometry import Affine, Region
from steadyface.images import as_rgb, crop_grey, crop_region, resize_to

Grey = UInt8[np.ndarray, "rows columns"]
"""Grey levels."""


class Picture(ABC):
    """One frame, upright and with square pixels; all its parts are RGB or grey, uint8.

    Args:
        width, height: px.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height

    @abstractmethod
    def rgb(self) -> Frame:
        """Return the whole picture (H, W, 3), always the same array."""

    @abstractmethod
    def crop(self, region: Region, size: int) -> tuple[Crop, Affine]:
        """Cut out a region, as `images.crop_region`: without aliasing, black outside the picture."""

    @abstractmethod
    def crop_grey(self, region: Region, size: int) -> tuple[Grey, Affine]:
        """Cut out a region in grey, as `images.crop_grey`."""

    @abstractmethod
    def sample(self, to_picture: Affine, side: int, border: int = cv2.BORDER_CONSTANT) -> Crop:
        """Read one point, between four pixels, for each pixel of a crop; the cost hardly grows with its area.

        Args:
            to_picture: map from crop px to picture px.
            side: of the crop, px.
            border: OpenCV's border mode.
        """

    @abstractmethod
    def resized(self, side: int) -> tuple[Frame, Affine]:
        """Resize so that the longer side has `side` px, as `images.resize_to`."""

    @abstractmethod
    def grey_samples(self, columns: int, rows: int) -> Grey:
        """Read evenly spaced grey pixels, from `columns` × `rows` to twice that along each axis, or all."""


class RgbPicture(Picture):
    """Picture of an RGB image; two of one array are equal.

    Args:
        image: RGB uint8 (H, W, 3).
    """

    def __init__(self, image: Frame) -> None:
        super().__init__(image.shape[1], image.shape[0])
        self._image = image

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RgbPicture) and self._image is other._image

    def __hash__(self) -> int:
        return id(self._image)

    def rgb(self) -> Frame:
        return self._image

    def crop(self, region: Region, size: int) -> tuple[Crop, Affine]:
        return crop_region(self._image, region, size)

    def crop_grey(self, region: Region, size: int) -> tuple[Grey, Affine]:
        return crop_grey(self._image, region, size)

    def sample(self, to_picture: Affine, side: int, border: int = cv2.BORDER_CONSTANT) -> Crop:
        return sample_plane(self._image, to_picture, side, border)

    def resized(self, side: int) -> tuple[Frame, Affine]:
        return resize_to(self._image, side)

    def grey_samples(self, columns: int, rows: int) -> Grey:
        return cv2.cvtColor(every_nth(self._image, columns, rows), cv2.COLOR_RGB2GRAY)


def as_picture(image: Any) -> Picture:
    """Return a picture as it is, and an image as a picture.

    Args:
        image: a `Picture`, or as for `images.as_rgb`.

    Raises:
        ConfigError: an image of another type or shape, or empty.
    """
    return image if isinstance(image, Picture) else RgbPicture(as_rgb(image))


def for_model(model: object, picture: Picture) -> Any:
    """Return the input of a model: the picture if the model `takes_pictures`, as ours do, else its image."""
    return picture if getattr(model, "takes_pictures", False) else picture.rgb()


def every_nth(
    image: UInt8[np.ndarray, "height width *channels"], columns: int, rows: int
) -> UInt8[np.ndarray, "fewer_rows fewer_columns *channels"]:
    """Every n-th column and m-th row of an image, at least `columns` and `rows` where it has as many."""
    height, width = image.shape[:2]
    down, across = max(1, height // rows), max(1, width // columns)
    return image[down // 2 :: down, across // 2 :: across]


def sample_plane(
    image: UInt8[np.ndarray, "height width *channels"],
    to_image: Affine,
    side: int,
    border: int,
    outside: int = 0,
) -> UInt8[np.ndarray, "side side *channels"]:
    """`Picture.sample` of one array; `outside` is the level of all channels outside it."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        image, to_image.matrix, (side, side), flags=flags, borderMode=border, borderValue=[outside] * 4
    )
