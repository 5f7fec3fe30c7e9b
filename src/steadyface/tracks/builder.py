"""Collect the rows of a table while a clip is tracked."""

from __future__ import annotations

from typing import Any

import numpy as np

from steadyface.tracks.schema import COLUMNS, Meta, default_columns
from steadyface.tracks.table import Tracks
from steadyface.tracks.timeline import ClipTimeline

_DEFAULTS = {name: values[0] for name, values in default_columns(1).items()}


class TracksBuilder:
    """Collect rows in blocks, so that a long video takes little more memory than its rows."""

    _BLOCK = 1024

    def __init__(self) -> None:
        self._blocks: dict[str, list[np.ndarray]] = {name: [] for name in COLUMNS}
        self._rows = 0
        self._frames: list[tuple[int, float, tuple[int, int], str]] = []

    def __len__(self) -> int:
        return self._rows

    @property
    def frame_count(self) -> int:
        """Number of frames given to `add_frame`."""
        return len(self._frames)

    def add_frame(self, frame: int, seconds: float, size: tuple[int, int], file: str = "") -> None:
        """List a frame, before its rows, if it has any.

        Args:
            frame: number, larger than those before.
            seconds: time in the stream.
            size: width and height, px.
            file: name of its image file, in a folder of images.
        """
        self._frames.append((frame, seconds, size, file))

    def add(self, **row: Any) -> None:
        """Append one row, by column name; those that are not given are as of `schema.default_columns`."""
        row = {**_DEFAULTS, **row}
        place = self._rows % self._BLOCK
        for name, (dtype, shape) in COLUMNS.items():
            if place == 0:
                self._blocks[name].append(np.empty((self._BLOCK, *shape), dtype))
            self._blocks[name][-1][place] = row[name]
        self._rows += 1

    def finish(self, meta: Meta) -> Tracks:
        """Return the table and empty the builder."""
        columns: dict[str, Any] = {}
        for name, (dtype, shape) in COLUMNS.items():
            blocks = self._blocks.pop(name)
            self._blocks[name] = []
            columns[name] = np.concatenate([np.empty((0, *shape), dtype), *blocks])[: self._rows]
            blocks.clear()
        frames, self._frames, self._rows = self._frames, [], 0
        if not frames:
            return Tracks(**columns, meta=meta)
        names = ("frame", "seconds", "size", "file")
        timeline = ClipTimeline.from_values(dict(zip(names, zip(*frames, strict=True), strict=True)))
        return Tracks(**columns, meta=meta, timeline=timeline)
