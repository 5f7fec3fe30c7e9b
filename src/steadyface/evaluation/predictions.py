"""What a network predicted for one item, as a file beside the truth: all that scoring needs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from steadyface.errors import DataError
from steadyface.files import make_folder, read_arrays, read_json, write_arrays, write_text

RUN = "run.json"
_ITEMS, _SUFFIX, _SKIPPED = "items", ".npz", ".skipped"


@dataclass(frozen=True)
class Prediction:
    """The points of one item by several ways of reading them, and the truth.

    An image counts as a video of one frame. NaN stands for what is not there: a face that was not found, a
    frame that was not annotated.

    Args:
        rows: names of the ways, such as decoders.
        points: (rows, frames, 68, 2) image px.
        scores: (rows, frames, 68) in [0, 1].
        truth: (frames, 68, 2) image px.
        seconds: (frames,) timestamps.
        group: of the item.
        heatmap: of an image, the mean of its 68 heatmaps, each with its brightest cell in the middle and of
            height 1 there; (0, 0) for a video.
    """

    rows: tuple[str, ...]
    points: Float[np.ndarray, "rows frames 68 2"]
    scores: Float[np.ndarray, "rows frames 68"]
    truth: Float[np.ndarray, "frames 68 2"]
    seconds: Float[np.ndarray, "frames"]
    group: str
    heatmap: Float[np.ndarray, "n n"] = field(default_factory=lambda: np.zeros((0, 0)))

    def row(self, name: str) -> Float[np.ndarray, "frames 68 2"]:
        """The points of one way of reading."""
        return self.points[self.rows.index(name)]


@dataclass(frozen=True)
class PredictionFolder:
    """A folder of predictions: `run.json`, and in `items` a file per item, or why there is none."""

    root: Path

    def read_run(self) -> dict[str, Any] | None:
        """What was run, or None in a new folder.

        Raises:
            DataError: the file is broken.
        """
        path = self.root / RUN
        if not path.is_file():
            return None
        run = read_json(path, "a run's description")
        if not isinstance(run, dict):
            raise DataError(path, "not a run's description")
        return run

    def write_run(self, run: dict[str, Any]) -> None:
        """Say what is being run.

        Raises:
            DataError: the folder cannot be written.
        """
        make_folder(self.root / _ITEMS)
        write_text(self.root / RUN, json.dumps(run, indent=2) + "\n")

    def has(self, name: str) -> bool:
        """Whether the item was predicted."""
        return self._path(name).is_file()

    def write(self, name: str, prediction: Prediction) -> None:
        """Keep an item's prediction.

        Raises:
            DataError: it cannot be written.
        """
        write_arrays(self._path(name), vars(prediction))
        self._path(name, _SKIPPED).unlink(missing_ok=True)

    def skip(self, name: str, reason: str) -> None:
        """Keep why an item could not be predicted.

        Raises:
            DataError: it cannot be written.
        """
        write_text(self._path(name, _SKIPPED), " ".join(reason.split()))

    def skipped(self) -> dict[str, str]:
        """The items that could not be predicted, and why."""
        paths = sorted((self.root / _ITEMS).glob(f"*{_SKIPPED}"))
        return {path.stem: path.read_text(encoding="utf-8") for path in paths}

    def names(self) -> list[str]:
        """The items that were predicted."""
        return sorted(path.stem for path in (self.root / _ITEMS).glob(f"*{_SUFFIX}"))

    def read(self, name: str) -> Prediction:
        """An item's prediction.

        Raises:
            DataError: missing, or not such a file.
        """
        path = self._path(name)
        arrays: dict[str, Any] = read_arrays(path, "a prediction", [each.name for each in fields(Prediction)])
        rows, group = tuple(arrays.pop("rows").tolist()), str(arrays.pop("group"))
        return Prediction(rows=rows, group=group, **arrays)

    def _path(self, name: str, suffix: str = _SUFFIX) -> Path:
        return self.root / _ITEMS / f"{name}{suffix}"
