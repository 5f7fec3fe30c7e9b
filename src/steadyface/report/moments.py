"""The moments at which a track is worst, and pictures of them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from steadyface.drawing.panels import Picture
from steadyface.drawing.strokes import COLOURS
from steadyface.drawing.styles import draw_contours
from steadyface.geometry import Region
from steadyface.images import Frame, crop_region
from steadyface.report.figures import FaceFigures
from steadyface.video import VideoFrame

_APART, _OTHERS = 1.0, 0.2  # s between two moments of one kind, and of different kinds
_DOUBT = 0.97  # of the median score: the network doubts below it
_SHAKIEST, _DOUBTFUL, _LOSSES = 3, 2, 3  # moments of each kind
_SIDE, _MARGIN, _QUALITY = 300, 2.0, 82  # of a picture: px, side over the face's, JPEG's


@dataclass(frozen=True)
class Moment:
    """A frame worth a look.

    Args:
        face: the identity.
        row: of the face's tracks.
        frame, seconds: of the picture; after a loss the first frame without the face.
        kind: shaking, doubt or loss.
        text: what happens, in words.
    """

    face: int
    row: int
    frame: int
    seconds: float
    kind: str
    text: str


def worst_moments(figures: FaceFigures, frames: int) -> list[Moment]:
    """Where the stabilised points shake most, where the network doubts most, and where the face is lost.

    Args:
        figures: of one identity.
        frames: number of the clip's frames; a face that is there in the last one is not lost.
    """
    shaking, scores = figures.shaking.mean(axis=1), figures.scores
    ends = [int(run[-1]) for run in figures.runs if figures.tracks.frame[run[-1]] < frames - 1][:_LOSSES]
    shakiest = _highest(shaking, figures.tracks.seconds, _SHAKIEST, apart_from=ends)
    doubt = np.where(scores < _DOUBT * np.median(scores), -scores, np.nan)
    doubtful = _highest(doubt, figures.tracks.seconds, _DOUBTFUL, apart_from=[*ends, *shakiest])
    found = [_loss(figures, row) for row in ends]
    found += [_moment(figures, row, "shaking", f"shakes by {shaking[row]:.2f} %") for row in shakiest]
    found += [_moment(figures, row, "doubt", f"score {scores[row]:.2f}") for row in doubtful]
    return sorted(found, key=lambda moment: moment.seconds)


def _highest(
    values: Float[np.ndarray, "frames"],
    seconds: Float[np.ndarray, "frames"],
    count: int,
    apart_from: Sequence[int],
) -> list[int]:
    """Rows of the largest values, apart from each other and from those given; the largest first."""
    rows: list[int] = []
    for row in np.argsort(-values, kind="stable").tolist():
        if len(rows) == count or np.isnan(values[row]):
            break
        alone = all(abs(seconds[row] - seconds[other]) >= _APART for other in rows)
        if alone and all(abs(seconds[row] - seconds[other]) >= _OTHERS for other in apart_from):
            rows.append(row)
    return rows


def _moment(figures: FaceFigures, row: int, kind: str, text: str) -> Moment:
    tracks = figures.tracks
    return Moment(figures.face, row, int(tracks.frame[row]), float(tracks.seconds[row]), kind, text)


def _loss(figures: FaceFigures, row: int) -> Moment:
    """The first frame after a run's last row."""
    frame, seconds = int(figures.tracks.frame[row]), float(figures.tracks.seconds[row])
    return Moment(figures.face, row, frame + 1, seconds, "loss", "lost after this")


def pictures(
    moments: Sequence[Moment],
    faces: Sequence[FaceFigures],
    frames: Iterable[VideoFrame],
    progress: Callable[[int, int | None], None] | None = None,
) -> dict[Moment, str]:
    """Each moment's picture around the face, with its stabilised points, as the URL of a JPEG.

    The frames are read forward, and no further than the last moment. A lost face is drawn dashed, as it was
    last seen.
    """
    wanted: dict[int, list[Moment]] = {}
    for moment in moments:
        wanted.setdefault(moment.frame, []).append(moment)
    of_face = {figures.face: figures for figures in faces}
    last, out = max(wanted, default=-1), {}
    for frame in frames if wanted else ():
        for moment in wanted.get(frame.index, ()):
            out[moment] = _as_url(_picture(frame.image, moment, of_face[moment.face]))
        if progress is not None:
            progress(frame.index + 1, last + 1)
        if frame.index >= last:
            break
    return out


def _picture(image: Frame, moment: Moment, figures: FaceFigures) -> Picture:
    tracks, row = figures.tracks, moment.row
    region = Region.around_points(tracks.points[row], margin=_MARGIN)
    crop, to_crop = crop_region(image, region, _SIDE)
    draw_contours(crop, to_crop(tracks.points[row].astype(float)), COLOURS[0], held=moment.kind == "loss")
    return crop


def _as_url(image: Frame) -> str:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"
