"""Objects in front of a still face: hands, patches, pieces of photographs."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import UInt8

from steadyface.arrays import Frame, Points
from steadyface.geometry import face_size
from steadyface.synthetic.occluder import Colour, Occluder, OccluderKind, Opacity, draw_object

Photograph = UInt8[np.ndarray, "rows columns 3"]
"""RGB of another size than the frame."""

_EYES = 0.5  # inter-ocular distance over face size, of a frontal face
_SIZES = (0.25, 1.0)  # least and largest side of an object, face sizes


def skin_colour(image: Frame, points: Points) -> Colour:
    """Median colour of a face at its annotated points inside the image.

    Args:
        image: RGB uint8.
        points: image px; NaN where not annotated.
    """
    height, width = image.shape[:2]
    cells = np.round(points[~np.isnan(points).any(axis=1)]).astype(int)
    inside = ((cells >= 0) & (cells < [width, height])).all(axis=1)
    if not inside.any():
        return np.full(3, 128.0)
    x, y = cells[inside].T
    return np.median(image[y, x], axis=0).astype(float)


def random_cover(image: Frame, points: Points, other: Photograph, rng: np.random.Generator) -> Occluder:
    """Make an object of random shape, content, size and angle in front of a random landmark.

    Its outline is a rectangle, an ellipse, a polygon or a hand; its content one colour (often black), noise,
    a piece of another photograph, or the face's own colour with shading.

    Args:
        image: RGB uint8 that shows the face.
        points: the face's points, image px; NaN where not annotated.
        other: another photograph, RGB uint8.
        rng: source of all randomness.
    """
    known = points[~np.isnan(points).any(axis=1)]
    size = float(face_size(known))
    skin = skin_colour(image, points)
    centre = known[rng.integers(len(known))] + rng.normal(0, 0.1 * size, 2)
    if rng.random() < 0.25:
        tone = np.clip(skin * rng.uniform(0.7, 1.2) + rng.normal(0, 8, 3), 0, 255)
        picture, opacity = draw_object(OccluderKind.HAND, rng.uniform(0.7, 1.3) * _EYES * size, tone, rng)
    else:
        width, height = (max(4, round(rng.uniform(*_SIZES) * size)) for _ in range(2))
        outline = _OUTLINES[rng.integers(len(_OUTLINES))]
        opacity = outline(height, width, rng)
        picture = _content(height, width, size, skin, other, rng)
    return Occluder(picture, opacity, centre, angle=float(rng.uniform(-180, 180)))


def _content(
    height: int, width: int, size: float, skin: Colour, other: Photograph, rng: np.random.Generator
) -> Frame:
    """Draw the content of an object: a shaded colour, noise, or a piece of another photograph."""
    kind = rng.choice(["colour", "noise", "photograph", "skin"], p=[0.3, 0.2, 0.3, 0.2])
    if kind == "noise":
        patch, _ = draw_object(OccluderKind.PATCH, size, skin, rng)
        return cv2.resize(patch, (width, height), interpolation=cv2.INTER_AREA)
    if kind == "photograph":
        return _piece(other, height, width, rng)
    if kind == "skin":
        colour, contrast = np.clip(skin * rng.uniform(0.6, 1.3), 0, 255), 25.0
    else:
        colour = np.zeros(3) if rng.random() < 0.4 else rng.uniform(0, 256, 3)
        contrast = rng.choice([0.0, 12.0])
    coarse = rng.normal(0, contrast, (3, 3, 1)).astype(np.float32)
    shade = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.clip(colour + shade, 0, 255).astype(np.uint8)


def _piece(photograph: Photograph, height: int, width: int, rng: np.random.Generator) -> Frame:
    """Random piece of a photograph, resized."""
    rows, columns = photograph.shape[:2]
    scale = rng.uniform(0.3, 1.0)
    h, w = max(2, round(rows * scale)), max(2, round(columns * scale))
    y, x = rng.integers(rows - h + 1), rng.integers(columns - w + 1)
    part = np.ascontiguousarray(photograph[y : y + h, x : x + w])
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA))


def _rectangle(height: int, width: int, rng: np.random.Generator) -> Opacity:
    return np.ones((height, width), np.float32)


def _ellipse(height: int, width: int, rng: np.random.Generator) -> Opacity:
    mask = np.zeros((height, width), np.uint8)
    middle = (width // 2, height // 2)
    cv2.ellipse(mask, middle, middle, 0, 0, 360, 1, -1)
    return mask.astype(np.float32)


def _polygon(height: int, width: int, rng: np.random.Generator) -> Opacity:
    """A star-shaped polygon of five to nine corners."""
    turns = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 10)))
    reach = rng.uniform(0.5, 1.0, len(turns))[:, None] / 2
    corners = (0.5 + reach * np.column_stack([np.cos(turns), np.sin(turns)])) * [width, height]
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 1)
    return mask.astype(np.float32)


_OUTLINES: tuple[Callable[[int, int, np.random.Generator], Opacity], ...] = (_rectangle, _ellipse, _polygon)
