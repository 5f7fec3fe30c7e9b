"""Recordings: tables of `Tracks` as CSV, written while they grow."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from steadyface import files
from steadyface.arrays import Frame
from steadyface.errors import DataError
from steadyface.files import writing
from steadyface.tracking import TrackedFace
from steadyface.tracking.people import Namer
from steadyface.tracking.rows import add_rows
from steadyface.tracks import Meta, TracksBuilder
from steadyface.tracks.formats.tabular import meta_path
from steadyface.video import VideoFrame

_BLOCK = 32  # frames written at once; more would delay the picture


class Recording:
    """Writer of a file for `Tracks.load`, in constant memory.

    Args:
        path: a `.csv` file; its folder also holds its meta and the block that is being written.
        meta: of the tracks; mean `fps` and number of the `frames` are added, their `size` if it never
            changed, and `start_seconds`, the time of the first one, from which the table's times count.
        namer: of the tracker, if it names faces.

    Raises:
        DataError: the file cannot be written.
    """

    def __init__(self, path: Path, meta: Meta, namer: Namer | None = None) -> None:
        self.path, self.meta, self._namer = path, meta, namer
        self.rows = self.frames = 0
        self._sizes: set[tuple[int, int]] = set()
        self._seconds = 0.0
        self._builder = TracksBuilder()
        self._write_names()

    def add(self, image: Frame, seconds: float, faces: Sequence[TrackedFace]) -> None:
        """Append the faces of the next frame.

        Raises:
            DataError: the file cannot be written; the rows before are kept.
        """
        self._sizes.add((image.shape[1], image.shape[0]))
        began = self.meta.setdefault("start_seconds", seconds)
        self._seconds = seconds - began
        add_rows(self._builder, VideoFrame(self.frames, self._seconds, image), list(faces), self._namer)
        self.frames += 1
        self.rows += len(faces)
        if self._builder.frame_count >= _BLOCK:
            self._write_block()

    def finish(self) -> None:
        """Write the remaining rows and the meta.

        Raises:
            DataError: the file cannot be written; the rows before are kept.
        """
        try:
            self._write_block()
        finally:
            rate = {"fps": round((self.frames - 1) / self._seconds, 6)} if self._seconds > 0 else {}
            sizes = [{"size": list(size)} for size in self._sizes]
            size = sizes[0] if len(sizes) == 1 else {}
            meta = {**self.meta, **size, **rate, "frames": self.frames}
            files.write_text(meta_path(self.path), json.dumps(meta, indent=1))

    def _write_names(self) -> None:
        """Write the names of the columns, which are those of any table that has the size of each frame."""
        sized = TracksBuilder()
        sized.add_frame(0, 0.0, (1, 1))
        block = sized.finish(self.meta).save(self.path.with_name("block.csv"))
        with block.open("rb") as lines, writing(self.path):
            self.path.write_bytes(next(lines))

    def _write_block(self) -> None:
        """Let `Tracks` format the rows so far, and append all of its lines or none."""
        rows = len(self._builder)
        end = self.path.stat().st_size if self.path.exists() else 0
        try:
            block = self._builder.finish(self.meta).save(self.path.with_name("block.csv"))
            with block.open("rb") as lines, writing(self.path), self.path.open("ab") as file:
                next(lines)  # the names
                file.writelines(lines)
        except DataError:
            self.rows -= rows
            if end:
                os.truncate(self.path, end)
            raise
