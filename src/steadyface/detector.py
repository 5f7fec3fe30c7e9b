"""Where the faces are: an image → boxes. Any callable of that shape can take its place."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from steadyface.errors import WeightsError
from steadyface.geometry import box_of_pixels, scale_boxes
from steadyface.images import Frame

Boxes = Float[np.ndarray, "faces 4"]
Detector = Callable[[Frame], Boxes]
"""RGB uint8 (H, W, 3) → (N, 4) boxes x0, y0, x1, y1 in image px, tight around the landmarks, best first."""

_HAAR_TO_LANDMARKS = np.array([0.086, 0.233, 0.935, 1.079])
"""Where the landmark box's borders lie in a Haar rectangle: shares of its width and height, medians over
every sixth annotated face of LFPW's training set and AFW."""

_YUNET_TO_LANDMARKS = np.array([-0.003, 0.255, 1.016, 1.008])
"""The same for YuNet's boxes."""


class HaarDetector:
    """OpenCV's frontal-face cascade on a downscaled grey frame; it comes inside OpenCV 4.

    Args:
        side: longer side of the frame that is searched, px.
        min_face: smallest face to be found, as a share of the frame's shorter side.
        neighbours: how many overlapping hits make a face; more means fewer false ones.
    """

    def __init__(self, side: int = 480, min_face: float = 0.08, neighbours: int = 5) -> None:
        self.side, self.min_face, self.neighbours = side, min_face, neighbours
        path = files("cv2") / "data" / "haarcascade_frontalface_default.xml"
        self._cascade = cv2.CascadeClassifier(str(path))
        if self._cascade.empty():
            raise WeightsError(f"{path}: OpenCV's face cascade is missing")

    def __call__(self, image: Frame) -> Boxes:
        small, scale = _shrink(image, self.side)
        grey = cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
        least = max(20, round(self.min_face * min(grey.shape)))
        found, _, weights = self._cascade.detectMultiScale3(
            grey, 1.1, self.neighbours, minSize=(least, least), outputRejectLevels=True
        )
        order = np.argsort(-np.asarray(weights, float).reshape(-1), kind="stable")
        boxes = np.array([box_of_pixels(*map(float, found[i])) for i in order]).reshape(-1, 4)
        return scale_boxes(_inner(boxes, _HAAR_TO_LANDMARKS), 1 / scale)


class YuNetDetector:
    """YuNet (Wu et al. 2023) through OpenCV, from a file that the user has.

    Args:
        path: of `face_detection_yunet_*.onnx`.
        side: longer side of the frame that is searched, px.
        threshold: least confidence of a face.
    """

    def __init__(self, path: str | Path, side: int = 480, threshold: float = 0.7) -> None:
        self.side = side
        if not Path(path).is_file():
            raise WeightsError(f"{path}: no such file")
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (side, side), threshold)
        except cv2.error as error:
            raise WeightsError(f"{path}: not a YuNet model: {error.err}") from error

    def __call__(self, image: Frame) -> Boxes:
        small, scale = _shrink(image, self.side)
        self._net.setInputSize((small.shape[1], small.shape[0]))
        _, found = self._net.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        rows = np.zeros((0, 15)) if found is None else found[np.argsort(-found[:, 14], kind="stable")]
        boxes = np.array([box_of_pixels(*map(float, row[:4])) for row in rows]).reshape(-1, 4)
        return scale_boxes(_inner(boxes, _YUNET_TO_LANDMARKS), 1 / scale)


def _shrink(image: Frame, side: int) -> tuple[UInt8[np.ndarray, "rows columns 3"], float]:
    """The image brought down to a longer side of at most `side` px, and by how much."""
    height, width = image.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale == 1.0:
        return image, 1.0
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), scale


def _inner(boxes: Boxes, shares: Float[np.ndarray, "4"]) -> Boxes:
    """The boxes whose borders lie at the given shares of each box's width and height."""
    low, span = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    return np.hstack([low + shares[:2] * span, low + shares[2:] * span])
