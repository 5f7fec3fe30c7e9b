"""Clutter of training frames for the face finder: in front of faces, between them and behind them."""

from __future__ import annotations

import math

import cv2
import numpy as np

from steadyface import markup
from steadyface.arrays import Box, Boxes, Crop, Points
from steadyface.geometry import bounding_box, face_size, iou
from steadyface.metrics import interocular
from steadyface.synthetic.occluder import Occluder, OccluderKind, crossing

_MASK = [*markup.GROUPS["jaw"][2:15], markup.GROUPS["nose_bridge"][2]]  # corners of a mask
_LEAST_EYES = 8.0  # distance of the eyes, px, from which on a hand is more than a few px


def cover(canvas: Crop, shape: Points, rng: np.random.Generator) -> None:
    """Hide a part of a face by a mask, sunglasses, a hand, a microphone, a patch, or a cut from one side.

    Args:
        canvas: RGB uint8, changed in place.
        shape: (68, 2) points of the face, px of the canvas.
        rng: source of all randomness.
    """
    kind = rng.random()
    if kind < 0.2:
        _mask(canvas, shape, rng)
    elif kind < 0.35:
        _sunglasses(canvas, shape, rng)
    elif kind < 0.55 and interocular(shape) > _LEAST_EYES:
        occluder, seconds = passer(canvas, shape, rng)
        occluder.draw(canvas, seconds)
    else:
        _cut(canvas, bounding_box(shape), rng)


def _mask(canvas: Crop, shape: Points, rng: np.random.Generator) -> None:
    """A mask over mouth, chin and the tip of the nose, perhaps with its ribbons or folds."""
    size = float(face_size(shape))
    corners = shape[_MASK] + rng.normal(0, 0.01 * size, (len(_MASK), 2))
    outline = cv2.convexHull(np.round(corners).astype(np.int32))
    fill = rng.uniform(150, 255) * np.ones(3) if rng.random() < 0.4 else _colour(rng)
    cv2.fillConvexPoly(canvas, outline, _clipped(fill), cv2.LINE_AA)
    edge, wide = _clipped(fill * rng.uniform(0.5, 1.1)), max(1, round(0.015 * size))
    if rng.random() < 0.5:
        for ear, side in zip(markup.EARS, (_MASK[0], _MASK[-2]), strict=True):
            _line(canvas, shape[ear], shape[side], edge, wide)
    for _ in range(int(rng.integers(0, 4))):
        share = rng.uniform(0.1, 0.9)
        right, left = ((1 - share) * shape[_MASK[a]] + share * shape[_MASK[b]] for a, b in ((0, 4), (-2, -6)))
        _line(canvas, right, left, edge, wide)


def _sunglasses(canvas: Crop, shape: Points, rng: np.random.Generator) -> None:
    """Dark or coloured lenses over both eyes, their bridge, and their arms."""
    size = float(face_size(shape))
    lens, frame = _clipped(_colour(rng) * rng.uniform(0.05, 0.5)), _clipped(_colour(rng) * 0.5)
    axis = shape[markup.OUTER_EYE_CORNERS[1]] - shape[markup.OUTER_EYE_CORNERS[0]]
    angle = math.degrees(math.atan2(axis[1], axis[0]))
    wide, grown = max(1, round(0.025 * size)), rng.uniform(1.2, 1.8)
    for eye, ear in zip(markup.EYES, markup.EARS, strict=True):
        points = shape[list(markup.GROUPS[eye])]
        centre = points.mean(axis=0)
        half = grown * np.linalg.norm(points - centre, axis=1).max()
        _line(canvas, centre, shape[ear], frame, wide)
        _line(canvas, centre, shape[markup.GROUPS["nose_bridge"][0]], frame, wide)
        axes = max(1, round(half)), max(1, round(half * rng.uniform(0.6, 0.9)))
        cv2.ellipse(canvas, _whole(centre), axes, angle, 0, 360, lens, -1, cv2.LINE_AA)


def passer(image: Crop, shape: Points, rng: np.random.Generator) -> tuple[Occluder, float]:
    """Draw an object that crosses a face at random, and a moment of its crossing.

    Args:
        image: RGB uint8; a hand has the colour of the face in it.
        shape: (68, 2) points of the face, image px.
        rng: source of all randomness.
    """
    box = bounding_box(shape)
    low, high = (np.clip(np.round(end), 0, len(image) - 1).astype(int) for end in (box[:2], box[2:]))
    skin = np.median(image[low[1] : high[1] + 1, low[0] : high[0] + 1].reshape(-1, 3), axis=0)
    kind = list(OccluderKind)[int(rng.integers(len(OccluderKind)))]
    return crossing(kind, shape, skin, int(rng.integers(2**31)), start=0.0), rng.uniform(0.1, 0.9)


def _cut(canvas: Crop, box: Box, rng: np.random.Generator) -> None:
    """Hide up to 45 % of a face from one side, by one colour, noise, or another part of the canvas."""
    size = len(canvas)
    share, side = rng.uniform(0.15, 0.45), int(rng.integers(4))
    low, high = box[:2].copy(), box[2:].copy()
    span = high - low
    axis = side % 2
    if side < 2:
        high[axis] = low[axis] + share * span[axis]
    else:
        low[axis] = high[axis] - share * span[axis]
    (x0, y0), (x1, y1) = (np.clip(np.round(end), 0, size).astype(int) for end in (low, high))
    if x1 <= x0 or y1 <= y0:
        return
    shape, kind = (y1 - y0, x1 - x0), rng.random()
    if kind < 0.5:
        canvas[y0:y1, x0:x1] = rng.integers(0, 256, 3)
    elif kind < 0.7:
        canvas[y0:y1, x0:x1] = rng.integers(0, 256, (*shape, 3))
    else:
        u, v = (int(rng.integers(0, size - length + 1)) for length in (shape[1], shape[0]))
        canvas[y0:y1, x0:x1] = canvas[v : v + shape[0], u : u + shape[1]].copy()


_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_PLAIN)
_LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789&@?!%"))
_SKIN = np.array([220, 150, 90])  # roughly; objects in it differ from a face by their shape alone


def draw(canvas: Crop, boxes: Boxes, rng: np.random.Generator) -> None:
    """Draw letters, discs and bars beside the faces, outlined or not, many of them in colours of skin.

    Args:
        canvas: RGB uint8, changed in place.
        boxes: of the faces, px of the canvas.
        rng: source of all randomness.
    """
    size = len(canvas)
    for _ in range(int(rng.integers(1, 9))):
        height = math.exp(rng.uniform(math.log(6), math.log(size / 4)))
        x, y = rng.uniform(0, size, 2)
        text = "".join(rng.choice(_LETTERS, int(rng.integers(1, 7))))
        font, thickness = (
            _FONTS[int(rng.integers(len(_FONTS)))],
            max(1, round(height * rng.uniform(0.05, 0.25))),
        )
        (width, tall), _ = cv2.getTextSize(text, font, 1.0, 1)
        scale, kind = height / tall, rng.random()
        reach = width * scale if kind < 0.7 else 2 * height
        taken = np.array([[x - height, y - 2 * height, x + reach + height, y + height]])
        if iou(taken, boxes).any():
            continue
        fill, edge = _clipped(_colour(rng)), _clipped(_colour(rng))
        position = int(x), int(y)
        for colour, wide in ((edge, thickness + 2), (fill, thickness)):
            if kind < 0.7:
                cv2.putText(canvas, text, position, font, scale, colour, wide, cv2.LINE_AA)
            elif kind < 0.85:
                axes = round(height * rng.uniform(0.3, 0.6)) + wide, round(height * 0.5) + wide
                cv2.ellipse(canvas, position, axes, rng.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)
            else:
                far = int(x + rng.uniform(0, height)), int(y - rng.uniform(0, height))
                cv2.rectangle(canvas, position, far, colour, wide if rng.random() < 0.5 else -1)


def _colour(rng: np.random.Generator) -> np.ndarray:
    """Draw any colour, or one of skin."""
    if rng.random() < 0.5:
        return rng.integers(0, 256, 3)
    return rng.uniform(0.4, 1.2) * _SKIN + rng.normal(0, 20, 3)


def _clipped(colour: np.ndarray) -> tuple[int, ...]:
    return tuple(int(value) for value in np.clip(colour, 0, 255))


def _line(canvas: Crop, start: np.ndarray, end: np.ndarray, colour: tuple[int, ...], thickness: int) -> None:
    cv2.line(canvas, _whole(start), _whole(end), colour, thickness, cv2.LINE_AA)


def _whole(point: np.ndarray) -> tuple[int, int]:
    return round(point[0]), round(point[1])


def pattern(size: int, rng: np.random.Generator) -> Crop:
    """Draw a square of stripes, checks, rings, dots or bricks in two colours, turned and of any period.

    Args:
        size: side, px.
        rng: source of all randomness.
    """
    period, angle = math.exp(rng.uniform(math.log(4), math.log(size / 2))), rng.uniform(0, math.pi)
    rows, columns = np.mgrid[:size, :size].astype(np.float32) - rng.uniform(0, size, (2, 1, 1))
    x = (math.cos(angle) * columns + math.sin(angle) * rows) / period
    y = (math.cos(angle) * rows - math.sin(angle) * columns) / period
    apart = x - np.round(x), y - np.round(y)
    waves = (
        np.sin(2 * np.pi * x),
        np.sin(np.pi * x) * np.sin(np.pi * y),
        np.sin(2 * np.pi * np.hypot(x, y)),
        rng.uniform(0.1, 0.5) - np.hypot(*apart),
        np.minimum(np.abs(apart[1]), np.abs((x + 0.5 * (np.round(y) % 2)) % 1 - 0.5)) - 0.08,
    )
    share = np.clip(0.5 + waves[int(rng.integers(len(waves)))] * rng.choice([0.5, 4, 20]), 0, 1)[..., None]
    picture = share * _colour(rng) + (1 - share) * _colour(rng)
    return np.clip(picture, 0, 255).astype(np.uint8)


def darken(canvas: Crop, rng: np.random.Generator) -> Crop:
    """Make a frame almost black, with a slight tint."""
    dark = canvas * np.float32(rng.uniform(0.08, 0.4))
    return np.clip(dark + rng.normal(0, rng.uniform(0, 3), (1, 1, 3)), 0, 255).astype(np.uint8)
