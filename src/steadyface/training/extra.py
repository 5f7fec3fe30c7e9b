"""The sets of `datasets.extra` in training: closed lids brought together, and the error of each set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from steadyface import markup, metrics
from steadyface.arrays import FaceStack
from steadyface.datasets.extra import ExtraSample
from steadyface.geometry import Region, bounding_box, box_of_pixels, face_size
from steadyface.images import crop_region, read_image
from steadyface.measures import eye_aspect_ratio
from steadyface.nets.graph import LandmarkGraph

HELD_OUT_ONE_IN = 8
"""People of a set, one of how many is held out."""

_PASSES = 3  # from the whole picture to the box of the points found in it
_LOWER = 0.65  # how far down the upper lids meet the lower ones, as pictures of closed eyes show it


def close_lids(
    samples: Sequence[ExtraSample], teacher: LandmarkGraph, device: torch.device | str = "cpu"
) -> list[ExtraSample]:
    """Annotate the lids of faces with closed eyes: each upper point lies on the lower one that it faces.

    A teacher tells where, between its own upper and lower lids; the other points stay as they are. The faces
    fill their pictures, so that the first crop is the whole picture's.

    Args:
        samples: faces with closed eyes.
        teacher: a trained landmark network and its decoder.
        device: that the teacher is on.

    Returns:
        The same faces with points on their lids, and the boxes in which the teacher sees them.

    Raises:
        DataError: an image is missing or broken.
    """
    return [_with_closed_lids(sample, teacher, device) for sample in samples]


def _with_closed_lids(sample: ExtraSample, teacher: LandmarkGraph, device: torch.device | str) -> ExtraSample:
    image = read_image(sample.image_path)
    height, width = image.shape[:2]
    box = box_of_pixels(0, 0, width, height)
    for _ in range(_PASSES):
        crop, to_crop = crop_region(image, Region.around_box(box), teacher.net.config.input_size)
        with torch.inference_mode():
            found = teacher(torch.from_numpy(crop)[None].to(device))[0]
        seen = to_crop.inverse(found[0].cpu().numpy().astype(float))
        box = bounding_box(seen)
    points = sample.points.copy()
    for eye in markup.EYES:
        upper, lower = markup.facing(eye)
        points[upper] = points[lower] = (1 - _LOWER) * seen[upper] + _LOWER * seen[lower]
    x0, y0, x1, y1 = box.tolist()
    return replace(sample, points=points, box=(x0, y0, x1, y1))


def _interocular(points: FaceStack, truth: FaceStack) -> float:
    """Mean distance of the annotated points in % of that of the outer eye corners."""
    return _mean_error(points, truth, metrics.interocular(truth))


def _face_size(points: FaceStack, truth: FaceStack) -> float:
    """Mean distance of the annotated points in % of √(width · height) of their box."""
    sizes = [face_size(face[~np.isnan(face).any(axis=1)]) for face in truth]
    return _mean_error(points, truth, np.array(sizes))


def _ear_to_nose(points: FaceStack, truth: FaceStack) -> float:
    """Mean distance of the annotated points in % of that from the visible ear to the tip of the nose."""
    reach = np.linalg.norm(truth[:, markup.EARS] - truth[:, [markup.NOSE_TIP]], axis=-1)
    return _mean_error(points, truth, np.nanmax(reach, axis=1))


def _openness(points: FaceStack, truth: FaceStack) -> float:
    """Return the median openness of closed eyes, % of their width; ideally 0."""
    return 100 * float(np.median(eye_openness(points)))


def eye_openness(points: FaceStack) -> Float[np.ndarray, "faces"]:
    """Mean `eye_aspect_ratio` of both eyes of each face."""
    return np.mean([eye_aspect_ratio(points, eye) for eye in markup.EYES], axis=0)


def _mean_error(points: FaceStack, truth: FaceStack, size: Float[np.ndarray | np.floating, "faces"]) -> float:
    distances = np.nanmean(np.linalg.norm(points - truth, axis=-1), axis=1)
    return 100 * float(np.mean(distances / size))


MEASURES: dict[str, Callable[[FaceStack, FaceStack], float]] = {
    "profiles": _ear_to_nose,
    "closed_eyes": _openness,
    "fgnet": _interocular,
    "aflw80": _face_size,
    "helen256": _interocular,
}
"""The error of each set in %, from points found and annotated, in px of the crops."""
