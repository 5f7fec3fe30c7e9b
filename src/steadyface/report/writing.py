"""Write the report of a clip or of its tracks as one HTML page that needs no other file and no network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from steadyface.clips import ClipSummary, check_clip, find_results, open_clip, track_clip
from steadyface.errors import DataError
from steadyface.files import make_folder, write_text
from steadyface.html.rendering import render
from steadyface.pipeline import TrackingOptions, build
from steadyface.progress import ReportProgress
from steadyface.report.figures import figures_of, last_frame
from steadyface.report.moments import Moment, pictures, portrait, worst_moments
from steadyface.report.sections import contents
from steadyface.tracks import Tracks
from steadyface.video import DEFAULT_FPS, source_name

PAGE = ".report.html"
"""Suffix of a page's name, after the clip's."""

MOST_FACES = 8
"""Identities with a section of their own, those seen longest."""


def report_tracks(
    tracks: Tracks,
    path: str | Path,
    *,
    clip: str | Path | None = None,
    fps: float = DEFAULT_FPS,
    summary: ClipSummary | None = None,
    name: str = "tracks",
    progress: ReportProgress | None = None,
) -> Path:
    """Write the report of tracks.

    Args:
        tracks: of any number of faces, also none.
        path: of the page, .html; its folder is made if missing.
        clip: video, image or folder that was tracked, for pictures; None leaves them out.
        fps: frame rate of a folder of images.
        summary: of the tracking, for its speed.
        name: title of the page if `tracks.meta` does not name the clip.
        progress: called with frames read and frames to read, while the clip is read for pictures.

    Returns:
        Path of the page.

    Raises:
        DataError: the page cannot be written, or the tracks are another clip's.
        VideoError: the clip cannot be read.
    """
    path = Path(path)
    make_folder(path.parent)
    faces = figures_of(tracks)
    shown = faces[:MOST_FACES]
    worst = [moment for face in shown for moment in worst_moments(face, last_frame(tracks))]
    moments = [*map(portrait, shown), *worst]
    images: dict[Moment, str] = {}
    if clip is not None:
        with open_clip(tracks, clip, fps) as frames:
            check_clip(tracks, frames, name, ": name another --clip or another --out")
            images = pictures(moments, shown, frames, progress) if moments else {}
    name = str(tracks.meta.get("source") or name)
    values = contents(name, tracks, faces, shown, moments, images, summary)
    return write_text(path, render("report/report.html", **values))


def report_clip(
    clip: str | Path,
    out: str | Path,
    options: TrackingOptions = TrackingOptions(),
    *,
    progress: ReportProgress | None = None,
) -> tuple[Path, ClipSummary | None]:
    """Track a clip, unless `out` already holds its tracks, and write its report beside them.

    With options of its own, only tracks by the same ones are taken.

    Args:
        clip: a video, an image, or a folder of images.
        out: folder for NAME.npz and NAME.report.html; NAME is the clip's `source_name`.
        options: of tracking; as they are by default, they take any tracks of the clip that are there.
        progress: called after every frame, tracked or read again for pictures.

    Returns:
        Path of the page, and summary of the tracking; None if the tracks were there before.

    Raises:
        DataError: the tracks in `out` are another clip's, or something cannot be written.
        VideoError: the clip cannot be read.
    """
    clip, folder = Path(clip), Path(out)
    summary = None
    saved = find_results(folder, clip, ".npz") or folder / f"{source_name(clip)}.npz"
    asked = replace(options, fps=DEFAULT_FPS) != TrackingOptions()
    if asked or not saved.exists():
        summary = track_clip(clip, folder, build(options), overlay=False, resume=asked, progress=progress)
        if not summary.files:
            raise DataError(saved, f"cannot be shown: {'; '.join(summary.problems)}")
        saved = summary.files[0]
    page_path = saved.with_name(f"{saved.stem}{PAGE}")
    tracks = Tracks.load(saved)
    report_tracks(
        tracks,
        page_path,
        clip=clip,
        fps=options.fps,
        summary=summary,
        name=str(saved),
        progress=progress,
    )
    return page_path, summary
