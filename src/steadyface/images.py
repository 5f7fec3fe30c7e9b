"""Read and write images; cut a region out of one, at sub-pixel precision and without aliasing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from steadyface.arrays import Crop, Frame
from steadyface.errors import ConfigError, DataError
from steadyface.files import read_bytes, write_bytes
from steadyface.geometry import Affine, Region

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})


_ROWS = 3


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


def read_image(path: str | Path) -> Frame:
    """Read an image as RGB uint8 (H, W, 3), turned by its EXIF orientation; grey and alpha become RGB.

    Raises:
        DataError: missing, empty, or not an image.
    """
    data = np.frombuffer(read_bytes(path), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None or not image.size:
        raise DataError(path, "not an image that can be read")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def write_image(path: str | Path, image: Frame) -> None:
    """Write RGB uint8 as the file type that the path's suffix names.

    Raises:
        DataError: the folder cannot be written or the suffix is unknown.
    """
    try:
        coded, data = cv2.imencode(Path(path).suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error as error:
        raise DataError(
            path, f"cannot be written as {Path(path).suffix or 'an image without suffix'}"
        ) from error
    if not coded:
        raise DataError(path, "cannot be encoded")
    write_bytes(path, data.tobytes())


def crop_region(
    image: Frame, region: Region, size: int, border: int = cv2.BORDER_CONSTANT
) -> tuple[Crop, Affine]:
    """Cut a square region out of an image and bring it to `size` × `size` px.

    A region much larger than the crop is first averaged over whole blocks, so that no detail aliases; the
    rest is one bilinear warp, without rounding to pixels. Pixels outside the image are black.

    Args:
        image: RGB uint8.
        region: in image px.
        size: side of the crop, px.
        border: OpenCV's border mode; training uses others too.

    Returns:
        The crop, and the map from image px to crop px.
    """
    to_crop = region.to_crop(size)
    source, to_source = image, Affine.scaling(1.0)
    block = int(region.side / size)
    if block >= 2:
        source, to_source = _average_blocks(image, region, block, border)
    matrix = to_source.inverse.then(to_crop).matrix
    crop = cv2.warpAffine(source, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
    return crop, to_crop


def _average_blocks(
    image: Frame, region: Region, block: int, border: int
) -> tuple[UInt8[np.ndarray, "rows columns 3"], Affine]:
    """Average the part of the image under the region over block × block px; also the map to its px."""
    height, width = image.shape[:2]
    low = np.floor(region.corners.min(axis=0)).astype(int) - 2 * block
    high = np.ceil(region.corners.max(axis=0)).astype(int) + 2 * block
    x0, y0 = (int(value) for value in np.clip(low, 0, [max(width - block, 0), max(height - block, 0)]))
    columns = max(1, -(-(min(int(high[0]), width) - x0) // block))
    rows = max(1, -(-(min(int(high[1]), height) - y0) // block))
    window = image[y0 : y0 + rows * block, x0 : x0 + columns * block]
    below, beside = rows * block - window.shape[0], columns * block - window.shape[1]
    if below or beside:
        window = cv2.copyMakeBorder(window, 0, below, 0, beside, border)
    small = cv2.resize(window, (columns, rows), interpolation=cv2.INTER_AREA)
    return small, Affine.translation(-x0, -y0).then(Affine.scaling(1.0 / block))


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
    columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
    step = max(1, int(height / rows / _ROWS))
    first = (step - 1) // 2
    source = image[first::step]
    to_source = Affine(np.array([[1.0, 0.0, 0.0], [0.0, 1 / step, -first / step]]))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(source, (columns, rows), interpolation=method)
    return small, to_source.then(Affine.scaling(columns / width, rows / len(source)))
