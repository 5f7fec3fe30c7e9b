"""Predictions of a network, kept as files beside the truth: all that scoring needs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from steadyface import files
from steadyface.arrays import FaceSequence, Times
from steadyface.errors import DataError
from steadyface.markup import COUNT
from steadyface.models import FINDER
from steadyface.motion import MotionSequence

RUN = "run.json"
_ITEMS, _SUFFIX, _SKIPPED = "items", ".npz", ".skipped"


class Reading(StrEnum):
    """A way to get points from the network: a decoder in the benchmark's box, or another view of the face.

    The first members are the decoders of `heatmap.METHODS`; the others use the network's own decoder.
    """

    ARGMAX = "argmax"
    QUARTER = "quarter"
    FHR = "fhr"
    FHR_SYMMETRIC = "fhr_symmetric"
    LEAST_SQUARES = "least_squares"
    DARK = "dark"
    FLIPPED = "flipped"  # mean of the plain and the mirrored crop
    FINDER = "finder"  # in the face finder's box
    SECOND_LOOK = "second look"  # in the box of the points found in the finder's box


@dataclass(frozen=True)
class Run:
    """A run of a network over a benchmark.

    Args:
        protocol: name of the benchmark.
        weights: name of the network.
        weights_sha256: of its file.
        decoder: the network's own.
        version: of steadyface.
        finder: the face finder: the bundled one, or a file's name and hash.
    """

    protocol: str
    weights: str
    weights_sha256: str
    decoder: Reading
    version: str
    finder: str = field(default=FINDER, kw_only=True)


@dataclass(frozen=True)
class PlannedRun(Run):
    """A run with its plan: the contents of `run.json`.

    Args:
        items: names of all items to predict.
        missing: parts of the benchmark that the data folder lacks.
    """

    items: list[str]
    missing: list[str]

    @property
    def run(self) -> Run:
        """The run without its plan."""
        return Run(**{each.name: getattr(self, each.name) for each in fields(Run)})


@dataclass(frozen=True)
class Prediction:
    """Points of one item, read in several ways, and the truth.

    An image is a video of one frame. NaN stands for a face that was not found and for a frame without
    annotation.

    Args:
        rows: the ways of reading.
        points: (rows, frames, 68, 2) image px.
        scores: (rows, frames, 68) in [0, 1]; of videos, lowered where a landmark is hidden.
        truth: (frames, 68, 2) image px.
        seconds: (frames,) timestamps.
        group: part of the data set that the item belongs to.
        heatmap: of an image, the mean of its 68 heatmaps, each moved so that its peak is in the middle and
            scaled so that the peak is 1; (0, 0) for a video.
        covered: (frames, 68) landmarks that an object is known to hide; (0, 68) where nothing is known.
        motion: displacements that the tracker measured in the picture, with the network's own decoder and the
            default stabiliser; None for images, and in files of versions that measured none.
        lightness: of an image, `readings.skin_lightness`; NaN for a video, and in files of versions that did
            not measure it.
    """

    rows: tuple[Reading, ...]
    points: Float[np.ndarray, "rows frames 68 2"]
    scores: Float[np.ndarray, "rows frames 68"]
    truth: FaceSequence
    seconds: Times
    group: str = ""
    heatmap: Float[np.ndarray, "n n"] = field(default_factory=lambda: np.zeros((0, 0)))
    covered: Bool[np.ndarray, "known 68"] = field(default_factory=lambda: np.zeros((0, COUNT), bool))
    motion: MotionSequence | None = None
    lightness: float = float("nan")

    def points_by(self, reading: Reading) -> FaceSequence:
        """Points of one way of reading, image px."""
        return self.points[self.rows.index(reading)]

    def scores_by(self, reading: Reading) -> Float[np.ndarray, "frames 68"]:
        """Scores of one way of reading, in [0, 1]."""
        return self.scores[self.rows.index(reading)]


@dataclass(frozen=True)
class PredictionFolder:
    """A folder of predictions: `run.json`, and in `items` a file per item, or the reason why it has none."""

    root: Path

    def read_run(self) -> PlannedRun | None:
        """Read the run, or None in a new folder.

        Raises:
            DataError: the file is broken, or of a version that kept less.
        """
        path = self.root / RUN
        if not path.is_file():
            return None
        values = files.read_json(path, "a run's description")
        with files.reading(path, "a run's description"):
            values.setdefault("finder", FINDER)  # of versions that had no other
            names = [each.name for each in fields(PlannedRun)]
            if absent := [name for name in names if name not in values]:
                raise DataError(path, f"lacks {absent[0]!r}: run steadyface predict again")
            decoder = Reading(values["decoder"])
            return PlannedRun(**{name: values[name] for name in names} | {"decoder": decoder})

    def write_run(self, run: PlannedRun) -> None:
        """Write the run.

        Raises:
            DataError: the folder cannot be written.
        """
        files.make_folder(self.root / _ITEMS)
        files.write_text(self.root / RUN, json.dumps(asdict(run), indent=2) + "\n")

    def has(self, name: str) -> bool:
        """Whether the item was predicted."""
        return self._path(name).is_file()

    def has_motion(self, name: str) -> bool:
        """Whether the item's prediction has displacements measured in the picture.

        Raises:
            DataError: missing, or no prediction.
        """
        return MotionSequence.is_in(files.array_names(self._path(name), "a prediction"))

    def write(self, name: str, prediction: Prediction) -> None:
        """Write an item's prediction.

        Raises:
            DataError: it cannot be written.
        """
        arrays = dict(vars(prediction))
        motion: MotionSequence | None = arrays.pop("motion")
        files.write_arrays(self._path(name), arrays | ({} if motion is None else motion.as_arrays()))
        self._path(name, _SKIPPED).unlink(missing_ok=True)

    def skip(self, name: str, reason: str) -> None:
        """Write why an item could not be predicted.

        Raises:
            DataError: it cannot be written.
        """
        files.write_text(self._path(name, _SKIPPED), " ".join(reason.split()))

    def skipped(self) -> dict[str, str]:
        """Items that could not be predicted, with the reasons."""
        paths = sorted((self.root / _ITEMS).glob(f"*{_SKIPPED}"))
        return {path.stem: files.read_bytes(path).decode(errors="replace") for path in paths}

    def names(self) -> list[str]:
        """Items that were predicted."""
        return sorted(path.stem for path in (self.root / _ITEMS).glob(f"*{_SUFFIX}"))

    def read(self, name: str) -> Prediction:
        """Read an item's prediction.

        Raises:
            DataError: missing, or not such a file.
        """
        path = self._path(name)
        arrays = files.read_arrays(path, "a prediction")
        with files.reading(path, "a prediction"):
            rows, group = arrays.pop("rows"), str(arrays.pop("group"))
            lightness = float(arrays.pop("lightness", np.array(np.nan)))
            motion = MotionSequence.pop_from(arrays)
            readings = tuple(map(Reading, rows.tolist()))
            return Prediction(readings, **arrays, group=group, motion=motion, lightness=lightness)

    def _path(self, name: str, suffix: str = _SUFFIX) -> Path:
        return self.root / _ITEMS / f"{name}{suffix}"
