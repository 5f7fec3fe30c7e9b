"""Frames of the portrait as the live page sends them, for the tests."""

from __future__ import annotations

import struct
from functools import cache

import cv2
import numpy as np
import scenes

FACE = np.dtype(
    [
        ("face", "<u4"),
        ("held", "<u4"),
        ("jitter_raw", "<f4"),
        ("jitter", "<f4"),
        ("delay", "<f4"),
        ("person", "<i4"),
        ("points", "<f4", (68, 2)),
        ("raw_points", "<f4", (68, 2)),
        ("scores", "<f4", 68),
    ]
)
"""A face of an answer, written down a second time."""


@cache
def jpeg(index: int) -> bytes:
    """A frame of the portrait's scene."""
    image = scenes.frames(12)[index]
    coded, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert coded
    return data.tobytes()


def message(index: int, seconds: float | None = None, width: int = scenes.WIDTH) -> bytes:
    """Frame number `index` as the page sends it."""
    seconds = index / scenes.FPS if seconds is None else seconds
    return struct.pack("<IdHH", index, seconds, width, scenes.HEIGHT) + jpeg(index)


def decoded(index: int) -> np.ndarray:
    """Decode it as the server does."""
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg(index), np.uint8), 1), cv2.COLOR_BGR2RGB)


def read_answer(data: bytes) -> tuple[dict[str, float], np.ndarray]:
    """An answer's header and faces."""
    names = ("sequence", "dropped", "faces", "milliseconds", "recorded")
    header = dict(zip(names, struct.unpack_from("<IIIfI", data), strict=True))
    faces = np.frombuffer(data, FACE, offset=20)
    assert len(faces) == header["faces"]
    return header, faces
