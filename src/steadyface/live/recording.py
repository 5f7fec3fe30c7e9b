"""Recordings: tables of `Tracks` as CSV, written while they grow."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from steadyface.arrays import Frame
from steadyface.errors import DataError
from steadyface.files import writing
from steadyface.pipeline import add_rows
from steadyface.tracking import TrackedFace
from steadyface.tracks import Meta, TracksBuilder
from steadyface.video import VideoFrame

_BLOCK = 32  # rows written at once; more would delay the picture
_META = 2000  # bytes of the first line; padded, because the frame count in it is known last


class Recording:
    """Writer of a file for `Tracks.load`, in constant memory.

    Args:
        path: a `.csv` file; its folder also holds the block that is being written.
        meta: of the tracks; frame size and number of frames are added.

    Raises:
        DataError: the file cannot be written.
    """

    def __init__(self, path: Path, meta: Meta) -> None:
        self.path, self.meta = path, meta
        self.rows = self.frames = 0
        self._builder = TracksBuilder()
        self._write_block()

    def add(self, image: Frame, seconds: float, faces: Sequence[TrackedFace]) -> None:
        """Append the faces of the next frame.

        Raises:
            DataError: the file cannot be written; the rows before are kept.
        """
        self.meta.setdefault("size", [image.shape[1], image.shape[0]])
        add_rows(self._builder, VideoFrame(self.frames, seconds, image), list(faces))
        self.frames += 1
        self.rows += len(faces)
        if len(self._builder) >= _BLOCK:
            self._write_block()

    def finish(self) -> None:
        """Write the remaining rows and the number of frames.

        Raises:
            DataError: the file cannot be written; the rows before are kept.
        """
        try:
            self._write_block()
        finally:
            with self._writing("r+b") as file:
                file.write(_first_line({**self.meta, "frames": self.frames}))

    def _write_block(self) -> None:
        """Let `Tracks` format the rows so far, and append all of its lines or none."""
        rows = len(self._builder)
        end = self.path.stat().st_size if self.path.exists() else 0
        try:
            block = self._builder.finish(self.meta).save(self.path.with_name("block.csv"))
            with block.open("rb") as lines, self._writing("ab") as file:
                _, names = next(lines), next(lines)
                if not end:
                    file.write(_first_line(self.meta) + names)
                file.writelines(lines)
        except DataError:
            self.rows -= rows
            if end:
                os.truncate(self.path, end)
            raise

    @contextmanager
    def _writing(self, mode: str) -> Iterator[IO[bytes]]:
        with writing(self.path), self.path.open(mode) as file:
            yield file


def _first_line(meta: Meta) -> bytes:
    """Format `meta` as the comment of the table, padded to a fixed length."""
    return f"# {json.dumps(meta)}".encode().ljust(_META) + b"\n"
