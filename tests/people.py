"""Scenes of two people who look different, made from the bundled portrait, on given trajectories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import cv2
import numpy as np

from steadyface.demo import portrait
from steadyface.geometry import Region
from steadyface.images import crop_region

WIDTH, HEIGHT, FPS = 480, 270, 25.0
HEAD = 150  # px of a head's side; its face has half of that
FACE = HEAD / 2

Trajectory = Callable[[int], tuple[float, float] | None]
"""Frame index → centre of the head, px; None while it is absent."""


@cache
def heads() -> tuple[np.ndarray, np.ndarray]:
    """The head of the portrait, and another one: mirrored, wider, tinted, with light hair."""
    region = Region(x=222.0, y=118.0, side=190.0)
    one = crop_region(portrait().still, region, HEAD)[0]
    wide = cv2.resize(one[:, ::-1], (round(1.15 * HEAD), HEAD))[:, round(0.075 * HEAD) :][:, :HEAD]
    coloured = wide.astype(float) * [0.55, 0.75, 0.95] + [10, 30, 20]
    return one, coloured.clip(0, 255).astype(np.uint8)


@cache
def wall() -> np.ndarray:
    """Grey background with soft spots."""
    rng = np.random.default_rng(0)
    spots = sum(
        cv2.resize(rng.normal(0, 14, (cells, 2 * cells)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        for cells in (4, 16)
    )
    return np.repeat((120 + spots).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def paste(canvas: np.ndarray, head: np.ndarray, x: float, y: float) -> None:
    """Blend an oval of the head into the canvas, centred at x, y (px, with sub-pixel precision)."""
    u = np.linspace(-1, 1, HEAD)
    oval = np.clip((1 - np.hypot(u[None] / 0.7, u[:, None] / 0.95)) / 0.1, 0, 1)
    matrix = np.array([[1.0, 0.0, x - HEAD / 2], [0.0, 1.0, y - HEAD / 2]])
    size = canvas.shape[1], canvas.shape[0]
    alpha = cv2.warpAffine(oval, matrix, size)[..., None]
    canvas[:] = canvas + alpha * (cv2.warpAffine(head, matrix, size).astype(float) - canvas) + 0.5


def picture(positions: Sequence[tuple[float, float] | None]) -> np.ndarray:
    """Render a frame with the people at their positions, the last one in front."""
    canvas = wall().copy()
    for head, position in zip(heads(), positions, strict=False):
        if position is not None:
            paste(canvas, head, *position)
    return canvas


def scene(count: int, *trajectories: Trajectory) -> list[np.ndarray]:
    """Render frames of one or two people."""
    return [picture([trajectory(index) for trajectory in trajectories]) for index in range(count)]


def at(x: float, y: float = HEIGHT / 2) -> Trajectory:
    """Stand still."""
    return lambda index: (x, y)


def walk(start: float, end: float, count: int) -> Trajectory:
    """Move evenly from one x to another."""
    return lambda index: (start + (end - start) * index / (count - 1), HEIGHT / 2)
