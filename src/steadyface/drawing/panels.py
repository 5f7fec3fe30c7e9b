"""Pictures in a picture: a camera that follows a face, the panel it fills, and canvases of one size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import UInt8

from steadyface.arrays import Box, Frame
from steadyface.geometry import Region, bounding_box, iou
from steadyface.tracking import TrackedFace

Picture = UInt8[np.ndarray, "_ _ 3"]
"""RGB, of a size of its own."""

_MARGIN = 1.5  # side of the camera's square over the face's larger side
_LEAST_MARGIN = 1.2
_EDGE = 0.08  # room between the face and the square's sides, over the face's larger side
_PATIENCE = 1.0  # s without a face until the camera lets go
_CALM = 0.5  # s in which the camera makes up 63 % of its distance from the face


class FaceCamera:
    """A square that follows one face: smoothly, and never so slowly that the face leaves it.

    It stays with a face as long as that is there, and then takes the largest.
    """

    def __init__(self) -> None:
        self.face_id: int | None = None
        self.region: Region | None = None
        self._seconds = 0.0

    def follow(self, faces: Sequence[TrackedFace], seconds: float) -> Region | None:
        """The square at this time, image px.

        Without a face it stays where it is for a second; then, and before the first face, there is none.
        """
        face = self._choose(faces)
        if face is None and seconds - self._seconds > _PATIENCE:
            self.face_id, self.region = None, None
        if face is not None:
            aim = Region.around_points(face.points, margin=_MARGIN)
            same = self.region is not None and face.face_id == self.face_id
            self.region = _towards(self.region, aim, seconds - self._seconds) if same else aim
            self.region = _containing(self.region, bounding_box(face.points))
            self.face_id, self._seconds = face.face_id, seconds
        return self.region

    def _choose(self, faces: Sequence[TrackedFace]) -> TrackedFace | None:
        same = [face for face in faces if face.face_id == self.face_id]
        return max(same or faces, key=lambda face: float(np.ptp(face.points[:, 0])), default=None)


def _towards(old: Region | None, aim: Region, elapsed: float) -> Region:
    """A share of the way from the old square to the aim."""
    if old is None or abs(old.x - aim.x) + abs(old.y - aim.y) > old.side:
        return aim
    share = 1 - math.exp(-max(elapsed, 0.0) / _CALM)
    side = old.side * (aim.side / old.side) ** share
    return Region(old.x + share * (aim.x - old.x), old.y + share * (aim.y - old.y), side)


def _containing(region: Region, box: Box) -> Region:
    """The square, moved and grown as little as takes to hold the box, with a little room around it."""
    larger = float((box[2:] - box[:2]).max())
    x0, y0, x1, y1 = (float(value) for value in box + _EDGE * larger * np.array([-1, -1, 1, 1]))
    side = max(region.side, _LEAST_MARGIN * larger)
    x = min(max(region.x, x1 - side / 2), x0 + side / 2)
    y = min(max(region.y, y1 - side / 2), y0 + side / 2)
    return replace(region, x=x, y=y, side=side)


def free_corner(size: tuple[int, int], side: int, faces: Sequence[TrackedFace], last: int) -> int:
    """The corner where a panel hides least of the faces: the last one if none is better.

    Args:
        size: width and height of the frame, px.
        side: of the panel, px.
        faces: in px of the frame.
        last: index as for `corner_place`.
    """
    if not faces:
        return last
    places = np.array([corner_place(size, side, corner) for corner in range(4)], float)
    boxes = np.stack([bounding_box(face.points) for face in faces]).astype(float)
    hidden = iou(np.hstack([places, places + side]), boxes).sum(axis=1)
    return last if hidden[last] <= hidden.min() else int(hidden.argmin())


def corner_place(size: tuple[int, int], side: int, corner: int) -> tuple[int, int]:
    """Left and top of a panel in a corner, px: lower right, lower left, upper right or upper left."""
    gap = max(2, side // 24)
    right, bottom = size[0] - side - gap, size[1] - side - gap
    return (right, gap, right, gap)[corner], (bottom, bottom, gap, gap)[corner]


def fit_canvas(image: Frame, width: int, height: int) -> Picture:
    """The image scaled into a canvas of another size, black beside it; the image itself where sizes agree.

    A video has one size, the images of a folder may have many.
    """
    if image.shape[:2] == (height, width):
        return image
    scale = min(width / image.shape[1], height / image.shape[0])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    canvas = np.zeros((height, width, 3), np.uint8)
    x, y = (width - size[0]) // 2, (height - size[1]) // 2
    canvas[y : y + size[1], x : x + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return canvas
