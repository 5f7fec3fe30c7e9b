"""Pseudo-labels: points of unannotated faces by a trained network, averaged over several views of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from steadyface import markup
from steadyface.geometry import Region, face_size, flip_points
from steadyface.images import Frame, crop_region
from steadyface.landmarker import Landmarker

_SCALES = (0.88, 1.0, 1.12)


@dataclass(frozen=True)
class PseudoLabel:
    """What several views of one face agree on.

    Args:
        points: (68, 2) mean over the views, image px.
        spread: how far the views lie apart: standard deviation of a point, in shares of the face's size.
        score: mean score of points and views, in [0, 1].
    """

    points: Float[np.ndarray, "landmarks 2"]
    spread: float
    score: float


def pseudo_label(landmarker: Landmarker, image: Frame, region: Region) -> PseudoLabel:
    """Label one face by its plain and mirrored views at three scales (test-time augmentation).

    Args:
        landmarker: the teacher.
        image: RGB uint8.
        region: of the face, image px; it is centred anew on the points before they are averaged.
    """
    first = landmarker.predict_regions(image, [region])[0].points
    centred = Region.around_points(first, region.roll)
    size = landmarker.input_size
    crops, maps = [], []
    for scale in _SCALES:
        view = Region(centred.x, centred.y, centred.side * scale, centred.roll)
        crop, to_crop = crop_region(image, view, size)
        crops += [crop, crop[:, ::-1]]
        maps.append(to_crop.inverse)
    found = landmarker.predict_crops(np.stack(crops))
    views = []
    for i, to_image in enumerate(maps):
        mirrored = flip_points(found.points[2 * i + 1], size, markup.FLIP)
        views += [to_image(found.points[2 * i]), to_image(mirrored)]
    points = np.mean(views, axis=0)
    deviation = np.sqrt(np.square(views - points).sum(-1).mean(0)).mean()
    return PseudoLabel(points, float(deviation / face_size(points)), float(found.scores.mean()))
