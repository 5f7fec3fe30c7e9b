"""One video of a corpus: track it, write its table, and recognise a table that an earlier run wrote."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow
from pyarrow import parquet

from steadyface._version import __version__
from steadyface.clips import crops_folder, write_crops
from steadyface.corpus.inputs import local_copy, state
from steadyface.corpus.manifest import DONE, ERROR, Entry
from steadyface.errors import SteadyfaceError, VideoError
from steadyface.files import make_folder
from steadyface.pipeline import TrackingOptions, build, track_frames
from steadyface.tracking.people import people_key
from steadyface.tracks import Meta, Tracks

ATTEMPTS = 3
"""Number of times that a video is started whose worker dies each time."""


class Worker:
    """Tracks one video after the other with networks that are loaded once.

    Args:
        options: of tracking; their threads are also OpenCV's, so that workers share a machine's cores.
        out: folder of the results.
        scratch: folder of this run, for copies of what URLs name and for notes of started videos; made here.
        crops: one of `clips.CROPS`, cut out of a second reading; None cuts nothing.
    """

    def __init__(self, options: TrackingOptions, out: Path, scratch: Path, crops: str | None = None) -> None:
        if options.threads is not None:
            cv2.setNumThreads(options.threads)
        make_folder(scratch)
        self._out, self._scratch = out, scratch
        self._asked, self._crops = options_key(options, crops), crops
        self._pipeline = build(options)

    def __call__(self, row: dict[str, Any]) -> dict[str, str]:
        """Track `row["input"]` into `row["output"]`; returns the `Entry` as JSON, also after an error."""
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
                with self._pipeline.open(path) as frames:
                    tracks = track_frames(frames, self._pipeline)
                self._cut(path, tracks, output)
            except SteadyfaceError as error:
                raise SteadyfaceError(str(error).replace(str(path), source)) from error
            damage = tracks.meta["damage"]
        own = {
            "input": source,
            **before,
            "options": self._asked,
            "frames_with_face": len(np.unique(tracks.frame[~tracks.held])),
            "faces": len(tracks.face_ids),
        }
        told = {"damage": damage and damage.replace(str(path), source), "corpus": own}
        tracks = replace(tracks, meta=tracks.meta | told)
        make_folder((self._out / output).parent)
        tracks.save(self._out / output)
        return _entry(output, tracks.meta)

    def _cut(self, path: Path, tracks: Tracks, output: str) -> None:
        """Cut the faces out; the table, which says that all is done, is written afterwards."""
        if self._crops is not None:
            base = (self._out / output).with_suffix("")
            make_folder(base.parent)
            with self._pipeline.open(path) as frames:
                write_crops(frames, frames, tracks, crops_folder(base, self._crops), self._crops)

    def _begin(self, source: str) -> None:
        """Refuse a video that has killed its worker on this machine `ATTEMPTS` times."""
        note = self._scratch / f"{hashlib.sha256(os.fsencode(source)).hexdigest()}.begun"
        with note.open("a") as file:
            file.write(".")
        if note.stat().st_size > ATTEMPTS:
            why = "by a fault in a library or for want of memory"
            raise VideoError(source, f"its worker died {ATTEMPTS} times, {why}")


def options_key(options: TrackingOptions, crops: str | None = None) -> dict[str, Any]:
    """Options that decide the results, for JSON: not device, threads and hwaccel; own files with a hash."""
    values = asdict(options) | ({} if crops is None else {"crops": crops})
    del values["device"], values["threads"], values["hwaccel"]
    if options.people is not None:
        values["people"] = people_key(options.people)
    for name in ("weights", "stabilizer", "detector", "camera"):
        if values[name] is not None:
            values[name] = _name_with_hash(values[name])
    return values


def _name_with_hash(value: str | Path) -> str:
    path = Path(value)
    if not path.is_file():
        return str(value)
    return f"{path.name} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"


def recorded(source: str, output: str, out: Path, asked: dict[str, Any]) -> Entry | None:
    """Entry of a video whose table was made from the same file by the same options and version, or None.

    The table's own metadata decides, so that it counts also where a kill came before its line in the
    manifest.
    """
    try:
        with (out / output).open("rb") as file:
            schema = parquet.read_schema(file)
        meta = json.loads(schema.metadata[b"steadyface"])
        own = meta["corpus"]
        expected = {"input": source, **state(source), "options": asked}
        same = meta["version"] == __version__ and own == own | expected
        return _entry(output, meta) if same else None
    except (OSError, pyarrow.ArrowInvalid, ImportError, TypeError, KeyError, ValueError):
        return None  # no table, not ours, or a source that is gone: tracking it says what is wrong


def _entry(output: str, meta: Meta) -> Entry:
    own = meta["corpus"]
    return Entry(
        own["input"],
        output,
        ERROR if meta["damage"] else DONE,
        meta["frames"],
        own["frames_with_face"],
        own["faces"],
        error=meta["damage"],
        options=own["options"],
    )


def _problem(source: str, error: Exception) -> str:
    if isinstance(error, SteadyfaceError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{source}: {error.strerror}"
    return f"{source}: {type(error).__name__}: {error}"
