"""Track one input: read, track, draw, write, and summarise."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from steadyface.clips.crops import check_crops, crops_folder, write_crops
from steadyface.clips.overlay_file import Drawing, OverlayFile
from steadyface.clips.results import choose_base, is_whole, record, recorded_frames
from steadyface.clips.summary import ClipSummary
from steadyface.drawing import Overlay
from steadyface.errors import ConfigError, SteadyfaceError
from steadyface.files import make_folder, remove, remove_parts
from steadyface.interrupts import Interrupts, held_interrupts
from steadyface.pipeline import ImagesDifferError, Pipeline, TrackingRun
from steadyface.progress import ReportProgress
from steadyface.tracking import TrackedFace
from steadyface.tracking.detection import LeftOut
from steadyface.tracking.rows import tracked_faces
from steadyface.tracks import Tracks
from steadyface.tracks.formats import check_formats, ending
from steadyface.video import Frames, ImageSequence, VideoFrame, is_live, read_ahead, source_name
from steadyface.wording import counted


def track_clip(
    source: str | Path,
    out: Path,
    pipeline: Pipeline,
    *,
    name: str | None = None,
    formats: Sequence[str] = ("npz",),
    all_frames: bool = True,
    overlay: bool = True,
    drawing: Drawing = Overlay,
    crops: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: ReportProgress | None = None,
) -> ClipSummary:
    """Track one input and write `out`/NAME.FORMAT, `out`/NAME.overlay.mp4 and `out`/NAME.meta.json.

    Reading, tracking and drawing overlap. Whatever ends the work early once a frame has been tracked, the
    results so far are written, and the summary's `problems` say what happened: Ctrl-C, SIGTERM and SIGHUP
    end it after a frame. A file that cannot be written costs no other. What a killed run of the same name
    left unfinished is removed. A video without a face gives an empty table and a problem. Where the
    stabiliser needs the future, the overlay is drawn afterwards, for which the source is read a second time.

    Photographs (an image, or the images of a folder, each by itself) are drawn as pictures: NAME.overlay….

    Args:
        source: a video, an image, a folder of images, a URL, `-` (standard input), or a camera's number.
        out: folder; made if missing.
        pipeline: from `pipeline.build`; its options say which part of the source is tracked.
        name: NAME; None takes the `source_name`. Where results of another input, or of this one by other
            options, have the name already, NAME-2 and so on is taken, and a note says so.
        formats: some of `tracks.FORMATS`.
        all_frames: as of `Tracks.save`.
        overlay: write the frames with the faces drawn in.
        drawing: makes the pictures of the overlay.
        crops: one of `crops.CROPS`: also cut the faces out, from a second reading; None cuts nothing.
        overwrite: take NAME also from other results, which are removed.
        resume: do nothing where the results of the same work are whole.
        progress: called after every frame that is tracked, or read again.

    Raises:
        ConfigError: unknown format, or one whose extra is missing; or an overlay that would have to read a
            pipe or camera twice.
        VideoError, DataError: the source cannot be opened, or the output cannot be written.
        KeyboardInterrupt: a signal came before the first frame.
    """
    check_formats(formats)
    check_crops(crops)
    if crops is not None and is_live(source):
        raise ConfigError(f"{source_name(source)} cannot be read twice for its crops: leave --crops out")
    if overlay and pipeline.stabilizer.offline is not None and is_live(source):
        raise ConfigError(f"{source_name(source)} cannot be read twice for its overlay: add --no-overlay")
    with held_interrupts() as interrupts:
        work = _Work(
            source,
            out,
            name or source_name(source),
            tuple(dict.fromkeys(formats)),
            all_frames,
            drawing if overlay else None,
            crops,
            overwrite,
            resume,
            progress,
            interrupts,
        )
        try:
            return work.do(pipeline)
        except ImagesDifferError as error:
            return work.do(pipeline.each_by_itself(), note=f"{error}, so each is taken by itself")


@dataclass(frozen=True)
class _Ended:
    """End of a step of the work.

    Args:
        early: the reason, in words, if it ended before the source did; else empty.
        interrupted: by a signal.
    """

    early: str = ""
    interrupted: bool = False


@dataclass
class _Outcome:
    """Outcome of the work so far.

    Args:
        files: files and folders that are written.
        failures: one line for each that could not be written, or not to its end.
        interrupted: by a signal.
    """

    files: list[Path]
    failures: list[str]
    interrupted: bool = False

    def add(self, ended: _Ended, path: Path | None = None) -> None:
        """Add the end of another step, and the path that it has written, if it has come to its end."""
        if ended.early:
            self.failures.append(ended.early)
        elif path is not None and not ended.interrupted:
            self.files.append(path)
        self.interrupted |= ended.interrupted

    def add_overlay(self, overlay: OverlayFile) -> None:
        """Add the overlay, which may be written although its drawing ended early."""
        self.failures += [overlay.problem] if overlay.problem else []
        self.files += [overlay.path] if overlay.written else []


@dataclass(frozen=True)
class _Work:
    """Work of `track_clip`, with its arguments; `drawing` None draws nothing."""

    source: str | Path
    out: Path
    name: str
    formats: tuple[str, ...]
    all_frames: bool
    drawing: Drawing | None
    crops: str | None
    overwrite: bool
    resume: bool
    progress: ReportProgress | None
    interrupts: Interrupts

    def do(self, pipeline: Pipeline, note: str | None = None) -> ClipSummary:
        """Do it with a pipeline; a note is one of the summary's."""
        began = time.monotonic()
        with self.interrupts.raising():
            frames = pipeline.open(self.source)
        self.interrupts.wake = frames.stop
        frames.notes.extend([note] if note else [])
        make_folder(self.out)
        meta = pipeline.meta(frames, 0)
        base = choose_base(self.out, self.name, meta, self.overwrite)
        photographs = isinstance(frames, ImageSequence) and (
            pipeline.options.independent or frames.frame_count == 1
        )
        overlay = OverlayFile(base, frames, self.drawing, photographs) if self.drawing else None
        if self.resume and is_whole(base, meta, self._endings(base, overlay)):
            frames.close()
            return self._found_whole(frames, base, overlay)
        if base.name != self.name:
            other = f"results named {self.name} are of another input or other options"
            frames.notes.append(f"{frames.path}: {other}, so these are named {base.name}")
        remove_parts(base)
        return self._follow(pipeline, frames, base, overlay, began)

    def _follow(
        self, pipeline: Pipeline, frames: Frames, base: Path, overlay: OverlayFile | None, began: float
    ) -> ClipSummary:
        """Track, write, and read the source again for what can only be drawn or cut out afterwards."""
        run = TrackingRun(pipeline, frames)
        late = pipeline.stabilizer.offline is not None
        ended = self._track(run, frames, None if late else overlay)
        tracks = pipeline.finish(run.take_table(), run.motion)
        done = self._save(tracks, base)
        if self.interrupts.seen and not ended.interrupted:
            ended = _Ended(f"interrupted after {frames.path}", interrupted=True)
        done.interrupted = ended.interrupted
        problems = _problems(frames, run, ended, done.files, pipeline)
        _note_left_out(frames, run, pipeline.tracker.config.max_faces)
        if overlay is not None:
            if late and not done.interrupted:
                done.add(self._draw_again(pipeline, overlay, tracks, run.frame_count))
            done.add_overlay(overlay)
        if self.crops is not None and pipeline.options.independent:
            done.failures.append(f"{frames.path}: no crops, since photographs have no identities")
        elif self.crops is not None and not done.interrupted:
            folder = crops_folder(base, self.crops)
            done.add(self._cut(pipeline, tracks, folder, run.frame_count), folder)
        whole = not (ended.early or done.interrupted or done.failures or frames.damage)
        try:
            record(base, tracks.meta, done.files, whole)
        except SteadyfaceError as error:
            done.failures.append(str(error))
        jitter, raw, delay = _steadiness(tracks, pipeline.options.independent)
        return ClipSummary(
            source=frames.path,
            frames=run.frame_count,
            frames_with_face=run.frames_with_face,
            faces=len(tracks) if pipeline.options.independent else len(tracks.face_ids),
            seconds=time.monotonic() - began,
            jitter_raw=raw,
            jitter=jitter,
            delay=delay,
            files=tuple(done.files),
            problems=(*problems, *done.failures),
            interrupted=done.interrupted,
            notes=tuple(frames.notes),
        )

    def _track(self, run: TrackingRun, frames: Frames, overlay: OverlayFile | None) -> _Ended:
        """Track the frames, which are then closed. An error counts as an early end once there is a frame."""
        try:
            with ExitStack() as stack:
                stack.enter_context(frames)
                draw = stack.enter_context(overlay) if overlay is not None else None
                for frame, faces in stack.enter_context(closing(run.steps())):
                    self._show(draw, frame, faces, run.frame_count, frames.frame_count)
        except KeyboardInterrupt:
            if not run.frame_count:
                raise
            return _Ended(f"interrupted in {frames.path}", interrupted=True)
        except ImagesDifferError:
            if overlay is not None and overlay.written:
                remove(overlay.path)
            raise
        except SteadyfaceError as error:
            if not run.frame_count:
                raise
            return _Ended(str(error))
        return _Ended()

    def _save(self, tracks: Tracks, base: Path) -> _Outcome:
        """Write every format that can be written."""
        done = _Outcome([], [])
        for name in self.formats:
            try:
                path = base.with_name(f"{base.name}{ending(name)}")
                done.files.append(tracks.save(path, name, self.all_frames))
            except SteadyfaceError as error:
                done.failures.append(str(error))
        return done

    def _draw_again(self, pipeline: Pipeline, overlay: OverlayFile, tracks: Tracks, count: int) -> _Ended:
        """Draw smoothed tracks into a second reading of the source."""
        faces = tracked_faces(tracks)
        try:
            with ExitStack() as stack:
                frames = stack.enter_context(pipeline.open(self.source))
                draw = stack.enter_context(overlay)
                taken = stack.enter_context(closing(read_ahead(islice(frames, count))))
                for done, frame in enumerate(taken, 1):
                    self._show(draw, frame, faces.get(frame.index, []), done, count)
        except KeyboardInterrupt:
            return _Ended(f"interrupted while drawing {overlay.path}", interrupted=True)
        except SteadyfaceError as error:
            return _Ended(str(error))
        return _Ended()

    def _cut(self, pipeline: Pipeline, tracks: Tracks, folder: Path, count: int) -> _Ended:
        """Cut the faces out of a second reading of the source."""
        assert self.crops is not None
        try:
            with ExitStack() as stack:
                frames = stack.enter_context(pipeline.open(self.source))
                taken = stack.enter_context(closing(read_ahead(islice(frames, count))))
                write_crops(frames, self._shown(taken, count), tracks, folder, self.crops)
        except KeyboardInterrupt:
            return _Ended(f"interrupted while cutting {folder}", interrupted=True)
        except SteadyfaceError as error:
            return _Ended(str(error))
        return _Ended()

    def _shown(self, frames: Iterable[VideoFrame], total: int) -> Iterator[VideoFrame]:
        """Pass frames on and report each."""
        for done, frame in enumerate(frames, 1):
            self._show(None, frame, [], done, total)
            yield frame

    def _show(
        self,
        draw: OverlayFile | None,
        frame: VideoFrame,
        faces: Sequence[TrackedFace],
        done: int,
        total: int | None,
    ) -> None:
        """Draw a frame and report it.

        Raises:
            KeyboardInterrupt: a signal has come.
        """
        if draw is not None:
            draw(frame, faces)
        if self.progress is not None:
            self.progress(done, total)
        if self.interrupts.seen:
            raise KeyboardInterrupt

    def _endings(self, base: Path, overlay: OverlayFile | None) -> Iterable[str]:
        drawn = [] if overlay is None else [overlay.path.name.removeprefix(base.name)]
        cut = [] if self.crops is None else [crops_folder(base, self.crops).name.removeprefix(base.name)]
        return [*map(ending, self.formats), *drawn, *cut]

    def _found_whole(self, frames: Frames, base: Path, overlay: OverlayFile | None) -> ClipSummary:
        found = tuple(base.with_name(f"{base.name}{each}") for each in self._endings(base, overlay))
        count = recorded_frames(base)
        nan = math.nan
        return ClipSummary(frames.path, count, 0, 0, 0.0, nan, nan, nan, found, skipped=True)


def _steadiness(tracks: Tracks, independent: bool) -> tuple[float, float, float]:
    """Jitter of stabilised and of raw points, and delay; NaN of photographs, between which nothing moves.

    Both jitters are of the frames in which the network ran: it runs where a face moves more than on average.
    """
    if independent:
        return math.nan, math.nan, math.nan
    seen = tracks.without_carried()
    return seen.jitter("points"), seen.jitter("raw_points"), tracks.delay()


def _problems(
    frames: Frames, run: TrackingRun, ended: _Ended, files: list[Path], pipeline: Pipeline
) -> list[str]:
    """One line for what was wrong with the source or ended its tracking."""
    count, verb = counted(run.frame_count, "frame"), "is" if run.frame_count == 1 else "are"
    kept = f"{verb} kept in {', '.join(map(str, files))}" if files else f"{verb} lost"
    if ended.early:
        return [f"{ended.early}; the first {count} {kept}"]
    if frames.damage:
        return [f"{frames.damage}; the {count} that can be read {kept}"]
    if not run.frames_with_face:
        none = f"{frames.path}: no face was found in {count}"
        return [f"{none}; {_advice(run.left_out, pipeline)}"]
    return []


def _advice(left_out: LeftOut, pipeline: Pipeline) -> str:
    """Say what was seen where no face was found, and which option would take it."""
    config, weights = pipeline.tracker.config, pipeline.options.weights
    if left_out.refused:
        best = left_out.best_score
        low = f"but {weights} scores {best:.2f} at most, below {config.accept:g}"
        enough = math.floor(95 * best) / 100
        advice = f"--min-score {enough:g} would take it" if enough else "its training has to go on"
        return f"the detector saw {counted(left_out.refused, 'face')} at a time, {low}: {advice}"
    if left_out.shapeless:
        seen = f"the detector saw {counted(left_out.shapeless, 'face')} at a time"
        spot = f"within {config.verifier.min_size:g} px or outside the frame"
        return f"{seen}, but the points of {weights} are no face's there: they lie {spot}"
    return "small faces need a smaller --min-face, others a lower --min-detection or a YuNet --detector"


def _note_left_out(frames: Frames, run: TrackingRun, most: int) -> None:
    """Note the faces for which there was no room."""
    if run.left_out.no_room:
        left_out = f"up to {run.left_out.no_room} more at a time were left out"
        frames.notes.append(f"{frames.path}: {left_out}, since --max-faces is {most}")
