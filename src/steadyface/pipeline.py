"""Options → networks and stabiliser → a table of tracked faces.

Commands, `steadyface.track`, corpora, the live page and evaluation all build their trackers by `build`;
whatever reads a source to its end does so by `TrackingRun`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from steadyface._version import __version__
from steadyface.camera import camera_for
from steadyface.detector import Detector, choose_detector
from steadyface.errors import ConfigError, DataError
from steadyface.frontal import add_frontal, camera_values
from steadyface.landmarker import Landmarker, LandmarkModel
from steadyface.motion import Motion
from steadyface.options import TrackingKeywords as TrackingKeywords
from steadyface.options import TrackingOptions as TrackingOptions
from steadyface.options import check_keywords
from steadyface.progress import ReportProgress, progress_of
from steadyface.stabilizer import DEFAULT_STABILIZER, Stabilizer
from steadyface.stabilizer.choice import Choice, choose_stabilizer
from steadyface.tracking import FaceFilter, TrackedFace, Tracker, TrackerConfig
from steadyface.tracking.detection import LeftOut
from steadyface.tracking.parts import network_name
from steadyface.tracking.rows import add_rows
from steadyface.tracks import Meta, MotionRows, Tracks, TracksBuilder
from steadyface.tracks.schema import PEOPLE
from steadyface.video import (
    Frames,
    ImageSequence,
    VideoFrame,
    as_frames,
    open_frames,
    read_ahead,
)

Source = str | Path | int | Iterable[np.ndarray | VideoFrame]
"""Path, a camera's number, or images in memory."""


@dataclass(frozen=True)
class Pipeline:
    """Networks and stabiliser that options ask for, ready for one source after the other.

    Args:
        options: source of the other two.
        tracker: stabilises frame by frame, unless the stabiliser needs the future.
        stabilizer: the stabiliser, and whether it runs while tracking or afterwards.
        camera: as of `frontal.camera_values`; None without one.
    """

    options: TrackingOptions
    tracker: Tracker
    stabilizer: Choice
    camera: Meta | None = None

    def open(self, source: str | Path) -> Frames:
        """Open the part of a source that the options ask for; `source` is as for `open_frames`.

        Raises:
            VideoError, DataError: the source cannot be opened, holds no frame in that part, or its pictures
                are of another shape than the camera's.
        """
        options = self.options
        frames = open_frames(
            source,
            options.fps,
            options.start,
            options.end,
            options.pixels,
            options.max_pixels,
            options.hwaccel,
        )
        try:
            camera_for(self.camera, frames.width, frames.height)
        except ConfigError as error:
            frames.close()
            raise DataError(frames.path, str(error)) from error
        return frames

    def each_by_itself(self) -> Pipeline:
        """Return a pipeline with the same networks that takes each frame by itself."""
        options = replace(self.options, independent=True)
        return replace(self, options=options, stabilizer=choose_stabilizer("none"))

    @property
    def keeps_motion(self) -> bool:
        """Whether a stabiliser that sees the future needs the displacements of the first pass."""
        choice = self.stabilizer
        return choice.offline is not None and choice.first_pass(self.options.motion) is not None

    def finish(self, tracks: Tracks, motion: Motion | None = None) -> Tracks:
        """Run a stabiliser that sees the future, and fit the model of `frontal`, if the options ask for them.

        Args:
            tracks: from `TrackingRun.take_table`.
            motion: from `TrackingRun.motion`.
        """
        offline, lag = self.stabilizer.offline, self.stabilizer.lag
        tracks = tracks if offline is None else tracks.smoothed(offline, lag, motion)
        return add_frontal(tracks) if self.options.frontal else tracks

    def meta(self, source: Frames | str | None, frame_count: int) -> Meta:
        """Describe how tracks are made, for `Tracks.meta`.

        Args:
            source: frames that are tracked, or the name of their source, as far as it is known.
            frame_count: number of frames tracked.
        """
        if isinstance(source, Frames):
            return self.meta(source.path.name, frame_count) | source.meta()
        people = self.tracker.namer and self.tracker.namer.people
        landmarker = self.tracker.landmarker  # a model of the caller's need not have these attributes
        options: dict[str, Any] = {
            "decoder": getattr(landmarker, "decoder", None),
            "stabilizer": self.stabilizer.name,
            "parameters": self.stabilizer.parameters,
            "lag": self.stabilizer.lag,
            "independent": True if self.options.independent else None,
            "motion": self.tracker.measures_motion,
            "network_every": self.options.network_every,
            "max_faces": self.options.max_faces,
            "min_face": self.options.min_face,
            "min_score": self.options.min_score,
            "min_detection": self.options.min_detection,
            "detector": Path(self.options.detector).name if self.options.detector else None,
            "people": people and people.key,
            "frontal": True if self.options.frontal else None,
        }
        return {
            "version": __version__,
            "source": source,
            "frames": frame_count,
            **({PEOPLE: people.persons} if people else {}),
            "weights": getattr(landmarker, "name", type(landmarker).__name__),
            "options": {name: value for name, value in options.items() if value is not None},
        } | ({"camera": self.camera} if self.camera else {})


def build(
    options: TrackingOptions = TrackingOptions(),
    *,
    landmarker: LandmarkModel | None = None,
    detector: Detector | None = None,
    stabilizer: Stabilizer | FaceFilter | None = None,
) -> Pipeline:
    """Open the networks and the stabiliser that options name.

    Args:
        options: of tracking.
        landmarker, detector, stabilizer: objects of the caller's, each in place of what the options name.

    Raises:
        ConfigError: an option outside what is allowed.
        WeightsError: a file that is missing or of another kind.
        DataError: likewise of a camera.
    """
    device, threads = options.device, options.threads
    camera = camera_values(options.focal, options.camera)
    if landmarker is None:
        landmarker = Landmarker(options.weights, options.decoder, device, threads)
    if detector is None:
        detector = choose_detector(
            options.detector,
            min_face=options.min_face,
            threshold=options.min_detection,
            device=device,
            threads=threads,
        )
    if stabilizer is None or isinstance(stabilizer, Stabilizer):
        choice = choose_stabilizer(stabilizer or options.stabilizer, options.lag, network_name(landmarker))
        causal: FaceFilter | str = choice.first_pass(options.motion) or "none"
    elif options.lag:
        raise ConfigError(f"{type(stabilizer).__name__} is no Stabilizer, and has no lag")
    else:
        choice, causal = Choice(type(stabilizer).__name__), stabilizer
    tracker = Tracker(
        landmarker,
        detector,
        stabilizer=causal,
        config=_tracker_config(options),
        motion=options.motion,
        people=options.people,
        network_every=options.network_every,
    )
    pipeline = Pipeline(options, tracker, choice, camera)
    return pipeline.each_by_itself() if options.independent else pipeline


def _tracker_config(options: TrackingOptions) -> TrackerConfig:
    """Settings of the tracker; a lower limit for new faces lowers that for tracked ones too."""
    config = TrackerConfig(max_faces=options.max_faces)
    if options.min_score is not None:
        score = options.min_score
        config = replace(config, accept=score, keep=min(config.keep, score))
    if options.min_detection is not None:
        config = replace(config, confirm=min(config.confirm, options.min_detection))
    return config


class ImagesDifferError(DataError):
    """Images of a folder that differ in size, so that they are no frames of one video."""


class TrackingRun:
    """Tracking of one source: run through `steps`, then take the table, also after an early end.

    Args:
        pipeline: its tracker is reset.
        frames: from `Pipeline.open`; or any frames with timestamps, each with an image array of its own.

    Attributes:
        frame_count: frames tracked so far.
        frames_with_face: those of them in which a face is seen, not only held.
        left_out: most faces at a time for which there was no room, or that were refused.
        motion: displacements of the table's rows if `Pipeline.finish` needs them; else None.

    Raises:
        ImagesDifferError: by `steps`, if images of a folder differ in size and are not taken by themselves.
    """

    def __init__(self, pipeline: Pipeline, frames: Iterable[VideoFrame]) -> None:
        pipeline.tracker.reset()
        self._pipeline, self._frames = pipeline, frames
        self._rows, self._motion = TracksBuilder(), MotionRows()
        self.frame_count = self.frames_with_face = 0
        self.left_out = LeftOut()

    def steps(self) -> Generator[tuple[VideoFrame, list[TrackedFace]], None, None]:
        """Track frame by frame. Frames that were opened here are read ahead in a thread of their own."""
        with ExitStack() as stack:
            frames = self._frames
            if isinstance(frames, Frames) and self._pipeline.options.threads != 1:
                frames = stack.enter_context(closing(read_ahead(frames, stop=frames.stop)))
            alone = self._pipeline.options.independent
            for frame, faces in (follow_each_alone if alone else follow)(frames, self._pipeline.tracker):
                self._check_size(frame)
                add_rows(self._rows, frame, faces, self._pipeline.tracker.namer)
                if self._pipeline.keeps_motion:
                    for face in faces:
                        self._motion.append(face.displacements)
                self.frame_count += 1
                self.frames_with_face += any(not face.held for face in faces)
                self.left_out = self.left_out.worst(self._pipeline.tracker.left_out)
                yield frame, faces

    def _check_size(self, frame: VideoFrame) -> None:
        frames = self._frames
        if self._pipeline.options.independent or not isinstance(frames, ImageSequence):
            return
        if (frame.picture.width, frame.picture.height) != (frames.width, frames.height):
            raise ImagesDifferError(frames.path, "its images differ in size")

    @property
    def motion(self) -> Motion | None:
        return self._motion if self._pipeline.keeps_motion else None

    def take_table(self) -> Tracks:
        """Hand over the rows so far, before `Pipeline.finish`."""
        frames = self._frames
        if isinstance(frames, Frames):
            tracks = self._rows.finish(self._pipeline.meta(frames, self.frame_count))
        else:
            tracks = self._rows.finish(self._pipeline.meta(None, self.frame_count))
            tracks = replace(tracks, meta=tracks.meta | tracks.timeline.describe())
        namer = self._pipeline.tracker.namer
        alone = self._pipeline.options.independent
        return tracks if namer is None or alone else tracks.named(namer.names())


def track_frames(
    frames: Iterable[VideoFrame], pipeline: Pipeline, progress: ReportProgress | None = None
) -> Tracks:
    """Track frames to their end.

    Args:
        frames, pipeline: as for `TrackingRun`.
        progress: called after each frame with the number of frames done and, where it is known, of all.

    Raises:
        VideoError, DataError: a frame cannot be read.
    """
    total = frames.frame_count if isinstance(frames, Frames) else None
    run = TrackingRun(pipeline, frames)
    for _ in run.steps():
        if progress is not None:
            progress(run.frame_count, total)
    return pipeline.finish(run.take_table(), run.motion)


def track(
    source: Source,
    *,
    stabilizer: str | Path | Stabilizer | FaceFilter = DEFAULT_STABILIZER,
    detector: str | Path | Detector | None = None,
    landmarker: LandmarkModel | None = None,
    progress: bool | ReportProgress = False,
    **options: Unpack[TrackingKeywords],
) -> Tracks:
    """Track all faces of a video, an image, a folder of images, a camera, a pipe or images in memory.

    Args:
        source: path; a camera's number; `-`, standard input; or an iterable of images, RGB uint8 (H, W, 3),
            which follow each other at `fps`, or of `VideoFrame`, which have times of their own. Each image
            is an array of its own, since the next one is taken while this one is worked on.
        stabilizer: a name or file as of `TrackingOptions`, a `Stabilizer`, or another `FaceFilter`.
        detector: a file as of `TrackingOptions`, or any callable image → boxes (`Detector`).
        landmarker: any `LandmarkModel`, in place of `weights` and `decoder`.
        progress: True shows a bar on a terminal or in a notebook; a callable is called after each frame with
            the number of frames done and, where it is known, of all, else None.
        options: the other fields of `TrackingOptions`, such as `max_faces=1` or `start=60, end=90`.

    Raises:
        ConfigError: an option that is unknown or outside what is allowed; `start` or `end` with images in
            memory; or something else than images among them.
        WeightsError: a file of weights or a stabiliser that is missing or of another kind.
        VideoError, DataError: the source cannot be opened or holds no frame.

    >>> tracks = track("clip.mp4", max_faces=1)  # doctest: +SKIP
    >>> tracks = track(images, fps=30)  # doctest: +SKIP
    """
    check_keywords(options)
    path = detector if isinstance(detector, str | Path) else None
    named = str(stabilizer) if isinstance(stabilizer, str | Path) else DEFAULT_STABILIZER
    asked = TrackingOptions(stabilizer=named, detector=path, **options)
    pipeline = build(
        asked,
        landmarker=landmarker,
        detector=None if isinstance(detector, str | Path) else detector,
        stabilizer=None if isinstance(stabilizer, str | Path) else stabilizer,
    )
    try:
        return _track_source(source, pipeline, progress)
    except ImagesDifferError:
        return _track_source(source, pipeline.each_by_itself(), progress)


def _track_source(source: Source, pipeline: Pipeline, progress: bool | ReportProgress) -> Tracks:
    name = str(source) if isinstance(source, str | Path | int) else "images"
    with ExitStack() as stack:
        frames = stack.enter_context(_frames_of(source, pipeline))
        report = stack.enter_context(progress_of(progress, Path(name).name))
        return track_frames(frames, pipeline, report)


def _frames_of(source: Source, pipeline: Pipeline) -> AbstractContextManager[Iterable[VideoFrame]]:
    """Open a path, or number and time the images of an iterable."""
    if isinstance(source, str | Path | int):
        return pipeline.open(str(source) if isinstance(source, int) else source)
    options = pipeline.options
    if isinstance(source, np.ndarray) and source.ndim != 4:
        raise ConfigError(f"track takes several images; for one of shape {source.shape} use detect")
    if not isinstance(source, Iterable):
        raise ConfigError(f"source must be a path or images, got {type(source).__name__}")
    if options.start or options.end is not None:
        raise ConfigError("start and end choose a part of a file; of given frames, pass those to track")
    return nullcontext(as_frames(source, options.fps))


def follow(frames: Iterable[VideoFrame], tracker: Tracker) -> Iterator[tuple[VideoFrame, list[TrackedFace]]]:
    """Step through frames; the tracker gets the next one along, so that its network works ahead."""
    for frame, upcoming in pairwise(chain(frames, [None])):
        assert frame is not None
        yield frame, tracker.step(frame.picture, frame.seconds, upcoming)


def follow_each_alone(
    frames: Iterable[VideoFrame], tracker: Tracker
) -> Iterator[tuple[VideoFrame, list[TrackedFace]]]:
    """Find the faces of each frame by itself."""
    for frame in frames:
        tracker.reset()
        yield frame, tracker.step(frame.picture)
