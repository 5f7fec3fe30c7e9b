"""Scenes in which two people of real clips meet at known positions, for `identities.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from steadyface.detector import FaceFinder
from steadyface.geometry import Region
from steadyface.images import crop_region
from steadyface.video import VideoFrame, VideoReader

WIDTH, HEIGHT, FPS = 960, 540, 25.0
FRAMES = 75
SIDE = 320  # px of a cut-out head
_MARGIN = 2.0  # its side over the side of the face's box
_VISIBLE = 0.85  # fraction of a face that must be visible for it to count

Trajectory = Callable[[float], tuple[float, float]]
"""Time as a fraction of the scene, 0 to 1 → centre of the head, px."""


@dataclass(frozen=True)
class Person:
    """Head of a person, cut out of every frame of a clip.

    Args:
        name: of the clip.
        heads: RGB uint8, one per frame of the scene.
        face: larger side of the face in them, px.
    """

    name: str
    heads: list[np.ndarray]
    face: float


def person(clip: Path, finder: FaceFinder) -> Person:
    """Cut out the first face of a clip, at its position in the first frame."""
    heads: list[np.ndarray] = []
    with VideoReader(clip) as reader:
        for frame in islice(reader, FRAMES):
            if not heads:
                box = finder(frame.image)[0]
                region = Region.around_box(box, _MARGIN)
            heads.append(crop_region(frame.image, region, SIDE, cv2.BORDER_REPLICATE)[0])
    heads += heads[::-1] * (FRAMES // len(heads))
    return Person(clip.stem, heads[:FRAMES], SIDE / _MARGIN)


@dataclass(frozen=True)
class Meeting:
    """Scene of people on their trajectories, the last one in front. Iterating gives its frames."""

    people: tuple[Person, ...]
    trajectories: tuple[Trajectory, ...]

    def __iter__(self) -> Iterator[VideoFrame]:
        wall = backdrop()
        for index in range(FRAMES):
            canvas = wall.copy()
            for human, (x, y) in zip(self.people, self.positions(index), strict=True):
                paste(canvas, human.heads[index], x, y)
            yield VideoFrame(index, index / FPS, canvas)

    def positions(self, index: int) -> list[tuple[float, float]]:
        """Centres of the heads in a frame, px."""
        return [trajectory(index / (FRAMES - 1)) for trajectory in self.trajectories]

    def visible(self, index: int) -> list[bool]:
        """Whether each person is in the frame, and not behind one further in front."""
        positions = self.positions(index)
        seen = []
        for i, (x, y) in enumerate(positions):
            half = self.people[i].face / 2
            shown = np.clip(min(x + half, WIDTH) - max(x - half, 0), 0, None) / (2 * half)
            for later, (x1, y1) in enumerate(positions[i + 1 :], i + 1):
                reach = half + self.people[later].face * 0.75  # a head is wider than its face
                apart = max(abs(x - x1), abs(y - y1)) / reach
                shown = min(shown, apart)
            seen.append(bool(shown > _VISIBLE))
        return seen


def backdrop() -> np.ndarray:
    """Render a background with soft spots of many sizes."""
    rng = np.random.default_rng(0)
    wall = np.full((HEIGHT, WIDTH, 3), 110.0, np.float32)
    for cells in (4, 16, 64):
        spots = rng.normal(0, 12, (cells, cells * 2)).astype(np.float32)
        wall += cv2.resize(spots, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)[..., None]
    return wall.clip(0, 255).astype(np.uint8)


def paste(canvas: np.ndarray, head: np.ndarray, x: float, y: float) -> None:
    """Blend an oval of the head into the canvas, centred at x, y; parts outside are cropped."""
    side = len(head)
    u = np.linspace(-1, 1, side)
    alpha = np.clip((1 - np.hypot(u[None] / 0.72, u[:, None] / 0.95)) / 0.08, 0, 1)[..., None]
    left, top = round(x - side / 2), round(y - side / 2)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + side, canvas.shape[1]), min(top + side, canvas.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    part = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
    under = canvas[y0:y1, x0:x1]
    canvas[y0:y1, x0:x1] = (under + alpha[part] * (head[part].astype(float) - under) + 0.5).astype(np.uint8)


def meetings(one: Person, other: Person) -> dict[str, Meeting]:
    """Build one scene of two people for each kind of meeting."""
    both = (one, other)
    left, right, middle = 0.25 * WIDTH, 0.75 * WIDTH, 0.5 * HEIGHT

    def to(start: float, end: float, dip: float = 0.0) -> Trajectory:
        return lambda t: (start + (end - start) * t, middle + dip * np.sin(2 * np.pi * t))

    def turning_back(start: float, end: float) -> Trajectory:
        return lambda t: (start + (end - start) * np.sin(np.pi * t), middle)

    return {
        "side by side": Meeting(both, (lambda t: (left, middle), lambda t: (right, middle))),
        "crossing": Meeting(both, (to(left, right), to(right, left))),
        "crossing fast": Meeting(both, (to(-400, WIDTH + 400), to(WIDTH + 400, -400))),
        "one passes": Meeting(both, (lambda t: (0.5 * WIDTH, middle), to(-100, WIDTH + 100))),
        "met, turned back": Meeting(
            both, (turning_back(left, 0.47 * WIDTH), turning_back(right, 0.53 * WIDTH))
        ),
        "leaving, returning": Meeting(both, (turning_back(left, -300), lambda t: (right, middle))),
    }
