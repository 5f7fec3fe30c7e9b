"""Layer of corrected points of a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Int

from steadyface.arguments import check_class, positive
from steadyface.arrays import FacePoints
from steadyface.clips import check_clip, open_clip
from steadyface.correction.carrying import FadingConfig, carry
from steadyface.correction.corrections import Correction, merged
from steadyface.errors import ConfigError, VideoError
from steadyface.geometry import Region, face_size
from steadyface.motion import FaceCrop, face_region, follow_region, robust_similarity
from steadyface.progress import ReportProgress, progress_of
from steadyface.tracking.skin import cut_face
from steadyface.tracks import Tracks
from steadyface.tracks.table import check_tracks
from steadyface.tracks.timeline import runs_of
from steadyface.video import DEFAULT_FPS, Frames, read_up_to

CORRECTIONS = "corrections"
"""Entry of a table's meta: the corrections behind its layer."""

_FARTHEST = 3.0  # times the face's size: what is further off is given in another unit, or for another face

_EARLY = 1e-3  # s before the time of a frame: times of tables are rounded

Rows = Int[np.ndarray, "rows"]


def corrections_of(tracks: Tracks) -> list[Correction]:
    """List the corrections behind a table's `corrected_points`, in the order in which they were made."""
    return [Correction.from_values(values) for values in tracks.meta.get(CORRECTIONS, ())]


def correct_points(
    tracks: Tracks,
    corrections: Iterable[Correction],
    clip: str | Path,
    *,
    fps: float = DEFAULT_FPS,
    config: FadingConfig | None = None,
    progress: bool | ReportProgress | None = False,
) -> Tracks:
    """Make the layer `corrected_points` of a table: the stabilised points with corrections by hand.

    The skin's motion, measured in the clip, carries each correction forward and back until it fades or meets
    the next correction of that point. Points and raw points stay as they are, and `meta["corrections"]` keeps
    the list; to undo a correction, call again with a list that lacks it. Of several corrections of a point in
    one frame the last counts.

    Args:
        tracks: a table; a layer that it already has is replaced.
        corrections: all of them; an empty list removes the layer.
        clip: the clip that was tracked; read from the first frame that changes to the last.
        fps: frame rate of a folder of images.
        config: how far corrections reach; None takes the defaults.
        progress: as of `track`, while the clip is read.

    Raises:
        ConfigError: an argument is of another kind, a face is not seen in the frame of its correction, or the
            position is far off the face.
        DataError: the tracks are another clip's.
        VideoError: the clip cannot be read, or ends before a frame that is needed.
    """
    check_tracks(tracks)
    check_class("corrections", corrections, Iterable, "a list of Correction")
    check_class("clip", clip, str | Path, "a path")
    check_class("config", config, FadingConfig | None, "a FadingConfig")
    positive("fps", fps)
    config = config or FadingConfig()
    listed = merged(corrections)
    meta = {name: value for name, value in tracks.meta.items() if name != CORRECTIONS}
    if not listed:
        return replace(tracks, corrected_points=None, meta=meta)
    corrected = tracks.points.copy()
    stretches = [*_stretches(tracks, listed, config.reach)]
    with open_clip(tracks, clip, fps) as frames:
        check_clip(tracks, frames, "the table")
    first = min(float(tracks.seconds[rows[0]]) for rows in stretches) - _EARLY
    with open_clip(tracks, clip, fps, first) as frames, progress_of(progress, Path(clip).name) as report:
        crops = _cut(tracks, stretches, frames, report)
    for rows in stretches:
        frame = tracks.frame[rows].tolist()
        positions = {
            (frame.index(each.frame), each.point): (each.x, each.y)
            for each in listed
            if each.face == tracks.face[rows[0]] and each.frame in frame
        }
        points = tracks.points[rows].astype(float)
        corrected[rows] = carry(points, [crops[row] for row in rows.tolist()], positions, config)
    meta[CORRECTIONS] = [each.values() for each in listed]
    return replace(tracks, corrected_points=corrected, meta=meta)


def _stretches(tracks: Tracks, corrections: Sequence[Correction], reach: int) -> Iterator[Rows]:
    """Yield the rows of each stretch of successive frames of a face that corrections can change.

    Raises:
        ConfigError: a face is not seen in the frame of its correction, or the position is far off the face.
    """
    independent = bool(tracks.meta.get("options", {}).get("independent"))
    for face in dict.fromkeys(each.face for each in corrections):
        rows = np.flatnonzero((tracks.face == face) & ~tracks.held)
        frames, changed = tracks.frame[rows], np.zeros(len(rows), bool)
        runs = runs_of(frames)
        for each in corrections:
            if each.face != face:
                continue
            at = np.flatnonzero(frames == each.frame)
            if not len(at):
                raise ConfigError(f"face {face} is not seen in frame {each.frame}: nothing to correct there")
            _check_near(tracks.points[rows[at[0]]].astype(float), each)
            run = next(run for run in runs if at[0] in run)
            near = at if independent else run[np.abs(run - at[0]) <= reach]
            changed[near] = True
        chosen = np.flatnonzero(changed)
        for part in np.split(chosen, np.flatnonzero((np.diff(frames[chosen]) != 1) | independent) + 1):
            yield rows[part]


def check_complete(points: np.ndarray) -> None:
    """Refuse rows without some points, whose face cannot be followed.

    Raises:
        ConfigError: a point is NaN.
    """
    if np.isnan(points).any():
        raise ConfigError("the table has rows without some points; steadyface stabilize fills them in")


def _check_near(points: FacePoints, correction: Correction) -> None:
    """Refuse a position far off the face.

    Raises:
        ConfigError: it is.
    """
    x, y = correction.x, correction.y
    distance = float(np.hypot(*(points[correction.point] - (x, y))))
    if distance > _FARTHEST * face_size(points):
        place = f"frame {correction.frame}, point {correction.point}: ({x:g}, {y:g})"
        raise ConfigError(f"{place} is {distance:.0f} px from face {correction.face}; give px of the image")


def _cut(
    tracks: Tracks, stretches: Sequence[Rows], frames: Frames, progress: ReportProgress | None
) -> dict[int, FaceCrop]:
    """Cut the face of each row out of its frame; the crops of a stretch follow the face.

    Raises:
        ConfigError: a row lacks a point.
        VideoError: a frame is missing.
    """
    wanted: dict[int, list[tuple[int, int | None]]] = {}
    for rows in stretches:
        check_complete(tracks.points[rows])
        for row, before in zip(rows.tolist(), [None, *rows[:-1].tolist()], strict=True):
            wanted.setdefault(int(tracks.frame[row]), []).append((row, before))
    crops, regions = dict[int, FaceCrop](), dict[int, Region]()
    for frame in read_up_to(frames, max(wanted), progress):
        for row, before in wanted.pop(frame.index, ()):
            points = tracks.points[row].astype(float)
            if before is None:
                regions[row] = face_region(points)
            else:
                earlier = tracks.points[before].astype(float)
                motion = robust_similarity(earlier, points)
                regions[row], _ = follow_region(regions.pop(before), earlier, motion)
            crops[row] = cut_face(frame.picture, regions[row])
    if wanted:
        raise VideoError(frames.path, "ends before it or cannot be read", min(wanted))
    return crops
