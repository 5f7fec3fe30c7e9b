"""Stabilise the points of a table again, with the motion that its clip shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from steadyface.arrays import FacePoints
from steadyface.clips import check_clip
from steadyface.correction.layer import CORRECTIONS
from steadyface.errors import ConfigError, VideoError
from steadyface.geometry import bounding_box
from steadyface.motion import Displacements
from steadyface.picture import Picture
from steadyface.progress import ReportProgress
from steadyface.stabilizer import DEFAULT_STABILIZER, CausalFilter, Stabilizer, State, lowered_where_hidden
from steadyface.stabilizer.choice import Choice, choose_stabilizer
from steadyface.tracking.skin import FaceView, first_view, next_views
from steadyface.tracks import COLUMNS, MotionRows, Tracks
from steadyface.tracks.table import GAP
from steadyface.video import DEFAULT_FPS, SQUARE, Frames, open_frames


def stabilize(
    tracks: Tracks,
    clip: str | Path | None = None,
    *,
    stabilizer: str | Path | Stabilizer = DEFAULT_STABILIZER,
    lag: int | None = None,
    fps: float = DEFAULT_FPS,
    progress: ReportProgress | None = None,
) -> Tracks:
    """Compute the points of a table anew from its raw points, which may be another program's.

    Held rows repeat the last shape. Layers, which stem from the points before, are dropped.

    Args:
        tracks: of `track`, `Tracks.load` or `Tracks.of_points`; of another program with frames counted from
            0 as in the clip.
        clip: the clip that the points are of, in which `sta` measures motion; None filters points alone.
        stabilizer: as of `track`, by name, file or object.
        lag: how many later frames each point may depend on; None means none, or all with `sta-offline`.
        fps: frame rate of a folder of images.
        progress: called after each frame with the number of frames done and of all.

    Raises:
        ConfigError: an unknown stabiliser, a lag for one that has none, or a table of photographs that were
            each taken by itself.
        DataError: the tracks are another clip's.
        VideoError: the clip cannot be read, or ends before a frame of the table.

    >>> tracks = steadyface.Tracks.of_points(points, seconds)  # doctest: +SKIP
    >>> steady = steadyface.stabilize(tracks, "clip.mp4")  # doctest: +SKIP
    """
    choice = choose_stabilizer(stabilizer, lag, tracks.meta.get("weights"))
    first = choice.first_pass(clip is not None)
    measured = clip is not None and first is not None and first.uses_motion
    if tracks.meta.get("options", {}).get("independent"):
        raise ConfigError("photographs that were each taken by itself have no motion to stabilise")
    points, motion = tracks.raw_points, None
    with _pictures(tracks, clip, measured, fps, progress) as pictures:
        if first is not None:
            replay = _Replay(tracks, first)
            for frame, picture in pictures:
                replay.step(frame, picture)
            points, motion = replay.points, replay.motion if measured else None
    columns = {name: getattr(tracks, name) for name in COLUMNS}
    columns |= {"points": points, "box": bounding_box(points)}
    again = Tracks(**columns, meta=_meta(tracks, choice, measured), timeline=tracks.timeline)
    return again if choice.offline is None else again.smoothed(choice.offline, choice.lag, motion)


@contextmanager
def _pictures(
    tracks: Tracks, clip: str | Path | None, measured: bool, fps: float, progress: ReportProgress | None
) -> Iterator[Iterable[tuple[int, Picture | None]]]:
    """Open a clip for the pictures of the frames that a table has; None where none is asked for.

    Raises:
        DataError: the tracks are another clip's.
        VideoError: the clip cannot be read.
    """
    no_pictures = ((frame, None) for frame in np.unique(tracks.frame).tolist())
    if clip is None:
        yield no_pictures
        return
    start, end = tracks.meta.get("start") or 0.0, tracks.meta.get("end")
    with open_frames(clip, fps, start, end, tracks.meta.get("pixels", SQUARE)) as frames:
        check_clip(tracks, frames, "the table")
        yield _wanted(frames, tracks, progress) if measured else no_pictures


def _wanted(frames: Frames, tracks: Tracks, progress: ReportProgress | None) -> Iterator[tuple[int, Picture]]:
    """Yield the number and picture of each frame up to the last that has rows.

    Raises:
        VideoError: a frame of the table is missing.
    """
    wanted = set(tracks.frame.tolist())
    last = max(wanted, default=-1)
    for done, frame in enumerate(frames, 1):
        if frame.index > last:
            break
        wanted.discard(frame.index)
        yield frame.index, frame.picture
        if progress is not None:
            progress(done, done + last - frame.index)
    if wanted:
        raise VideoError(frames.path, "ends before it or cannot be read", min(wanted))


class _Last(NamedTuple):
    """Face in its last row.

    Args:
        state: of the filter.
        points: stabilised, image px.
        raw: complete raw points, image px.
        seconds: of the row.
        place: of its frame among those of the clip.
        view: for comparison with the next frame; None without a picture.
    """

    state: State | None
    points: FacePoints
    raw: FacePoints
    seconds: float
    place: int
    view: FaceView | None


class _Replay:
    """Causal pass over a table.

    Args:
        tracks: the table.
        filter: of the points.

    Attributes:
        points: (rows, 68, 2) stabilised so far, image px.
        motion: displacements of the rows so far.
    """

    def __init__(self, tracks: Tracks, filter: CausalFilter) -> None:
        self.tracks, self.filter = tracks, filter
        self.points, self.motion = tracks.raw_points.copy(), MotionRows()
        self._places = tracks.timeline.places(tracks.frame)
        self._last: dict[int, _Last] = {}

    def step(self, frame: int, picture: Picture | None) -> None:
        """Filter the rows of the next frame."""
        first, end = np.searchsorted(self.tracks.frame, [frame, frame + 1])
        for row in range(first, end):
            face, seconds = int(self.tracks.face[row]), float(self.tracks.seconds[row])
            last = self._last.get(face)
            if self.tracks.held[row]:
                self.points[row] = self.points[row] if last is None else last.points
                self.motion.append(None)
                continue
            place = int(self._places[row])
            if last is not None and place > last.place + 1 and seconds - last.seconds > GAP:
                last = None  # it was lost; a clip of slides may have frames as far apart
            self._last[face] = self._filter(row, last, picture)

    def _filter(self, row: int, last: _Last | None, picture: Picture | None) -> _Last:
        """Filter a row, and append its motion."""
        tracks, seconds = self.tracks, float(self.tracks.seconds[row])
        raw = tracks.raw_points[row].astype(float)
        complete = raw if last is None else np.where(np.isnan(raw), last.points, raw)
        view, displacements = self._view(complete, last, picture)
        if displacements is not None and tracks.carried[row]:
            raw = np.full_like(raw, np.nan)  # what carried it says nothing that the displacements do not
        scores = lowered_where_hidden(tracks.scores[row].astype(float), tracks.visible[row].astype(float))
        elapsed = None if last is None else seconds - last.seconds
        state, points = self.filter.step(last and last.state, raw, elapsed, scores, displacements)
        self.points[row] = points
        self.motion.append(displacements)
        return _Last(state, points, complete, seconds, int(self._places[row]), view)

    def _view(
        self, raw: FacePoints, last: _Last | None, picture: Picture | None
    ) -> tuple[FaceView | None, Displacements | None]:
        """View a face in a frame, and measure its motion since the last one."""
        if picture is None or not np.isfinite(raw).all():
            return None, None
        if last is None or last.view is None:
            return first_view(picture, raw), None
        return next_views(picture, [last.view], last.points[None], last.raw[None], raw[None])[0]


def _meta(tracks: Tracks, choice: Choice, motion: bool) -> dict[str, Any]:
    """Meta of the table with the stabiliser's entries."""
    chosen = {"stabilizer": choice.name, "parameters": choice.parameters, "lag": choice.lag, "motion": motion}
    options = {**tracks.meta.get("options", {}), **chosen}
    kept = {name: value for name, value in tracks.meta.items() if name != CORRECTIONS}
    return kept | {"options": {name: value for name, value in options.items() if value is not None}}
