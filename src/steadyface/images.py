"""Read and write images; cut a region out of one, at sub-pixel precision and without aliasing."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8, UInt16

from steadyface.arrays import Frame
from steadyface.errors import ConfigError, DataError, MissingExtraError
from steadyface.files import read_bytes, reading, write_bytes
from steadyface.geometry import Affine, Region
from steadyface.image_parts import HEAD, JPEG, PNG, boxes_in, is_avif_data, is_heif_data, undamaged_png
from steadyface.image_size import MOST_PIXELS, claimed_pixels, too_many
from steadyface.quiet import quiet_libjpeg, quiet_opencv

HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
SUFFIXES = HEIF_SUFFIXES | {
    *(".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"),
    *(".avif", ".jp2", ".ppm", ".pgm"),
}
"""Suffixes of images, in lower case. Those of HEIF need the `heif` extra."""

Pixels = UInt8[np.ndarray, "height width 3"] | UInt16[np.ndarray, "height width 3"]
"""RGB of 8 or 16 bits."""

_ROWS = 3  # least rows of a large image that are read for each row of a small one
_EXACT = 1e-9  # of a block: rounding errors of a scale that is exact
_TAILS = 0.001  # of the pixels, at each end, that `Levels.of` lets become black or white
_NARROW = 0.5  # of the range of 16 bits: a picture that uses less of it is stretched


def as_rgb(image: np.ndarray) -> Frame:
    """Convert to RGB uint8 (H, W, 3): grey is repeated, alpha is dropped, RGB stays the same array.

    Args:
        image: uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).

    Raises:
        ConfigError: another type or shape, or empty.
    """
    if not isinstance(image, np.ndarray):
        raise ConfigError(f"image must be RGB uint8 (H, W, 3), got {_describe(image)}")
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.ndim not in (2, 3) or channels not in (1, 3, 4) or image.dtype != np.uint8 or not image.size:
        raise ConfigError(f"image must be RGB uint8 (H, W, 3), got {image.dtype} {image.shape}")
    if channels == 1:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    return image if channels == 3 else cv2.cvtColor(image, cv2.COLOR_RGBA2RGB)


def _describe(value: object) -> str:
    """Name what was given in place of an image, and what to do with it."""
    if value is None:
        return "None: the source has no more frames, or could not read one"
    if type(value).__module__.startswith("PIL."):
        return "a PIL image: pass np.asarray(image.convert('RGB'))"
    return f"{type(value).__name__}: pass a NumPy array"


@dataclass(frozen=True)
class Levels:
    """Range of 16-bit levels that becomes 0 to 255.

    Args:
        low, high: levels that become black and white; those outside are clipped.
    """

    low: int = 0
    high: int = 65_535

    @property
    def stretched(self) -> bool:
        """Whether the range is less than that of 16 bits."""
        return self != Levels()

    @classmethod
    def of(cls, histogram: Int[np.ndarray, "65536"]) -> Levels:
        """Percentiles 0.1 and 99.9 of a histogram; all levels if these span half of the 16 bits or more.

        Cameras of 10 to 14 bits and infrared cameras fill only a part of a 16-bit file.
        """
        below = np.cumsum(histogram) / max(histogram.sum(), 1)
        low, high = (int(level) for level in np.searchsorted(below, (_TAILS, 1 - _TAILS)))
        if high - low >= _NARROW * 65_536:
            return cls()
        return cls(low, max(high, low + 1))

    def __call__(self, image: UInt16[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
        """Bring levels to 8 bits, rounded."""
        scaled = (np.arange(65_536.0) - self.low) * (255 / (self.high - self.low))
        return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)[image]


def histogram_of(image: UInt16[np.ndarray, "*shape"]) -> Int[np.ndarray, "65536"]:
    """Count the levels of a 16-bit image, of a large one at about a million pixels."""
    step = max(1, round((image.shape[0] * image.shape[1] / 1e6) ** 0.5))
    return np.bincount(image[::step, ::step].ravel(), minlength=65_536)


def read_image(
    path: str | Path,
    levels: Levels | None = None,
    warnings: list[str] | None = None,
    max_pixels: int = MOST_PIXELS,
) -> Frame:
    """Read an image as RGB uint8 (H, W, 3), turned by its orientation; grey and alpha become RGB.

    Args:
        path: of the image. HEIC and HEIF need the `heif` extra.
        levels: range of a 16-bit image that becomes 0 to 255; None takes `Levels.of` the image.
        warnings: gets the messages of a decoder that reads on past damage.
        max_pixels: number of pixels of the largest picture that is decoded.

    Raises:
        DataError: missing, empty, damaged, too large, or not an image.
    """
    image = read_levels(path, warnings, max_pixels)
    if image.dtype == np.uint16:
        return (levels or Levels.of(histogram_of(image)))(image)
    return image


def read_levels(path: str | Path, warnings: list[str] | None = None, max_pixels: int = MOST_PIXELS) -> Pixels:
    """Read an image as RGB with 8 or 16 bits, as the file has them; otherwise as `read_image`.

    Raises:
        DataError: missing, empty, damaged, too large, or not an image.
    """
    data = read_bytes(path)
    check_size(path, data, max_pixels)
    if is_heif_data(data):
        return _decode_heif(path, data)
    if data.startswith(PNG):
        try:
            data = undamaged_png(data)
        except ValueError as error:
            raise DataError(path, f"not an image that can be read: {error}") from error
    watched: AbstractContextManager[list[str]]
    watched = quiet_libjpeg() if data.startswith(JPEG) else nullcontext([])
    with quiet_opencv(), watched as messages:
        try:
            flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
        except cv2.error as error:
            raise DataError(path, f"not an image that can be read: {error.err}") from error
    if warnings is not None:
        warnings += messages
    if image is None or not image.size:
        raise DataError(path, "not an image that can be read")
    if image.dtype not in (np.uint8, np.uint16):
        raise DataError(path, f"its pixels are {image.dtype}; whole numbers of 8 or 16 bits can be read")
    image = rgb_of_bgr(image)
    return _upright_avif(image, data) if is_avif_data(data) else image


def check_size(path: str | Path, data: bytes, max_pixels: int) -> None:
    """Refuse an image file before memory is taken for its picture.

    Raises:
        DataError: it claims more than `max_pixels`.
    """
    if (pixels := claimed_pixels(data)) > max_pixels:
        raise DataError(path, too_many(pixels, max_pixels))


def rgb_of_bgr(image: np.ndarray) -> Pixels:
    """Convert OpenCV's grey, BGR or BGRA to RGB of the same bits."""
    channels = image.shape[2] if image.ndim == 3 else 1
    code = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}[channels]
    return cv2.cvtColor(image, code)


def is_heif(path: Path) -> bool:
    """Whether a file holds a HEIF still by its first bytes, whatever its name."""
    try:
        with path.open("rb") as file:
            return is_heif_data(file.read(HEAD))
    except OSError:  # said by the reader
        return False


def has_heif() -> bool:
    """Whether the `heif` extra is installed."""
    return find_spec("pillow_heif") is not None


def _decode_heif(path: str | Path, data: bytes) -> Frame:
    """Decode the primary image of a HEIF file: tiles are put together, the orientation is applied."""
    if not has_heif():
        raise DataError(path, f"a HEIF image; {MissingExtraError('pillow-heif', 'heif')}")
    import pillow_heif

    with reading(path, "a HEIF image that can be read"):
        return as_rgb(np.asarray(pillow_heif.open_heif(data, convert_hdr_to_8bit=True)))


def _upright_avif(image: Any, data: bytes) -> Any:
    """Turn and mirror an AVIF image by its properties irot and imir, which OpenCV leaves out."""
    for kind, content in boxes_in(data, b"meta", b"iprp", b"ipco"):
        if kind == b"irot":
            image = np.rot90(image, content[0] & 3)
        elif kind == b"imir":
            image = image[:, ::-1] if content[0] & 1 else image[::-1]
    return np.ascontiguousarray(image)


def write_image(path: str | Path, image: Frame) -> None:
    """Write RGB uint8 as the file type that the path's suffix names.

    Raises:
        DataError: the folder cannot be written or the suffix is unknown.
    """
    try:
        coded, data = cv2.imencode(Path(path).suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error as error:
        kind = Path(path).suffix or "an image without suffix"
        raise DataError(path, f"cannot be written as {kind}") from error
    if not coded:
        raise DataError(path, "cannot be encoded")
    write_bytes(path, data.tobytes())


def crop_region(
    image: UInt8[np.ndarray, "height width *channels"],
    region: Region,
    size: int,
    border: int = cv2.BORDER_CONSTANT,
) -> tuple[UInt8[np.ndarray, "side side *channels"], Affine]:
    """Cut a square region out of an image and bring it to `size` × `size` px, as `warp` does.

    Args:
        image: RGB or grey, uint8.
        region: in image px.
        size: side of the crop, px.
        border: OpenCV's border mode; training uses others too.

    Returns:
        The crop, and the map from image px to crop px.
    """
    to_crop = region.to_crop(size)
    return warp(image, to_crop, size, border), to_crop


def warp(
    image: UInt8[np.ndarray, "height width *channels"],
    to_crop: Affine,
    size: int,
    border: int = cv2.BORDER_CONSTANT,
    outside: int = 0,
) -> UInt8[np.ndarray, "side side *channels"]:
    """Bring an image to a square crop by an affine map.

    A part much larger than the crop is first averaged over whole blocks, so that no detail aliases; the
    rest is one bilinear warp, without rounding to pixels.

    Args:
        image: RGB or grey, uint8.
        to_crop: from image px to crop px.
        size: side of the crop, px.
        border: OpenCV's border mode.
        outside: level of all channels outside the image, where the border is constant.
    """
    block = int(1 / to_crop.scale + _EXACT)
    if block > 3:
        block -= block % 2  # OpenCV averages pairs in an eighth of the time
    if block >= 2:
        corners = to_crop.inverse(np.array([[0.0, 0.0], [size, 0.0], [size, size], [0.0, size]]) - 0.5)
        image, to_blocks = _average_blocks(image, corners, block, border, outside)
        to_crop = to_blocks.inverse.then(to_crop)
    return cv2.warpAffine(
        image,
        to_crop.matrix,
        (size, size),
        flags=cv2.INTER_LINEAR,
        borderMode=border,
        borderValue=[outside] * 4,
    )


def crop_grey(image: Frame, region: Region, size: int) -> tuple[UInt8[np.ndarray, "side side"], Affine]:
    """`crop_region` in grey; only the part of the image under the region becomes grey."""
    height, width = image.shape[:2]
    corners = region.corners
    x0, y0 = np.clip(np.floor(corners.min(axis=0)).astype(int) - 2, 0, (width - 1, height - 1)).tolist()
    x1, y1 = (np.ceil(corners.max(axis=0)).astype(int) + 3).clip((x0 + 1, y0 + 1)).tolist()
    grey = cv2.cvtColor(image[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY)
    crop, to_crop = crop_region(grey, replace(region, x=region.x - x0, y=region.y - y0), size)
    return crop, Affine.translation(-x0, -y0).then(to_crop)


def _average_blocks(
    image: UInt8[np.ndarray, "height width *channels"],
    corners: Float[np.ndarray, "4 2"],
    block: int,
    border: int,
    outside: int,
) -> tuple[UInt8[np.ndarray, "rows columns *channels"], Affine]:
    """Average the part of the image between corners over block × block px.

    Returns:
        The averages, and the map from image px to their px.
    """
    height, width = image.shape[:2]
    low = np.floor(corners.min(axis=0)).astype(int) - 2 * block
    high = np.ceil(corners.max(axis=0)).astype(int) + 2 * block
    x0, y0 = (int(value) for value in np.clip(low, 0, [max(width - block, 0), max(height - block, 0)]))
    columns = max(1, -(-(min(int(high[0]), width) - x0) // block))
    rows = max(1, -(-(min(int(high[1]), height) - y0) // block))
    window = image[y0 : y0 + rows * block, x0 : x0 + columns * block]
    below, beside = rows * block - window.shape[0], columns * block - window.shape[1]
    if below or beside:
        window = cv2.copyMakeBorder(window, 0, below, 0, beside, border, value=[outside] * 4)
    for factor in _factors(block):
        size = window.shape[1] // factor, window.shape[0] // factor
        window = cv2.resize(window, size, interpolation=cv2.INTER_AREA)
    return window, Affine.translation(-x0, -y0).then(Affine.scaling(1.0 / block))


def _factors(block: int) -> list[int]:
    """Factors of a block's side: all twos, then the rest.

    >>> _factors(12)
    [2, 2, 3]
    """
    if block % 2 or block == 2:
        return [block]
    return [2, *_factors(block // 2)]


def resize_to(image: Frame, side: int) -> tuple[UInt8[np.ndarray, "rows columns 3"], Affine]:
    """Resize so that the longer side has `side` px; the cost hardly grows with the image.

    From a much larger image only every k-th row is read, at least `_ROWS` for each row of the result.

    Args:
        image: RGB uint8.
        side: px.

    Returns:
        The resized image, and the map from image px to its px.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale == 1.0:
        return image, Affine.scaling(1.0)
    return shrink(image, max(1, round(width * scale)), max(1, round(height * scale)))


def shrink(
    image: UInt8[np.ndarray, "height width *channels"], columns: int, rows: int
) -> tuple[UInt8[np.ndarray, "rows columns *channels"], Affine]:
    """Resize as `resize_to`, to a number of columns and rows; also to more."""
    height, width = image.shape[:2]
    step = max(1, int(height / rows / _ROWS))
    first = (step - 1) // 2
    source = image[first::step]
    to_source = Affine(np.array([[1.0, 0.0, 0.0], [0.0, 1 / step, -first / step]]))
    method = cv2.INTER_AREA if columns * rows < width * height else cv2.INTER_LINEAR
    small = cv2.resize(source, (columns, rows), interpolation=method)
    return small, to_source.then(Affine.scaling(columns / width, rows / len(source)))
