"""Training samples for the face finder: frames put together from photographs, with every face's box.

The photographs show one or two upright faces of middling size. What they lack is made here: faces of 12 px
and faces that fill the frame, turned, cut by the border, covered, dark, blurred; several photographs side by
side; and the same scenes without their faces.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float

from steadyface.arrays import Box, Boxes, Crop, Frame
from steadyface.datasets.face_boxes import FaceBox, read_boxes
from steadyface.geometry import Region, bounding_box, flip_points, iou
from steadyface.images import crop_region, read_image
from steadyface.landmarker import Landmarker
from steadyface.training.augmentation import Augmentation

MOST_FACES = 48
"""Faces that a sample has room for."""

SMALLEST_FACE = 10.0
"""Larger side of the smallest box that the finder has to find, px; smaller ones count for nothing."""

_LEAST_VISIBLE = 0.5  # share of a box inside the frame from which on it has to be found
_GONE = 0.05  # … below which it is no face any more


@dataclass(frozen=True)
class Photo:
    """A photograph and all its faces.

    Args:
        image: RGB uint8.
        shapes: (faces, 68, 2) points whose tight boxes are the faces' boxes at any roll, image px.
    """

    image: Frame
    shapes: Float[np.ndarray, "faces landmarks 2"]

    def flipped(self) -> Photo:
        """Its mirror image."""
        image = np.ascontiguousarray(self.image[:, ::-1])
        return Photo(image, flip_points(self.shapes, self.image.shape[1]))


@dataclass(frozen=True)
class Collage:
    """Ranges of the random variation of a training frame.

    Args:
        natural: probability of the whole photograph at about its own framing.
        empty: probability of a frame without a face.
        tiles: probabilities of one, two and four photographs in a frame.
        faces: smallest and largest face, the one in px, the other as a share of its tile's side.
        turned: probability of a rotation by up to `turn` degrees; a few degrees otherwise.
        turn: largest rotation, degrees.
        covered: probability that something hides a part of a face.
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
    turn: float = 60.0
    covered: float = 0.2
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
        photos: to be put together.
        size: side of the frames, px.
        collage: how they are put together.
        seed: of all randomness.
    """

    def __init__(self, photos: Sequence[Photo], size: int, collage: Collage, seed: int = 0) -> None:
        self.photos, self.size, self.collage, self.seed = photos, size, collage, seed

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
        parts: list[tuple[Boxes, np.ndarray]] = []
        for k, tile in enumerate(_tiles(count, size, rng)):
            photo = self.photos[i if k == 0 else int(rng.integers(len(self.photos)))]
            if empty:
                photo = Photo(without_faces(photo, rng), photo.shapes[:0])
            parts.append(self._place(photo, canvas, tile, rng, natural=count == 1))
        boxes, visible = (np.concatenate(values) for values in zip(*parts, strict=True))
        kept = visible > _GONE
        boxes, visible = boxes[kept], visible[kept]
        larger = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
        wanted = (visible >= _LEAST_VISIBLE) & (larger >= SMALLEST_FACE)
        for box in boxes[wanted]:
            if rng.random() < collage.covered:
                _cover(canvas, box, rng)
        if rng.random() < collage.drawn:
            _draw(canvas, boxes, rng)
        if rng.random() < collage.tinted:
            canvas = canvas[:, :, rng.permutation(3)]
        if rng.random() < collage.dark:
            canvas = _darken(canvas, rng)
        soft = larger.min(initial=size) >= size / 7  # a small face does not survive it
        return collage.camera.degrade(canvas, rng, soften=bool(soft)), boxes, wanted

    def _place(
        self,
        photo: Photo,
        canvas: Crop,
        tile: tuple[int, int, int, int],
        rng: np.random.Generator,
        natural: bool,
    ) -> tuple[Boxes, np.ndarray]:
        """Paint a photograph into a tile of the canvas; its faces' boxes and how much of each can be seen."""
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
            return np.zeros((0, 4)), np.zeros(0)
        boxes = bounding_box(to_canvas(photo.shapes))
        seen = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
        seen[:2], seen[2:] = np.maximum(seen[:2], [x0, y0]), np.minimum(seen[2:], [x1 - 1, y1 - 1])
        shown = np.clip(np.minimum(boxes[:, 2:], seen[2:]) - np.maximum(boxes[:, :2], seen[:2]), 0, None)
        return boxes, shown.prod(axis=1) / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)

    def _region(
        self, photo: Photo, tile: tuple[int, int, int, int], rng: np.random.Generator, natural: bool
    ) -> Region:
        """The part of the photograph that the canvas shows."""
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
        place = np.array([rng.uniform(x0, x1), rng.uniform(y0, y1)]) - (size - 1) / 2
        cos, sin = math.cos(roll), math.sin(roll)
        x, y = (box[:2] + box[2:]) / 2 - np.array([[cos, -sin], [sin, cos]]) @ place * side / size
        return Region(float(x), float(y), side, roll)

    def _background(self, rng: np.random.Generator) -> Crop:
        """Return a background: another photograph without its faces, one colour, or noise."""
        size, kind = self.size, rng.random()
        if kind < 0.6:
            photo = self.photos[int(rng.integers(len(self.photos)))]
            height, width = photo.image.shape[:2]
            side = rng.uniform(0.4, 1.0) * min(height, width)
            x, y = (rng.uniform(side / 2, length - side / 2) for length in (width, height))
            return crop_region(without_faces(photo, rng), Region(x, y, side), size, cv2.BORDER_REFLECT_101)[0]
        if kind < 0.85:
            ends = rng.integers(0, 256, (2, 3)) * (rng.random() < 0.6)
            shade = np.linspace(ends[0], ends[1] if rng.random() < 0.5 else ends[0], size)
            return np.repeat(shade.astype(np.uint8)[:, None], size, axis=1)
        coarse = rng.integers(0, 256, (*rng.integers(2, 40, 2), 3), dtype=np.uint8)
        return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)


def load_photos(
    folder: str | Path, names: Iterable[str], landmarker: Landmarker | None = None
) -> list[Photo]:
    """Photographs of a folder with a `faces.json`, with the points of each face.

    A network finds the points inside the box that the folder gives; stretched so that their tight box is
    that box, they tell what the box becomes when the photograph is turned.

    Args:
        folder: with `faces.json`.
        names: of the photographs wanted.
        landmarker: None takes the bundled `tiny`.

    Raises:
        DataError: `faces.json` is missing or of another form, or a photograph cannot be read.
    """
    listed, landmarker = read_boxes(folder), landmarker or Landmarker("tiny")
    return [_load_photo(Path(folder) / name, listed[name], landmarker) for name in names]


def _load_photo(path: Path, faces: Sequence[FaceBox], landmarker: Landmarker) -> Photo:
    image = read_image(path)
    shapes = landmarker.predict_regions(image, [Region.around_box(face.box) for face in faces]).points
    for shape, face in zip(shapes, faces, strict=True):
        tight = bounding_box(shape)
        shape -= tight[:2]
        shape *= (face.box[2:] - face.box[:2]) / (tight[2:] - tight[:2])
        shape += face.box[:2]
    return Photo(image, shapes)


def hold_out_photos(folder: str | Path, one_in: int = 8) -> tuple[list[str], list[str]]:
    """Split a folder's photographs into names (training, validation); the same are held out always.

    Raises:
        DataError: as of `read_boxes`.
    """
    names = list(read_boxes(folder))
    held_out = [name for name in names if zlib.crc32(name.encode()) % one_in == 0]
    return [name for name in names if name not in set(held_out)], held_out


def without_faces(photo: Photo, rng: np.random.Generator) -> Frame:
    """The photograph with something else in place of each face."""
    image = photo.image.copy()
    if not len(photo.shapes):
        return image
    height, width = image.shape[:2]
    boxes = bounding_box(photo.shapes)
    for box in boxes:
        middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) * rng.uniform(0.6, 0.9)
        low = np.clip(np.floor(middle - half), 0, [width, height]).astype(int)
        high = np.clip(np.ceil(middle + half), 0, [width, height]).astype(int)
        (x0, y0), (x1, y1) = low, high
        if x1 > x0 and y1 > y0:
            image[y0:y1, x0:x1] = _patch(photo.image, boxes, int(x1 - x0), int(y1 - y0), rng)
    return image


def _patch(image: Frame, boxes: Boxes, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Something of the given size that is no face: another part of the image, one colour, or noise."""
    rows, columns = image.shape[:2]
    kind = rng.random()
    if kind < 0.6:
        for _ in range(5):
            w, h = (max(2, int(rng.uniform(0.1, 0.5) * length)) for length in (columns, rows))
            x, y = int(rng.integers(0, columns - w + 1)), int(rng.integers(0, rows - h + 1))
            if not iou(np.array([[x, y, x + w, y + h]], float), boxes).any():
                return cv2.resize(image[y : y + h, x : x + w], (width, height))
    if kind < 0.8:
        return np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
    coarse = rng.integers(0, 256, (*rng.integers(2, 24, 2), 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


def _tiles(count: int, size: int, rng: np.random.Generator) -> list[tuple[int, int, int, int]]:
    """The canvas cut into 1, 2 or 4 rectangles x0, y0, x1, y1."""
    x, y = (int(value) for value in rng.uniform(0.3, 0.7, 2) * size)
    if count == 1:
        return [(0, 0, size, size)]
    if count == 2:
        if rng.random() < 0.5:
            return [(0, 0, x, size), (x, 0, size, size)]
        return [(0, 0, size, y), (0, y, size, size)]
    return [(0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)]


def _cover(canvas: Crop, box: Box, rng: np.random.Generator) -> None:
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
_SKIN = np.array([220, 150, 90])  # about; what is drawn in it has to be told from a face by its shape


def _draw(canvas: Crop, boxes: Boxes, rng: np.random.Generator) -> None:
    """Letters, discs and bars, outlined or not, many of them in the colours of skin, beside the faces."""
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
        fill, edge = (
            tuple(int(value) for value in np.clip(colour, 0, 255)) for colour in (_colour(rng), _colour(rng))
        )
        place = int(x), int(y)
        for colour, wide in ((edge, thickness + 2), (fill, thickness)):
            if kind < 0.7:
                cv2.putText(canvas, text, place, font, scale, colour, wide, cv2.LINE_AA)
            elif kind < 0.85:
                axes = round(height * rng.uniform(0.3, 0.6)) + wide, round(height * 0.5) + wide
                cv2.ellipse(canvas, place, axes, rng.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)
            else:
                far = int(x + rng.uniform(0, height)), int(y - rng.uniform(0, height))
                cv2.rectangle(canvas, place, far, colour, wide if rng.random() < 0.5 else -1)


def _colour(rng: np.random.Generator) -> np.ndarray:
    """Any colour, or one of skin."""
    return (
        rng.integers(0, 256, 3)
        if rng.random() < 0.5
        else rng.uniform(0.4, 1.2) * _SKIN + rng.normal(0, 20, 3)
    )


def _darken(canvas: Crop, rng: np.random.Generator) -> Crop:
    dark = canvas * np.float32(rng.uniform(0.08, 0.4))
    return np.clip(dark + rng.normal(0, rng.uniform(0, 3), (1, 1, 3)), 0, 255).astype(np.uint8)
