"""Photographs and their faces, from which training frames for the face finder are put together."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float

from steadyface import markup
from steadyface.arrays import Box, Boxes, Frame, Points
from steadyface.datasets.extra import ExtraSample, box_of
from steadyface.datasets.face_boxes import FaceBox, read_boxes
from steadyface.geometry import Region, bounding_box, flip_points, iou
from steadyface.images import read_image
from steadyface.landmarker import Landmarker


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
        """Return its mirror image."""
        image = np.ascontiguousarray(self.image[:, ::-1])
        return Photo(image, flip_points(self.shapes, self.image.shape[1], markup.FLIP))


def load_photos(
    folder: str | Path, names: Iterable[str], landmarker: Landmarker | None = None
) -> list[Photo]:
    """Load photographs of a folder with a `faces.json`, with the points of each face.

    A network finds the points in the box that the folder gives. They are stretched so that their tight box is
    that box, and give the box at any rotation of the photograph.

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
    regions = [Region.around_box(face.box) for face in faces]
    shapes = landmarker.predict_regions(image, regions).points.astype(float)
    boxes = zip(shapes, faces, strict=True)
    return Photo(
        image, np.array([_stretched(shape, face.box) for shape, face in boxes]).reshape(shapes.shape)
    )


def load_extra_photos(samples: Iterable[ExtraSample], landmarker: Landmarker) -> list[Photo]:
    """Load the pictures of partly annotated faces, each with all points of its face.

    Points that are not annotated are found by a network in the face's box (`box_of`). In a face from the side
    they lie along its outline, as iBUG's jaw does. If the sample has its own box, the points are stretched to
    fill it.

    Args:
        samples: of `datasets.extra`; their pictures are taken to show no other face.
        landmarker: the network.

    Raises:
        DataError: a picture is missing or broken.
    """
    return [_load_extra(sample, landmarker) for sample in samples]


def _load_extra(sample: ExtraSample, landmarker: Landmarker) -> Photo:
    image, points = sample.load()
    box = box_of(sample, image, landmarker)
    shape = landmarker.predict(image, box).points.astype(float)
    if sample.box is not None:
        return Photo(image, _stretched(shape, box)[None])
    return Photo(image, np.where(np.isnan(points), shape, points)[None])


def _stretched(shape: Points, box: Box) -> Points:
    """Points moved and scaled so that their tight box is the given one."""
    tight = bounding_box(shape)
    return (shape - tight[:2]) * (box[2:] - box[:2]) / (tight[2:] - tight[:2]) + box[:2]


def hold_out_photos(folder: str | Path, one_in: int = 8) -> tuple[list[str], list[str]]:
    """Split a folder's photographs into names (training, validation); the same are held out always.

    Raises:
        DataError: as of `read_boxes`.
    """
    training: list[str] = []
    validation: list[str] = []
    for name in read_boxes(folder):
        held_out = zlib.crc32(name.encode()) % one_in == 0
        (validation if held_out else training).append(name)
    return training, validation


def without_faces(photo: Photo, rng: np.random.Generator) -> Frame:
    """Return the photograph with something else in place of each face."""
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
    """Make a patch of a size without a face: another part of the image, one colour, or noise."""
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
