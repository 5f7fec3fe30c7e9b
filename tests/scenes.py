"""Small clips with a face, made from the bundled portrait, for the tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from steadyface.demo import portrait
from steadyface.synthetic.moving_still import MovingStill
from steadyface.video import VideoFrame, VideoWriter

WIDTH, HEIGHT, FPS = 480, 270, 25.0


def scene(seconds: float = 1.0, **changes: object) -> MovingStill:
    """The portrait, smaller than in the demonstration."""
    small = {"zoom": 1.1, "width": WIDTH, "height": HEIGHT, "fps": FPS, "seconds": seconds}
    return replace(portrait(), **{**small, **changes})  # type: ignore[arg-type]


@cache
def frames(count: int = 25) -> tuple[np.ndarray, ...]:
    """The first images of the scene."""
    return tuple(frame.image for frame in scene(count / FPS))


def empty(count: int) -> list[np.ndarray]:
    """Images without a face: a soft gradient."""
    ramp = np.linspace(40, 200, WIDTH)[None, :, None] + np.linspace(0, 40, HEIGHT)[:, None, None]
    return [np.broadcast_to(ramp, (HEIGHT, WIDTH, 3)).astype(np.uint8)] * count


def timed(images: Iterable[np.ndarray], fps: float = FPS) -> list[VideoFrame]:
    return [VideoFrame(index, index / fps, image) for index, image in enumerate(images)]


def write_clip(path: Path, images: Iterable[np.ndarray], fps: float = FPS) -> Path:
    images = list(images)
    height, width = images[0].shape[:2]
    with VideoWriter(path, width, height, fps) as writer:
        for frame in timed(images, fps):
            writer.write(frame.image, frame.seconds)
    return path
