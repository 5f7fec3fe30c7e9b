"""Write the report of a clip or of its tracks: one page that needs no other file and no network."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from steadyface.clips import ClipSummary, track_clip
from steadyface.errors import DataError
from steadyface.files import make_folder, write_text
from steadyface.html.page import page
from steadyface.pipeline import TrackingOptions, build
from steadyface.report.figures import figures_of, frame_count
from steadyface.report.moments import Moment, pictures, worst_moments
from steadyface.report.sections import header_html, main_html
from steadyface.tracks import Tracks
from steadyface.video import open_frames, source_name

PAGE = ".report.html"
"""How a page's name ends, after the clip's."""

MOST_FACES = 8
"""Identities that get charts of their own, those that are there longest."""

Progress = Callable[[int, int | None], None]

_ASSETS = files("steadyface.report")
_FOOTER = (
    "Made by steadyface. The page holds all that it shows and asks the network for nothing; "
    "the pictures in it, if any, are parts of the clip."
)


def report_tracks(
    tracks: Tracks,
    path: str | Path,
    *,
    clip: str | Path | None = None,
    fps: float = 25.0,
    summary: ClipSummary | None = None,
    name: str = "tracks",
    progress: Progress | None = None,
) -> Path:
    """Write the report of tracks.

    Args:
        tracks: of any number of faces, none too.
        path: of the page, .html; its folder is made if missing.
        clip: the video, image or folder that was tracked, if at hand: for pictures of the worst moments.
        fps: of a clip that is a folder of images.
        summary: of the tracking, for its speed.
        name: of the page, where `tracks.meta` does not name the clip.
        progress: is called while the clip is read for pictures.

    Returns:
        Path of the page.

    Raises:
        DataError: the page cannot be written.
        VideoError: the clip cannot be read.
    """
    path = Path(path)
    make_folder(path.parent)
    faces = figures_of(tracks)
    shown = faces[:MOST_FACES]
    moments = [moment for face in shown for moment in worst_moments(face, frame_count(tracks))]
    images: dict[Moment, str] = {}
    if clip is not None and moments:
        start, end = tracks.meta.get("start", 0.0), tracks.meta.get("end")
        with open_frames(clip, fps, start, end) as frames:
            images = pictures(moments, shown, frames, progress)
    name = str(tracks.meta.get("source") or name)
    text = page(
        f"{name}: steadyface report",
        header_html(name, tracks, faces),
        main_html(tracks, faces, shown, moments, images, summary),
        _FOOTER,
        style=(_ASSETS / "report.css").read_text(encoding="utf-8"),
        script=(_ASSETS / "report.js").read_text(encoding="utf-8"),
    )
    return write_text(path, text)


def report_clip(
    clip: str | Path,
    out: str | Path,
    options: TrackingOptions = TrackingOptions(),
    *,
    progress: Progress | None = None,
) -> tuple[Path, ClipSummary | None]:
    """Track a clip, unless `out` holds its tracks already, and write its report beside them.

    Args:
        clip: a video, an image, or a folder of images.
        out: folder for NAME.npz and NAME.report.html; NAME is the clip's `source_name`.
        options: of tracking, where the clip is tracked here.
        progress: is called after every frame, tracked or read again for pictures.

    Returns:
        Path of the page, and of the tracking its summary, or None where it had been done before.

    Raises:
        DataError: the tracks in `out` are another clip's, or something cannot be written.
        VideoError: the clip cannot be read.
    """
    clip, folder = Path(clip), Path(out)
    saved, summary = folder / f"{source_name(clip)}.npz", None
    if not saved.exists():
        summary = track_clip(clip, folder, build(options), overlay=False, progress=progress)
    tracks = Tracks.load(saved)
    if tracks.meta.get("source") != clip.name:
        raise DataError(
            saved, f"holds tracks of {tracks.meta.get('source')}, not of {clip.name}: use another --out"
        )
    page_path = folder / f"{source_name(clip)}{PAGE}"
    return report_tracks(
        tracks, page_path, clip=clip, fps=options.fps, summary=summary, progress=progress
    ), summary
