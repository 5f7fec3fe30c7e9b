"""Annotation tools: `.coco.json`, COCO's keypoints, and `.cvat.xml`, CVAT's tracks; to be written only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import numpy as np

from steadyface import files, markup
from steadyface.tracks.formats.columns import exact
from steadyface.tracks.formats.tabular import inside
from steadyface.tracks.schema import Columns, Table, identities
from steadyface.wording import printable

_VISIBLE, _HIDDEN, _MISSING = 2, 1, 0  # of COCO: labelled and visible; labelled, not visible; not labelled
_CORNER = 0.5  # px: CVAT counts from the corner of the first pixel, we from its centre


def write_coco(path: Path, table: Table) -> None:
    """Write COCO keypoints: an image per frame, and an annotation per face that is seen in it.

    Image ids are the numbers of frames, from 0. `track_id` is the identity, `score` the mean of the scores. A
    point outside the picture, or more likely hidden than not, has v = 1, labelled but not visible; a missing
    one of another program's table has v = 0.

    Source: COCO's data format, keypoint detection. Differs from it in: `track_id`, `score` and `seconds`,
    which readers of the format leave alone; px as everywhere here, pixel centres at integers.
    """
    _, timeline, meta = table
    name = Path(str(meta.get("source") or "clip")).stem
    images = [
        {
            "id": frame,
            "file_name": file or f"{name}_{frame:06d}.png",
            "width": width,
            "height": height,
            "seconds": seconds,
        }
        for frame, seconds, (width, height), file in zip(
            *(values.tolist() for values in timeline.values().values()), strict=True
        )
    ]
    category = {
        "id": 1,
        "name": "face",
        "supercategory": "person",
        "keypoints": list(markup.NAMES),
        "skeleton": (markup.EDGES + 1).tolist(),
    }
    content = {"images": images, "annotations": _coco_annotations(table), "categories": [category]}
    files.write_text(path, json.dumps({"info": {"description": "steadyface", "meta": meta}, **content}))


def _coco_annotations(table: Table) -> list[dict[str, Any]]:
    columns, timeline, _ = table
    size = timeline.size_of(columns["frame"])
    hidden = size.all(axis=1, keepdims=True) & ~inside(columns["points"], size)
    hidden |= columns["visible"] < 0.5  # False for NaN, where it is not known
    missing = np.asarray(np.isnan(columns["points"]).any(axis=-1))
    visible = np.where(missing, _MISSING, np.where(hidden, _HIDDEN, _VISIBLE))
    points = np.where(missing[..., None], 0.0, exact(columns["points"]))
    keypoints = np.concatenate([points, visible[..., None]], axis=-1)
    x0, y0, x1, y1 = exact(columns["box"]).T
    boxes = np.stack([x0, y0, x1 - x0, y1 - y0], axis=-1)
    return [
        {
            "id": number,
            "image_id": int(columns["frame"][row]),
            "category_id": 1,
            "keypoints": keypoints[row].ravel().tolist(),
            "num_keypoints": int((~missing[row]).sum()),
            "bbox": boxes[row].tolist(),
            "area": float(boxes[row, 2] * boxes[row, 3]),
            "iscrowd": 0,
            "track_id": int(columns["face"][row]),
            "score": float(exact(columns["scores"][row]).mean()),
        }
        for number, row in enumerate(np.flatnonzero(~columns["held"]), 1)
    ]


def write_cvat(path: Path, table: Table) -> None:
    """Write CVAT's XML 1.1 for video: a track of 68 points per identity, `occluded` where it is held.

    A track is outside in frames without the face, and in those in which points are missing, as they may be in
    another program's table.

    Source: CVAT's XML annotation format, version 1.1, interpolation mode. Its frames are those of the clip
    from 0, its origin is the corner of the first pixel.
    """
    columns, timeline, _ = table
    root = xml.Element("annotations")
    _text(root, "version", "1.1")
    root.append(_cvat_task(table))
    last = int(timeline.frame[-1]) if len(timeline) else 0
    whole = np.isfinite(columns["points"]).all(axis=(1, 2))
    for face in identities(columns):
        track = xml.SubElement(root, "track", id=str(face), label="face", source="auto")
        _add_shapes(track, columns, np.flatnonzero((columns["face"] == face) & whole), last)
    xml.indent(root)
    files.write_bytes(path, xml.tostring(root, encoding="utf-8", xml_declaration=True))


def _cvat_task(table: Table) -> xml.Element:
    _, timeline, meta = table
    last = int(timeline.frame[-1]) if len(timeline) else 0
    width, height = meta.get("size") or (0, 0)
    about = xml.Element("meta")
    task = xml.SubElement(about, "task")
    _text(task, "name", printable(str(meta.get("source") or "clip")))  # XML has no other characters
    _text(task, "size", last + 1)
    _text(task, "mode", "interpolation")
    _text(task, "start_frame", 0)
    _text(task, "stop_frame", last)
    label = xml.SubElement(xml.SubElement(task, "labels"), "label")
    _text(label, "name", "face")
    _text(label, "type", "points")
    xml.SubElement(label, "attributes")
    size = xml.SubElement(task, "original_size")
    _text(size, "width", width)
    _text(size, "height", height)
    return about


def _add_shapes(track: xml.Element, columns: Columns, rows: np.ndarray, last: int) -> None:
    """Add a shape per row, and one that ends the track where the next frame has none."""
    frames = columns["frame"][rows]
    points = exact(columns["points"][rows]) + _CORNER
    ends = np.append(np.diff(frames) > 1, True)
    for row, frame, face, end in zip(rows, frames.tolist(), points, ends, strict=True):
        text = ";".join(f"{x:.3f},{y:.3f}" for x, y in face)
        occluded = str(int(columns["held"][row]))
        _add_shape(track, frame, text, outside="0", occluded=occluded)
        if end and frame < last:
            _add_shape(track, frame + 1, text, outside="1", occluded=occluded)


def _add_shape(track: xml.Element, frame: int, points: str, outside: str, occluded: str) -> None:
    about = {"frame": str(frame), "keyframe": "1", "outside": outside, "occluded": occluded}
    xml.SubElement(track, "points", about | {"points": points, "z_order": "0"})


def _text(parent: xml.Element, name: str, value: object) -> None:
    xml.SubElement(parent, name).text = str(value)
