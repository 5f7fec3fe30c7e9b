"""Frames → tracked faces: identity, region of interest, stabiliser, loss and return."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from steadyface import markup
from steadyface._version import __version__
from steadyface.detector import Detector, FaceFinder
from steadyface.errors import ConfigError
from steadyface.geometry import Region, bounding_box, overlap
from steadyface.images import Frame, as_rgb
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.stabilizer import DEFAULT_STABILIZER, KINDS, Stabilizer, State, load_stabilizer
from steadyface.tracks import Meta, Tracks, TracksBuilder
from steadyface.video import ImageSequence, VideoFrame, VideoReader, open_frames

STABILIZERS = (*KINDS, "sta-offline", "none")
"""What `choose_stabilizer` knows by name, beside files."""

_SAME_FACE = 0.35  # overlap above which a detected box is a face that is tracked already
_TWINS = 0.6  # overlap above which two tracked faces have become one


@dataclass(frozen=True)
class TrackerConfig:
    """The tracker's numbers.

    Args:
        max_faces: most faces at a time, largest first.
        accept: least mean score of a newly found face.
        keep: least mean score of a face that is tracked already.
        redetect_seconds: how often new faces are looked for while there is room for one.
        memory_seconds: how long a lost face's identity is kept for its return.
    """

    max_faces: int = 4
    accept: float = 0.9
    keep: float = 0.7
    redetect_seconds: float = 2.0
    memory_seconds: float = 3.0

    def __post_init__(self) -> None:
        if self.max_faces < 1:
            raise ConfigError(f"max_faces must be at least 1, got {self.max_faces}")


@dataclass(frozen=True)
class Choice:
    """How points are to be made steady.

    Args:
        name: as it was asked for.
        causal: frame by frame while tracking; None leaves the raw points.
        offline: afterwards, with sight of the future; None where `causal` is all.
        lag: how many later frames each point may depend on; None means all.
    """

    name: str
    causal: Stabilizer | None = None
    offline: Stabilizer | None = None
    lag: int | None = None


@dataclass(frozen=True)
class TrackedFace:
    """One face in one frame, in image px.

    Args:
        face: identity, from 0.
        points: (68, 2) stabilised.
        raw_points: (68, 2) as the network gave them.
        scores: (68,) in [0, 1].
        box: (4,) x0, y0, x1, y1 of the stabilised points.
    """

    face: int
    points: Float[np.ndarray, "68 2"]
    raw_points: Float[np.ndarray, "68 2"]
    scores: Float[np.ndarray, "68"]
    box: Float[np.ndarray, "4"]


@dataclass(frozen=True)
class _Track:
    """What is remembered of a face."""

    face: int
    region: Region  # where the network looks next
    box: Float[np.ndarray, "4"]  # of the last raw points
    state: State | None  # the stabiliser's
    seen: float  # seconds of the last frame with it


class Tracker:
    """Follows faces through a video, one frame at a time.

    The detector runs only at the start, after a loss, and every few seconds while there is room for another
    face; otherwise the region comes from the last frame's raw landmarks, sub-pixel and smoothed by itself.

    Args:
        landmarker: None takes the default one.
        detector: any callable image → boxes; None takes a `FaceFinder`.
        stabilizer: a name or file as for `choose_stabilizer`, one that needs no future; or a `Stabilizer`.
        config: the tracker's numbers.
        fps: frame rate assumed where `step` is given no time.
    """

    def __init__(
        self,
        landmarker: Landmarker | None = None,
        detector: Detector | None = None,
        stabilizer: str | Stabilizer = DEFAULT_STABILIZER,
        config: TrackerConfig | None = None,
        fps: float = 25.0,
    ) -> None:
        if not fps > 0:
            raise ConfigError(f"fps must be positive, got {fps}")
        self.landmarker = landmarker or Landmarker()
        self.detector = detector or FaceFinder(device=self.landmarker.device)
        choice = choose_stabilizer(stabilizer)
        if choice.offline is not None:
            raise ConfigError(
                f"stabilizer {choice.name} needs the future: use steadyface.track or the command"
            )
        self.stabilizer = choice.causal
        self.stabilizer_name = choice.name
        self.config, self.fps = config or TrackerConfig(), fps
        self.reset()

    def reset(self) -> None:
        """Forget everything; identities start from 0 again."""
        self._tracks: list[_Track] = []
        self._lost: list[_Track] = []
        self._next_face = 0
        self._seconds: float | None = None
        self._searched = -math.inf

    def step(self, frame: np.ndarray, seconds: float | None = None) -> list[TrackedFace]:
        """Find the faces of the next frame.

        Args:
            frame: RGB uint8 (H, W, 3), of any size; it may change. Grey and RGBA are taken too.
            seconds: timestamp; None means one frame after the last at `fps`.

        Returns:
            The faces, in order of identity; empty where there are none.

        Raises:
            ConfigError: the frame is not uint8 of such a shape, or time does not move forward.
        """
        frame = as_rgb(frame)
        before = self._seconds
        if seconds is None:
            seconds = 0.0 if before is None else before + 1 / self.fps
        if before is not None and seconds <= before:
            raise ConfigError(f"time runs backwards: {seconds:.4f} s after {before:.4f} s")
        self._seconds = seconds
        seen = self._follow(frame)
        if self._should_search(seconds, lost=len(seen) < len(self._tracks)):
            seen += self._search(frame, seconds, [landmarks for _, landmarks in seen])
        dropped = {track.face for track in self._tracks} - {track.face for track, _ in seen}
        self._lost += [track for track in self._tracks if track.face in dropped]
        self._lost = [t for t in self._lost if seconds - t.seen <= self.config.memory_seconds]
        results = [self._update(track, landmarks, seconds) for track, landmarks in seen]
        results.sort(key=lambda result: result[0].face)
        self._tracks = [track for track, _ in results]
        return [face for _, face in results]

    def _follow(self, frame: Frame) -> list[tuple[_Track, Landmarks]]:
        """The tracked faces that are still there."""
        if not self._tracks:
            return []
        found = self.landmarker.predict_regions(frame, [track.region for track in self._tracks])
        seen: list[tuple[_Track, Landmarks]] = []
        for track, landmarks in zip(self._tracks, found, strict=True):
            twin = _overlaps(landmarks, [other for _, other in seen], _TWINS)
            if not twin and _is_face(landmarks, frame, self.config.keep):
                seen.append((track, landmarks))
        return seen

    def _should_search(self, seconds: float, lost: bool) -> bool:
        if lost or not self._tracks:
            return True
        room = len(self._tracks) < self.config.max_faces
        return room and seconds - self._searched >= self.config.redetect_seconds

    def _search(self, frame: Frame, seconds: float, known: list[Landmarks]) -> list[tuple[_Track, Landmarks]]:
        """Faces that the detector finds and the network confirms, largest first."""
        self._searched = seconds
        boxes = self.detector(frame)
        boxes = boxes[np.argsort(-(boxes[:, 2:] - boxes[:, :2]).prod(axis=1), kind="stable")]
        found: list[tuple[_Track, Landmarks]] = []
        for box in boxes:
            if len(known) >= self.config.max_faces:
                break
            if _box_overlaps(box, known, _SAME_FACE):
                continue
            landmarks = self._settle(frame, Region.around_box(box))
            if _is_face(landmarks, frame, self.config.accept) and not _overlaps(landmarks, known, _SAME_FACE):
                found.append((self._recall(landmarks, seconds), landmarks))
                known = [*known, landmarks]
        return found

    def _settle(self, frame: Frame, region: Region) -> Landmarks:
        """Predict twice, the second time in the region that tracking itself would use."""
        landmarks = self.landmarker.predict_regions(frame, [region])[0]
        return self.landmarker.predict_regions(frame, [_region(landmarks)])[0]

    def _recall(self, landmarks: Landmarks, seconds: float) -> _Track:
        """The lost face that was last seen here, or a new one; the stabiliser starts anew in both cases."""
        box = bounding_box(landmarks.points)
        for track in self._lost:
            if overlap(box[None], track.box[None])[0, 0] > 0:
                self._lost.remove(track)
                return replace(track, region=_region(landmarks), box=box, state=None)
        self._next_face += 1
        return _Track(self._next_face - 1, _region(landmarks), box, None, seconds)

    def _update(self, track: _Track, landmarks: Landmarks, seconds: float) -> tuple[_Track, TrackedFace]:
        raw = landmarks.points
        state, points = track.state, raw
        if self.stabilizer is not None:
            elapsed = None if state is None else seconds - track.seen
            state, points = self.stabilizer.step(state, raw, elapsed, landmarks.scores)
        region = _follow_region(track.region, _region(landmarks))
        face = TrackedFace(track.face, points, raw, landmarks.scores, bounding_box(points))
        return _Track(track.face, region, bounding_box(raw), state, seconds), face


def track(
    source: str | Path | Iterable[VideoFrame],
    *,
    stabilizer: str | Stabilizer = DEFAULT_STABILIZER,
    lag: int | None = None,
    decoder: str | None = None,
    max_faces: int = TrackerConfig.max_faces,
    device: str = "auto",
    weights: str | Path = "compact",
    min_face: float | None = None,
    fps: float = 25.0,
) -> Tracks:
    """Track all faces of a video, an image, or a folder of images.

    Args:
        source: path, or frames with timestamps.
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
    frames = open_frames(source, fps) if isinstance(source, str | Path) else source
    landmarker = Landmarker(weights, decoder=decoder, device=device)
    config = TrackerConfig(max_faces=max_faces)
    finder = FaceFinder(min_face=min_face, device=device)
    tracker = Tracker(landmarker, finder, stabilizer=choice.causal or "none", config=config)
    rows, count = TracksBuilder(), 0
    for frame, faces in follow(frames, tracker):
        add_rows(rows, frame, faces)
        count += 1
    tracks = rows.finish(describe(source, frames, tracker, count, choice))
    return tracks if choice.offline is None else tracks.smoothed(choice.offline, choice.lag)


def choose_stabilizer(stabilizer: str | Stabilizer, lag: int | None = None) -> Choice:
    """What a name, a file or an object asks for.

    Args:
        stabilizer: a bundled one's name, `sta-offline` (which sees the whole future), `none`, a `.json` file
            written by `steadyface fit-stabilizer`, or a `Stabilizer`.
        lag: how many later frames each point may depend on; None means none, or all with `sta-offline`.

    Raises:
        ConfigError: an unknown name, or a lag below 0 or for what has none.
        WeightsError: not a stabiliser's file.
    """
    if lag is not None and lag < 0:
        raise ConfigError(f"lag must be at least 0 frames, got {lag}")
    if stabilizer == "none":
        if lag:
            raise ConfigError("stabilizer none has no lag")
        return Choice("none")
    whole = stabilizer == "sta-offline"
    if isinstance(stabilizer, Stabilizer):
        chosen, name = stabilizer, stabilizer.kind
    elif whole:
        chosen, name = load_stabilizer(DEFAULT_STABILIZER), "sta-offline"
    elif stabilizer in STABILIZERS or stabilizer.endswith(".json"):
        chosen, name = load_stabilizer(stabilizer), stabilizer
    else:
        raise ConfigError.choice("stabilizer", stabilizer, [*STABILIZERS, "FILE.json"])
    if whole or chosen.offline or lag:
        chosen.smooth(np.empty((0, markup.COUNT, 2)), lag=lag)  # refused now, not after the tracking
        return Choice(name, offline=chosen, lag=lag)
    return Choice(name, causal=chosen)


def follow(frames: Iterable[VideoFrame], tracker: Tracker) -> Iterator[tuple[VideoFrame, list[TrackedFace]]]:
    """Each frame with its faces."""
    for frame in frames:
        yield frame, tracker.step(frame.image, frame.seconds)


def add_rows(rows: TracksBuilder, frame: VideoFrame, faces: list[TrackedFace]) -> None:
    """Append a frame's faces to a table."""
    for face in faces:
        rows.add(
            frame=frame.index,
            seconds=frame.seconds,
            face=face.face,
            points=face.points,
            raw_points=face.raw_points,
            scores=face.scores,
            box=face.box,
        )


def tracked_faces(tracks: Tracks) -> dict[int, list[TrackedFace]]:
    """The faces of each frame of a table, the inverse of `add_rows`."""
    faces: dict[int, list[TrackedFace]] = {}
    for row, frame in enumerate(tracks.frame.tolist()):
        columns = (getattr(tracks, name)[row] for name in ("points", "raw_points", "scores", "box"))
        faces.setdefault(frame, []).append(TrackedFace(int(tracks.face[row]), *columns))
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


def _region(landmarks: Landmarks) -> Region:
    """The square around a face's points, turned with the line of its eyes."""
    right, left = (landmarks.points[i] for i in markup.OUTER_EYE_CORNERS)
    roll = math.atan2(left[1] - right[1], left[0] - right[0])
    return Region.around_points(landmarks.points, roll)


def _follow_region(old: Region, new: Region) -> Region:
    """Towards the new region: slowly over the small differences that are noise, at once over large ones."""
    turn = math.remainder(new.roll - old.roll, 2 * math.pi)
    difference = (
        math.hypot(new.x - old.x, new.y - old.y) / new.side + abs(math.log(new.side / old.side)) + abs(turn)
    )
    share = min(1.0, 0.15 + difference / 0.1)
    side = old.side * (new.side / old.side) ** share
    return Region(
        old.x + share * (new.x - old.x), old.y + share * (new.y - old.y), side, old.roll + share * turn
    )


def _is_face(landmarks: Landmarks, frame: Frame, least: float) -> bool:
    """Whether the network believes in it, it is larger than a few pixels and its middle is in the frame."""
    x0, y0, x1, y1 = bounding_box(landmarks.points)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    height, width = frame.shape[:2]
    inside = 0 <= x < width and 0 <= y < height
    return bool(inside and min(x1 - x0, y1 - y0) > 8 and landmarks.scores.mean() >= least)


def _overlaps(landmarks: Landmarks, others: list[Landmarks], least: float) -> bool:
    return _box_overlaps(bounding_box(landmarks.points), others, least)


def _box_overlaps(box: Float[np.ndarray, "4"], others: list[Landmarks], least: float) -> bool:
    if not others:
        return False
    boxes = np.stack([bounding_box(other.points) for other in others])
    return bool(overlap(box[None], boxes).max() > least)
