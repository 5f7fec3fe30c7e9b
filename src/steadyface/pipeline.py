"""Frames or a file → a table of tracked faces, and the table → faces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from itertools import chain, pairwise
from pathlib import Path

from steadyface._version import __version__
from steadyface.detector import FaceFinder
from steadyface.landmarker import Landmarker
from steadyface.models import DEFAULT_MODEL
from steadyface.stabilizer import DEFAULT_STABILIZER, Stabilizer
from steadyface.stabilizer.choice import Choice, choose_stabilizer
from steadyface.tracking.config import TrackerConfig
from steadyface.tracking.track import TrackedFace
from steadyface.tracking.tracker import Tracker
from steadyface.tracks import Meta, Tracks, TracksBuilder
from steadyface.video import ImageSequence, VideoFrame, VideoReader, ahead, open_frames


def track(
    source: str | Path | Iterable[VideoFrame],
    *,
    stabilizer: str | Stabilizer = DEFAULT_STABILIZER,
    lag: int | None = None,
    decoder: str | None = None,
    max_faces: int = TrackerConfig.max_faces,
    device: str = "auto",
    weights: str | Path = DEFAULT_MODEL,
    min_face: float | None = None,
    fps: float = 25.0,
) -> Tracks:
    """Track all faces of a video, an image, or a folder of images; it is read ahead in a thread.

    Args:
        source: path, or frames with timestamps, each with an image array of its own.
        stabilizer, lag: as for `choose_stabilizer`.
        decoder: one of `heatmap.METHODS`; None takes the model's own.
        max_faces: most faces at a time.
        device: `auto`, `cpu` or `cuda`.
        weights: bundled model or `.onnx` file.
        min_face: as for `FaceFinder`.
        fps: of a folder of images.

    Raises:
        VideoError: the source cannot be opened or holds no frame.

    >>> tracks = track("clip.mp4")  # doctest: +SKIP
    """
    choice = choose_stabilizer(stabilizer, lag)
    landmarker = Landmarker(weights, decoder=decoder, device=device)
    config = TrackerConfig(max_faces=max_faces)
    finder = FaceFinder(min_face=min_face, device=device)
    tracker = Tracker(landmarker, finder, stabilizer=choice.causal or "none", config=config)
    rows, count = TracksBuilder(), 0
    with ExitStack() as stack:
        if isinstance(source, str | Path):
            frames: Iterable[VideoFrame] = stack.enter_context(opened := open_frames(source, fps))
            taken: Iterable[VideoFrame] = stack.enter_context(closing(ahead(opened, stop=opened.stop)))
        else:
            frames = taken = source
        for frame, faces in follow(taken, tracker):
            add_rows(rows, frame, faces)
            count += 1
        tracks = rows.finish(describe(source, frames, tracker, count, choice))
    return tracks if choice.offline is None else tracks.smoothed(choice.offline, choice.lag)


def follow(frames: Iterable[VideoFrame], tracker: Tracker) -> Iterator[tuple[VideoFrame, list[TrackedFace]]]:
    """Each frame with its faces; the network is one frame ahead."""
    for frame, upcoming in pairwise(chain(frames, [None])):
        assert frame is not None
        yield frame, tracker.step(frame.image, frame.seconds, upcoming)


def add_rows(rows: TracksBuilder, frame: VideoFrame, faces: list[TrackedFace]) -> None:
    """Append a frame's faces to a table."""
    for face in faces:
        rows.add(
            frame=frame.index,
            seconds=frame.seconds,
            face=face.face_id,
            points=face.points,
            raw_points=face.raw_points,
            scores=face.scores,
            box=face.box,
            held=face.held,
        )


def tracked_faces(tracks: Tracks) -> dict[int, list[TrackedFace]]:
    """The faces of each frame of a table, the inverse of `add_rows`."""
    faces: dict[int, list[TrackedFace]] = {}
    for row, frame in enumerate(tracks.frame.tolist()):
        face = TrackedFace(
            face_id=int(tracks.face[row]),
            points=tracks.points[row],
            raw_points=tracks.raw_points[row],
            scores=tracks.scores[row],
            box=tracks.box[row],
            held=bool(tracks.held[row]),
        )
        faces.setdefault(frame, []).append(face)
    return faces


def describe(
    source: object,
    frames: Iterable[VideoFrame],
    tracker: Tracker,
    frame_count: int,
    choice: Choice | None = None,
) -> Meta:
    """What a table's `meta` says of how it was made; `choice` where that is not the tracker's own."""
    meta: Meta = {
        "version": __version__,
        "source": Path(source).name if isinstance(source, str | Path) else None,
        "frames": frame_count,
        "weights": tracker.landmarker.name,
        "options": {
            "decoder": tracker.landmarker.decoder,
            "stabilizer": choice.name if choice else tracker.stabilizer_name,
            **({"lag": choice.lag} if choice and choice.lag is not None else {}),
            "max_faces": tracker.config.max_faces,
        },
    }
    if isinstance(frames, VideoReader | ImageSequence):
        meta |= {"size": [frames.width, frames.height], "fps": frames.fps, "damage": frames.damage}
    return meta
