"""300-W: images with 68-point annotations, in the original folder layout."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steadyface.datasets.pts import read_pts
from steadyface.errors import ConfigError, DataError
from steadyface.images import SUFFIXES, Frame, read_image

PARTS = {
    "lfpw-train": "lfpw/trainset",
    "helen-train": "helen/trainset",
    "afw": "afw",
    "lfpw-test": "lfpw/testset",
    "helen-test": "helen/testset",
    "ibug": "ibug",
}
TRAIN_PARTS = ("lfpw-train", "helen-train", "afw")


@dataclass(frozen=True)
class Sample:
    """One annotated face: where its image and its `.pts` lie, and the part of the data set it is from."""

    image_path: Path
    points_path: Path
    part: str

    @property
    def photo(self) -> str:
        """Name of the photograph, which faces `NAME_1` and `NAME_2` of AFW and HELEN share."""
        name = self.image_path.stem
        return name.rsplit("_", 1)[0] if self.part.startswith(("afw", "helen")) else name

    def load(self) -> tuple[Frame, np.ndarray]:
        """The image (RGB uint8) and its points, (68, 2) in 0-based image px."""
        return read_image(self.image_path), read_pts(self.points_path)


def find_samples(root: str | Path, parts: Sequence[str]) -> list[Sample]:
    """The annotated faces of the named parts under a 300-W folder, sorted; a missing part holds none.

    Raises:
        ConfigError: an unknown part.
        DataError: nothing at all was found, or an annotation lacks its image.
    """
    for part in parts:
        if part not in PARTS:
            raise ConfigError.choice("part of 300-W", part, PARTS)
    samples = [sample for part in parts for sample in _in_folder(Path(root) / PARTS[part], part)]
    if not samples:
        raise DataError(root, f"no annotated images in {', '.join(PARTS[part] for part in parts)}")
    return samples


def find_folder(root: str | Path) -> list[Sample]:
    """The annotated faces of any folder of images with `.pts` files of the same names, sorted.

    Raises:
        DataError: none there, or an annotation lacks its image.
    """
    samples = _in_folder(Path(root), "folder")
    if not samples:
        raise DataError(root, "no .pts files")
    return samples


def hold_out(samples: Iterable[Sample], one_in: int = 16) -> tuple[list[Sample], list[Sample]]:
    """Split samples into (training, validation) by photograph; the same photographs are held out always."""
    training: list[Sample] = []
    validation: list[Sample] = []
    for sample in samples:
        held_out = zlib.crc32(sample.photo.encode()) % one_in == 0
        (validation if held_out else training).append(sample)
    return training, validation


def _in_folder(folder: Path, part: str) -> list[Sample]:
    images = {path.stem: path for path in sorted(folder.glob("*")) if path.suffix.lower() in SUFFIXES}
    samples = []
    for points_path in sorted(folder.glob("*.pts")):
        if points_path.stem not in images:
            raise DataError(points_path, "has no image of the same name beside it")
        samples.append(Sample(images[points_path.stem], points_path, part))
    return samples
