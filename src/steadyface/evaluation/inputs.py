"""Inputs of a benchmark: its items, the face boxes given to the network, and the network."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from steadyface._version import __version__
from steadyface.detector import FaceFinder
from steadyface.evaluation.predictions import Reading, Run
from steadyface.files import read_bytes
from steadyface.landmarker import Landmarker
from steadyface.models import FINDER

CHR, FHR = Reading.ARGMAX, Reading.FHR
"""The paper's two decoders: the brightest cell, and fractional heatmap regression."""

FAILURE = 8.0
"""NRMSE above which a face counts as failed, % of the inter-ocular distance."""

HASH = 12
"""Digits of a network's hash that are shown."""

Source = TypeVar("Source")


class BoxSource(Enum):
    """Origin of the box in which the network looks for a face; the value says it in full."""

    TRUTH = "square of 1.3 × the larger side of the true points' box"
    TRUTH_AT_START = "the true points' box in the first frame and after a loss, else the tracker's own"
    FINDER = "the tracker's own, from the face finder on"


@dataclass(frozen=True)
class Item(Generic[Source]):
    """One face in an image, or one video.

    Args:
        name: unique within the benchmark.
        source: image or frames, with their annotation.
        group: part of the data set.
    """

    name: str
    source: Source
    group: str = ""


@dataclass(frozen=True)
class Found(Generic[Source]):
    """Part of a benchmark's data that a folder holds.

    Args:
        items: to predict.
        missing: parts of the benchmark that the folder lacks.
    """

    items: list[Item[Source]]
    missing: list[str]


@dataclass(frozen=True)
class Network:
    """A landmark network and the face finder.

    Args:
        weights: bundled model or `.onnx` file.
        device: `auto`, `cpu` or `cuda`.
        detector: the bundled `finder`, or an `.onnx` file of another one.
    """

    weights: str | Path
    device: str
    detector: str | Path = FINDER

    @cached_property
    def landmarker(self) -> Landmarker:
        """With the network's own decoder."""
        return Landmarker(self.weights, device=self.device)

    @cached_property
    def finder(self) -> FaceFinder:
        """The face finder, on the same device."""
        return FaceFinder(self.detector, device=self.device)

    @cached_property
    def landmarkers(self) -> list[Landmarker]:
        """One per decoder that is compared in videos: the paper's two, then the network's own."""
        others = [Landmarker(self.weights, decoder.value, self.device) for decoder in (CHR, FHR)]
        return [each for each in others if each.decoder != self.landmarker.decoder] + [self.landmarker]

    def run(self, protocol: str) -> Run:
        """Description of a run over a benchmark."""
        path, finder = self.landmarker.path, FINDER
        if self.detector != FINDER:
            finder = f"{Path(self.detector).name}, sha256 {_sha256(Path(self.detector))[:HASH]}"
        decoder = Reading(self.landmarker.decoder)
        return Run(protocol, self.landmarker.name, _sha256(path), decoder, __version__, finder=finder)


def _sha256(path: Path) -> str:
    return hashlib.sha256(read_bytes(path)).hexdigest()


def first_root(data: Path, names: Sequence[str], folders: Sequence[str]) -> Path:
    """First of DATA/name that holds one of the folders, else DATA itself.

    Chosen by content: where case does not count, `300w` and the private test's own `300W` are one folder.
    """
    roots = (data / name for name in names)
    return next((root for root in roots if any((root / folder).is_dir() for folder in folders)), data)
