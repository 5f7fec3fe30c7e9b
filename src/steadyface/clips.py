"""Track one input and write its files: what `steadyface track` does for each INPUT."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from steadyface.drawing import Overlay
from steadyface.errors import ConfigError, SteadyfaceError
from steadyface.files import make_folder
from steadyface.pipeline import add_rows, describe, follow, tracked_faces
from steadyface.stabilizer.choice import Choice
from steadyface.tracking import TrackedFace, Tracker
from steadyface.tracks import FORMATS, Meta, Tracks, TracksBuilder
from steadyface.video import (
    ImageSequence,
    VideoFrame,
    VideoReader,
    VideoWriter,
    ahead,
    behind,
    is_live,
    open_frames,
    source_name,
)

Progress = Callable[[int, int | None], None]
"""Is given the frames done and, where known, the frames in all."""

Drawing = Callable[[int, int], Overlay]
"""Makes the overlay of frames of a width and height, px."""


@dataclass(frozen=True)
class ClipSummary:
    """What came of one input.

    Args:
        source: the input.
        frames, frames_with_face, faces: counts.
        seconds: wall time.
        jitter_raw, jitter: `metrics.jitter` of raw and stabilised points, % of inter-ocular distance.
        delay: frames by which the stabilised points are behind the raw ones; NaN where no face moves.
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
    delay: float
    files: tuple[Path, ...]
    problems: tuple[str, ...] = ()
    interrupted: bool = False

    @classmethod
    def failed(cls, source: Path, problem: str, interrupted: bool = False) -> ClipSummary:
        """Of an input of which not one frame was tracked."""
        nan = math.nan
        return cls(Path(label(source)), 0, 0, 0, 0.0, nan, nan, nan, (), (problem,), interrupted)

    @property
    def frames_per_second(self) -> float:
        """Of the whole work, drawing and writing included."""
        return self.frames / max(self.seconds, 1e-9)

    def __str__(self) -> str:
        share = 100 * self.frames_with_face / max(self.frames, 1)
        parts = [
            f"{self.frames} frames, {self.frames_with_face} with a face ({share:.1f} %)",
            f"{self.faces} {'face' if self.faces == 1 else 'faces'}",
            f"{self.seconds:.1f} s, {self.frames_per_second:.1f} frames/s",
        ]
        if self.jitter_raw == self.jitter_raw:
            parts.append(f"jitter {self.jitter_raw:.3f} → {self.jitter:.3f} % of the inter-ocular distance")
        return f"{self.source.name}: {', '.join(parts)}"

    def as_json(self) -> str:
        """One line of JSON; what is not known is null."""
        values = {
            "source": str(self.source),
            "frames": self.frames,
            "frames_with_face": self.frames_with_face,
            "faces": self.faces,
            "seconds": round(self.seconds, 3),
            "frames_per_second": round(self.frames_per_second, 2),
            "jitter_raw_percent": _known(self.jitter_raw),
            "jitter_percent": _known(self.jitter),
            "delay_frames": _known(self.delay),
            "files": [str(file) for file in self.files],
            "problems": list(self.problems),
            "interrupted": self.interrupted,
        }
        return json.dumps(values, ensure_ascii=False)


def track_clip(
    source: Path,
    out: Path,
    tracker: Tracker,
    *,
    formats: Sequence[str] = ("npz",),
    overlay: bool = True,
    drawing: Drawing = Overlay,
    fps: float = 25.0,
    start: float = 0.0,
    end: float | None = None,
    progress: Progress | None = None,
    choice: Choice | None = None,
) -> ClipSummary:
    """Track one input and write `out`/NAME.FORMAT and `out`/NAME.overlay.mp4; NAME is its `source_name`.

    Reading, tracking and drawing overlap. Whatever ends it early once frames have been tracked, their results
    are written, and the summary's `problems` say why. A video without a face gives an empty table and a
    problem.

    Args:
        source: a video, an image, a folder of images, `-` (standard input), or a camera's number.
        out: folder; made if missing.
        tracker: is reset first.
        formats: some of `tracks.FORMATS`.
        overlay: write the video with the faces drawn in.
        drawing: how they are drawn.
        fps: of a folder of images.
        start, end: seconds; the frames from start on and before end are tracked.
        progress: called after every frame, tracked or, where that comes afterwards, drawn.
        choice: an offline stabiliser to be run on what was tracked, before anything is drawn or written; the
            overlay then needs a source that can be read twice.

    Raises:
        ConfigError: unknown format, or a part that cannot be.
        VideoError, DataError: the source cannot be opened, or the output cannot be written.
    """
    for name in formats:
        if name not in FORMATS:
            raise ConfigError.choice("format", name, FORMATS)
    offline = choice is not None and choice.offline is not None
    if offline and overlay and is_live(source):
        raise ConfigError(f"{source_name(source)} cannot be read twice for its overlay: add --no-overlay")
    began = time.monotonic()
    frames = open_frames(source, fps, start, end)
    make_folder(out)
    base = out / source_name(source)
    drawn = base.with_name(f"{base.name}.overlay.mp4")
    work = _Work()
    work.run(frames, tracker, _overlay(drawn, frames, drawing) if overlay and not offline else None, progress)
    meta = describe(frames.path, frames, tracker, work.count, choice) | _part(start, end)
    raw = work.rows.finish(meta)
    result, again = _despite_ctrl_c(lambda: _finish(raw, base, formats, choice))
    if again and not work.interrupted:
        work.ended, work.interrupted = f"interrupted after {frames.path}", True
    interrupted = work.interrupted
    problems = _problems(frames, work, result.files)
    draws = overlay and not (offline and interrupted)
    if draws and offline:
        try:
            with open_frames(source, fps, start, end) as second:
                _draw_again(drawn, second, result.tracks, work.count, drawing, progress)
        except KeyboardInterrupt:
            interrupted = True
            problems.append(f"interrupted while drawing {drawn}")
        except SteadyfaceError as error:
            problems.append(str(error))
    return ClipSummary(
        source=frames.path,
        frames=work.count,
        frames_with_face=work.with_face,
        faces=len(result.tracks.faces),
        seconds=time.monotonic() - began,
        jitter_raw=result.jitter_raw,
        jitter=result.jitter,
        delay=result.delay,
        files=(*result.files, *([drawn] if draws and drawn.exists() else [])),
        problems=(*problems, *result.failures),
        interrupted=interrupted,
    )


@dataclass
class _Work:
    """What has been tracked so far."""

    rows: TracksBuilder = field(default_factory=TracksBuilder)
    count: int = 0
    with_face: int = 0
    ended: str = ""  # why it ended before the source did
    interrupted: bool = False

    def run(
        self,
        frames: VideoReader | ImageSequence,
        tracker: Tracker,
        overlay: AbstractContextManager[Callable[..., None]] | None,
        progress: Progress | None,
    ) -> None:
        """Track the frames, which are then closed; what ends it early is kept, if there is a frame."""
        tracker.reset()
        try:
            with ExitStack() as stack:
                stack.enter_context(frames)
                later = stack.enter_context(overlay) if overlay is not None else None
                taken = stack.enter_context(closing(ahead(frames, stop=frames.stop)))
                for frame, faces in follow(taken, tracker):
                    add_rows(self.rows, frame, faces)
                    self.count, self.with_face = (
                        self.count + 1,
                        self.with_face + any(not face.held for face in faces),
                    )
                    if later is not None:
                        later(frame, faces)
                    if progress is not None:
                        progress(self.count, frames.frame_count)
        except KeyboardInterrupt:
            self.ended, self.interrupted = f"interrupted in {frames.path}", True
        except SteadyfaceError as error:
            if not self.count:
                raise
            self.ended = str(error)


def label(source: Path) -> str:
    """What an input is called in messages: its path, stdin, camera0."""
    return source_name(source) if is_live(source) else str(source)


def check_names(sources: Iterable[Path], suffix: str = ".npz") -> None:
    """Refuse inputs that would write the same files, of which one ends in `suffix`.

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
class _Result:
    """What there is once the tracking has ended."""

    tracks: Tracks
    files: list[Path]
    failures: list[str]
    jitter_raw: float
    jitter: float
    delay: float


def _finish(tracks: Tracks, base: Path, formats: Sequence[str], choice: Choice | None) -> _Result:
    """Smooth, write every format that can be written, and measure."""
    if choice is not None and choice.offline is not None:
        tracks = tracks.smoothed(choice.offline, choice.lag)
    files, failures = [], []
    for name in formats:
        try:
            files.append(tracks.save(base.with_name(f"{base.name}.{name}")))
        except SteadyfaceError as error:
            failures.append(str(error))
    return _Result(
        tracks, files, failures, tracks.jitter("raw_points"), tracks.jitter("points"), tracks.delay()
    )


def _despite_ctrl_c(work: Callable[[], _Result]) -> tuple[_Result, bool]:
    """Begin anew what Ctrl-C has stopped, lest it cost all that was tracked; and whether it did."""
    try:
        return work(), False
    except KeyboardInterrupt:
        return work(), True


def _part(start: float, end: float | None) -> Meta:
    """What a table's `meta` says of the part of the source that it is about."""
    return {"start": start, "end": end} if start or end is not None else {}


def _problems(frames: VideoReader | ImageSequence, work: _Work, files: list[Path]) -> list[str]:
    """One line for each thing that was wrong with the source or ended its tracking."""
    kept = f"kept in {', '.join(map(str, files))}" if files else "lost"
    if work.ended:
        return [f"{work.ended}; the first {work.count} frames are {kept}"]
    if frames.damage:
        return [f"{frames.damage}; the {work.count} frames before are {kept}"]
    if not work.with_face:
        tip = "small faces need a smaller --min-face, others perhaps a YuNet --detector"
        return [f"{frames.path}: no face was found in {work.count} frames; {tip}"]
    return []


@contextmanager
def _overlay(
    path: Path, frames: VideoReader | ImageSequence, drawing: Drawing
) -> Iterator[Callable[..., None]]:
    """A function that writes a frame with its faces drawn in, behind the work."""
    audio = frames.path if frames.has_audio else None
    overlay = drawing(frames.width, frames.height)
    writer = VideoWriter(path, *overlay.size, frames.fps, audio, frames.begin)

    def write(frame: VideoFrame, faces: Sequence[TrackedFace]) -> None:
        writer.write(overlay(frame.image, faces, frame.seconds), frame.seconds)

    with writer, behind(write) as later:
        yield later


def _draw_again(
    drawn: Path,
    frames: VideoReader | ImageSequence,
    tracks: Tracks,
    count: int,
    drawing: Drawing,
    progress: Progress | None,
) -> None:
    """Draw into a second reading of the source what is known only now."""
    faces = tracked_faces(tracks)
    with _overlay(drawn, frames, drawing) as later, closing(ahead(islice(frames, count))) as taken:
        for frame in taken:
            later(frame, faces.get(frame.index, []))
            if progress is not None:
                progress(frame.index + 1, count)


def _known(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
