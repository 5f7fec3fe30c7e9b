"""Draw tracked faces into frames."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from steadyface import markup
from steadyface.geometry import face_size
from steadyface.images import Frame
from steadyface.tracker import TrackedFace

_COLOURS = ((64, 224, 160), (255, 170, 60), (110, 170, 255), (255, 110, 190), (220, 220, 80))
_SHIFT = 4  # OpenCV draws at 1/16 px
_FAR = 2**22  # beyond this its integers are not sound


def draw_faces(frame: Frame, faces: Sequence[TrackedFace]) -> Frame:
    """A copy of the frame with every face's contours, points and number, in one colour per identity.

    Args:
        frame: RGB uint8.
        faces: in px of the frame.
    """
    canvas = frame.copy()
    for face in faces:
        colour = _COLOURS[face.face % len(_COLOURS)]
        draw_contours(canvas, face.points, colour)
        _label(canvas, face, colour)
    return canvas


def draw_contours(canvas: Frame, points: Float[np.ndarray, "68 2"], colour: tuple[int, int, int]) -> None:
    """Draw one face's contours and points into the canvas, at sub-pixel places."""
    size = _drawn_size(points)
    thickness = max(1, round(size / 250))
    fixed = _fixed(points)
    for group, members in markup.GROUPS.items():
        line = [fixed[list(members)]]
        closed = group in markup.CLOSED_GROUPS
        cv2.polylines(canvas, line, closed, colour, thickness, cv2.LINE_AA, _SHIFT)
    radius = max(1.0, size / 130)
    for point in fixed:
        centre = int(point[0]), int(point[1])
        cv2.circle(canvas, centre, round(radius * 2**_SHIFT), (255, 255, 255), -1, cv2.LINE_AA, _SHIFT)


def _label(canvas: Frame, face: TrackedFace, colour: tuple[int, int, int]) -> None:
    scale = max(0.4, _drawn_size(face.points) / 350)
    x, y = (int(value) for value in np.clip(face.box[:2] - [0, 8 * scale], -_FAR, _FAR))
    text = f"{face.face}  {face.scores.mean():.2f}"
    cv2.putText(
        canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, max(1, round(scale)), cv2.LINE_AA
    )


def _fixed(points: Float[np.ndarray, "68 2"]) -> np.ndarray:
    """Points in OpenCV's fixed-point px."""
    return np.clip(np.round(points * 2**_SHIFT), -_FAR, _FAR).astype(np.int32)


def _drawn_size(points: Float[np.ndarray, "68 2"]) -> float:
    """Size of a face, px, for the thickness of lines; no larger than a frame can be."""
    return min(float(face_size(points)), 4000.0)


def fit_canvas(image: Frame, width: int, height: int) -> UInt8[np.ndarray, "rows columns 3"]:
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
