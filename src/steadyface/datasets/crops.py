"""Training samples for a landmark network: varied face crops, and crops of no face."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from steadyface import markup
from steadyface.datasets.augmentation import Augmentation
from steadyface.datasets.three_hundred_w import Sample
from steadyface.errors import DataError
from steadyface.geometry import Region, bounding_box, overlap
from steadyface.images import Frame, crop_region, read_image

Crop = UInt8[np.ndarray, "size size 3"]
Points = Float[np.ndarray, "landmarks 2"]


@dataclass(frozen=True)
class Background:
    """A photograph and the boxes of all its faces, between which crops of no face are found."""

    image: Frame
    boxes: Float[np.ndarray, "faces 4"]

    def crop(self, size: int, augmentation: Augmentation, rng: np.random.Generator) -> Crop | None:
        """A random square that touches no face, or None if ten tries found none."""
        height, width = self.image.shape[:2]
        for _ in range(10):
            side = rng.uniform(0.15, 0.8) * min(width, height)
            region = Region(rng.uniform(0, width), rng.uniform(0, height), side)
            if not overlap(bounding_box(region.corners)[None], self.boxes).any():
                return augmentation.degrade(crop_region(self.image, region, size)[0], rng)
        return None


class FaceCrops:
    """The crops of one epoch after another, all kept in memory; sample (epoch, i) is always the same.

    Args:
        samples: the annotated faces.
        size: side of the crops, px.
        augmentation: how crops vary; None gives the plain test crop.
        backgrounds: photographs for crops of no face.
        background_share: share of samples that are crops of no face; their points are NaN.
        seed: of all randomness.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        size: int,
        augmentation: Augmentation | None = None,
        backgrounds: Sequence[Background] = (),
        background_share: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.faces = [sample.load() for sample in samples]
        self.size, self.augmentation, self.seed = size, augmentation, seed
        self.backgrounds, self.background_share = backgrounds, background_share if backgrounds else 0.0

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Crop, Points]:
        epoch, i = key
        image, points = self.faces[i]
        if self.augmentation is None:
            crop, to_crop = crop_region(image, Region.around_points(points), self.size)
            return crop, to_crop(points).astype(np.float32)
        rng = np.random.default_rng((self.seed, epoch, i))
        if rng.random() < self.background_share:
            background = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
            empty = background.crop(self.size, self.augmentation, rng)
            if empty is not None:
                return empty, np.full((markup.COUNT, 2), np.nan, np.float32)
        crop, points = self.augmentation.crop(image, points, self.size, rng)
        return np.ascontiguousarray(crop), points.astype(np.float32)


def load_backgrounds(folder: str | Path) -> list[Background]:
    """The photographs of a folder with a `faces.json`: file name → list of {"box": [x0, y0, x1, y1]}.

    Raises:
        DataError: `faces.json` is missing or of another form.
    """
    index = Path(folder) / "faces.json"
    try:
        listed = json.loads(index.read_text(encoding="utf-8"))
        boxes = {
            name: np.array([face["box"] for face in faces], float).reshape(-1, 4)
            for name, faces in listed.items()
        }
    except OSError as error:
        raise DataError(index, error.strerror or "cannot be read") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(index, f"not a list of face boxes: {error}") from error
    return [
        Background(read_image(Path(folder) / name), found.reshape(-1, 4)) for name, found in boxes.items()
    ]
