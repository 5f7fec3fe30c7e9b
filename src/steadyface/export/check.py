"""Tolerance and measured deviation of an exported graph, on varied views of the bundled portrait."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from steadyface.arrays import Crop
from steadyface.demo import portrait
from steadyface.errors import ExportError
from steadyface.export.source import Run
from steadyface.geometry import Region
from steadyface.images import crop_region

TOLERANCE_PX = 0.05
"""Largest distance of any point or box of a float32 graph from its source's, px of its input."""

BATCHES = (1, 7)
"""Sizes of the batches on which a graph is compared with its source."""


@dataclass(frozen=True)
class Deviation:
    """Distances between the points of two graphs, in px of their input."""

    mean: float
    worst: float

    @classmethod
    def of(cls, distances: Float[np.ndarray, "_"]) -> Deviation:
        """Summarise the distances of all points."""
        return cls(float(distances.mean()), float(distances.max()))


def limit(precision: str, side: int) -> Deviation:
    """Return the largest allowed deviation of points, in px of an input of `side` px.

    A file of 16 bits is as good as the float32 one for any use. A file of 8 bits moves points by a fraction
    of the network's own error: 0.3 % of the side is a third of 3 % of the inter-ocular distance.
    """
    return {
        "float32": Deviation(TOLERANCE_PX, TOLERANCE_PX),
        "float16": Deviation(0.0005 * side, 0.002 * side),
        "int8": Deviation(0.003 * side, 0.03 * side),
    }[precision]


def judge(found: Deviation, allowed: Deviation, what: str) -> None:
    """Refuse a graph beyond the tolerance.

    Raises:
        ExportError: with both figures.
    """
    if not (found.mean <= allowed.mean and found.worst <= allowed.worst):
        raise ExportError(
            f"{what} by {found.mean:.3f} px on average and {found.worst:.3f} px at worst; "
            f"allowed are {allowed.mean:.3f} and {allowed.worst:.3f} px"
        )


def compare_points(run: Run, reference: Run, side: int) -> Deviation:
    """Return the distances of all points from the reference's, crop px."""
    rng = np.random.default_rng(0)
    distances = []
    for batch in BATCHES:
        crops = np.stack([_portrait_crop(rng, side) for _ in range(batch)])
        away = run(crops)[0].astype(float) - reference(crops)[0]
        distances.append(np.linalg.norm(away, axis=-1).ravel())
    return Deviation.of(np.concatenate(distances))


def compare_boxes(run: Run, reference: Run) -> Deviation:
    """Return the distance of each of the reference's best boxes from the nearest found box, image px.

    The distance of two boxes is the largest difference of their coordinates.
    """
    still = portrait().still
    distances = []
    for height, width in ((300, 320), (200, 317), (97, 400)):
        image = np.ascontiguousarray(still[:height, :width])
        boxes, scores = reference(image, np.array(0.0, np.float32))
        found = run(image, np.array(scores[0] / 2, np.float32))[0]
        for box in boxes[scores > 0.75 * scores[0]]:
            distances.append(np.abs(found - box).max(axis=1).min(initial=np.inf))
    return Deviation.of(np.array(distances, float))


def _portrait_crop(rng: np.random.Generator, size: int) -> Crop:
    scene = portrait()
    x, y = scene.centre + rng.normal(0, 8, 2)
    region = Region(float(x), float(y), rng.uniform(110, 170), rng.normal(0, 0.2))
    return crop_region(scene.still, region, size)[0]
