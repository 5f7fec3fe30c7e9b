"""Worst moments of a track, and pictures of them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from steadyface.arrays import Frame, Times
from steadyface.drawing.panels import Picture
from steadyface.drawing.strokes import COLOURS
from steadyface.drawing.styles import draw_contours
from steadyface.geometry import Region
from steadyface.images import crop_region
from steadyface.progress import ReportProgress
from steadyface.report.charts import clock
from steadyface.report.figures import FaceFigures
from steadyface.video import VideoFrame, read_up_to

_APART, _OTHERS = 1.0, 0.2  # s between moments of one kind, and of different kinds
_LOW_SCORE = 0.97  # of the median score
_MOST_JITTER, _LOWEST_SCORES, _LOSSES = 3, 2, 3  # moments of each kind
PORTRAIT, LOSS = "portrait", "loss"
_SIDE, _MARGIN, _QUALITY = 400, 2.0, 82  # of a picture: side in px, side over the face's, JPEG quality


@dataclass(frozen=True)
class Moment:
    """Frame of high jitter, low score or loss of a face.

    Args:
        face: the identity.
        row: index in the face's tracks.
        frame, seconds: of the picture; of a loss, the first frame without the face and the time of the last
            one with it.
        kind: jitter, score or loss; or portrait, the face at its clearest.
        text: description for people.
    """

    face: int
    row: int
    frame: int
    seconds: float
    kind: str
    text: str

    @property
    def clock(self) -> str:
        """Time for people."""
        return clock(round(self.seconds, 2), self.seconds)


def worst_moments(figures: FaceFigures, last: int) -> list[Moment]:
    """Find the highest jitter of the stabilised points, the lowest scores, and losses of the face.

    Args:
        figures: of one identity.
        last: number of the clip's last frame; a face that is in it is not lost.
    """
    jitter, scores = figures.shaking.mean(axis=1), figures.scores
    ends = [int(run[-1]) for run in figures.runs if figures.tracks.frame[run[-1]] < last][:_LOSSES]
    shakiest = _highest(jitter, figures.tracks.seconds, _MOST_JITTER, apart_from=ends)
    low = np.where(scores < _LOW_SCORE * np.median(scores), -scores, np.nan)
    lowest = _highest(low, figures.tracks.seconds, _LOWEST_SCORES, apart_from=[*ends, *shakiest])
    found = [_loss(figures, row) for row in ends]
    found += [_moment(figures, row, "jitter", f"jitter {jitter[row]:.2f} %") for row in shakiest]
    found += [_moment(figures, row, "score", f"score {scores[row]:.2f}") for row in lowest]
    return sorted(found, key=lambda moment: moment.seconds)


def portrait(figures: FaceFigures) -> Moment:
    """Find the frame in which the face is seen most clearly and most from the front."""
    turned = np.nan_to_num(np.linalg.norm(figures.pose, axis=1))
    row = int(np.argmax(figures.scores - turned / 90))
    return _moment(figures, row, PORTRAIT, figures.name)


def _highest(
    values: Float[np.ndarray, "frames"],
    seconds: Times,
    count: int,
    apart_from: Sequence[int],
) -> list[int]:
    """Rows of the largest values, the largest first, apart in time from each other and from given rows."""
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
    """Moment of the first frame after a run's last row."""
    frame, seconds = int(figures.tracks.frame[row]), float(figures.tracks.seconds[row])
    return Moment(figures.face, row, frame + 1, seconds, LOSS, "face lost")


def pictures(
    moments: Sequence[Moment],
    faces: Sequence[FaceFigures],
    frames: Iterable[VideoFrame],
    progress: ReportProgress | None = None,
) -> dict[Moment, str]:
    """Cut out each moment's face and draw its stabilised points, but not into a portrait.

    A lost face is drawn dashed, where it was last seen.

    Args:
        moments: of any faces.
        faces: figures of these.
        frames: of the clip; read no further than the last moment.
        progress: called with frames read and frames to read.

    Returns:
        JPEG of each moment, as a `data:` URL.
    """
    wanted: dict[int, list[Moment]] = {}
    for moment in moments:
        wanted.setdefault(moment.frame, []).append(moment)
    of_face = {figures.face: figures for figures in faces}
    out = {}
    for frame in read_up_to(frames, max(wanted, default=-1), progress):
        for moment in wanted.get(frame.index, ()):
            out[moment] = _as_url(_picture(frame.image, moment, of_face[moment.face]))
    return out


def place_in_clip(moment: Moment, figures: FaceFigures) -> dict[str, Any]:
    """Place of a moment's picture in the clip, and of the stabilised points in it, for corrections by hand.

    Returns:
        `frame` and `face`; `side` of the picture and `points` in it (68 times x, y), px; and `image`, the map
        from its px to those of the frame, row by row.
    """
    points = figures.tracks.points[moment.row].astype(float)
    to_crop = Region.around_points(points, margin=_MARGIN).to_crop(_SIDE)
    return {
        "frame": moment.frame,
        "face": moment.face,
        "side": _SIDE,
        "points": to_crop(points).round(2).tolist(),
        "image": to_crop.inverse.matrix.ravel().tolist(),
    }


def _picture(image: Frame, moment: Moment, figures: FaceFigures) -> Picture:
    tracks, row = figures.tracks, moment.row
    region = Region.around_points(tracks.points[row], margin=_MARGIN)
    crop, to_crop = crop_region(image, region, _SIDE)
    if moment.kind == PORTRAIT:
        return crop
    draw_contours(crop, to_crop(tracks.points[row].astype(float)), COLOURS[0], held=moment.kind == LOSS)
    return crop


def _as_url(image: Frame) -> str:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"
