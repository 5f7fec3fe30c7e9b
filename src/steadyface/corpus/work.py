"""One video of a corpus: track it, write its table, and know a table that is there already."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow
from pyarrow import parquet

from steadyface._version import __version__
from steadyface.corpus.inputs import local_copy, state
from steadyface.corpus.manifest import DONE, ERROR, Entry
from steadyface.corpus.options import CorpusOptions
from steadyface.errors import SteadyfaceError, VideoError
from steadyface.files import make_folder
from steadyface.pipeline import add_rows, describe, follow
from steadyface.tracks import Meta, Tracks, TracksBuilder
from steadyface.video import VideoFrame, ahead, open_frames

ATTEMPTS = 3
"""How often a video is begun that its worker does not survive."""


class Worker:
    """Tracks one video after the other with networks that are loaded once.

    Args:
        options: how.
        out: folder of the results.
        scratch: folder of this run, for copies of what URLs name and for notes of what was begun; made here.
        threads: of each network and of OpenCV, so that the workers of one machine share its cores.
    """

    def __init__(self, options: CorpusOptions, out: Path, scratch: Path, threads: int) -> None:
        cv2.setNumThreads(threads)
        make_folder(scratch)
        self._options, self._out, self._scratch = options, out, scratch
        self._asked = options.as_dict()
        self._tracker, self._choice = options.build(threads)
        self._threads = threads

    def __call__(self, row: dict[str, Any]) -> dict[str, str]:
        """Track `row["input"]` into `row["output"]`; gives the `Entry` as JSON, whatever was wrong."""
        source, output = row["input"], row["output"]
        began = time.monotonic()
        try:
            entry = self._track(source, output)
        except Exception as error:  # noqa: BLE001  codecs and file systems raise anything; it goes on record
            entry = Entry.failed(source, output, _problem(source, error), self._asked)
        return {"entry": replace(entry, seconds=round(time.monotonic() - began, 3)).as_json()}

    def _track(self, source: str, output: str) -> Entry:
        self._begin(source)
        before = state(source)
        with local_copy(source, self._scratch) as path:
            try:
                tracks = self._follow(path)
            except SteadyfaceError as error:
                raise SteadyfaceError(str(error).replace(str(path), source)) from error
            damage = tracks.meta["damage"]
        told = {
            "damage": damage and damage.replace(str(path), source),
            "frames_with_face": len(np.unique(tracks.frame[~tracks.held])),
            "faces": len(tracks.faces),
            "corpus": {"input": source, **before, "options": self._asked},
        }
        tracks = replace(tracks, meta=tracks.meta | told)
        make_folder((self._out / output).parent)
        tracks.save(self._out / output)
        return _entry(output, tracks.meta)

    def _begin(self, source: str) -> None:
        """Refuse a video that has cost this machine a worker, again and again."""
        note = self._scratch / f"{hashlib.sha256(source.encode()).hexdigest()}.begun"
        with note.open("a") as file:
            file.write(".")
        if note.stat().st_size > ATTEMPTS:
            why = "by a fault in a library or for want of memory"
            raise VideoError(source, f"its worker died {ATTEMPTS} times, {why}")

    def _follow(self, path: Path) -> Tracks:
        """Track a file; unless all has to fit into one thread, it is read ahead of the networks."""
        rows, count = TracksBuilder(), 0
        self._tracker.reset()
        frames = open_frames(path, start=self._options.start, end=self._options.end)
        with ExitStack() as stack:
            taken: Iterable[VideoFrame] = stack.enter_context(frames)
            if self._threads > 1:
                taken = stack.enter_context(closing(ahead(frames, stop=frames.stop)))
            for frame, faces in follow(taken, self._tracker):
                add_rows(rows, frame, faces)
                count += 1
        tracks = rows.finish(describe(path, frames, self._tracker, count, self._choice))
        offline = self._choice.offline
        return tracks if offline is None else tracks.smoothed(offline, self._choice.lag)


def recorded(source: str, output: str, out: Path, asked: dict[str, Any]) -> Entry | None:
    """The entry of a video whose table is there, made of the same file by the same options and version.

    The table itself says so, which also holds where a kill came between it and its line in the manifest.
    """
    try:
        schema = parquet.read_schema(out / output)
        meta = json.loads(schema.metadata[b"steadyface"])
        same = meta["version"] == __version__ and meta["corpus"] == {
            "input": source,
            **state(source),
            "options": asked,
        }
    except (OSError, pyarrow.ArrowInvalid, ImportError, TypeError, KeyError, ValueError):
        return None  # no table, not ours, or a source that is gone: to be tracked, which says what is wrong
    return _entry(output, meta) if same else None


def _entry(output: str, meta: Meta) -> Entry:
    return Entry(
        meta["corpus"]["input"],
        output,
        ERROR if meta["damage"] else DONE,
        meta["frames"],
        meta["frames_with_face"],
        meta["faces"],
        error=meta["damage"],
        options=meta["corpus"]["options"],
    )


def _problem(source: str, error: Exception) -> str:
    if isinstance(error, SteadyfaceError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{source}: {error.strerror}"
    return f"{source}: {type(error).__name__}: {error}"
