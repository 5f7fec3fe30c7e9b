"""Frames of a clip: their numbers, times, sizes and files, also of those without a face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from steadyface.arrays import Times


@dataclass(frozen=True, eq=False)
class ClipTimeline:
    """Frames of a clip in order, with and without a face.

    Args:
        frame: (F,) numbers, increasing.
        seconds: (F,) times in the stream.
        size: (F, 2) width and height, px; 0 where not known.
        file: (F,) names of the image files of a folder; empty for other sources.
    """

    frame: Int[np.ndarray, "frames"]
    seconds: Times
    size: Int[np.ndarray, "frames 2"]
    file: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)

    @classmethod
    def of_rows(cls, frame: Int[np.ndarray, "rows"], seconds: Times, size: Any = None) -> ClipTimeline:
        """List the frames that rows name, all of one size; None leaves it unknown."""
        numbers, first = np.unique(frame, return_index=True)
        sizes = np.tile(np.array(size or (0, 0), int), (len(numbers), 1))
        return cls(numbers, seconds[first], sizes, np.full(len(numbers), "", "U1"))

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> ClipTimeline:
        """Bring the values of a file to the types of the fields.

        Raises:
            ValueError, KeyError, TypeError: a field is missing, of another shape or length, or the numbers do
                not increase.
        """
        frame = np.asarray(values["frame"], int).reshape(-1)
        timeline = cls(
            frame,
            np.asarray(values["seconds"], float).reshape(-1),
            np.asarray(values["size"], int).reshape(-1, 2),
            np.asarray(values["file"], str).reshape(-1),
        )
        if {len(value) for value in timeline.values().values()} != {len(frame)}:
            raise ValueError("frames of different number")
        if (np.diff(frame) <= 0).any():
            raise ValueError("numbers of frames that do not increase")
        return timeline

    def values(self) -> dict[str, np.ndarray]:
        """Return the fields by name, the inverse of `from_values`."""
        return {"frame": self.frame, "seconds": self.seconds, "size": self.size, "file": self.file}

    def describe(self) -> dict[str, Any]:
        """Size and rate of the frames, as far as one holds for all, for the meta of tracks."""
        about: dict[str, Any] = {}
        if len(self) and self.size[0].all() and (self.size == self.size[0]).all():
            about["size"] = self.size[0].tolist()
        if len(self) > 1 and self.seconds[-1] > self.seconds[0]:
            rate = (self.frame[-1] - self.frame[0]) / (self.seconds[-1] - self.seconds[0])
            about["fps"] = round(float(rate), 6)
        return about

    def at(self, chosen: Int[np.ndarray, "chosen"] | Bool[np.ndarray, "frames"]) -> ClipTimeline:
        """Select frames."""
        return ClipTimeline(self.frame[chosen], self.seconds[chosen], self.size[chosen], self.file[chosen])

    def with_rows(self, frame: Int[np.ndarray, "rows"]) -> ClipTimeline:
        """Select the frames that rows name."""
        return self.at(np.isin(self.frame, frame))

    def size_of(self, frame: Int[np.ndarray, "rows"]) -> Int[np.ndarray, "rows 2"]:
        """Width and height of the frame of each row, px; 0 where not known.

        Raises:
            ValueError: a row's frame is not here.
        """
        return self.size[self.places(frame)]

    def places(self, frame: Int[np.ndarray, "rows"]) -> Int[np.ndarray, "rows"]:
        """Index here of the frame of each row.

        Raises:
            ValueError: a row's frame is not here.
        """
        places = np.searchsorted(self.frame, frame)
        if len(frame) and (len(self) == 0 or (self.frame[np.minimum(places, len(self) - 1)] != frame).any()):
            raise ValueError("a row of a frame that is not listed")
        return places


def runs_of(frames: Int[np.ndarray, "rows"]) -> list[Int[np.ndarray, "_"]]:
    """Rows of each run of successive numbers.

    >>> runs_of(np.array([3, 4, 7]))
    [array([0, 1]), array([2])]
    """
    parts = np.split(np.arange(len(frames)), np.flatnonzero(np.diff(frames) != 1) + 1)
    return [part for part in parts if len(part)]
