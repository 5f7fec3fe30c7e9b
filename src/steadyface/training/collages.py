"""Training samples for the face finder: frames put together from photographs, with every face's box.

The photographs show one or two upright faces of medium size. The frames also show faces of 12 px and faces
that fill the frame, turned, cut by the border, covered, dark, blurred; several photographs side by
side; and the same scenes without their faces.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Bool, Float

from steadyface import markup
from steadyface.arrays import Boxes, Crop, FaceStack
from steadyface.geometry import Region, bounding_box
from steadyface.images import crop_region
from steadyface.training import clutter
from steadyface.training.augmentation import Augmentation
from steadyface.training.photos import Photo, without_faces

MOST_FACES = 48
"""Faces that a sample has room for."""

SMALLEST_FACE = 10.0
"""Larger side of the smallest box that the finder has to find, px; smaller ones do not count."""

_LEAST_VISIBLE = 0.5  # visible fraction of a box from which on it has to be found
_GONE = 0.05  # visible fraction of a box up to which it is no longer a face


@dataclass(frozen=True)
class Collage:
    """Ranges of the random variation of a training frame.

    Args:
        natural: probability of the whole photograph at about its own framing.
        empty: probability of a frame without a face.
        tiles: probabilities of one, two and four photographs in a frame.
        faces: smallest face, px, and largest, as a fraction of its tile's side.
        turned: probability of a rotation by up to `turn` degrees; a few degrees otherwise.
        turn: largest rotation, degrees.
        covered: probability that something hides a part of a face (`clutter.cover`).
        drawn: probability of letters and shapes between the faces.
        tinted: probability of exchanged colour channels.
        dark: probability of a frame that is nearly black.
        camera: the other flaws.
    """

    natural: float = 0.35
    empty: float = 0.1
    tiles: tuple[float, float, float] = (0.6, 0.15, 0.25)
    faces: tuple[float, float] = (12.0, 1.1)
    turned: float = 0.5
    turn: float = 90.0
    covered: float = 0.3
    drawn: float = 0.35
    tinted: float = 0.05
    dark: float = 0.1
    camera: Augmentation = field(default_factory=lambda: Augmentation(camera=0.2, occlusion=0.0))


class FacePhotos:
    """Frames made of photographs; sample (epoch, i) is always the same.

    Each is a canvas (RGB uint8), the (`MOST_FACES`, 4) tight landmark boxes of its faces in canvas px, NaN
    where there is no further face, and which of them have to be found; the others, too small or mostly
    outside, count neither way.

    Args:
        photos: sample (epoch, i) shows photograph i.
        size: side of the frames, px.
        collage: how they are put together.
        seed: of all randomness.
        others: photographs that stand beside and behind it; left out, `photos`.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        size: int,
        collage: Collage,
        seed: int = 0,
        others: Sequence[Photo] = (),
    ) -> None:
        self.photos, self.size, self.collage, self.seed = photos, size, collage, seed
        self.others = others or photos

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(
        self, key: tuple[int, int]
    ) -> tuple[Crop, Float[np.ndarray, "most 4"], Bool[np.ndarray, "most"]]:
        epoch, i = key
        rng = np.random.default_rng((self.seed, epoch, i))
        canvas, boxes, wanted = self._compose(i, rng)
        rows, found = np.full((MOST_FACES, 4), np.nan, np.float32), np.zeros(MOST_FACES, bool)
        rows[: len(boxes)], found[: len(boxes)] = boxes[:MOST_FACES], wanted[:MOST_FACES]
        return canvas, rows, found

    def _compose(self, i: int, rng: np.random.Generator) -> tuple[Crop, Boxes, np.ndarray]:
        collage, size = self.collage, self.size
        canvas = self._background(rng)
        count = int(rng.choice([1, 2, 4], p=collage.tiles))
        empty = rng.random() < collage.empty
        parts: list[tuple[FaceStack, np.ndarray]] = []
        for k, tile in enumerate(_tiles(count, size, rng)):
            photo = self.photos[i] if k == 0 else self.others[int(rng.integers(len(self.others)))]
            if empty:
                photo = Photo(without_faces(photo, rng), photo.shapes[:0])
            parts.append(self._place(photo, canvas, tile, rng, natural=count == 1))
        shapes, visible = (np.concatenate(values) for values in zip(*parts, strict=True))
        kept = visible > _GONE
        shapes, visible = shapes[kept], visible[kept]
        boxes = bounding_box(shapes)
        larger = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
        wanted = (visible >= _LEAST_VISIBLE) & (larger >= SMALLEST_FACE)
        for shape in shapes[wanted]:
            if rng.random() < collage.covered:
                clutter.cover(canvas, shape, rng)
        if rng.random() < collage.drawn:
            clutter.draw(canvas, boxes, rng)
        if rng.random() < collage.tinted:
            canvas = canvas[:, :, rng.permutation(3)]
        if rng.random() < collage.dark:
            canvas = clutter.darken(canvas, rng)
        soft = larger.min(initial=size) >= size / 7  # softening would erase a small face
        return collage.camera.degrade(canvas, rng, soften=bool(soft)), boxes, wanted

    def _place(
        self,
        photo: Photo,
        canvas: Crop,
        tile: tuple[int, int, int, int],
        rng: np.random.Generator,
        natural: bool,
    ) -> tuple[FaceStack, np.ndarray]:
        """Paint a photograph into a tile of the canvas.

        Returns:
            Points of its faces, px of the canvas, and the visible fraction of each face's box.
        """
        photo = photo.flipped() if rng.random() < 0.5 else photo
        region = self._region(photo, tile, rng, natural)
        warped, to_canvas = crop_region(photo.image, region, self.size)
        height, width = photo.image.shape[:2]
        ends = np.array([[0.0, 0.0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]])
        corners = to_canvas(ends)
        mask = np.zeros(canvas.shape[:2], np.uint8)
        cv2.fillConvexPoly(mask, np.round(corners).astype(np.int32), 1)
        x0, y0, x1, y1 = tile
        inside = mask[y0:y1, x0:x1].astype(bool)
        canvas[y0:y1, x0:x1][inside] = warped[y0:y1, x0:x1][inside]
        if not len(photo.shapes):
            return np.zeros((0, markup.COUNT, 2)), np.zeros(0)
        shapes = to_canvas(photo.shapes)
        boxes = bounding_box(shapes)
        low = np.maximum(corners.min(axis=0), [x0, y0])
        high = np.minimum(corners.max(axis=0), [x1 - 1, y1 - 1])
        visible = np.clip(np.minimum(boxes[:, 2:], high) - np.maximum(boxes[:, :2], low), 0, None)
        return shapes, visible.prod(axis=1) / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)

    def _region(
        self, photo: Photo, tile: tuple[int, int, int, int], rng: np.random.Generator, natural: bool
    ) -> Region:
        """Region of the photograph that the canvas shows: all of it, or one with a face of random size."""
        collage, size = self.collage, self.size
        turned = rng.random() < collage.turned
        roll = math.radians(rng.uniform(-collage.turn, collage.turn) if turned else rng.normal(0, 4))
        height, width = photo.image.shape[:2]
        longer = max(height, width)
        if (natural and rng.random() < collage.natural) or not len(photo.shapes):
            x, y = (length / 2 + rng.normal(0, 0.06) * longer for length in (width, height))
            return Region(x, y, longer * rng.uniform(0.8, 1.5), roll)
        x0, y0, x1, y1 = tile
        box = bounding_box(photo.shapes[int(rng.integers(len(photo.shapes)))])
        face = float((box[2:] - box[:2]).max())
        least, most = collage.faces[0], collage.faces[1] * min(x1 - x0, y1 - y0)
        wanted = math.exp(rng.uniform(math.log(least), math.log(max(most, 2 * least))))
        side = size * face / min(wanted, 3 * face)
        from_middle = np.array([rng.uniform(x0, x1), rng.uniform(y0, y1)]) - (size - 1) / 2
        cos, sin = math.cos(roll), math.sin(roll)
        x, y = (box[:2] + box[2:]) / 2 - np.array([[cos, -sin], [sin, cos]]) @ from_middle * side / size
        return Region(float(x), float(y), side, roll)

    def _background(self, rng: np.random.Generator) -> Crop:
        """Return a background: another photograph without its faces, a pattern, one colour, or noise."""
        size, kind = self.size, rng.random()
        if kind < 0.55:
            photo = self.others[int(rng.integers(len(self.others)))]
            height, width = photo.image.shape[:2]
            side = rng.uniform(0.4, 1.0) * min(height, width)
            x, y = (rng.uniform(side / 2, length - side / 2) for length in (width, height))
            return crop_region(without_faces(photo, rng), Region(x, y, side), size, cv2.BORDER_REFLECT_101)[0]
        if kind < 0.7:
            return clutter.pattern(size, rng)
        if kind < 0.88:
            ends = rng.integers(0, 256, (2, 3)) * (rng.random() < 0.6)
            shade = np.linspace(ends[0], ends[1] if rng.random() < 0.5 else ends[0], size)
            return np.repeat(shade.astype(np.uint8)[:, None], size, axis=1)
        coarse = rng.integers(0, 256, (*rng.integers(2, 40, 2), 3), dtype=np.uint8)
        return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)


def _tiles(count: int, size: int, rng: np.random.Generator) -> list[tuple[int, int, int, int]]:
    """Cut the canvas into 1, 2 or 4 rectangles x0, y0, x1, y1."""
    x, y = (int(value) for value in rng.uniform(0.3, 0.7, 2) * size)
    if count == 1:
        return [(0, 0, size, size)]
    if count == 2:
        if rng.random() < 0.5:
            return [(0, 0, x, size), (x, 0, size, size)]
        return [(0, 0, size, y), (0, y, size, size)]
    return [(0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)]
