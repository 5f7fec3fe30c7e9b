"""Face detection: image → boxes. Any callable of type `Detector` can replace the finder."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float

from steadyface.arguments import number, whole
from steadyface.arrays import Box, Boxes, Frame
from steadyface.errors import ConfigError, WeightsError
from steadyface.files import as_path
from steadyface.geometry import Affine, box_of_pixels, fraction_inside, iou
from steadyface.models import FINDER, model_kind, open_model
from steadyface.picture import Picture, as_picture

Detector = Callable[[Frame], Boxes]
"""RGB uint8 (H, W, 3) → (N, 4) boxes x0, y0, x1, y1 in image px, tight around the landmarks, best first."""

Candidates = tuple[Boxes, Float[np.ndarray, "faces"]]
"""Boxes, image px, and their scores."""

SIDE = 320
THRESHOLD = 0.5

_SURE = 16.0  # px of a face in the resized frame from which on its size does not matter
_FINER = 3.0  # largest ratio between levels of the pyramid
_SAME_FACE = 0.45  # IoU above which boxes of two levels are one face
_LEAST_INSIDE = 0.4  # fraction of a box inside the frame; training has no faces below
_SAME_PLACE = 0.3  # IoU with a known box above which a found box confirms it
_ANY = np.array(0.05, np.float32)  # lowest score that `confidence` considers
_CROWD = 32  # boxes, half of those that the network returns at most, above which it may have left some out
_PART_OF = 0.7  # fraction of a finer box inside a coarser one above which it is part of that face

_YUNET_TO_LANDMARKS = np.array([-0.003, 0.255, 1.016, 1.008])
"""Borders of the landmark box in YuNet's box, in units of its width and height: medians over every sixth
annotated face of LFPW's training set and AFW."""

_YUNET_LEAST = 64  # px a side; YuNet reads past the end of smaller frames


class Level(NamedTuple):
    """Picture resized for a search.

    Args:
        image: RGB uint8 (h, w, 3), the resized picture.
        to_image: map from px of the picture to px of `image`.
        least: larger side of the smallest face that is taken, px of `image`.
    """

    image: Frame
    to_image: Affine
    least: float = 0.0


class FaceFinder:
    """Find all faces of a frame, frontal or turned, upright or tilted, as landmark boxes.

    Args:
        weights: `finder` or an `.onnx` file written by `steadyface export`.
        side: longer side of the frame that is searched, px; a smaller frame is searched as it is. Increasing
            it finds smaller faces, but costs time with its square.
        min_face: larger side of the smallest box to be found, image px. If the resized frame shows it too
            small, the frame is searched again at larger sizes. Decreasing it finds smaller faces, but costs
            time. None searches once.
        threshold: lowest score of a face. Increasing it gives fewer false faces, but misses more.
        device: `auto`, `cpu` or `cuda`.
        threads: of the network on the CPU; None takes one for the bundled finder.

    Raises:
        WeightsError: no such file, or not a finder.
        ConfigError: a number out of range, or a device that is not there.
    """

    takes_pictures = True

    def __init__(
        self,
        weights: str | Path = FINDER,
        *,
        side: int = SIDE,
        min_face: float | None = None,
        threshold: float = THRESHOLD,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        if number("side", side) < 1:
            raise ConfigError(f"side must be at least 1 px, got {side}")
        if min_face is not None and not number("min_face", min_face) >= 1:
            raise ConfigError(f"min_face must be at least 1 px, got {min_face}")
        if not 0 < number("threshold", threshold) < 1:
            raise ConfigError(f"threshold must lie between 0 and 1, got {threshold}")
        self.side, self.min_face, self.threshold = side, min_face, threshold
        _, self._session, _ = open_model(weights, "finder", device, threads)

    def __call__(self, image: np.ndarray | Picture) -> Boxes:
        """Return the boxes of `find`."""
        return self.find(image)[0]

    def find(self, image: np.ndarray | Picture) -> Candidates:
        """Find the faces of an image, best first.

        Args:
            image: RGB uint8 (H, W, 3); grey, RGBA and pictures are taken too.

        Returns:
            (N, 4) boxes x0, y0, x1, y1 tight around the 68 landmarks, image px, beyond the border if the face
            is; and their scores in [0, 1].

        Raises:
            ConfigError: the image is not uint8 of such a shape.
        """
        return self.search(self.levels(as_picture(image)))

    def levels(self, picture: Picture) -> Iterator[Level]:
        """Resize a picture to each size at which it is searched, coarsest first."""
        sides = self._sides(max(picture.width, picture.height))
        for side in sides:
            least = _SURE if side < sides[-1] else 0.0  # smaller faces are found at the next level
            yield Level(*picture.resized(side), least)

    def search(self, levels: Iterable[Level]) -> Candidates:
        """Find the faces of `levels`; returns as `find`."""
        boxes, scores = np.zeros((0, 4)), np.zeros(0)
        for level in levels:
            finer, their_scores = self._search(level)
            new = ~(iou(finer, boxes) > _SAME_FACE).any(axis=1)
            new &= ~(fraction_inside(finer, boxes) > _PART_OF).any(axis=1)
            boxes, scores = np.concatenate([boxes, finer[new]]), np.concatenate([scores, their_scores[new]])
        order = np.argsort(-scores, kind="stable")
        return boxes[order], scores[order]

    def confidence(self, image: np.ndarray, box: Box) -> float:
        """Score of a face at a known position; cheap for a small crop.

        Args:
            image: RGB uint8 (H, W, 3), searched at its own size.
            box: around the face's landmarks, image px.

        Returns:
            The best score of the found faces whose boxes overlap `box`; 0 if there is none.
        """
        return confidence_at(box, self.candidates(image))

    def candidates(self, image: np.ndarray) -> Candidates:
        """Find boxes and scores of everything that might be a face, for `confidence_at`.

        Args:
            image: as for `confidence`.
        """
        boxes, scores = self._session.run(["boxes", "scores"], {"image": image, "threshold": _ANY})
        return boxes, scores

    def _sides(self, longer: int) -> list[int]:
        """Longer side of the frame at each level of the pyramid, coarsest first."""
        sides = [min(float(self.side), longer)]
        needed = 0.0 if self.min_face is None else longer * _SURE / self.min_face
        while sides[-1] < needed:
            sides.append(min(needed, sides[-1] * _FINER))
        return [max(1, round(side)) for side in sides]

    def _search(self, level: Level) -> Candidates:
        """Find the faces of one level."""
        small, to_small, least = level
        boxes, scores = self._run(small)
        frame = box_of_pixels(0, 0, small.shape[1], small.shape[0])[None]
        kept = fraction_inside(boxes, frame)[:, 0] >= _LEAST_INSIDE
        kept &= (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) >= least
        return to_small.inverse.boxes(boxes[kept]), scores[kept]

    def _run(self, image: Frame) -> Candidates:
        """Run the network, which returns 64 boxes at most; a crowd is searched by halves too.

        The halves overlap by the largest face, so that each face is whole in one of them.
        """
        threshold = np.array(self.threshold, np.float32)
        outputs = self._session.run(["boxes", "scores"], {"image": image, "threshold": threshold})
        boxes, scores = (values.astype(float) for values in outputs)
        wide = image.shape[1] >= image.shape[0]
        overlap = math.ceil((boxes[:, 2:] - boxes[:, :2]).max(initial=0))
        length = max(image.shape[:2])  # of the side that is cut
        if len(boxes) <= _CROWD or length // 2 + overlap > 0.75 * length:
            return boxes, scores
        low, high = (0, 2) if wide else (1, 3)  # columns of a box along that side
        for first, last in ((0, length // 2 + overlap), (length // 2 - overlap, length)):
            half, their_scores = self._run(image[:, first:last] if wide else image[first:last])
            whole = (half[:, low] > 0) | (first == 0)
            whole &= (half[:, high] < last - first - 1) | (last == length)
            half[:, [low, high]] += first
            whole &= ~(iou(half, boxes) > _SAME_FACE).any(axis=1)
            boxes = np.concatenate([boxes, half[whole]])
            scores = np.concatenate([scores, their_scores[whole]])
        return boxes, scores


def confidence_at(box: Box, candidates: Candidates) -> float:
    """Best score of the candidates whose boxes overlap a known one; 0 if there is none.

    Args:
        box: around the face's landmarks, image px.
        candidates: of `FaceFinder.candidates`.
    """
    boxes, scores = candidates
    confirming = iou(box[None], boxes.astype(float))[0] > _SAME_PLACE
    return float(scores[confirming].max(initial=0.0))


def choose_detector(
    path: str | Path | None,
    *,
    min_face: float | None = None,
    threshold: float | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> FaceFinder | YuNetDetector:
    """Open the detector of a file: a finder of steadyface, else YuNet; None takes the bundled finder.

    Args:
        path: an `.onnx` file.
        min_face, device, threads: as for `FaceFinder`.
        threshold: as for the detector; None takes its own default.

    Raises:
        WeightsError: neither a finder nor YuNet.
        ConfigError: as of `FaceFinder`, or `min_face` for YuNet.
    """
    kind = "finder" if path is None else model_kind(path)
    if kind == "finder":
        return FaceFinder(
            path or FINDER,
            min_face=min_face,
            threshold=THRESHOLD if threshold is None else threshold,
            device=device,
            threads=threads,
        )
    if kind is not None:
        raise WeightsError(f"{path}: a {kind} model, which finds no faces")
    if min_face is not None:
        raise ConfigError("min_face is for steadyface's own finder, not for YuNet")
    assert path is not None
    return YuNetDetector(path) if threshold is None else YuNetDetector(path, threshold=threshold)


class YuNetDetector:
    """YuNet (Wu et al. 2023) by OpenCV, from a file that the user has.

    Args:
        path: of `face_detection_yunet_*.onnx`.
        side: longer side of the frame that is searched, px; a smaller frame is searched as it is.
        threshold: lowest confidence of a face.

    Raises:
        WeightsError: no such file, or not YuNet's.
        ConfigError: an argument is of another kind.
    """

    takes_pictures = True

    def __init__(self, path: str | Path, side: int = 480, threshold: float = 0.7) -> None:
        side, threshold = whole("side", side), number("threshold", threshold)
        self.side = side
        self._opened_with = path, side, threshold
        if not as_path("path", path).is_file():
            raise WeightsError(f"{path}: no such file")
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (side, side), threshold)
        except cv2.error as error:
            raise WeightsError(f"{path}: not a YuNet model: {error.err}") from error

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._opened_with

    def __call__(self, image: np.ndarray | Picture) -> Boxes:
        picture = as_picture(image)
        small, to_small = picture.resized(min(self.side, max(picture.width, picture.height)))
        below, beside = (max(0, _YUNET_LEAST - length) for length in small.shape[:2])
        padded = cv2.copyMakeBorder(small, 0, below, 0, beside, cv2.BORDER_CONSTANT)
        self._net.setInputSize((padded.shape[1], padded.shape[0]))
        _, found = self._net.detect(cv2.cvtColor(padded, cv2.COLOR_RGB2BGR))
        rows = np.zeros((0, 15)) if found is None else found[np.argsort(-found[:, 14], kind="stable")]
        boxes = np.array([box_of_pixels(*map(float, row[:4])) for row in rows]).reshape(-1, 4)
        low, span = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
        inner = np.hstack([low + _YUNET_TO_LANDMARKS[:2] * span, low + _YUNET_TO_LANDMARKS[2:] * span])
        return to_small.inverse.boxes(inner)
