"""The parts of a clip's report as HTML."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from steadyface import metrics
from steadyface.clips import ClipSummary
from steadyface.html.page import facts, tile
from steadyface.measures import CLOSED, LONGEST, OPEN
from steadyface.report.charts import Chart, Line, Mark, chart_html, clock
from steadyface.report.diagram import jitter_diagrams
from steadyface.report.figures import FaceFigures, by_landmark, frame_count
from steadyface.report.moments import Moment
from steadyface.report.series import Series
from steadyface.report.timeline import timeline_html
from steadyface.report.trajectories import trajectories_html
from steadyface.tracks import Tracks

_PATHS = 4000  # times of all trajectories together
_LEAST, _MOST = 500, 2000  # times of one face's trajectories


def header_html(name: str, tracks: Tracks, faces: Sequence[FaceFigures]) -> str:
    """The clip's name, and what came of it in a sentence."""
    return (
        f"<h1>{escape(name)}</h1><p>{_unbroken(escape(summary_sentence(tracks, faces)))}</p>"
        f'<p class="small">steadyface {escape(str(tracks.meta.get("version", "?")))}</p>'
    )


def summary_sentence(tracks: Tracks, faces: Sequence[FaceFigures]) -> str:
    """Frames, faces, and how steady they are, in words."""
    frames, seen = _frame_counts(tracks)
    size, fps = tracks.meta.get("size"), tracks.meta.get("fps")
    about = [f"{size[0]} × {size[1]} px"] if size else []
    about += [f"{fps:.4g} frames/s"] if fps else []
    beside = f" ({', '.join(about)})" if about else ""
    if not faces:
        return f"{_counted(frames, 'frame')}{beside}, none with a face."
    those = "all" if seen == frames else f"{seen:,}"
    who = "one person" if len(faces) == 1 else f"{len(faces)} identities"
    text = f"{_counted(frames, 'frame')}{beside}, {those} with a face: {who}."
    raw, steady = tracks.jitter("raw_points"), tracks.jitter("points")
    if raw == raw:
        text += (
            f" The landmarks shake by {raw:.3f} % of the inter-ocular distance as the network gives them, "
            f"and by {steady:.3f} % stabilised."
        )
    return text


def main_html(
    tracks: Tracks,
    faces: Sequence[FaceFigures],
    shown: Sequence[FaceFigures],
    moments: Sequence[Moment],
    images: Mapping[Moment, str],
    summary: ClipSummary | None,
) -> str:
    """All below the header.

    Args:
        faces: all identities.
        shown: those with a section of their own.
        moments, images: the worst ones, and those pictures of them that there are.
        summary: of the tracking, if that was done just now.
    """
    times = max(_LEAST, min(_MOST, _PATHS // max(len(shown), 1)))
    end = _end(tracks)
    sections = [
        _face_html(face, [m for m in moments if m.face == face.face], images, times, face is shown[0])
        for face in shown
    ]
    left = len(faces) - len(shown)
    more = f"<p>{_counted(left, 'identity', 'identities')} of shorter presence: in the timeline only.</p>"
    return "\n".join(
        [
            f'<ul class="tiles">{"".join(_tiles(tracks, faces, summary))}</ul>',
            f"<h2>Who is there, and when</h2>{timeline_html(faces, end)}" if faces else "",
            *sections,
            more if left else "",
            f'<h2>How it was made</h2><div class="card">{facts(_made(tracks))}</div>',
            f'<h2>What the figures are</h2><div class="card">{facts(_MEANINGS)}</div>',
        ]
    )


def _tiles(tracks: Tracks, faces: Sequence[FaceFigures], summary: ClipSummary | None) -> list[str]:
    frames, seen = _frame_counts(tracks)
    share = f"{100 * seen / frames:.1f} %" if frames else "–"
    tiles = [tile("Frames with a face", share, f"{seen:,} of {frames:,}")]
    most = int(np.bincount(tracks.without_held().frame).max(initial=0))
    tiles.append(tile("Identities", str(len(faces)), f"at most {most} at a time"))
    raw = tracks.jitter("raw_points")
    beside = (
        f"raw {raw:.3f} %; of the inter-ocular distance" if raw == raw else "needs three successive frames"
    )
    tiles.append(tile("Jitter, stabilised", _number(tracks.jitter(), 3, " %"), beside))
    first = faces[0] if faces else None
    if first is not None:
        who = f"face {first.face}; " if len(faces) > 1 else ""
        beside = f"{who}stabilised behind raw, estimated"
        tiles.append(tile("Delay, frames", _number(first.delay, 2), beside))
        count = len(first.blinks)
        rate = (
            f"{60 * count / first.seconds:.0f} a minute"
            if first.seconds >= 5
            else f"in {first.seconds:.1f} s"
        )
        tiles.append(tile("Blinks", str(count), who + rate))
    if summary is not None:
        speed = summary.frames / max(summary.seconds, 1e-9)
        tiles.append(tile("Speed, frames/s", f"{speed:.1f}", f"tracked in {summary.seconds:.1f} s"))
    return tiles


def _face_html(
    face: FaceFigures, moments: Sequence[Moment], images: Mapping[Moment, str], times: int, first: bool
) -> str:
    tracks = face.tracks
    start, end = _span(face)
    eyes = float(np.median(metrics.interocular(tracks.points)))
    about = (
        f"{_counted(len(tracks), 'frame')} between {clock(round(start, 2), end)} and "
        f"{clock(round(end, 2), end)}; eyes {eyes:.0f} px apart; "
        f"mean score {face.scores.mean():.2f}"
    )
    parts = [
        (
            "Paths, raw and stabilised",
            "Choose a landmark in the face or by its name.",
            trajectories_html(face, times),
        ),
        ("Jitter of each landmark", "% of the inter-ocular distance, median over time.", _jitter(face)),
        ("Steadiness and score over time", "Shaded: the worst moments.", _steadiness(face, moments)),
        ("Eyes and mouth", f"Shaded: {_counted(len(face.blinks), 'blink')}.", _openness(face)),
    ]
    sheets = "".join(
        f'<section class="sheet"><h3>{title}</h3><p>{text}</p>{body}</section>' for title, text, body in parts
    )
    return (
        f'<details class="person"{" open" * first}><summary><h2>Face {face.face}<small>{about}</small></h2>'
        f"</summary>{sheets}{_moments_html(moments, images)}</details>"
    )


def _jitter(face: FaceFigures) -> str:
    return jitter_diagrams(by_landmark(face.shaking_raw), by_landmark(face.shaking))


def _steadiness(face: FaceFigures, moments: Sequence[Moment]) -> str:
    seconds, span = face.tracks.seconds, _span(face)
    half = 0.004 * (span[1] - span[0])
    lines = [
        Line(name, kind, Series(seconds, shaking.mean(axis=1)))
        for name, kind, shaking in (
            ("raw", "raw", face.shaking_raw),
            ("stabilised", "steady", face.shaking),
        )
    ]
    marks = [
        Mark(moment.seconds - half, moment.seconds + half, "worst", f"{_time(moment)}: {moment.text}")
        for moment in moments
    ]
    scores = [Line("mean of 68 points", "steady", Series(seconds, face.scores))]
    low = min(0.8, float(face.scores.min()) - 0.02)
    return chart_html(
        Chart("shaking, % of the inter-ocular distance", lines, span, marks, low=0.0)
    ) + chart_html(Chart("score, 0 to 1", scores, span, marks, low=low, high=1.0))


def _openness(face: FaceFigures) -> str:
    seconds, span = face.tracks.seconds, _span(face)
    marks = [
        Mark(blink.start, blink.end, "blink", f"blink, {100 * blink.depth:.0f} % closed")
        for blink in face.blinks
    ]
    eyes = [
        Line(name, kind, Series(seconds, face.eyes[:, k]))
        for k, (name, kind) in enumerate((("right eye", "steady"), ("left eye", "third")))
    ]
    mouth = [Line("inner lips", "steady", Series(seconds, face.mouth))]
    return chart_html(Chart("eyes, height over width", eyes, span, marks, low=0.0)) + chart_html(
        Chart("mouth, height over width", mouth, span, low=0.0)
    )


def _moments_html(moments: Sequence[Moment], images: Mapping[Moment, str]) -> str:
    if not moments:
        return ""
    items = "".join(f"<li>{_image(moment, images)}{_caption(moment)}</li>" for moment in moments)
    missing = "" if images else " The clip was not at hand: no pictures."
    return (
        '<section class="sheet"><h3>Worst moments</h3>'
        f"<p>Where the stabilised points shake most, the score is lowest, or the face is lost.{missing}</p>"
        f'<ul class="moments">{items}</ul></section>'
    )


def _image(moment: Moment, images: Mapping[Moment, str]) -> str:
    if moment not in images:
        return ""
    return f'<img src="{images[moment]}" alt="frame {moment.frame}, {moment.text}" width="300" height="300">'


def _caption(moment: Moment) -> str:
    return f"{_time(moment)}<span>frame {moment.frame}: {_unbroken(moment.text)}</span>"


def _time(moment: Moment) -> str:
    return clock(round(moment.seconds, 2), moment.seconds)


def _made(tracks: Tracks) -> dict[str, str]:
    meta = tracks.meta
    names = {"source": "clip", "weights": "network", "damage": "damage", "version": "version"}
    made = {title: str(meta[name]) for name, title in names.items() if meta.get(name)}
    options = meta.get("options") or {}
    return made | {name.replace("_", " "): str(value) for name, value in options.items()}


_MEANINGS = {
    "Jitter": "How far a landmark is off the middle of where it was one frame before and will be one frame "
    "after, in % of the distance of the outer eye corners; the mean of 68 landmarks, the median over time. "
    "Steady motion has none. The shaking over time is the same without the median.",
    "Delay": "By how many frames the stabilised points lag behind the raw ones where the face moves: the lag "
    "that explains their difference best (least squares). The raw path is first smoothed over five frames, "
    "past and future alike, lest its noise look like a lag. An estimate: the true path is not known.",
    "Smooth course": "The mean of the raw path over three frames to each side.",
    "Score": "How sure the network is of the points, from 0 to 1.",
    "Eyes, mouth": "Mean distance of facing lids, or inner lips, over the width from corner to corner.",
    "Blink": f"The eyes' mean openness falls below {100 * CLOSED:.0f} % of what is usual for this person "
    f"around then (the running median over 3 s), and is above {100 * OPEN:.0f} % of it within {LONGEST} s.",
}


def _span(face: FaceFigures) -> tuple[float, float]:
    return float(face.tracks.seconds[0]), float(face.tracks.seconds[-1])


def _end(tracks: Tracks) -> float:
    """When the clip ends, s, as far as is known."""
    frames, fps = tracks.meta.get("frames"), tracks.meta.get("fps")
    last = float(tracks.seconds[-1]) if len(tracks) else 0.0
    return max(last, frames / fps if frames and fps else 0.0)


def _frame_counts(tracks: Tracks) -> tuple[int, int]:
    """The clip's frames, and those with a face."""
    return frame_count(tracks), len(np.unique(tracks.frame[~tracks.held]))


def _unbroken(text: str) -> str:
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _number(value: float, decimals: int, unit: str = "") -> str:
    return "–" if math.isnan(value) else f"{value:.{decimals}f}{unit}"


def _counted(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
