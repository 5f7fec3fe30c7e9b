"""Contents of a clip's report as plain values, for `report.html`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from steadyface import metrics
from steadyface.clips import ClipSummary
from steadyface.measures import CLOSED, LONGEST, OPEN
from steadyface.report.charts import Chart, Line, Mark, clock
from steadyface.report.diagram import JitterDiagrams, jitter_diagrams
from steadyface.report.figures import FaceFigures, by_landmark, frame_count
from steadyface.report.moments import LOSS, PORTRAIT, Moment, place_in_clip
from steadyface.report.series import Series, packed
from steadyface.report.timeline import Timeline
from steadyface.report.trajectories import Trajectories
from steadyface.tracks import Tracks
from steadyface.wording import counted

_COMPARED = 2  # faces beside each other in a tile
_ROWS = 20_000  # of the table to download
_PATHS = 4000  # times of all trajectories together
_LEAST, _MOST = 500, 2000  # times of one face's trajectories

ADVICE = (
    "Faces smaller than a twentieth of the picture need a smaller --min-face, in px.",
    "Covered, dark or turned ones may need a lower --min-detection or --min-score.",
    "A picture that is upside down must be turned first.",
    "Drawn faces and animals are mostly not taken for faces.",
)
"""What helps where no face was found."""

DEFINITIONS = {
    "Jitter": "Distance of a landmark from the middle between its positions one frame before and one frame "
    "after, in % of the inter-ocular distance (outer eye corners). Mean over the 68 landmarks, median over "
    "time; per frame without the median. Steady motion has none. Raw and stabilised are compared in the "
    "frames in which the network ran.",
    "Delay": "Frames by which the stabilised points lag behind the raw ones while the face moves: the lag "
    "that best explains their difference (least squares). The raw trajectory is first averaged over five "
    "frames around each, so that its noise does not look like lag. An estimate, since the true trajectory "
    "is unknown.",
    "Score": "Confidence of the network in the points, from 0 to 1.",
    "Eyes, mouth": "Mean distance between facing lids, or inner lips, divided by the width between corners.",
    "Blink": f"Mean eye openness falls below {100 * CLOSED:.0f} % of its running median over 3 s, and is "
    f"above {100 * OPEN:.0f} % of it again within {LONGEST} s.",
}
"""Figures of the report, each with its definition."""


class Tile(NamedTuple):
    """A main figure in large print, with a comparison below it."""

    title: str
    value: str
    text: str


@dataclass(frozen=True)
class FaceSection:
    """Section about one identity.

    Args:
        face: its figures.
        moments: its worst moments.
        portrait: where it is seen most clearly.
        times: most times of each of its trajectories.
    """

    face: FaceFigures
    moments: Sequence[Moment]
    portrait: Moment
    times: int

    @property
    def heading(self) -> str:
        """Name, and the number of the identity beside it."""
        name, number = self.face.name, f"face {self.face.face}"
        return number.capitalize() if name == number else f"{name} ({number})"

    @property
    def summary(self) -> str:
        """Frames, time, size and score in a line."""
        tracks = self.face.tracks
        start, end = self._span
        eyes = float(np.median(metrics.interocular(tracks.points)))
        return (
            f"{counted(len(tracks), 'frame')} between {clock(round(start, 2), end)} and "
            f"{clock(round(end, 2), end)}; inter-ocular distance {eyes:.0f} px; "
            f"mean score {self.face.scores.mean():.2f}"
        )

    @property
    def trajectories(self) -> Trajectories:
        """Paths of the landmarks."""
        return Trajectories(self.face, self.times)

    @property
    def jitter(self) -> JitterDiagrams:
        """Jitter of each landmark, raw and stabilised in the same frames."""
        raw = self.face.shaking_raw
        stabilised = np.where(np.isnan(raw), np.nan, self.face.shaking)
        return jitter_diagrams(by_landmark(raw), by_landmark(stabilised))

    @property
    def over_time(self) -> list[Chart]:
        """Jitter and score of each frame, with the worst moments marked."""
        seconds, span = self.face.tracks.seconds, self._span
        half = 0.004 * (span[1] - span[0])
        marks = [
            Mark(moment.seconds - half, moment.seconds + half, "worst", f"{moment.clock}: {moment.text}")
            for moment in self.moments
        ]
        jitter = [
            Line("raw", "raw", Series(seconds, self.face.shaking_raw.mean(axis=1))),
            Line("stabilised", "steady", Series(seconds, self.face.shaking.mean(axis=1))),
        ]
        scores = [Line("mean of 68 landmarks", "steady", Series(seconds, self.face.scores))]
        low = min(0.8, float(self.face.scores.min()) - 0.02)
        return [
            Chart("jitter per frame, % of the inter-ocular distance", jitter, span, marks, low=0.0),
            Chart("score, 0 to 1", scores, span, marks, low=low, high=1.0),
        ]

    @property
    def pose(self) -> list[Chart]:
        """Rotation of the head; no chart if the frames' size is not known."""
        pose = self.face.pose
        if np.isnan(pose).all():
            return []
        names = (("nod", "raw"), ("turn", "steady"), ("tilt", "third"))
        seconds = self.face.tracks.seconds
        lines = [Line(name, kind, Series(seconds, pose[:, k])) for k, (name, kind) in enumerate(names)]
        return [Chart("rotation of the head, degrees", lines, self._span)]

    @property
    def table(self) -> dict[str, object]:
        """Figures of each frame, for the page's download: names of the columns, and `packed` values."""
        face, every = self.face, -(-len(self.face.tracks) // _ROWS)
        columns = {
            "frame": face.tracks.frame,
            "seconds": face.tracks.seconds,
            "jitter_raw_percent": face.shaking_raw.mean(axis=1),
            "jitter_percent": face.shaking.mean(axis=1),
            "score": face.scores,
            **dict(zip(("eye_right", "eye_left"), face.eyes.T, strict=True)),
            "mouth": face.mouth,
            **dict(zip(("nod_degrees", "turn_degrees", "tilt_degrees"), face.pose.T, strict=True)),
        }
        values = np.stack([np.asarray(column, float)[::every] for column in columns.values()], axis=1)
        return {"columns": list(columns), "count": len(values), "values": packed(values)}

    @property
    def openness(self) -> list[Chart]:
        """Openness of eyes and mouth, with blinks marked."""
        seconds, span = self.face.tracks.seconds, self._span
        marks = [
            Mark(blink.start, blink.end, "blink", f"blink, {100 * blink.depth:.0f} % closed")
            for blink in self.face.blinks
        ]
        eyes = [
            Line("right eye", "steady", Series(seconds, self.face.eyes[:, 0])),
            Line("left eye", "third", Series(seconds, self.face.eyes[:, 1])),
        ]
        mouth = [Line("inner lips", "steady", Series(seconds, self.face.mouth))]
        return [
            Chart("eyes, height / width", eyes, span, marks, low=0.0),
            Chart("mouth, height / width", mouth, span, low=0.0),
        ]

    @property
    def blinks(self) -> str:
        """Number of blinks."""
        return counted(len(self.face.blinks), "blink")

    @property
    def _span(self) -> tuple[float, float]:
        return float(self.face.tracks.seconds[0]), float(self.face.tracks.seconds[-1])


def contents(
    name: str,
    tracks: Tracks,
    faces: Sequence[FaceFigures],
    shown: Sequence[FaceFigures],
    moments: Sequence[Moment],
    images: Mapping[Moment, str],
    summary: ClipSummary | None,
) -> dict[str, object]:
    """Collect what the template shows.

    Args:
        name: of the clip.
        tracks: of all faces.
        faces: all identities.
        shown: identities with a section of their own.
        moments: worst moments of these, and a portrait of each.
        images: pictures of moments, as URLs.
        summary: of the tracking, if it was done just now.
    """
    times = max(_LEAST, min(_MOST, _PATHS // max(len(shown), 1)))
    left_out = len(faces) - len(shown)
    of_face = {face.face: face for face in shown}
    seen = [moment for moment in moments if moment.kind not in (PORTRAIT, LOSS)]
    return {
        "name": name,
        "version": str(tracks.meta.get("version", "?")),
        "sentence": summary_sentence(tracks, faces),
        "tiles": _tiles(tracks, faces, summary),
        "timeline": Timeline(faces, _end(tracks)) if faces else None,
        "sections": [FaceSection(face, *_of_face(face, moments), times) for face in shown],
        "advice": () if faces else ADVICE,
        "left_out": counted(left_out, "identity", "identities") if left_out else "",
        "images": images,
        "places": {moment: place_in_clip(moment, of_face[moment.face]) for moment in seen},
        "settings": _settings(tracks),
        "definitions": DEFINITIONS,
    }


def _of_face(face: FaceFigures, moments: Sequence[Moment]) -> tuple[list[Moment], Moment]:
    """Worst moments and portrait of an identity."""
    own = [moment for moment in moments if moment.face == face.face]
    (portrait,) = (moment for moment in own if moment.kind == PORTRAIT)
    return [moment for moment in own if moment.kind != PORTRAIT], portrait


def summary_sentence(tracks: Tracks, faces: Sequence[FaceFigures]) -> str:
    """Frames, faces and jitter in a sentence or two."""
    frames, seen = _frame_counts(tracks)
    size, fps = tracks.meta.get("size"), tracks.meta.get("fps")
    about = [f"{size[0]} × {size[1]} px"] if size else []
    about += [f"{fps:.4g} frames/s"] if fps else []
    beside = f" ({', '.join(about)})" if about else ""
    if not faces:
        return f"{counted(frames, 'frame')}{beside}, none with a face."
    amount = "all" if seen == frames else f"{seen:,}"
    identities = counted(len(faces), "identity", "identities")
    text = f"{counted(frames, 'frame')}{beside}, {amount} with a face: {identities}."
    ran = tracks.without_carried()
    raw, steady = ran.jitter("raw_points"), ran.jitter("points")
    if not math.isnan(raw):
        text += f" Jitter: {raw:.3f} % of the inter-ocular distance raw, {steady:.3f} % stabilised."
    return text


def _tiles(tracks: Tracks, faces: Sequence[FaceFigures], summary: ClipSummary | None) -> list[Tile]:
    frames, seen = _frame_counts(tracks)
    most = int(np.bincount(tracks.without_held().frame).max(initial=0))
    ran = tracks.without_carried()
    raw = ran.jitter("raw_points")
    tiles = [
        Tile(
            "Frames with a face",
            f"{100 * seen / frames:.1f} %" if frames else "–",
            f"{seen:,} of {frames:,}",
        ),
        Tile("Identities", str(len(faces)), f"at most {most} at a time"),
        Tile(
            "Jitter, stabilised",
            _number(ran.jitter(), 3, " %"),
            "needs three successive frames"
            if math.isnan(raw)
            else f"raw {raw:.3f} %; of the inter-ocular distance",
        ),
    ]
    if faces:
        first = faces[:_COMPARED]
        names = f"{', '.join(face.name for face in first)}; " if len(faces) > 1 else ""
        delays = ", ".join(_number(face.delay, 2) for face in first)
        blinks = ", ".join(str(len(face.blinks)) for face in first)
        rates = ", ".join(map(_blink_rate, first))
        tiles += [
            Tile("Delay, frames", delays, f"{names}stabilised behind raw, estimated"),
            Tile("Blinks", blinks, names + rates),
        ]
    if summary is not None:
        speed = summary.frames / max(summary.seconds, 1e-9)
        tiles.append(Tile("Speed, frames/s", f"{speed:.1f}", f"tracked in {summary.seconds:.1f} s"))
    return tiles


def _blink_rate(face: FaceFigures) -> str:
    count = len(face.blinks)
    return f"{60 * count / face.seconds:.0f} a minute" if face.seconds >= 5 else f"in {face.seconds:.1f} s"


def _settings(tracks: Tracks) -> dict[str, str]:
    """Clip, network and options that the tracks were made with."""
    meta = tracks.meta
    names = {"source": "clip", "weights": "network", "damage": "damage", "version": "version"}
    settings = {title: str(meta[name]) for name, title in names.items() if meta.get(name)}
    options = meta.get("options") or {}
    return settings | {name.replace("_", " "): str(value) for name, value in options.items()}


def _end(tracks: Tracks) -> float:
    """End of the clip, s, as far as it is known."""
    frames, fps = tracks.meta.get("frames"), tracks.meta.get("fps")
    last = float(tracks.seconds[-1]) if len(tracks) else 0.0
    return max(last, frames / fps if frames and fps else 0.0)


def _frame_counts(tracks: Tracks) -> tuple[int, int]:
    """Number of the clip's frames, and of those with a face."""
    return frame_count(tracks), len(np.unique(tracks.frame[~tracks.held]))


def _number(value: float, decimals: int, unit: str = "") -> str:
    return "–" if math.isnan(value) else f"{value:.{decimals}f}{unit}"
