"""Intervals of time: the blinks of each face."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from steadyface.measures import Blink, eye_aspect_ratio, find_blinks
from steadyface.tracks.formats.tabular import write_rows
from steadyface.tracks.schema import Columns, Table
from steadyface.tracks.timeline import runs_of


def write_blinks(path: Path, table: Table) -> None:
    """Write a line per blink: `face_id`, `onset` and `offset` in s, and `depth`."""
    blinks = [(face, blink) for face in faces_of(table.columns) for blink in blinks_of(table.columns, face)]
    write_rows(
        path,
        {
            "face_id": np.array([face for face, _ in blinks], int),
            "onset": np.array([blink.start for _, blink in blinks]),
            "offset": np.array([blink.end for _, blink in blinks]),
            "depth": np.array([blink.depth for _, blink in blinks]),
        },
    )


def faces_of(columns: Columns) -> list[int]:
    """List the identities, in order of appearance."""
    return list(dict.fromkeys(columns["face"].tolist()))


def blinks_of(columns: Columns, face: int) -> list[Blink]:
    """Find the blinks of a face in each run of successive frames in which it is seen."""
    rows = np.flatnonzero((columns["face"] == face) & ~columns["held"])
    points, seconds = columns["points"][rows].astype(float), columns["seconds"][rows]
    openness = np.mean([eye_aspect_ratio(points, eye) for eye in ("right_eye", "left_eye")], axis=0)
    runs = runs_of(columns["frame"][rows])
    return [blink for run in runs for blink in find_blinks(openness[run], seconds[run])]
