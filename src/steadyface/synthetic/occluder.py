"""Opaque objects that cross a face on a straight line, and the exact pixels and landmarks they cover."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import cv2
import numpy as np
from jaxtyping import Bool, Float

from steadyface.arrays import Frame, Points
from steadyface.geometry import Affine, bounding_box
from steadyface.metrics import interocular

Opacity = Float[np.ndarray, "rows columns"]
Colour = Float[np.ndarray, "3"]
Picture = Float[np.ndarray, "rows columns 3"]

_TURN = 15.0  # largest angle of an object and of its line, degrees
_GRAINS = (3, 9, 27)  # coarse cells of a texture along its longer side
_FINGERS = (  # from the palm to the tip, then the thumb and the wrist: x, y, x, y, thickness
    (0.36, 0.85, 0.24, 0.24, 0.13),
    (0.51, 0.80, 0.47, 0.10, 0.13),
    (0.67, 0.80, 0.69, 0.11, 0.13),
    (0.82, 0.85, 0.91, 0.28, 0.12),
    (0.40, 1.15, 0.09, 0.80, 0.15),
    (0.60, 1.20, 0.60, 1.70, 0.42),
)


class OccluderKind(StrEnum):
    """Kind of object: a rectangle with a coloured texture, a hand in the face's colour, a dark microphone."""

    PATCH = "patch"
    HAND = "hand"
    MICROPHONE = "microphone"


@dataclass(frozen=True)
class Occluder:
    """A flat, opaque object that moves on a straight line at a constant speed.

    Args:
        image: RGB uint8.
        opacity: (rows, columns) of `image`, in [0, 1]; outside it is 0.
        start: (x, y) of the object's centre at time 0, px of the frame.
        velocity: (x, y), px of the frame per second; at rest by default.
        angle: degrees, clockwise on screen.
    """

    image: Frame
    opacity: Opacity
    start: Float[np.ndarray, "2"]
    velocity: Float[np.ndarray, "2"] = field(default_factory=lambda: np.zeros(2))
    angle: float = 0.0

    def to_frame(self, seconds: float) -> Affine:
        """Map from px of the object's image to px of the frame at a time."""
        rows, columns = self.opacity.shape
        cos, sin = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        linear = np.array([[cos, -sin], [sin, cos]])
        centre = np.array([columns - 1, rows - 1]) / 2
        return Affine(np.column_stack([linear, self.start + seconds * self.velocity - linear @ centre]))

    def draw(self, image: Frame, seconds: float) -> None:
        """Draw the object into a frame, changed in place."""
        window, to_window = self._window(image.shape[:2], seconds)
        part = image[window]
        if part.size:
            opacity = _warped(self.opacity, to_window, part, cv2.BORDER_CONSTANT)[..., None]
            own = _warped(self.image, to_window, part, cv2.BORDER_REPLICATE)
            part[:] = np.round(part * (1 - opacity) + own * opacity)

    def mask(self, seconds: float, height: int, width: int) -> Bool[np.ndarray, "height width"]:
        """Pixels of the frame that the object covers by at least half."""
        covered = np.zeros((height, width), bool)
        window, to_window = self._window((height, width), seconds)
        part = covered[window]
        if part.size:
            part[:] = _warped(self.opacity, to_window, part, cv2.BORDER_CONSTANT) >= 0.5
        return covered

    def covers(self, points: Float[np.ndarray, "n 2"], seconds: float) -> Bool[np.ndarray, "n"]:
        """Points (px of the frame) on which the object is opaque by at least half."""
        x, y = self.to_frame(seconds).inverse(points).astype(np.float32).T
        opacity = cv2.remap(self.opacity, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return np.asarray(opacity)[:, 0] >= 0.5

    def _window(self, shape: tuple[int, ...], seconds: float) -> tuple[tuple[slice, slice], Affine]:
        """Rows and columns of the frame that the object may touch, and the map to px of that window."""
        height, width = shape
        rows, columns = self.opacity.shape
        corners = np.array([[-1, -1], [columns, -1], [-1, rows], [columns, rows]], float)
        to_frame = self.to_frame(seconds)
        box = bounding_box(to_frame(corners))
        x0, y0 = np.clip(np.floor(box[:2]), 0, [width, height]).astype(int)
        x1, y1 = np.clip(np.ceil(box[2:]) + 1, 0, [width, height]).astype(int)
        return (slice(y0, y1), slice(x0, x1)), to_frame.then(Affine.translation(-float(x0), -float(y0)))


def crossing(
    kind: OccluderKind, face: Points, skin: Colour, seed: int, start: float = 1.0, seconds: float = 1.0
) -> Occluder:
    """Make an object that crosses a face from one side to the other.

    Its line leads from where it touches the landmarks' box on one side to where it has left it on the other,
    up to 15° off the horizontal. A patch is 0.9 × 1.1 inter-ocular distances large, a hand 1.2 × 1.5, a
    microphone 0.36 × 2.2 with its head before the mouth.

    Args:
        kind: of object.
        face: (68, 2) landmarks half-way through the crossing, px of the frame.
        skin: RGB, of a hand.
        seed: of its texture, its angle, its side and its height.
        start: seconds at which the crossing begins.
        seconds: duration of the crossing.
    """
    rng = np.random.default_rng(seed)
    eyes = float(interocular(face))
    image, opacity = draw_object(kind, eyes, skin, rng)
    box = bounding_box(face)
    middle = (box[:2] + box[2:]) / 2
    lift = rng.uniform(-0.2, 0.2) * eyes
    if kind is OccluderKind.MICROPHONE:
        lift += opacity.shape[0] / 2
    angle, slope = rng.uniform(-_TURN, _TURN, 2)
    towards = np.array([math.cos(math.radians(slope)), math.sin(math.radians(slope))])
    towards *= rng.choice([-1.0, 1.0])
    turned = abs(math.radians(angle))
    across = opacity.shape[1] * math.cos(turned) + opacity.shape[0] * math.sin(turned)
    velocity = towards * (float(box[2] - box[0]) + across) / seconds
    begin = middle + np.array([0.0, lift]) - velocity * (start + seconds / 2)
    return Occluder(image, opacity, begin, velocity, float(angle))


def draw_object(
    kind: OccluderKind, eyes: float, skin: Colour, rng: np.random.Generator
) -> tuple[Frame, Opacity]:
    """Draw an object's image and its opacity; the sizes are those of `crossing`.

    Args:
        kind: of object.
        eyes: inter-ocular distance of the face it is for, px.
        skin: RGB, of a hand.
        rng: of its texture.
    """
    image, opacity = _SHAPES[kind](eyes, skin, rng)
    return np.round(image).clip(0, 255).astype(np.uint8), opacity


def _warped(
    picture: np.ndarray, to_window: Affine, window: np.ndarray, border: int
) -> Float[np.ndarray, "rows columns *channels"]:
    size = (window.shape[1], window.shape[0])
    values = cv2.warpAffine(
        picture, to_window.matrix, size, flags=cv2.INTER_LINEAR, borderMode=border, borderValue=0
    )
    return np.asarray(values, dtype=np.float32)


def _canvas(eyes: float, width: float, height: float) -> Opacity:
    return np.zeros((round(height * eyes), round(width * eyes)), np.float32)


def _texture(
    shape: tuple[int, ...], channels: int, rng: np.random.Generator
) -> Float[np.ndarray, "rows columns channels"]:
    """Noise of several grains, each channel by itself, about within ± 1."""
    rows, columns = shape
    out = np.zeros((rows, columns, channels), np.float32)
    for cells in _GRAINS:
        grain = max(rows, columns) / cells
        coarse = (max(2, round(rows / grain)), max(2, round(columns / grain)), channels)
        noise = rng.uniform(-1, 1, coarse).astype(np.float32)
        out += cv2.resize(noise, (columns, rows), interpolation=cv2.INTER_CUBIC).reshape(out.shape)
    return out / math.sqrt(len(_GRAINS))


def _patch(eyes: float, skin: Colour, rng: np.random.Generator) -> tuple[Picture, Opacity]:
    opacity = _canvas(eyes, 0.9, 1.1) + np.float32(1)
    return 128 + 90 * _texture(opacity.shape, 3, rng), opacity


def _hand(eyes: float, skin: Colour, rng: np.random.Generator) -> tuple[Picture, Opacity]:
    """A palm with fingers upwards; it is darker towards its outline and between the fingers."""
    opacity = _canvas(eyes, 1.2, 1.5)
    light = np.zeros_like(opacity)
    palm = tuple(round(value * eyes) for value in (0.60, 1.05, 0.33, 0.40))
    parts = [_limb(opacity, eyes, *finger) for finger in _FINGERS]
    ellipse = np.zeros(opacity.shape, np.uint8)
    cv2.ellipse(ellipse, palm[:2], palm[2:], 0, 0, 360, 1, -1)
    for part in (*parts, ellipse):
        depth = cv2.distanceTransform(part, cv2.DIST_L2, 3) / (0.06 * eyes)
        light = np.maximum(light, np.minimum(depth, 1))
        opacity = np.maximum(opacity, part.astype(np.float32))
    tone = (0.65 + 0.35 * light)[..., None] + 0.06 * _texture(opacity.shape, 1, rng)
    return tone * skin, opacity


def _microphone(eyes: float, skin: Colour, rng: np.random.Generator) -> tuple[Picture, Opacity]:
    """A dark handle with a round, speckled head at its upper end."""
    opacity = _canvas(eyes, 0.36, 2.2)
    head = np.zeros(opacity.shape, np.uint8)
    cv2.circle(head, (round(0.18 * eyes), round(0.18 * eyes)), round(0.17 * eyes), 1, -1)
    handle = _limb(opacity, eyes, 0.18, 0.25, 0.18, 2.1, 0.17)
    grey = 28 + 8 * _texture(opacity.shape, 1, rng)
    speckle = rng.normal(0, 14, opacity.shape).astype(np.float32)
    grey = grey + (12 + cv2.GaussianBlur(speckle, (0, 0), 1.0))[..., None] * head[..., None]
    return np.repeat(grey, 3, axis=-1), np.maximum(head, handle).astype(np.float32)


def _limb(
    canvas: Opacity, eyes: float, x0: float, y0: float, x1: float, y1: float, thickness: float
) -> np.ndarray:
    """A line with round ends, as a mask of 0 and 1; in inter-ocular distances."""
    mask = np.zeros(canvas.shape, np.uint8)
    ends = [(round(x * eyes), round(y * eyes)) for x, y in ((x0, y0), (x1, y1))]
    cv2.line(mask, ends[0], ends[1], 1, max(1, round(thickness * eyes)))
    return mask


_SHAPES: dict[OccluderKind, Callable[[float, Colour, np.random.Generator], tuple[Picture, Opacity]]] = {
    OccluderKind.PATCH: _patch,
    OccluderKind.HAND: _hand,
    OccluderKind.MICROPHONE: _microphone,
}
