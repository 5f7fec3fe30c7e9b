"""Faces of single images: finder and landmark network, without tracking and without a stabiliser."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, TypedDict, TypeGuard, Unpack, overload

import numpy as np

from steadyface.detector import Detector, choose_detector
from steadyface.errors import ConfigError
from steadyface.images import read_image
from steadyface.landmarker import Landmarker, LandmarkModel, Landmarks
from steadyface.models import DEFAULT_MODEL
from steadyface.options import check_kind
from steadyface.picture import Picture, as_picture
from steadyface.tracking import TrackerConfig
from steadyface.tracking.detection import confirm_faces, detect_boxes, predict_in_boxes
from steadyface.tracking.parts import check_parts

Still = str | Path | np.ndarray
"""Path of an image, or RGB uint8 (H, W, 3)."""

_TOGETHER = 16  # images whose faces share runs of the network, and that memory holds at a time


class DetectionKeywords(TypedDict, total=False):
    """Keywords of `detect`."""

    max_faces: int | None
    min_face: float | None
    min_score: float
    min_detection: float | None
    detector: str | Path | Detector | None
    landmarker: LandmarkModel | None
    weights: str | Path
    decoder: str | None
    device: str
    threads: int | None


@overload
def detect(  # type: ignore[overload-overlap]  # a path is also an iterable of characters
    images: Still, **options: Unpack[DetectionKeywords]
) -> Landmarks: ...


@overload
def detect(images: Iterable[Still], **options: Unpack[DetectionKeywords]) -> list[Landmarks]: ...


def detect(
    images: Still | Iterable[Still],
    *,
    max_faces: int | None = None,
    min_face: float | None = None,
    min_score: float = TrackerConfig.accept,
    min_detection: float | None = None,
    detector: str | Path | Detector | None = None,
    landmarker: LandmarkModel | None = None,
    weights: str | Path = DEFAULT_MODEL,
    decoder: str | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Landmarks | list[Landmarks]:
    """Detect the faces of an image, or of each of several images, with their landmarks.

    The faces of several images go through the landmark network together. Networks named by a file are opened
    once and kept.

    Args:
        images: an image, RGB uint8 (H, W, 3), or its path; or an iterable of them, of any sizes.
        max_faces: most faces of an image, the largest first. Left out: all.
        min_face: larger side of the smallest face to find, image px. Left out: about a twentieth of the
            image's longer side.
        min_score: least mean score of the better half of a face's points, 0 to 1. A smaller number finds
            more covered and turned faces, but also gives more false ones.
        detector: an .onnx file as of `TrackingOptions`, or any callable image → boxes. Left out: the bundled
            finder.
        landmarker: any `LandmarkModel`, in place of `weights` and `decoder`.
        min_detection, weights, decoder, device, threads: as of `TrackingOptions`.

    Returns:
        The image's faces, the largest first: `points` (N, 68, 2), `scores` (N, 68), `box` (N, 4) and so on in
        image px, with N = 0 where there is none. Of an iterable a list, one entry an image.

    Raises:
        ConfigError: an image is not of such a type and shape, or an option outside what is allowed.
        DataError: an image cannot be read.
        WeightsError: a file of weights that is missing or of another kind.

    >>> for face in steadyface.detect("photo.jpg"):  # doctest: +SKIP
    ...     print(face.box, face.points[30])
    """
    optional = {"max_faces": max_faces, "min_face": min_face, "min_detection": min_detection}
    for name, value in {**optional, "threads": threads}.items():
        check_kind(name, value, None)
    check_kind("min_score", min_score, TrackerConfig.accept)
    check_kind("weights", weights, DEFAULT_MODEL)
    if max_faces is not None and max_faces < 1:
        raise ConfigError(f"max_faces must be at least 1, got {max_faces}")
    if not 0 <= min_score <= 1:
        raise ConfigError(f"min_score must lie between 0 and 1, got {min_score}")
    if detector is None or isinstance(detector, str | Path):
        detector = _open_finder(detector, min_face, min_detection, device, threads)
    elif min_face is not None or min_detection is not None:
        raise ConfigError("min_face and min_detection are for a detector that is named by a file")
    if landmarker is None:
        landmarker = _open_landmarker(weights, decoder, device, threads)
    check_parts(landmarker, detector, "none")
    faces_of = partial(_faces_of, detector, landmarker, TrackerConfig(accept=min_score), max_faces)
    if _are_several(images):
        rest, found = iter(images), list[Landmarks]()
        while block := [_as_picture(image) for image in islice(rest, _TOGETHER)]:
            found += faces_of(block)
        return found
    [faces] = faces_of([_as_picture(images)])
    return faces


def _are_several(images: object) -> TypeGuard[Iterable[Still]]:
    """Whether an argument holds several images: an array with four axes, or any other iterable."""
    if isinstance(images, np.ndarray):
        return images.ndim == 4
    return isinstance(images, Iterable) and not isinstance(images, str)


def _as_picture(image: Any) -> Picture:
    return as_picture(read_image(image) if isinstance(image, str | Path) else image)


def _faces_of(
    detector: Detector,
    model: LandmarkModel,
    config: TrackerConfig,
    max_faces: int | None,
    frames: Sequence[Picture],
) -> list[Landmarks]:
    """Detect the faces of each frame; the landmark network sees those of all frames together."""
    boxes = [detect_boxes(detector, frame) for frame in frames]
    known, found = np.zeros((0, 68, 2)), []
    for frame, candidates in zip(frames, predict_in_boxes(model, frames, boxes), strict=True):
        found.append(Landmarks.stack(confirm_faces(frame, candidates, known, config)[:max_faces]))
    return found


@lru_cache(maxsize=4)
def _open_finder(
    path: str | Path | None,
    min_face: float | None,
    threshold: float | None,
    device: str,
    threads: int | None,
) -> Detector:
    return choose_detector(path, min_face=min_face, threshold=threshold, device=device, threads=threads)


@lru_cache(maxsize=4)
def _open_landmarker(
    weights: str | Path, decoder: str | None, device: str, threads: int | None
) -> Landmarker:
    return Landmarker(weights, decoder, device, threads)
