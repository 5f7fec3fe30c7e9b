"""Faces that a detector misses and false boxes at each threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from steadyface.arrays import Boxes
from steadyface.errors import ConfigError
from steadyface.geometry import iou
from steadyface.shapes import as_shaped

_FOUND, _NEITHER, _FALSE = 1, 0, -1  # marks of a detected box


@dataclass(frozen=True)
class Detections:
    """Boxes found in one image and its true faces, all x0, y0, x1, y1 in px of that image.

    Args:
        boxes, scores: of the detector, in any order.
        truth: boxes of the faces.
        counted: true for faces that must be found; finding one of the others is neither right nor wrong.

    Raises:
        ConfigError: not one score a box, or one mark a face.
    """

    boxes: Float[np.ndarray, "found 4"]
    scores: Float[np.ndarray, "found"]
    truth: Boxes
    counted: Bool[np.ndarray, "faces"]

    def __post_init__(self) -> None:
        as_shaped(
            boxes=(self.boxes, "found 4"),
            scores=(self.scores, "found"),
            truth=(self.truth, "faces 4"),
            counted=(self.counted, "faces"),
        )


@dataclass(frozen=True)
class DetectionCurve:
    """Faces missed and false boxes at each threshold at which either changes.

    Args:
        thresholds: lowest score of a box that counts, descending; the first is infinity.
        missed: faces not found, in %.
        false_per_image: boxes that are no face, per image.
    """

    thresholds: Float[np.ndarray, "n"]
    missed: Float[np.ndarray, "n"]
    false_per_image: Float[np.ndarray, "n"]

    def missed_at(self, false_per_image: float) -> float:
        """Faces not found, in %, at the lowest threshold with at most this many false boxes per image."""
        return float(self.missed[self.false_per_image <= false_per_image][-1])


def detection_curve(images: Sequence[Detections], least_overlap: float = 0.5) -> DetectionCurve:
    """Match found boxes with faces, and count missed faces and false boxes at every threshold.

    In each image, in order of score, a box takes the free face that it overlaps most, by at least
    `least_overlap`. A box without a face is false, unless it overlaps a face that does not count.

    Source: Jain and Learned-Miller 2010 (FDDB), the discrete score. Differs from it in: a greedy matching in
    place of the best one, as in the later benchmarks.

    Args:
        images: with at least one face that counts.
        least_overlap: lowest intersection over union at which a box matches a face.

    Raises:
        ConfigError: no face counts.

    >>> face = np.array([[0.0, 0.0, 10.0, 10.0]])
    >>> found = Detections(np.vstack([face, face + 50]), np.array([0.6, 0.9]), face, np.array([True]))
    >>> detection_curve([found]).missed_at(0.0), detection_curve([found]).missed_at(1.0)
    (100.0, 0.0)
    """
    faces = sum(int(image.counted.sum()) for image in images)
    if not faces:
        raise ConfigError("images must hold at least one face that counts")
    scores = np.concatenate([image.scores for image in images])
    marks = np.concatenate([_match(image, least_overlap) for image in images])
    thresholds = np.append(np.inf, np.unique(scores)[::-1])
    found, false = (
        np.searchsorted(np.sort(-scores[marks == mark]), -thresholds, side="right")
        for mark in (_FOUND, _FALSE)
    )
    return DetectionCurve(thresholds, 100.0 * (faces - found) / faces, false / len(images))


def _match(image: Detections, least_overlap: float) -> Int[np.ndarray, "found"]:
    """Mark each box: it finds a face, is false, or does not count."""
    overlaps = iou(image.boxes, image.truth)
    near = overlaps >= least_overlap
    marks = np.where((near & ~image.counted).any(axis=1), _NEITHER, _FALSE)
    free = image.counted.copy()
    for i in np.argsort(-image.scores, kind="stable"):
        candidates = np.flatnonzero(near[i] & free)
        if len(candidates):
            free[candidates[overlaps[i, candidates].argmax()]] = False
            marks[i] = _FOUND
    return marks
