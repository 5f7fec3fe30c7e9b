"""Photographs with a box around every face: a folder with a `faces.json`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from steadyface.arrays import Box
from steadyface.files import read_json, reading
from steadyface.geometry import as_box

INDEX = "faces.json"


@dataclass(frozen=True)
class FaceBox:
    """Face of a photograph.

    Args:
        box: x0, y0, x1, y1 tight around the face's 68 points, image px.
        annotated: marked by a person; otherwise by a detector.
    """

    box: Box
    annotated: bool


def read_boxes(folder: str | Path) -> dict[str, list[FaceBox]]:
    """Read the faces of each photograph of a folder, by file name, from its `faces.json`.

    The file holds NAME → list of {"box": [x0, y0, x1, y1], "by": "annotation" or the detector's name}.

    Raises:
        DataError: the file is missing or of another form.
    """
    path = Path(folder) / INDEX
    listed = read_json(path, kind := "a list of face boxes")
    with reading(path, kind):
        return {name: [_face(entry) for entry in faces] for name, faces in listed.items()}


def _face(entry: dict[str, object]) -> FaceBox:
    return FaceBox(as_box(entry["box"]), entry.get("by", "annotation") == "annotation")
