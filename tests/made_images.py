"""Images with what cameras add to them."""

from __future__ import annotations

import struct

import cv2
import numpy as np


def exif(orientation: int) -> bytes:
    """EXIF block that says how the camera was held."""
    return b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def camera_jpeg(image: np.ndarray, orientation: int = 1) -> bytes:
    """Encode RGB as JPEG with an EXIF block, as a camera does."""
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
    block = exif(orientation)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """Picture that EXIF's orientation 1 to 8 means."""
    if orientation > 4:
        image = image.transpose(1, 0, 2)
    rows, columns = ((1, 1), (1, -1), (-1, -1), (-1, 1), (1, 1), (1, -1), (-1, -1), (-1, 1))[orientation - 1]
    return image[::rows, ::columns]
