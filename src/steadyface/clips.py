"""Track one input and write its files: what `steadyface track` does for each INPUT."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from steadyface.drawing import draw_faces, fit_canvas
from steadyface.errors import ConfigError, DataError, SteadyfaceError
from steadyface.tracker import Choice, TrackedFace, Tracker, add_rows, describe, follow, tracked_faces
from steadyface.tracks import FORMATS, Tracks, TracksBuilder
from steadyface.video import ImageSequence, VideoFrame, VideoReader, VideoWriter, open_frames

Progress = Callable[[int, int | None], None]
"""Is given the frames done and, where known, the frames in all."""


@dataclass(frozen=True)
class ClipSummary:
    """What came of one input.

    Args:
        source: the input.
        frames, frames_with_face, faces: counts.
        seconds: wall time.
        jitter_raw, jitter: `metrics.jitter` of raw and stabilised points, % of inter-ocular distance.
        files: what was written.
        problems: one line each: Ctrl-C, a damaged video, no face at all, a file that cannot be written.
        interrupted: by Ctrl-C.
    """

    source: Path
    frames: int
    frames_with_face: int
    faces: int
    seconds: float
    jitter_raw: float
    jitter: float
    files: tuple[Path, ...]
    problems: tuple[str, ...] = ()
    interrupted: bool = False

    def __str__(self) -> str:
        share = 100 * self.frames_with_face / max(self.frames, 1)
        speed = self.frames / max(self.seconds, 1e-9)
        parts = [
            f"{self.frames} frames, {self.frames_with_face} with a face ({share:.1f} %)",
            f"{self.faces} {'face' if self.faces == 1 else 'faces'}",
            f"{self.seconds:.1f} s, {speed:.1f} frames/s",
        ]
        if self.jitter_raw == self.jitter_raw:
            parts.append(f"jitter {self.jitter_raw:.3f} → {self.jitter:.3f} % of the inter-ocular distance")
        return f"{self.source.name}: {', '.join(parts)}"


def track_clip(
    source: Path,
    out: Path,
    tracker: Tracker,
    *,
    formats: Sequence[str] = ("npz",),
    overlay: bool = True,
    fps: float = 25.0,
    progress: Progress | None = None,
    choice: Choice | None = None,
) -> ClipSummary:
    """Track one video, image or folder of images and write `out`/STEM.FORMAT and `out`/STEM.overlay.mp4.

    Whatever ends it early once frames have been tracked, their results are written, and the summary's
    `problems` say why. A video without a face gives an empty table and a problem.

    Args:
        source: a video, an image, or a folder of images in name order.
        out: folder; made if missing.
        tracker: is reset first.
        formats: some of `tracks.FORMATS`.
        overlay: write the video with the faces drawn in.
        fps: of a folder of images.
        progress: called after every frame, tracked or, where that comes afterwards, drawn.
        choice: an offline stabiliser to be run on what was tracked, before anything is drawn or written.

    Raises:
        ConfigError: unknown format.
        VideoError, DataError: the source cannot be opened, or the output cannot be written.
    """
    for name in formats:
        if name not in FORMATS:
            raise ConfigError.choice("format", name, FORMATS)
    offline = choice is not None and choice.offline is not None
    frames = open_frames(source, fps)
    _make_folder(out)
    base = out / stem(source)
    drawn = base.with_name(f"{base.name}.overlay.mp4")
    tracker.reset()
    rows, count, with_face = TracksBuilder(), 0, 0
    problems, interrupted = [], False
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            stack.enter_context(frames)
            draw = stack.enter_context(_Overlay(drawn, source, frames)) if overlay and not offline else None
            for frame, faces in follow(frames, tracker):
                add_rows(rows, frame, faces)
                count, with_face = count + 1, with_face + any(not face.held for face in faces)
                if draw is not None:
                    draw(frame, faces)
                if progress is not None:
                    progress(count, frames.frame_count)
    except KeyboardInterrupt:
        interrupted = True
        problems.append(f"interrupted in {source}; the first {count} frames are kept")
    except SteadyfaceError as error:
        if not count:
            raise
        problems.append(f"{error}; the first {count} frames are kept")
    if frames.damage:
        problems.append(f"{frames.damage}; the {count} frames before are kept")
    elif not with_face and not interrupted:
        problems.append(f"{source}: no face was found in {count} frames")
    tracks = rows.finish(describe(source, frames, tracker, count, choice))
    if choice is not None and choice.offline is not None:
        tracks = tracks.smoothed(choice.offline, choice.lag)
    files, failures = _save(tracks, base, formats)
    draws = overlay and not (offline and interrupted)
    if draws and offline:
        try:
            _draw_again(drawn, source, fps, tracks, count, progress)
        except KeyboardInterrupt:
            interrupted = True
            failures.append(f"interrupted while drawing {drawn}")
        except SteadyfaceError as error:
            failures.append(str(error))
    return ClipSummary(
        source=source,
        frames=count,
        frames_with_face=with_face,
        faces=len(tracks.faces),
        seconds=time.monotonic() - began,
        jitter_raw=tracks.jitter("raw_points"),
        jitter=tracks.jitter("points"),
        files=(*files, *([drawn] if draws and drawn.exists() else [])),
        problems=(*problems, *failures),
        interrupted=interrupted,
    )


def stem(source: Path) -> str:
    """The name that an input gives its files: a file's without suffix, or a folder's."""
    path = source.resolve()
    return path.name if path.is_dir() else path.stem


def check_names(sources: Iterable[Path]) -> None:
    """Refuse inputs that would write the same files.

    Raises:
        ConfigError: two inputs have one STEM.
    """
    seen: dict[str, Path] = {}
    for source in sources:
        name = stem(source)
        if name in seen:
            raise ConfigError(f"{seen[name]} and {source} would both write {name}.npz: use two --out folders")
        seen[name] = source


def _save(tracks: Tracks, base: Path, formats: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Write every format that can be written; the files, and what is wrong with the others."""
    files, failures = [], []
    for name in formats:
        try:
            files.append(tracks.save(base.with_name(f"{base.name}.{name}")))
        except SteadyfaceError as error:
            failures.append(str(error))
    return files, failures


class _Overlay:
    """Writes frames with the faces drawn in."""

    def __init__(self, path: Path, source: Path, frames: VideoReader | ImageSequence) -> None:
        self._width, self._height = frames.width, frames.height
        audio = source if frames.has_audio else None
        self._writer = VideoWriter(path, frames.width, frames.height, frames.fps, audio_from=audio)

    def __call__(self, frame: VideoFrame, faces: Sequence[TrackedFace]) -> None:
        picture = fit_canvas(draw_faces(frame.image, faces), self._width, self._height)
        self._writer.write(picture, frame.seconds)

    def __enter__(self) -> _Overlay:
        self._writer.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        self._writer.__exit__(*details)


def _draw_again(
    drawn: Path, source: Path, fps: float, tracks: Tracks, count: int, progress: Progress | None
) -> None:
    """Read the source a second time, to draw what is known only now."""
    faces = tracked_faces(tracks)
    with open_frames(source, fps) as frames, _Overlay(drawn, source, frames) as draw:
        for frame in islice(frames, count):
            draw(frame, faces.get(frame.index, []))
            if progress is not None:
                progress(frame.index + 1, count)


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(out, f"cannot be made: {error.strerror}") from error
