"""Track one input and write its tables and its overlay: the work of `steadyface track` for each INPUT."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from steadyface.drawing import Overlay
from steadyface.errors import ConfigError, SteadyfaceError
from steadyface.files import make_folder, remove_parts
from steadyface.interrupts import Interrupts, held_interrupts
from steadyface.pipeline import Pipeline, TrackingRun, tracked_faces
from steadyface.tracking import TrackedFace
from steadyface.tracks import Tracks
from steadyface.tracks.formats import check_formats, ending
from steadyface.video import Frames, VideoFrame, VideoWriter, is_live, read_ahead, source_name, write_behind

Progress = Callable[[int, int | None], None]
"""Called with the number of frames done and, where known, of all frames."""

Drawing = Callable[[int, int], Overlay]
"""Makes the overlay of frames of a width and height, px."""

_OpenOverlay = Callable[[Frames], AbstractContextManager[Callable[..., None]]]


@dataclass(frozen=True)
class ClipSummary:
    """Result of tracking one input.

    Args:
        source: the input.
        frames, frames_with_face, faces: counts; a face that is only held counts for no frame.
        seconds: wall time.
        jitter_raw, jitter: `metrics.jitter` of raw and stabilised points, % of inter-ocular distance.
        delay: frames by which the stabilised points lag the raw ones; NaN where no face moves.
        files: the files written.
        problems: one line each: an interrupt, a damaged video, no face at all, a file that cannot be
            written.
        interrupted: by a signal, such as Ctrl-C.
        notes: one line each about what was left out on purpose; no problem.
    """

    source: Path
    frames: int
    frames_with_face: int
    faces: int
    seconds: float
    jitter_raw: float
    jitter: float
    delay: float
    files: tuple[Path, ...]
    problems: tuple[str, ...] = ()
    interrupted: bool = False
    notes: tuple[str, ...] = ()

    @classmethod
    def failed(cls, source: Path, problem: str, interrupted: bool = False) -> ClipSummary:
        """Summary of an input of which no frame was tracked."""
        nan = math.nan
        return cls(Path(display_name(source)), 0, 0, 0, 0.0, nan, nan, nan, (), (problem,), interrupted)

    @property
    def frames_per_second(self) -> float:
        """Speed of the whole work, with drawing and writing."""
        return self.frames / max(self.seconds, 1e-9)

    def __str__(self) -> str:
        share = 100 * self.frames_with_face / max(self.frames, 1)
        parts = [
            f"{self.frames} frames, {self.frames_with_face} with a face ({share:.1f} %)",
            f"{self.faces} {'face' if self.faces == 1 else 'faces'}",
            f"{self.seconds:.1f} s, {self.frames_per_second:.1f} frames/s",
        ]
        if not math.isnan(self.jitter_raw):
            parts.append(f"jitter {self.jitter_raw:.3f} → {self.jitter:.3f} % of the inter-ocular distance")
        return f"{self.source.name}: {', '.join(parts)}"

    def as_json(self) -> str:
        """One line of JSON; unknown figures are null."""
        values = {
            "source": str(self.source),
            "frames": self.frames,
            "frames_with_face": self.frames_with_face,
            "faces": self.faces,
            "seconds": round(self.seconds, 3),
            "frames_per_second": round(self.frames_per_second, 2),
            "jitter_raw_percent": _finite_or_none(self.jitter_raw),
            "jitter_percent": _finite_or_none(self.jitter),
            "delay_frames": _finite_or_none(self.delay),
            "files": [str(file) for file in self.files],
            "problems": list(self.problems),
            "notes": list(self.notes),
            "interrupted": self.interrupted,
        }
        return json.dumps(values, ensure_ascii=False)


def track_clip(
    source: Path,
    out: Path,
    pipeline: Pipeline,
    *,
    formats: Sequence[str] = ("npz",),
    all_frames: bool = True,
    overlay: bool = True,
    drawing: Drawing = Overlay,
    progress: Progress | None = None,
) -> ClipSummary:
    """Track one input and write `out`/NAME.FORMAT and `out`/NAME.overlay.mp4; NAME is its `source_name`.

    Reading, tracking and drawing overlap. Whatever ends the work early once a frame has been tracked, the
    results so far are written, and the summary's `problems` say what happened: Ctrl-C, SIGTERM and SIGHUP
    end it after a frame. What a killed run of the same name left unfinished is removed. A video without a
    face gives an empty table and a problem. Where the stabiliser needs the future, the overlay is drawn
    afterwards, for which the source is read a second time.

    Args:
        source: a video, an image, a folder of images, `-` (standard input), or a camera's number.
        out: folder; made if missing.
        pipeline: from `pipeline.build`; its options say which part of the source is tracked.
        formats: some of `tracks.FORMATS`.
        all_frames: as of `Tracks.save`.
        overlay: write the video with the faces drawn in.
        drawing: makes the pictures of the overlay.
        progress: called after every frame that is tracked, and after every frame that is drawn afterwards.

    Raises:
        ConfigError: unknown format, or one whose extra is missing; or an overlay that would have to read a
            pipe or camera twice.
        VideoError, DataError: the source cannot be opened, or the output cannot be written.
        KeyboardInterrupt: a signal came before the first frame.
    """
    check_formats(formats)
    draw_later = overlay and pipeline.stabilizer.offline is not None
    if draw_later and is_live(source):
        raise ConfigError(f"{source_name(source)} cannot be read twice for its overlay: add --no-overlay")
    began = time.monotonic()
    with held_interrupts() as interrupts:
        with interrupts.raising():
            frames = pipeline.open(source)
        interrupts.wake = frames.stop
        make_folder(out)
        base = out / source_name(source)
        remove_parts(base)
        drawn = base.with_name(f"{base.name}.overlay.mp4")
        run = TrackingRun(pipeline, frames)
        draw = partial(_overlay, drawn, drawing)
        ended = _track(run, frames, draw if overlay and not draw_later else None, progress, interrupts)
        result = _finish(run.take_table(), pipeline, base, formats, all_frames)
        if interrupts.seen and not ended.interrupted:
            ended = _Ended(f"interrupted after {frames.path}", interrupted=True)
        problems = _problems(frames, run, ended, result.files)
        draws = overlay and not (draw_later and ended.interrupted)
        if draws and draw_later:
            again = partial(pipeline.open, source)
            ended = _draw_again(drawn, again, draw, result.tracks, run.frame_count, progress, interrupts)
            if ended.early:
                problems.append(ended.early)
    return ClipSummary(
        source=frames.path,
        frames=run.frame_count,
        frames_with_face=run.frames_with_face,
        faces=len(result.tracks.face_ids),
        seconds=time.monotonic() - began,
        jitter_raw=result.jitter_raw,
        jitter=result.jitter,
        delay=result.delay,
        files=(*result.files, *([drawn] if draws and drawn.exists() else [])),
        problems=(*problems, *result.failures),
        interrupted=ended.interrupted,
        notes=tuple(frames.notes),
    )


def display_name(source: Path) -> str:
    """Name of an input in messages: its path, `stdin` or `camera0`."""
    return source_name(source) if is_live(source) else str(source)


def check_names(sources: Iterable[Path], suffix: str = ".npz") -> None:
    """Refuse inputs that would write the same file NAME`suffix`.

    Raises:
        ConfigError: two inputs have one name.
    """
    seen: dict[str, Path] = {}
    for source in sources:
        name = source_name(source)
        if name in seen:
            both = f"{seen[name]} and {source} would both write {name}{suffix}"
            raise ConfigError(f"{both}: use two --out folders")
        seen[name] = source


@dataclass(frozen=True)
class _Ended:
    """End of tracking or drawing before the source's own, in words; empty where there is none."""

    early: str = ""
    interrupted: bool = False


def _track(
    run: TrackingRun,
    frames: Frames,
    overlay: _OpenOverlay | None,
    progress: Progress | None,
    interrupts: Interrupts,
) -> _Ended:
    """Track the frames, which are then closed. An error counts as an early end once there is a frame."""
    try:
        with ExitStack() as stack:
            stack.enter_context(frames)
            draw = stack.enter_context(overlay(frames)) if overlay is not None else None
            steps = stack.enter_context(closing(run.steps()))
            for frame, faces in steps:
                if draw is not None:
                    draw(frame, faces)
                if progress is not None:
                    progress(run.frame_count, frames.frame_count)
                if interrupts.seen:
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        if not run.frame_count:
            raise
        return _Ended(f"interrupted in {frames.path}", interrupted=True)
    except SteadyfaceError as error:
        if not run.frame_count:
            raise
        return _Ended(str(error))
    return _Ended()


@dataclass(frozen=True)
class _Result:
    """Tracks as they are written, with the files that could be and their figures."""

    tracks: Tracks
    files: list[Path]
    failures: list[str]
    jitter_raw: float
    jitter: float
    delay: float


def _finish(
    tracks: Tracks, pipeline: Pipeline, base: Path, formats: Sequence[str], all_frames: bool
) -> _Result:
    """Smooth, write every format that can be written, and measure."""
    tracks = pipeline.smooth(tracks)
    files, failures = [], []
    for name in formats:
        try:
            path = base.with_name(f"{base.name}{ending(name)}")
            files.append(tracks.save(path, name, all_frames))
        except SteadyfaceError as error:
            failures.append(str(error))
    return _Result(
        tracks, files, failures, tracks.jitter("raw_points"), tracks.jitter("points"), tracks.delay()
    )


def _problems(frames: Frames, run: TrackingRun, ended: _Ended, files: list[Path]) -> list[str]:
    """One line for what was wrong with the source or ended its tracking."""
    kept = f"kept in {', '.join(map(str, files))}" if files else "lost"
    if ended.early:
        return [f"{ended.early}; the first {run.frame_count} frames are {kept}"]
    if frames.damage:
        return [f"{frames.damage}; the {run.frame_count} frames before are {kept}"]
    if not run.frames_with_face:
        tip = "small faces need a smaller --min-face, others perhaps a YuNet --detector"
        return [f"{frames.path}: no face was found in {run.frame_count} frames; {tip}"]
    return []


@contextmanager
def _overlay(path: Path, drawing: Drawing, frames: Frames) -> Iterator[Callable[..., None]]:
    """Open the overlay video; yields a function that draws and writes a frame in a thread of its own."""
    audio = frames.path if frames.has_audio else None
    overlay = drawing(frames.width, frames.height)
    writer = VideoWriter(path, *overlay.size, frames.fps, audio, frames.begin)

    def write(frame: VideoFrame, faces: Sequence[TrackedFace]) -> None:
        writer.write(overlay(frame.image, faces, frame.seconds), frame.seconds)

    with writer, write_behind(write) as later:
        yield later


def _draw_again(
    drawn: Path,
    again: Callable[[], Frames],
    overlay: _OpenOverlay,
    tracks: Tracks,
    count: int,
    progress: Progress | None,
    interrupts: Interrupts,
) -> _Ended:
    """Draw smoothed tracks into a second reading of the source."""
    faces = tracked_faces(tracks)
    try:
        with ExitStack() as stack:
            frames = stack.enter_context(again())
            draw = stack.enter_context(overlay(frames))
            for frame in stack.enter_context(closing(read_ahead(islice(frames, count)))):
                draw(frame, faces.get(frame.index, []))
                if progress is not None:
                    progress(frame.index + 1, count)
                if interrupts.seen:
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        return _Ended(f"interrupted while drawing {drawn}", interrupted=True)
    except SteadyfaceError as error:
        return _Ended(str(error))
    return _Ended()


def _finite_or_none(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
