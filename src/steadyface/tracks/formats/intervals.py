"""Presence and blinks as intervals: `.blinks.csv`, `.intervals.csv`, ELAN's `.eaf`; to be written only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as xml

import numpy as np

from steadyface import files
from steadyface.arrays import Times
from steadyface.tracks.blinks import blinks_by_face
from steadyface.tracks.formats.tabular import write_rows
from steadyface.tracks.schema import Table, identities, seen_rows
from steadyface.tracks.timeline import runs_of
from steadyface.wording import printable

_ELAN = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_SCHEMA = "http://www.w3.org/2001/XMLSchema-instance"


class Interval(NamedTuple):
    """Stretch of time in which a face is seen (`presence`) or its eyes close and open (`blink`).

    Times are s of the file (`media_seconds`), as its sound and players count them.
    """

    face: int
    kind: str
    start: float
    end: float


def write_blinks(path: Path, table: Table) -> None:
    """Write a line per blink: `face_id`, `onset` and `offset` in s, and `depth`."""
    found = blinks_by_face(table.columns)
    blinks = [(face, blink) for face, each in found.items() for blink in each]
    values = {
        "face_id": np.array([face for face, _ in blinks], int),
        "onset": np.array([blink.start for _, blink in blinks]),
        "offset": np.array([blink.end for _, blink in blinks]),
        "depth": np.array([blink.depth for _, blink in blinks]),
    }
    write_rows(path, values)


def write_intervals(path: Path, table: Table) -> None:
    """Write a line per interval: `subject`, `behavior` (presence, blink), `start`, `stop` s of the file."""
    found = list(_intervals(table))
    values = {
        "subject": np.array([f"face {interval.face}" for interval in found], str),
        "behavior": np.array([interval.kind for interval in found], str),
        "start": np.array([interval.start for interval in found]),
        "stop": np.array([interval.end for interval in found]),
    }
    write_rows(path, values)


def write_eaf(path: Path, table: Table) -> None:
    """Write ELAN's annotations: two tiers per face, `face 0 presence` and `face 0 blink`, in ms of the file.

    Source: ELAN Annotation Format 3.0 (EAF), Max Planck Institute for Psycholinguistics.
    """
    root = xml.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "steadyface",
            "DATE": datetime.now(UTC).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": _SCHEMA,
            "xsi:noNamespaceSchemaLocation": _ELAN,
        },
    )
    header = xml.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    source = printable(str(table.meta.get("source") or "clip"))  # XML has no other characters
    media = {"MEDIA_URL": source, "MIME_TYPE": "video/mp4", "RELATIVE_MEDIA_URL": f"./{source}"}
    xml.SubElement(header, "MEDIA_DESCRIPTOR", media)
    order = xml.SubElement(root, "TIME_ORDER")
    for tier, intervals in _tiers(table).items():
        about = xml.SubElement(root, "TIER", LINGUISTIC_TYPE_REF="default-lt", TIER_ID=tier)
        for interval in intervals:
            _add_annotation(about, order, interval)
    kind = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": "default-lt", "TIME_ALIGNABLE": "true"}
    xml.SubElement(root, "LINGUISTIC_TYPE", kind)
    xml.indent(root)
    files.write_bytes(path, xml.tostring(root, encoding="utf-8", xml_declaration=True))


def _tiers(table: Table) -> dict[str, list[Interval]]:
    found = list(_intervals(table))
    return {
        f"face {face} {kind}": [each for each in found if (each.face, each.kind) == (face, kind)]
        for face in identities(table.columns)
        for kind in ("presence", "blink")
    }


def _add_annotation(tier: xml.Element, order: xml.Element, interval: Interval) -> None:
    slots = []
    for seconds in (interval.start, interval.end):
        slots.append(f"ts{len(order) + 1}")
        xml.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=slots[-1], TIME_VALUE=str(round(1e3 * seconds)))
    about = {"ANNOTATION_ID": f"a{len(order) // 2}", "TIME_SLOT_REF1": slots[0], "TIME_SLOT_REF2": slots[1]}
    annotation = xml.SubElement(xml.SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", about)
    xml.SubElement(annotation, "ANNOTATION_VALUE").text = interval.kind


def _intervals(table: Table) -> Iterator[Interval]:
    """Yield the presence of each face and then its blinks, in order of time."""
    columns, timeline, meta = table
    ahead = float(meta.get("start_seconds", 0.0))
    ends = ahead + _ends_of_frames(timeline.seconds)
    for face, blinks in blinks_by_face(columns).items():
        rows = seen_rows(columns, face)
        places = timeline.places(columns["frame"][rows])
        for run in runs_of(places):
            start = ahead + float(columns["seconds"][rows[run[0]]])
            yield Interval(face, "presence", start, float(ends[places[run[-1]]]))
        for blink in blinks:
            yield Interval(face, "blink", ahead + blink.start, ahead + blink.end)


def _ends_of_frames(seconds: Times) -> Times:
    """Times at which the frames of a clip give way to the next; the last one lasts as long as most."""
    usual = np.median(np.diff(seconds)) if len(seconds) > 1 else 0.0
    return np.append(seconds[1:], seconds[-1:] + usual)
