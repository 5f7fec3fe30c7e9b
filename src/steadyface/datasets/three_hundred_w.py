"""300-W: images with 68-point annotations, in the original folder layout."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np

from steadyface.arrays import Frame, Points
from steadyface.errors import ConfigError, DataError
from steadyface.files import list_shown
from steadyface.geometry import Region, bounding_box, box_of_pixels
from steadyface.images import SUFFIXES, read_image
from steadyface.pts import read_face

PARTS: dict[str, tuple[str, ...]] = {
    "lfpw-train": ("lfpw/trainset",),
    "helen-train": ("helen/trainset",),
    "afw": ("afw",),
    "lfpw-test": ("lfpw/testset",),
    "helen-test": ("helen/testset",),
    "ibug": ("ibug",),
    "private": ("300W/01_Indoor", "300W/02_Outdoor"),
}
"""Folders of each part, as in the original archives."""

TRAIN_PARTS = ("lfpw-train", "helen-train", "afw")


@runtime_checkable
class FaceSample(Protocol):
    """Annotated face that crops are made of."""

    @property
    def photo(self) -> str:
        """Name of the group that is held out together."""

    @property
    def points_path(self) -> Path:
        """File of its annotation."""

    def load(self) -> tuple[Frame, Points]:
        """Load the image (RGB uint8) and its points, (68, 2) in 0-based image px, NaN where not annotated."""

    def region(self, points: Points) -> Region:
        """Upright square of the plain crop, image px."""


AnyFace = TypeVar("AnyFace", bound=FaceSample)


@dataclass(frozen=True)
class Sample:
    """One annotated face.

    Args:
        image_path: its image; None if there is none, which `load` refuses.
        points_path: its `.pts`.
        part: of the data set.
    """

    image_path: Path | None
    points_path: Path
    part: str

    @property
    def photo(self) -> str:
        """Name of the photograph, which faces `NAME_1` and `NAME_2` of AFW and HELEN share."""
        name = self.points_path.stem
        return name.rsplit("_", 1)[0] if self.part.startswith(("afw", "helen")) else name

    def load(self) -> tuple[Frame, Points]:
        """Load the image (RGB uint8) and its points, (68, 2) in 0-based image px.

        Raises:
            DataError: one of the two is missing or broken, with path and line, or the points' box lies wholly
                outside of the image.
        """
        if self.image_path is None:
            raise DataError(self.points_path, "has no image of the same name beside it")
        points = read_face(self.points_path)
        image = read_image(self.image_path)
        height, width = image.shape[:2]
        face, whole = bounding_box(points), box_of_pixels(0, 0, width, height)
        if (np.maximum(face[:2], whole[:2]) > np.minimum(face[2:], whole[2:])).any():
            span = "x {:.0f} to {:.0f}, y {:.0f} to {:.0f} px".format(*face[[0, 2, 1, 3]])
            raise DataError(
                self.points_path,
                f"no face in the image: points at {span}, {self.image_path.name} is {width} × {height} px",
            )
        return image, points

    def region(self, points: Points) -> Region:
        """Upright square of the plain crop around the points, image px."""
        return Region.around_points(points)


def find_samples(root: str | Path, parts: Sequence[str]) -> list[Sample]:
    """Find the annotated faces of the named parts under a 300-W folder, sorted; a missing part has none.

    No file is opened: `Sample.load` finds broken ones. `count_parts` shows missing parts.

    Raises:
        ConfigError: an unknown part.
        DataError: nothing at all was found.
    """
    for part in parts:
        if part not in PARTS:
            raise ConfigError.choice("part of 300-W", part, PARTS)
    folders = [(part, folder) for part in parts for folder in PARTS[part]]
    samples = [sample for part, folder in folders for sample in _in_folder(Path(root) / folder, part)]
    if not samples:
        raise DataError(root, f"no annotated images in {', '.join(folder for _, folder in folders)}")
    return samples


def count_parts(samples: Iterable[Sample], parts: Sequence[str]) -> dict[str, int]:
    """Count the samples of each named part, in that order; 0 for a missing part.

    >>> count_parts([Sample(None, Path("1_1.pts"), "afw")], ["afw", "ibug"])
    {'afw': 1, 'ibug': 0}
    """
    found = [sample.part for sample in samples]
    return {part: found.count(part) for part in parts}


def find_folder(root: str | Path) -> list[Sample]:
    """Find the annotated faces of any folder of images with `.pts` files of the same names, sorted.

    Raises:
        DataError: none there.
    """
    samples = _in_folder(Path(root), "folder")
    if not samples:
        raise DataError(root, "no .pts files")
    return samples


def without_points(folder: Path) -> list[Path]:
    """Find the images of a folder that have no `.pts` of the same name, sorted; none without the folder."""
    return [path for path in list_shown(folder, SUFFIXES) if not path.with_suffix(".pts").exists()]


def load_each(
    samples: Iterable[AnyFace], on_bad: Callable[[DataError], object] | None = None
) -> Iterator[tuple[AnyFace, Frame, Points]]:
    """Load samples one after another; refuse bad ones or leave them out.

    Args:
        samples: to load.
        on_bad: is called with the error of a bad sample, which is left out; None raises the first.

    Yields:
        The sample, its image (RGB uint8), and its points, (68, 2) in 0-based image px.

    Raises:
        DataError: a sample is bad and there is no `on_bad`; or, at the end, all are.
    """
    loaded, bad = 0, None
    for sample in samples:
        try:
            image, points = sample.load()
        except DataError as error:
            if on_bad is None:
                raise
            on_bad(error)
            bad = sample
            continue
        loaded += 1
        yield sample, image, points
    if bad is not None and not loaded:
        raise DataError(bad.points_path.parent, "not one annotated face can be used")


def hold_out(samples: Iterable[AnyFace], one_in: int = 16) -> tuple[list[AnyFace], list[AnyFace]]:
    """Split samples into (training, validation) by photograph; the same photographs are held out always."""
    training: list[AnyFace] = []
    validation: list[AnyFace] = []
    for sample in samples:
        held_out = zlib.crc32(sample.photo.encode()) % one_in == 0
        (validation if held_out else training).append(sample)
    return training, validation


def split(
    where: str | Path, samples: Iterable[AnyFace], one_in: int = 16
) -> tuple[list[AnyFace], list[AnyFace]]:
    """Split samples as `hold_out` does, for a run that needs both parts.

    Args:
        where: the samples' folder, for the message.
        samples: to split.
        one_in: one photograph of this many is held out.

    Raises:
        DataError: too few samples: all of them are held out, or none.
    """
    training, validation = hold_out(samples, one_in)
    if not training or not validation:
        found = f"{len(training)} to train on, {len(validation)} held out"
        raise DataError(where, f"too few annotated faces: {found} (one photograph or person in {one_in})")
    return training, validation


def _in_folder(folder: Path, part: str) -> list[Sample]:
    images = {path.stem: path for path in list_shown(folder, SUFFIXES)}
    return [Sample(images.get(path.stem), path, part) for path in list_shown(folder, {".pts"})]
