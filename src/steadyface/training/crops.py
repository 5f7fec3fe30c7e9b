"""Training samples for a landmark network: varied face crops, and crops of no face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from steadyface import markup
from steadyface.arrays import Boxes, Crop, Frame, Points
from steadyface.datasets.face_boxes import read_boxes
from steadyface.datasets.three_hundred_w import FaceSample, load_each
from steadyface.errors import DataError
from steadyface.geometry import Region, bounding_box, iou
from steadyface.images import crop_region, read_image
from steadyface.training.augmentation import Augmentation

Sample = TypeVar("Sample", covariant=True)
"""A tuple of arrays."""


@dataclass(frozen=True)
class Background:
    """A photograph and the boxes of all its faces, between which crops of no face are found."""

    image: Frame
    boxes: Boxes

    def crop(self, size: int, augmentation: Augmentation, rng: np.random.Generator) -> Crop | None:
        """Draw a random square that touches no face; None if ten tries found none."""
        height, width = self.image.shape[:2]
        for _ in range(10):
            side = rng.uniform(0.15, 0.8) * min(width, height)
            region = Region(rng.uniform(0, width), rng.uniform(0, height), side)
            if not iou(bounding_box(region.corners)[None], self.boxes).any():
                return augmentation.degrade(crop_region(self.image, region, size)[0], rng)
        return None


class FaceCrops:
    """Crops of annotated faces, all kept in memory; sample (epoch, i) is always the same.

    Args:
        samples: the annotated faces; each is cropped around its `box`, or its points where it has none.
        size: side of the crops, px.
        augmentation: how crops vary; None gives the plain test crop.
        backgrounds: photographs for crops of no face.
        background_share: fraction of the samples that are crops of no face.
        seed: of all randomness.
        on_bad: as of `load_each`.

    Attributes:
        samples: those that could be loaded; sample i is cropped for the keys (epoch, i).

    Raises:
        DataError: as of `load_each`: a sample cannot be used and there is no `on_bad`, or not one can.
    """

    def __init__(
        self,
        samples: Sequence[FaceSample],
        size: int,
        augmentation: Augmentation | None = None,
        backgrounds: Sequence[Background] = (),
        background_share: float = 0.0,
        seed: int = 0,
        on_bad: Callable[[DataError], object] | None = None,
    ) -> None:
        loaded = list(load_each(samples, on_bad))
        self.samples = [sample for sample, _, _ in loaded]
        self.faces = [(image, points) for _, image, points in loaded]
        self.size, self.augmentation, self.seed = size, augmentation, seed
        self.backgrounds, self.background_share = backgrounds, background_share if backgrounds else 0.0

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Crop, Points, bool]:
        """A crop, its points in crop px, and whether it shows a face.

        Points are NaN where they are not annotated, and in a crop of no face.
        """
        epoch, i = key
        image, points = self.faces[i]
        region = self.samples[i].region(points)
        if self.augmentation is None:
            crop, to_crop = crop_region(image, region, self.size)
            return crop, to_crop(points).astype(np.float32), True
        rng = np.random.default_rng((self.seed, epoch, i))
        if rng.random() < self.background_share:
            background = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
            empty = background.crop(self.size, self.augmentation, rng)
            if empty is not None:
                return empty, np.full((markup.COUNT, 2), np.nan, np.float32), False
        crop, points = self.augmentation.crop(image, points, self.size, rng, region)
        return np.ascontiguousarray(crop), points.astype(np.float32), True


@runtime_checkable
class Samples(Protocol[Sample]):
    """Training samples; sample (epoch, i) is always the same."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: tuple[int, int], /) -> Sample: ...


class MixedSamples(Generic[Sample]):
    """Samples of several sets, a fixed number of each per epoch; sample (epoch, i) is always the same.

    Every set is shown in one shuffled order after another, across the ends of epochs, so that all its faces
    are shown equally often.

    Args:
        sets: the samples of each set and how many of them an epoch shows.
        seed: of the orders.
    """

    def __init__(self, sets: Sequence[tuple[Samples[Sample], int]], seed: int = 0) -> None:
        self.sets, self.seed = sets, seed

    def __len__(self) -> int:
        return sum(count for _, count in self.sets)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, i = key
        for number, (crops, count) in enumerate(self.sets):
            if i < count:
                passes, position = divmod(epoch * count + i, len(crops))
                order = np.random.default_rng((self.seed, number, passes)).permutation(len(crops))
                return crops[passes, int(order[position])]
            i -= count
        raise IndexError(key)


def load_backgrounds(
    folder: str | Path, on_bad: Callable[[DataError], object] | None = None
) -> list[Background]:
    """Load the photographs of a folder with a `faces.json`, each with the boxes of all its faces.

    Args:
        folder: of the photographs.
        on_bad: is called with the error of a photograph that cannot be read, which is left out; None raises
            the first.

    Raises:
        DataError: `faces.json` is missing or of another form, or a photograph cannot be read.
    """
    backgrounds = []
    for name, faces in read_boxes(folder).items():
        try:
            image = read_image(Path(folder) / name)
        except DataError as error:
            if on_bad is None:
                raise
            on_bad(error)
        else:
            backgrounds.append(Background(image, np.array([face.box for face in faces]).reshape(-1, 4)))
    return backgrounds
