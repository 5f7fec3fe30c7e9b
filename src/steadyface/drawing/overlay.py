"""Overlays of a clip: faces in a style, raw beside stabilised points, and a magnified face."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from steadyface.arrays import Frame
from steadyface.drawing.panels import FaceCamera, Picture, corner_position, fit_canvas, free_corner
from steadyface.drawing.strokes import BLACK, COLOURS, WHITE, draw_label
from steadyface.drawing.styles import DRAWN, drawn_size, line_width
from steadyface.errors import ConfigError
from steadyface.geometry import Affine, Region, bounding_box
from steadyface.images import as_rgb, crop_region
from steadyface.landmarker import Landmarks
from steadyface.tracking import TrackedFace
from steadyface.tracking.rows import tracked_faces
from steadyface.tracks import Tracks
from steadyface.tracks.schema import UNKNOWN
from steadyface.wording import in_ascii

COMPARE = "compare"
STYLES = (*DRAWN, COMPARE)

_TWICE = 1280  # px: a comparison of larger frames shows a square around the face in place of the frame
_PANEL = 960  # px: side of that square
_LABELLED = 60.0  # px: size of face below which its label has no room for more than its number
_INSET = 0.42  # side of the inset over the frame's shorter side
_MAGNIFIED = (1.25, 1.5)  # magnification below which the inset disappears, and above which it appears


def check_style(style: str) -> str:
    """Return the style if it is one of `STYLES`.

    Raises:
        ConfigError: it is not.
    """
    if style not in STYLES:
        raise ConfigError.choice("style", style, STYLES)
    return style


_FACES = "faces must be of Tracker.step, detect, Tracks.frames or Landmarks.of_points"


def draw_faces(
    frame: Frame,
    faces: Sequence[TrackedFace] | Sequence[Landmarks] | Landmarks | Tracks,
    style: str = "contours",
) -> Frame:
    """Draw faces and their numbers into a copy of the frame, one colour per identity, held faces dim.

    Args:
        frame: RGB uint8 (H, W, 3).
        faces: of `Tracker.step`, of `detect`, a list of some of these, or the rows of one frame of a table,
            as `Tracks.frames` yields them; in px of the frame. A face that lacks points is left out.
        style: points, contours or mesh.

    Returns:
        RGB uint8, of the same size.

    Raises:
        ConfigError: another style, a frame of another kind, faces of another kind, or rows of several frames.

    >>> drawn = draw_faces(image, tracker.step(image))  # doctest: +SKIP
    """
    if style not in DRAWN:
        raise ConfigError.choice("style", style, DRAWN)
    canvas = as_rgb(frame).copy()
    _draw_into(canvas, [face for face in _faces_of(faces) if np.isfinite(face.points).all()], style)
    return canvas


def _faces_of(
    faces: Sequence[TrackedFace] | Sequence[Landmarks] | Landmarks | Tracks,
) -> Sequence[TrackedFace]:
    """List faces as a tracker gives them.

    Raises:
        ConfigError: faces of another kind, or rows of several frames.
    """
    if isinstance(faces, Tracks):
        of_frames = list(tracked_faces(faces).values())
        if len(of_frames) > 1:
            raise ConfigError(f"draw the rows of one frame, as Tracks.frames yields; got {len(of_frames)}")
        return of_frames[0] if of_frames else []
    single = isinstance(faces, Landmarks) and faces.points.ndim == 2
    several: object = [faces] if single else faces
    if not isinstance(several, Iterable):
        raise ConfigError(f"{_FACES}, got {type(several).__name__}")
    return [_numbered(face, number) for number, face in enumerate(several)]


def _numbered(face: object, number: int) -> TrackedFace:
    """Face of a tracker, or a detected one with a number.

    Raises:
        ConfigError: neither.
    """
    if isinstance(face, TrackedFace):
        return face
    if not isinstance(face, Landmarks) or face.points.ndim != 2:
        raise ConfigError(f"{_FACES}, got {type(face).__name__}")
    return TrackedFace(number, face.points, face.points, face.scores, face.box)


class Overlay:
    """Overlay of one clip, drawn frame by frame.

    Args:
        width, height: of the frames, px.
        style: one of `STYLES`. `compare` shows the frame twice, with raw points on the left and stabilised
            ones on the right; if a side is longer than 1280 px, or with `inset`, it shows a square that
            follows the face in place of the frame.
        inset: show a small face magnified in a corner of the picture.

    Attributes:
        size: width and height of the pictures, px.

    Raises:
        ConfigError: unknown style.
    """

    def __init__(self, width: int, height: int, style: str = "contours", inset: bool = False) -> None:
        self.style, self.inset = check_style(style), inset
        self._frame_size = width, height
        self._camera, self._corner, self._magnified = FaceCamera(), 0, False
        self._zoomed = style == COMPARE and (inset or max(width, height) > _TWICE)
        self._side = min(_PANEL, max(width, height)) if self._zoomed else round(_INSET * min(width, height))
        panel = (self._side, self._side) if self._zoomed else (width, height)
        self.size = (2 * panel[0], panel[1]) if style == COMPARE else panel

    def __call__(self, frame: Frame, faces: Sequence[TrackedFace], seconds: float) -> Picture:
        """Draw the next frame.

        Args:
            frame: RGB uint8; another size is scaled to fit.
            faces: in px of the frame.
            seconds: timestamp of the frame.
        """
        if self.style == COMPARE:
            return self._compared(frame, faces, seconds)
        picture = draw_faces(frame, faces, self.style)
        if self.inset:
            self._draw_inset(picture, frame, faces, seconds)
        return fit_canvas(picture, *self.size)

    def _compared(self, frame: Frame, faces: Sequence[TrackedFace], seconds: float) -> Picture:
        width, height = self.size[0] // 2, self.size[1]
        picture = np.empty((height, 2 * width, 3), np.uint8)
        region = self._camera.follow(faces, seconds) if self._zoomed else None
        view, to_view = self._view(frame, region)
        raw = [replace(face, points=face.raw_points, box=bounding_box(face.raw_points)) for face in faces]
        sides = ((0, "raw", raw), (width, "stabilised", faces))
        for left, title, shown in sides:
            half = picture[:, left : left + width]
            half[:] = view
            _draw_into(half, [_moved(face, to_view) for face in shown], "contours")
            draw_label(half, title, (0, 0), BLACK, max(0.5, height / 900))
        cv2.line(picture, (width, 0), (width, height), BLACK, 2)
        return picture

    def _view(self, frame: Frame, region: Region | None) -> tuple[Picture, Affine]:
        """Image for one half of a comparison, and the map from px of the frame to px of that half."""
        width, height = self.size[0] // 2, self.size[1]
        if region is not None:
            return crop_region(frame, region, self._side)
        scale = min(width / frame.shape[1], height / frame.shape[0])
        scaled = max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale))
        to_view = Affine.scaling(scaled[0] / frame.shape[1], scaled[1] / frame.shape[0])
        offset = Affine.translation((width - scaled[0]) // 2, (height - scaled[1]) // 2)
        return fit_canvas(frame, width, height), to_view.then(offset)

    def _draw_inset(
        self, picture: Picture, frame: Frame, faces: Sequence[TrackedFace], seconds: float
    ) -> None:
        """Draw the face that the camera follows into a free corner, if that magnifies it enough."""
        region = self._camera.follow(faces, seconds)
        if region is None or not faces or frame.shape[:2] != self._frame_size[::-1]:
            return
        self._magnified = self._side / region.side > _MAGNIFIED[not self._magnified]
        if not self._magnified:
            return
        self._corner = free_corner(self._frame_size, self._side, faces, self._corner)
        x, y = corner_position(self._frame_size, self._side, self._corner)
        crop, to_crop = crop_region(frame, region, self._side)
        shown = next(face for face in faces if face.face_id == self._camera.face_id)
        _draw_face(crop, _moved(shown, to_crop), self.style)
        cv2.rectangle(picture, (x - 2, y - 2), (x + self._side + 1, y + self._side + 1), WHITE, -1)
        picture[y : y + self._side, x : x + self._side] = crop


def _moved(face: TrackedFace, to_view: Affine) -> TrackedFace:
    """Map a face to px of a view of its frame."""
    points = to_view(face.points.astype(float))
    return replace(face, points=points, box=bounding_box(points))


def _draw_into(canvas: Frame, faces: Sequence[TrackedFace], style: str) -> None:
    """Draw all faces in view, and then their labels on top."""
    size = np.array(canvas.shape[1::-1])
    faces = [face for face in faces if (face.box[2:] > 0).all() and (face.box[:2] < size).all()]
    for face in faces:
        _draw_face(canvas, face, style)
    for face in faces:
        width = drawn_size(face.points)
        scale = min(max(0.3, width / 420), 1.2)
        corner = float(face.box[0]), float(face.box[1]) - 4 * line_width(width)
        status = "held" if face.held else f"{face.scores.mean():.2f}"
        name = in_ascii(face.name or UNKNOWN)  # OpenCV draws no other letters
        who = name if name and name != UNKNOWN else f"{face.face_id}"
        text = f"{who}  {status}" if width >= _LABELLED else who
        draw_label(canvas, text, corner, colour_of(face), scale)


def _draw_face(canvas: Frame, face: TrackedFace, style: str) -> None:
    DRAWN[style](canvas, face.points, colour_of(face), face.held)


def colour_of(face: TrackedFace) -> tuple[int, int, int]:
    """Colour of an identity, RGB."""
    return COLOURS[face.face_id % len(COLOURS)]
