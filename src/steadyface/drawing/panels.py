"""Panels of an overlay: a camera that follows a face, free corners, and canvases of a fixed size."""

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
"""(H, W, 3) uint8: an RGB image whose size may differ from that of other arguments."""

_MARGIN = 1.5  # side of the camera's square over the face's larger side
_LEAST_MARGIN = 1.2
_EDGE = 0.08  # least distance of the face from the square's sides, over the face's larger side
_PATIENCE = 1.0  # s without a face after which the camera lets go
_TIME_CONSTANT = 0.5  # s in which the camera covers 63 % of its distance from the face


class FaceCamera:
    """Square that follows one face smoothly and always contains it.

    It stays with a face while that is tracked, and then takes the largest one.
    """

    def __init__(self) -> None:
        self.face_id: int | None = None
        self.region: Region | None = None
        self._seconds = 0.0

    def follow(self, faces: Sequence[TrackedFace], seconds: float) -> Region | None:
        """Move the square to the next frame.

        Args:
            faces: in px of the frame.
            seconds: timestamp of the frame.

        Returns:
            The square, px of the frame. Without a face it stays for a second; after that, and before the
            first face, it is None.
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
    """Move a square part of the way to the aim; one that is far off jumps there."""
    if old is None or abs(old.x - aim.x) + abs(old.y - aim.y) > old.side:
        return aim
    ratio = 1 - math.exp(-max(elapsed, 0.0) / _TIME_CONSTANT)
    side = old.side * (aim.side / old.side) ** ratio
    return Region(old.x + ratio * (aim.x - old.x), old.y + ratio * (aim.y - old.y), side)


def _containing(region: Region, box: Box) -> Region:
    """Move and enlarge a square as little as it takes to contain a box and some space around it."""
    larger = float((box[2:] - box[:2]).max())
    x0, y0, x1, y1 = (float(value) for value in box + _EDGE * larger * np.array([-1, -1, 1, 1]))
    side = max(region.side, _LEAST_MARGIN * larger)
    x = min(max(region.x, x1 - side / 2), x0 + side / 2)
    y = min(max(region.y, y1 - side / 2), y0 + side / 2)
    return replace(region, x=x, y=y, side=side)


def free_corner(size: tuple[int, int], side: int, faces: Sequence[TrackedFace], last: int) -> int:
    """Choose the corner where a panel hides least of the faces; the last one if no other is better.

    Args:
        size: width and height of the frame, px.
        side: of the panel, px.
        faces: in px of the frame.
        last: corner of the last frame, 0 to 3 as for `corner_position`.
    """
    if not faces:
        return last
    panels = np.array([corner_position(size, side, corner) for corner in range(4)], float)
    boxes = np.stack([bounding_box(face.points) for face in faces]).astype(float)
    hidden = iou(np.hstack([panels, panels + side]), boxes).sum(axis=1)
    return last if hidden[last] <= hidden.min() else int(hidden.argmin())


def corner_position(size: tuple[int, int], side: int, corner: int) -> tuple[int, int]:
    """Left and top of a panel, px; corners 0 to 3 are lower right, lower left, upper right, upper left."""
    gap = max(2, side // 24)
    right, bottom = size[0] - side - gap, size[1] - side - gap
    return (right, gap, right, gap)[corner], (bottom, bottom, gap, gap)[corner]


def fit_canvas(image: Frame, width: int, height: int) -> Picture:
    """Scale an image to fit a canvas, with black beside it; an image of the canvas's size is returned itself.

    A video has one size, but the images of a folder may have many.
    """
    if image.shape[:2] == (height, width):
        return image
    scale = min(width / image.shape[1], height / image.shape[0])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    canvas = np.zeros((height, width, 3), np.uint8)
    x, y = (width - size[0]) // 2, (height - size[1]) // 2
    canvas[y : y + size[1], x : x + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return canvas
