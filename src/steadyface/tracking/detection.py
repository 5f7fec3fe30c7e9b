"""Faces that a detector finds in an image and the landmark network confirms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from jaxtyping import Float

from steadyface.arrays import Boxes, FaceStack
from steadyface.detector import Detector, FaceFinder
from steadyface.geometry import Region, as_boxes, bounding_box, iou
from steadyface.landmarker import Landmarker, LandmarkModel, Landmarks, predict_faces
from steadyface.motion import face_region
from steadyface.picture import Picture, for_model
from steadyface.tracking.config import TrackerConfig
from steadyface.tracking.matching import same_face
from steadyface.tracking.network_thread import NetworkThread, Pending
from steadyface.tracking.verifier import face_score, is_face

_UPRIGHT = 0.9  # mean score of an upright face; that of one on its side stays below
_ROLLS = (math.pi / 2, math.pi, -math.pi / 2)


def detect_boxes(detector: Detector, frame: Picture) -> Boxes:
    """Detect the faces of a frame, the largest first.

    Args:
        detector: any callable image → boxes.
        frame: the picture.

    Raises:
        ConfigError: the detector gives anything but (N, 4) boxes.
    """
    return _largest_first(as_boxes(detector(for_model(detector, frame))))


def _largest_first(boxes: Boxes) -> Boxes:
    return boxes[np.argsort(-(boxes[:, 2:] - boxes[:, :2]).prod(axis=1), kind="stable")]


def predict_in_boxes(
    model: LandmarkModel, frames: Sequence[Picture], boxes: Sequence[np.ndarray]
) -> list[list[Landmarks]]:
    """Predict the landmarks in the detected boxes, then in the regions that tracking would use.

    A box does not tell which way up its face is. Where the network is not sure of an upright one, it also
    looks from the other three sides, for people who lie down and videos that lost their rotation.

    Args:
        model: predicts the landmarks; a `Landmarker` takes the faces of several frames together.
        frames: the pictures.
        boxes: (N, 4) of each frame, px of that frame.

    Returns:
        Landmarks of each frame's boxes, in their order.
    """
    best = _predict_at_any_roll(model, frames, [[Region.around_box(box) for box in each] for each in boxes])
    return _predict(model, frames, [[face_region(face.points) for face in each] for each in best])


def _predict_at_any_roll(
    model: LandmarkModel, frames: Sequence[Picture], upright: Sequence[Sequence[Region]]
) -> list[list[Landmarks]]:
    """Predict the landmarks in upright regions; of unsure faces the most certain ones of four rolls."""
    first = _predict(model, frames, upright)
    turned = [
        [replace(region, roll=roll) for region, face in pairs if not _is_upright(face) for roll in _ROLLS]
        for pairs in map(zip, upright, first)
    ]
    others = map(iter, _predict(model, frames, turned))
    return [
        [
            face if _is_upright(face) else max(face, *islice(more, len(_ROLLS)), key=_mean_score)
            for face in faces
        ]
        for faces, more in zip(first, others, strict=True)
    ]


def _is_upright(face: Landmarks) -> bool:
    return _mean_score(face) >= _UPRIGHT


def _mean_score(face: Landmarks) -> float:
    return float(face.scores.mean())


def confirm_faces(
    frame: Picture, candidates: Sequence[Landmarks], known: FaceStack, config: TrackerConfig
) -> list[Landmarks]:
    """Select the candidates that are faces, each once, and none that is known.

    Args:
        frame: the picture.
        candidates: landmarks of one face each, image px.
        known: (N, 68, 2) points of known faces, image px.
        config: `accept` is the least `face_score`.
    """
    found: list[Landmarks] = []
    for face in candidates:
        shape = face.points[None]
        sure = is_face(frame, face, config.accept, config.verifier.min_size)
        if sure and not same_face(shape, known, config.matching).any():
            found.append(face)
            known = np.concatenate([known, shape])
    return found


@dataclass(frozen=True)
class LeftOut:
    """Boxes of the detector that became no track.

    Args:
        no_room: number for which there was no room.
        refused: number in which the landmark network was not sure of a face.
        best_score: highest `face_score` of the refused ones, 0 without any.
        shapeless: number in which the network was sure of points that are no face's: within a few px, or
            more than half of them outside the frame.
    """

    no_room: int = 0
    refused: int = 0
    best_score: float = 0.0
    shapeless: int = 0

    def worst(self, other: LeftOut) -> LeftOut:
        """Return the larger of each number."""
        return LeftOut(
            max(self.no_room, other.no_room),
            max(self.refused, other.refused),
            max(self.best_score, other.best_score),
            max(self.shapeless, other.shapeless),
        )


class FaceSearch:
    """Searches for faces from time to time.

    A search that can wait runs beside the rest of the work and gives the boxes of one frame in the next one.

    Args:
        detector: any callable image → boxes; only a `FaceFinder` itself works beside the rest.
        thread: in which it does so.
    """

    def __init__(self, detector: Detector, thread: NetworkThread) -> None:
        self.detector, self._thread = detector, thread
        self.reset()

    def reset(self) -> None:
        """Forget the last search."""
        self._seconds = -math.inf
        self._begun: Pending[Boxes] | None = None

    def boxes(self, frame: Picture, seconds: float, interval: float, at_once: bool) -> Boxes | None:
        """Boxes of the faces, the largest first; None where no search has ended.

        Args:
            frame: the picture.
            seconds: time of the frame.
            interval: time after the last search from which on another begins, s.
            at_once: whether the boxes of a search that begins now are needed in this frame.
        """
        begun, self._begun = self._begun, None
        if seconds - self._seconds >= interval:
            self._seconds = seconds
            if at_once or type(self.detector) is not FaceFinder:
                return detect_boxes(self.detector, frame)
            # Copied: a small frame is its own level, and the caller may have the next one in its array.
            levels = [each._replace(image=each.image.copy()) for each in self.detector.levels(frame)]
            searched = self._thread.begin(self.detector.search, levels)
            self._begun = searched.then(lambda found: _largest_first(found[0]))
        return None if begun is None else begun.result


def predict_new_faces(
    frame: Picture,
    boxes: Float[np.ndarray, "boxes 4"],
    model: LandmarkModel,
    known: FaceStack,
    config: TrackerConfig,
) -> tuple[list[Landmarks], LeftOut]:
    """Predict the faces in boxes that are not known yet, in their order, as many as there is room for.

    Args:
        frame: the picture.
        boxes: (N, 4) of this frame or of the last one, image px.
        model: predicts the landmarks.
        known: (N, 68, 2) points of the tracked faces, image px.
        config: `max_faces` includes the known ones.

    Returns:
        The new faces, and what was left out.
    """
    boxes = boxes[~(iou(boxes, bounding_box(known)) > config.matching.detection_iou).any(axis=1)]
    found: list[Landmarks] = []
    tried: list[Landmarks] = []
    while len(boxes) and (room := config.max_faces - len(known)) > 0:
        [candidates] = predict_in_boxes(model, [frame], [boxes[:room]])
        confirmed = confirm_faces(frame, candidates, known, config)
        tried += candidates
        known = np.concatenate([known, np.array([face.points for face in confirmed]).reshape(-1, 68, 2)])
        found, boxes = [*found, *confirmed], boxes[room:]
    return found, replace(_refused(frame, tried, config), no_room=len(boxes))


def _refused(frame: Picture, candidates: Sequence[Landmarks], config: TrackerConfig) -> LeftOut:
    """Count the candidates that are no faces."""
    unsure = [score for face in candidates if (score := face_score(face.scores)) < config.accept]
    faces = sum(is_face(frame, face, config.accept, config.verifier.min_size) for face in candidates)
    return LeftOut(0, len(unsure), max([0.0, *unsure]), len(candidates) - len(unsure) - faces)


def _predict(
    model: LandmarkModel, frames: Sequence[Picture], regions: Sequence[Sequence[Region]]
) -> list[list[Landmarks]]:
    if len(frames) == 1 or not isinstance(model, Landmarker):
        return [list(predict_faces(model, frame, here)) for frame, here in zip(frames, regions, strict=True)]
    pairs = [(frame, region) for frame, here in zip(frames, regions, strict=True) for region in here]
    faces = iter(model.predict_pairs(pairs))
    return [[next(faces) for _ in here] for here in regions]
