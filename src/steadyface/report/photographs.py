"""Contents of the report on independent photographs: no face of one is another one's, and nothing moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from steadyface import metrics
from steadyface.clips import ClipSummary
from steadyface.report.figures import FaceFigures
from steadyface.report.moments import Moment
from steadyface.report.sections import DEFINITIONS, Tile, contents, frame_counts
from steadyface.tracks import Tracks
from steadyface.wording import counted

_DEFINED = ("Score", "Eyes, mouth")


@dataclass(frozen=True)
class Photograph:
    """One face of a photograph.

    Args:
        face: its figures, of one row.
        portrait: its picture's key.
    """

    face: FaceFigures
    portrait: Moment

    @property
    def heading(self) -> str:
        """Name of the image file, else the photograph's number from 0; and the person's, if it is known."""
        tracks = self.face.tracks
        file = str(tracks.timeline.file[tracks.timeline.places(tracks.frame)][0])
        named = "" if self.face.name == f"face {self.face.face}" else f", {self.face.name}"
        return f"{file or f'photograph {tracks.frame[0]}'}{named}"

    @property
    def facts(self) -> list[str]:
        """Score, size, openness and, where the picture's size is known, head pose."""
        face = self.face
        eyes = float(metrics.interocular(face.tracks.points[0]))
        facts = [f"score {face.scores[0]:.2f}", f"inter-ocular distance {eyes:.0f} px"]
        facts.append(f"eyes {face.eyes[0].mean():.2f}, mouth {face.mouth[0]:.2f} open")
        nod, turn, tilt = face.pose[0]
        return facts if np.isnan(turn) else [*facts, f"nod {nod:.0f}°, turn {turn:.0f}°, tilt {tilt:.0f}°"]


def photographs(
    name: str,
    tracks: Tracks,
    faces: Sequence[FaceFigures],
    shown: Sequence[FaceFigures],
    moments: Sequence[Moment],
    images: Mapping[Moment, str],
    summary: ClipSummary | None,
) -> dict[str, object]:
    """Collect what the template shows: as `contents`, where each row of the tracks is a face of its own."""
    count, seen = frame_counts(tracks)
    left_out = len(faces) - len(shown)
    return contents(name, tracks, faces, (), moments, images, summary) | {
        "sentence": f"{counted(count, 'photograph')}, {seen:,} with a face: {counted(len(faces), 'face')}.",
        "tiles": [
            Tile("With a face", f"{100 * seen / count:.1f} %" if count else "–", f"{seen:,} of {count:,}"),
            Tile("Faces", f"{len(faces):,}", "each photograph by itself"),
        ],
        "timeline": None,
        "photographs": [Photograph(*pair) for pair in zip(shown, moments, strict=True)],
        "left_out": f"{counted(left_out, 'face')} more" if left_out else "",
        "definitions": {title: DEFINITIONS[title] for title in _DEFINED},
    }
