"""Faces with closed eyes in training: their lids brought together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from steadyface import markup
from steadyface.datasets.extra import ExtraSample
from steadyface.geometry import Region, bounding_box, box_of_pixels
from steadyface.images import crop_region, read_image
from steadyface.nets.graph import LandmarkGraph

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
