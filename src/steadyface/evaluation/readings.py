"""Readings of an annotated face in an image, by the network in several boxes, as one prediction."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from jaxtyping import Float

from steadyface.arrays import Box, FacePoints, Frame
from steadyface.evaluation.inputs import Network
from steadyface.evaluation.predictions import Prediction, Reading
from steadyface.geometry import bounding_box, iou
from steadyface.landmarker import Landmarks
from steadyface.markup import COUNT, OUTER_EYE_CORNERS, corners

_MID_FACE = [*OUTER_EYE_CORNERS, *reversed(corners("outer_lips"))]
"""Corners of a part of the face that is mostly skin, hardly hair or background; clockwise."""


def in_found_box(
    image: Frame, box: Box, network: Network, least_iou: float
) -> dict[Reading, Landmarks | None]:
    """Predict a face in the face finder's box, and once more in the box of those points.

    Args:
        image: RGB uint8.
        box: of the annotated face, image px.
        network: with its finder.
        least_iou: intersection over union from which on a found box is the annotated face's.

    Returns:
        The readings `FINDER` and `SECOND_LOOK`, both None if the face was not found.
    """
    boxes = network.finder(image)
    overlaps = iou(boxes, box[None])[:, 0]
    if overlaps.max(initial=0.0) < least_iou:
        return {Reading.FINDER: None, Reading.SECOND_LOOK: None}
    first = network.landmarker.predict(image, boxes[overlaps.argmax()])
    second = network.landmarker.predict(image, bounding_box(first.points))
    return {Reading.FINDER: first, Reading.SECOND_LOOK: second}


def image_prediction(
    readings: Mapping[Reading, Landmarks | None],
    image: Frame,
    truth: FacePoints,
    group: str = "",
    heatmap: Float[np.ndarray, "n n"] | None = None,
) -> Prediction:
    """Put the readings of one face together; those without landmarks are NaN.

    Args:
        readings: in the order of the prediction's rows.
        image: RGB uint8.
        truth: image px; NaN where not annotated.
        group: part of the data set.
        heatmap: `Prediction.heatmap`; None for none.
    """
    nothing = np.full((COUNT, 2), np.nan)
    faces = readings.values()
    return Prediction(
        tuple(readings),
        np.stack([nothing if face is None else face.points for face in faces])[:, None],
        np.stack([nothing[:, 0] if face is None else face.scores for face in faces])[:, None],
        truth[None],
        np.zeros(1),
        group,
        np.zeros((0, 0)) if heatmap is None else heatmap,
        lightness=skin_lightness(image, truth),
    )


def skin_lightness(image: Frame, points: FacePoints) -> float:
    """Median lightness (CIELAB L*, 0 to 100) between the outer eye corners and the mouth's corners.

    It does not tell dark skin from little light. NaN where a corner is not annotated or none of that part of
    the face is in the picture.
    """
    outline = points[_MID_FACE]
    if np.isnan(outline).any():
        return float("nan")
    mask = cv2.fillConvexPoly(np.zeros(image.shape[:2], np.uint8), outline.round().astype(np.int32), 1)
    skin = image[mask.astype(bool)][None]
    if not skin.size:
        return float("nan")
    return float(np.median(cv2.cvtColor(skin, cv2.COLOR_RGB2LAB)[..., 0])) * 100 / 255
