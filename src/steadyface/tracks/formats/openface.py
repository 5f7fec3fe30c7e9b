"""`.openface.csv`: the columns that OpenFace 2 writes, in its order and numbering."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from steadyface import markup
from steadyface.tracks.formats.tabular import NO_FACE, POSE, to_flat, write_rows
from steadyface.tracks.schema import Table

_HEAD = ("frame", "face_id", "timestamp", "confidence", "success")
_POINTS = tuple(f"{axis}_{i}" for axis in "xy" for i in range(markup.COUNT))

HEADER = (*_HEAD, *POSE, *_POINTS)
"""Columns of OpenFace's `FeatureExtraction -pose -2Dfp`, in its order."""


def write_openface(path: Path, table: Table) -> None:
    """Write what OpenFace's `FeatureExtraction -pose -2Dfp` writes.

    Frames are numbered from 1. Where no face is seen, `success` is 0; in a frame without a face all other
    numbers are 0 too, as in OpenFace. Angles are radians, translations mm.

    Source: Baltrušaitis et al. 2018, `RecorderCSV` of OpenFace 2.2. Differs from it in: more decimals; a row
    for each of several faces, as `FaceLandmarkVidMulti` writes them.
    """
    flat = to_flat(table)
    without_face = flat["face_id"] == NO_FACE
    kept = {"frame": flat["frame"] + 1, "timestamp": flat["timestamp"]}
    write_rows(path, {name: kept.get(name, np.where(without_face, 0, flat[name])) for name in HEADER})
