"""Intrinsics of a camera: focal length, axis and distortion of its lens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from steadyface.arguments import positive
from steadyface.arrays import FaceBatch
from steadyface.errors import ConfigError
from steadyface.geometry import box_of_pixels

_DISTORTIONS = (0, 4, 5, 8, 12, 14)  # coefficients of OpenCV's models of a lens
_SAME_SHAPE = 0.01  # by which the ratio of width and height may differ
_ROUNDS, _PRECISION = 40, 1e-9  # of inverting the distortion


@dataclass(frozen=True, eq=False)
class Camera:
    """Intrinsics of a camera, as OpenCV calibrates it.

    Args:
        matrix: (3, 3) focal lengths on the diagonal and the axis's image position in the last column, px.
        distortion: 0, 4, 5, 8, 12 or 14 coefficients of the lens, k1 k2 p1 p2 k3 and so on.
        size: width and height of the pictures that it was calibrated with, px; None if not known. Frames of
            another size but the same aspect ratio are taken as scaled.

    Raises:
        ConfigError: numbers that are not finite, a focal length that is not positive, or another number of
            coefficients.
    """

    matrix: Float[np.ndarray, "3 3"]
    distortion: Float[np.ndarray, "coefficients"] = field(default_factory=lambda: np.zeros(0))
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not np.isfinite(self.matrix).all():
            raise ConfigError(f"a camera matrix has finite numbers, got {self.matrix.tolist()}")
        if not (self.matrix[[0, 1], [0, 1]] > 0).all():
            raise ConfigError(f"focal lengths must be positive, got {self.matrix.diagonal()[:2].tolist()}")
        if len(self.distortion) not in _DISTORTIONS or not np.isfinite(self.distortion).all():
            numbers = ", ".join(map(str, _DISTORTIONS))
            raise ConfigError(
                f"distortion must have {numbers} finite coefficients, got {len(self.distortion)}"
            )

    @classmethod
    def of_focal(cls, focal: float | None, width: float, height: float) -> Camera:
        """A camera without distortion whose axis meets the middle of the picture.

        Args:
            focal: focal length, px; None takes the picture's longer side, a view of 53°, about a phone's.
            width, height: of the picture, px.

        Raises:
            ConfigError: one of them is not positive.
        """
        if not (width > 0 and height > 0):
            raise ConfigError(f"width and height must be positive, got {width} and {height}")
        x, y = box_of_pixels(0, 0, width, height).reshape(2, 2).mean(axis=0)
        length = max(width, height) if focal is None else focal
        return cls(np.array([[length, 0, x], [0, length, y], [0, 0, 1.0]]))

    def values(self) -> dict[str, Any]:
        """Fields as JSON keeps them."""
        size = self.size and list(self.size)
        return {"matrix": self.matrix.tolist(), "distortion": self.distortion.tolist(), "size": size}

    def scaled_to(self, width: float, height: float) -> Camera:
        """The same camera for pictures of another size.

        Raises:
            ConfigError: they are of another shape than those of its calibration.
        """
        if self.size is None or self.size == (width, height):
            return self
        across, down = width / self.size[0], height / self.size[1]
        if abs(across / down - 1) > _SAME_SHAPE:
            own = f"the camera was calibrated at {self.size[0]} x {self.size[1]} px"
            raise ConfigError(f"{own}, and {width:g} x {height:g} px are of another shape")
        grid = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])
        return Camera(grid @ self.matrix, self.distortion, (round(width), round(height)))

    def directions(self, points: FaceBatch) -> FaceBatch:
        """Directions from the camera to points, as x/z and y/z, without the lens' distortion.

        Args:
            points: image px.
        """
        flat = np.ascontiguousarray(points, float).reshape(-1, 1, 2)
        if not len(flat):
            return np.zeros(points.shape)
        stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _ROUNDS, _PRECISION)
        undistort: Any = getattr(cv2, "undistortPointsIter", cv2.undistortPoints)  # OpenCV 5 has one for both
        straight = undistort(flat, self.matrix, self.distortion, R=np.eye(3), P=np.eye(3), criteria=stop)
        return np.asarray(straight, float).reshape(points.shape)


def check_camera(focal: float | None, camera: object | None) -> None:
    """Refuse a focal length that is not positive, and one given together with a camera.

    Raises:
        ConfigError: it is not positive, or both are given.
    """
    if focal is not None:
        positive("focal", focal)
    if focal is not None and camera is not None:
        raise ConfigError("focal and camera exclude each other: a camera has its own focal length")


def camera_for(values: Mapping[str, Any] | None, width: float, height: float) -> Camera:
    """Camera of pictures of one size.

    Args:
        values: of `Camera.values`, or only `focal`, px; None takes the usual view of `Camera.of_focal`.
        width, height: of the pictures, px.

    Raises:
        ConfigError: the camera was calibrated with pictures of another shape.
        KeyError, TypeError, ValueError: the values do not describe a camera.
    """
    if values is None:
        return Camera.of_focal(None, width, height)
    if "focal" in values:
        return Camera.of_focal(float(values["focal"]), width, height)
    size = values["size"]
    camera = Camera(
        np.array(values["matrix"], float).reshape(3, 3),
        np.array(values["distortion"], float),
        size and (int(size[0]), int(size[1])),
    )
    return camera.scaled_to(width, height)
