"""Read the intrinsics of a camera from a file of OpenCV's calibration."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from steadyface.camera import Camera
from steadyface.errors import ConfigError, DataError
from steadyface.files import read_bytes
from steadyface.quiet import quiet_opencv

_KIND = "a calibration by OpenCV"
_DISTORTION = ("distortion_coefficients", "distortion", "dist_coeffs")


def read_camera(path: str | Path) -> Camera:
    """Read a camera from a .yml, .xml or .json file of OpenCV's FileStorage.

    It holds `camera_matrix` and, unless the lens has none, `distortion_coefficients` (or `distortion`,
    `dist_coeffs`); `image_width` and `image_height` where the calibration's size is known.

    Raises:
        DataError: the file is missing or of another form, or its numbers are not those of a camera.
    """
    path = Path(path)
    text = read_bytes(path).decode(errors="replace")
    storage = cv2.FileStorage()
    try:
        with quiet_opencv():
            storage.open(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
            matrix = _matrix(storage, "camera_matrix")
            coefficients = [each for name in _DISTORTION if (each := _matrix(storage, name)) is not None]
            size = [storage.getNode(f"image_{side}") for side in ("width", "height")]
            known = all(not side.empty() and side.isInt() for side in size)
            width, height = (int(side.real()) for side in size) if known else (0, 0)
    except cv2.error as error:
        raise DataError(path, f"not {_KIND}") from error
    finally:
        storage.release()
    if matrix is None:
        raise DataError(path, f"not {_KIND}: it holds no camera_matrix")
    if matrix.shape != (3, 3):
        raise DataError(path, f"not {_KIND}: its camera_matrix has the shape {matrix.shape}")
    try:
        distortion = coefficients[0].ravel() if coefficients else np.zeros(0)
        return Camera(matrix, distortion, (width, height) if width > 0 and height > 0 else None)
    except ConfigError as error:
        raise DataError(path, str(error)) from error


def _matrix(storage: cv2.FileStorage, name: str) -> np.ndarray | None:
    node = storage.getNode(name)
    return None if node.empty() else np.asarray(node.mat(), float)
