"""Stabilise the points of a table again, with the motion that its clip shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from steadyface.arguments import check_class, positive
from steadyface.arrays import FacePoints
from steadyface.clips import check_clip, open_clip
from steadyface.correction.layer import CORRECTIONS
from steadyface.errors import ConfigError, VideoError
from steadyface.motion import Displacements
from steadyface.picture import Picture
from steadyface.progress import ReportProgress, progress_of
from steadyface.stabilizer import DEFAULT_STABILIZER, CausalFilter, Stabilizer, State, lowered_where_hidden
from steadyface.stabilizer.choice import Choice, choose_stabilizer
from steadyface.tracking.skin import FaceView, first_view, next_views
from steadyface.tracks import MotionRows, Tracks
from steadyface.tracks.table import GAP, check_tracks
from steadyface.video import DEFAULT_FPS, Frames, read_up_to


def stabilize(
    tracks: Tracks,
    clip: str | Path | None = None,
    *,
    stabilizer: str | Path | Stabilizer = DEFAULT_STABILIZER,
    lag: int | None = None,
    fps: float = DEFAULT_FPS,
    pixels: str | None = None,
    progress: bool | ReportProgress | None = False,
) -> Tracks:
    """Recompute the stabilised points of a table from its raw points, which may be another program's.

    Held rows repeat the last shape. Layers, which stem from the points before, are dropped. A table that does
    not name its source, such as another program's, takes the clip's size and name, and a video's times: many
    programs write frame / fps, which at a variable rate is not when a frame is shown.

    Args:
        tracks: of `track`, `Tracks.load` or `Tracks.of_points`; of another program with frames counted from
            0 as in the clip.
        clip: the clip that the points are of, in which `sta` measures motion; None filters points alone.
        stabilizer: as of `track`, by name, file or object.
        lag: how many later frames each point may depend on; None means none, or all with `sta-offline`.
        fps: frame rate of a folder of images.
        pixels: of a table that does not name its source, where those of the clip are oblong: `coded`, as
            OpenCV reads them, and OpenFace and other programs with it; or `square`, as a player shows them.
        progress: as of `track`, while the clip is read.

    Raises:
        ConfigError: an unknown stabiliser, a lag for one that has none, a table of photographs that were
            each taken by itself, `pixels` that are unknown or of a table that has its own, or anything but
            `Tracks`.
        DataError: the tracks are another clip's, or `pixels` are missing.
        VideoError: the clip cannot be read, or ends before a frame of the table.

    >>> tracks = steadyface.Tracks.of_points(points, seconds)  # doctest: +SKIP
    >>> steady = steadyface.stabilize(tracks, "clip.mp4")  # doctest: +SKIP
    """
    check_tracks(tracks)
    check_class("clip", clip, str | Path | None, "a path")
    positive("fps", fps)
    adopted = clip is not None and "source" not in tracks.meta
    if pixels is not None and not adopted:
        raise ConfigError("pixels are told by the table, or there is no clip: leave them out")
    choice = choose_stabilizer(stabilizer, lag, tracks.meta.get("weights"))
    first = choice.first_pass(clip is not None)
    measured = clip is not None and first is not None and first.uses_motion
    if tracks.meta.get("options", {}).get("independent"):
        raise ConfigError("photographs that were each taken by itself have no motion to stabilise")
    name = Path(clip or "").name
    with _opened(tracks, clip, fps, pixels) as frames, progress_of(progress, name) as report:
        if frames is not None and adopted:
            tracks = _of_clip(tracks, frames)
        timed = adopted and tracks.meta.get("coded_size") is not None  # images have no times of their own
        replay = _Replay(tracks, first)
        if first is not None or timed:
            for step in _steps(tracks, frames, measured, timed, report):
                replay.step(*step)
    again = replay.result(_meta(tracks, choice, measured))
    if choice.offline is None:
        return again
    return again.smoothed(choice.offline, choice.lag, replay.motion if measured else None)


@contextmanager
def _opened(
    tracks: Tracks, clip: str | Path | None, fps: float, pixels: str | None
) -> Iterator[Frames | None]:
    """Open the clip of a table; None where none is given.

    Raises:
        DataError: the tracks are another clip's.
        VideoError: the clip cannot be read.
    """
    if clip is None:
        yield None
        return
    if pixels is not None:
        tracks = replace(tracks, meta={**tracks.meta, "pixels": pixels})
    with open_clip(tracks, clip, fps) as frames:
        check_clip(tracks, frames, "the table")
        yield frames


def _of_clip(tracks: Tracks, frames: Frames) -> Tracks:
    """Describe a table by its clip."""
    timeline = tracks.timeline
    size = np.where(timeline.size == 0, [frames.width, frames.height], timeline.size)
    told = {name: value for name, value in frames.meta().items() if name not in ("damage", "notes")}
    meta = {**tracks.meta, "source": frames.path.name, **told}
    return replace(tracks, meta=meta, timeline=replace(timeline, size=size))


class _Step(NamedTuple):
    """Frame of a table.

    Args:
        number: of the frame.
        picture: of the frame; None where no motion is measured.
        seconds: at which the clip shows it; None where the table's time counts.
    """

    number: int
    picture: Picture | None = None
    seconds: float | None = None


def _steps(
    tracks: Tracks, frames: Frames | None, measured: bool, timed: bool, progress: ReportProgress | None
) -> Iterator[_Step]:
    """Yield a table's frames up to the last that has rows, or for their times up to the last that it lists.

    Raises:
        VideoError: a frame that has rows is missing.
    """
    if frames is None or not (measured or timed):
        yield from map(_Step, np.unique(tracks.frame).tolist())
        return
    wanted = set(tracks.frame.tolist())
    last = int((tracks.timeline.frame if timed else tracks.frame).max(initial=-1))
    for frame in read_up_to(frames, last, progress):
        wanted.discard(frame.index)
        yield _Step(frame.index, frame.picture if measured else None, frame.seconds if timed else None)
    if wanted:
        raise VideoError(frames.path, "ends before it or cannot be read", min(wanted))


class _Last(NamedTuple):
    """Face in its last row.

    Args:
        state: of the filter.
        points: stabilised, image px, NaN where no frame had the landmark yet.
        raw: raw points, image px, completed.
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
        filter: of the points; None leaves them raw.

    Attributes:
        points: (rows, 68, 2) stabilised so far, image px.
        motion: displacements of the rows so far.
    """

    def __init__(self, tracks: Tracks, filter: CausalFilter | None) -> None:
        self.tracks, self.filter = tracks, filter
        self.points, self.motion = tracks.raw_points.copy(), MotionRows()
        self._seconds, self._times = tracks.seconds.copy(), tracks.timeline.seconds.copy()
        self._timed = 0
        self._places = tracks.timeline.places(tracks.frame)
        self._last: dict[int, _Last] = {}

    def result(self, meta: dict[str, Any]) -> Tracks:
        """Put points and times into the table, without its layers."""
        times, timed = self._times.copy(), self._timed
        if timed:  # frames that the clip lacks follow those that it has
            times[timed:] += times[timed - 1] - self.tracks.timeline.seconds[timed - 1]
        timeline = replace(self.tracks.timeline, seconds=times)
        tracks = self.tracks.with_points(self.points)
        return replace(tracks, seconds=self._seconds, meta=meta, timeline=timeline)

    def step(self, frame: int, picture: Picture | None, seconds: float | None) -> None:
        """Filter the rows of the next frame.

        Args:
            frame: its number.
            picture: of it; None measures no motion.
            seconds: its time, which replaces the table's; None keeps that.
        """
        first, end = np.searchsorted(self.tracks.frame, [frame, frame + 1])
        if seconds is not None:
            self._seconds[first:end] = seconds
            listed = np.searchsorted(self.tracks.timeline.frame, [frame, frame + 1])
            self._times[slice(*listed)] = seconds
            self._timed = int(listed[1])
        if (filter := self.filter) is None:
            return
        for row in range(first, end):
            face, now = int(self.tracks.face[row]), float(self._seconds[row])
            last = self._last.get(face)
            if self.tracks.held[row]:
                self.points[row] = self.points[row] if last is None else last.points
                self.motion.append(None)
                continue
            place = int(self._places[row])
            if last is not None and place > last.place + 1 and now - last.seconds > GAP:
                last = None  # it was lost; a clip of slides may have frames as far apart
            self._last[face] = self._filter(filter, row, last, picture)

    def _filter(self, filter: CausalFilter, row: int, last: _Last | None, picture: Picture | None) -> _Last:
        """Filter a row, and append its motion."""
        tracks, seconds = self.tracks, float(self._seconds[row])
        raw = tracks.raw_points[row].astype(float)
        complete = _completed(raw, None if last is None else last.state)
        view, displacements = self._view(complete, last, picture)
        if displacements is not None and tracks.carried[row]:
            raw = np.full_like(raw, np.nan)  # what carried it says nothing that the displacements do not
        scores = lowered_where_hidden(tracks.scores[row].astype(float), tracks.visible[row].astype(float))
        elapsed = None if last is None else seconds - last.seconds
        state, points = filter.step(last and last.state, raw, elapsed, scores, displacements)
        self.points[row] = points
        self.motion.append(displacements)
        return _Last(state, points, complete, seconds, int(self._places[row]), view)

    def _view(
        self, raw: FacePoints, last: _Last | None, picture: Picture | None
    ) -> tuple[FaceView | None, Displacements | None]:
        """View a face in a frame, and measure its motion since the last one."""
        if picture is None or not np.isfinite(raw).all():
            return None, None
        if last is None or last.view is None or last.state is None:
            return first_view(picture, raw), None
        return next_views(picture, [last.view], last.state.points[None], last.raw[None], raw[None])[0]


def _completed(raw: FacePoints, state: State | None) -> FacePoints:
    """Put missing points where they were before the frame, or at the start in the middle of the others."""
    missing = ~np.isfinite(raw).all(axis=1, keepdims=True)
    if missing.all() and state is None:
        return raw
    return np.where(missing, raw[~missing[:, 0]].mean(axis=0) if state is None else state.points, raw)


def _meta(tracks: Tracks, choice: Choice, motion: bool) -> dict[str, Any]:
    """Meta of the table with the stabiliser's entries."""
    chosen = {"stabilizer": choice.name, "parameters": choice.parameters, "lag": choice.lag, "motion": motion}
    options = {**tracks.meta.get("options", {}), **chosen}
    kept = {name: value for name, value in tracks.meta.items() if name != CORRECTIONS}
    return kept | {"options": {name: value for name, value in options.items() if value is not None}}
