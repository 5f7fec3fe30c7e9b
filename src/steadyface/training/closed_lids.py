"""Annotation of the lids of faces with closed eyes, for training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from steadyface import markup
from steadyface.arrays import Frame
from steadyface.datasets.extra import ExtraSample
from steadyface.datasets.three_hundred_w import load_each
from steadyface.errors import DataError
from steadyface.geometry import Region, bounding_box, box_of_pixels
from steadyface.images import crop_region
from steadyface.nets.graph import LandmarkGraph

_PASSES = 3  # from the whole picture to the box of the points found in it
_LOWER = 0.65  # position of closed lids between the teacher's upper (0) and lower ones (1), as pictures show


def close_lids(
    samples: Sequence[ExtraSample],
    teacher: LandmarkGraph,
    device: torch.device | str = "cpu",
    on_bad: Callable[[DataError], object] | None = None,
) -> list[ExtraSample]:
    """Annotate the lids of faces with closed eyes: each upper point lies on the lower one opposite it.

    The common position is between the upper and the lower lids that a teacher finds; other points stay as
    they are. The faces fill their pictures, so the first crop is of the whole picture.

    Args:
        samples: faces with closed eyes.
        teacher: a trained landmark network and its decoder.
        device: that the teacher is on.
        on_bad: as of `load_each`.

    Returns:
        The same faces with points on their lids, and the boxes of the teacher's points.

    Raises:
        DataError: as of `load_each`.
    """
    loaded = load_each(samples, on_bad)
    return [_with_closed_lids(sample, image, teacher, device) for sample, image, _ in loaded]


def _with_closed_lids(
    sample: ExtraSample, image: Frame, teacher: LandmarkGraph, device: torch.device | str
) -> ExtraSample:
    height, width = image.shape[:2]
    box = box_of_pixels(0, 0, width, height)
    for _ in range(_PASSES):
        crop, to_crop = crop_region(image, Region.around_box(box), teacher.net.config.input_size)
        with torch.inference_mode():
            found = teacher(torch.from_numpy(crop)[None].to(device))[0]
        found_points = to_crop.inverse(found[0].cpu().numpy().astype(float))
        box = bounding_box(found_points)
    points = sample.points.copy()
    for eye in markup.EYES:
        upper, lower = markup.facing(eye)
        points[upper] = points[lower] = (1 - _LOWER) * found_points[upper] + _LOWER * found_points[lower]
    x0, y0, x1, y1 = box.tolist()
    return replace(sample, points=points, box=(x0, y0, x1, y1))
