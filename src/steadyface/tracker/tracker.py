"""Frames → tracked faces, one frame at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from steadyface.detector import Detector, FaceFinder
from steadyface.errors import ConfigError
from steadyface.geometry import Region, bounding_box, overlap
from steadyface.images import Frame, as_rgb
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.stabilizer import DEFAULT_STABILIZER, Stabilizer, State
from steadyface.tracker.association import assign, contested, distinct, twins
from steadyface.tracker.choice import choose_stabilizer
from steadyface.tracker.config import TrackerConfig
from steadyface.tracker.cuts import SceneCuts
from steadyface.tracker.identity import Identity, Look, look_at
from steadyface.tracker.presence import Witness
from steadyface.tracker.region import approach, face_region

_SAME_FACE = 0.35  # overlap above which a detected box is a face that is tracked already
_STRANGER = 3.0  # distance from which on a found face is not the one that was lost
_LOYALTY = 1.0  # distance by which another face must suit a tracked identity better for it to change over
_SMALLEST = 8.0  # px of a face
_RETRY_SECONDS = 0.1  # how often a face that was lost lately is looked for
_TURNS = 4  # frames from one turn of a face to its next, at least: the witness is asked, its look is learnt
_DOUBTS = 3  # answers in a row that lose a face


@dataclass(frozen=True)
class TrackedFace:
    """One face in one frame, in image px.

    Args:
        face: identity, from 0.
        points: (68, 2) stabilised.
        raw_points: (68, 2) as the network gave them.
        scores: (68,) in [0, 1].
        box: (4,) x0, y0, x1, y1 of the stabilised points.
        held: whether the face is lost, and this its last shape; scores fall until it is dropped.
    """

    face: int
    points: Float[np.ndarray, "68 2"]
    raw_points: Float[np.ndarray, "68 2"]
    scores: Float[np.ndarray, "68"]
    box: Float[np.ndarray, "4"]
    held: bool = False


@dataclass(frozen=True)
class _Track:
    """What is remembered of a face, tracked or lost."""

    identity: Identity
    region: Region  # where the network looks next
    state: State | None = None  # the stabiliser's
    shown: TrackedFace | None = None  # in the last frame with it
    seen: float = -math.inf  # seconds of that frame
    doubts: int = 0  # of the witness, in a row
    rival: int | None = None  # the face that it was lost to, in front of it

    @property
    def face(self) -> int:
        return self.identity.face


_Sight = tuple[_Track, Landmarks]


class Tracker:
    """Follows faces through a video, one frame at a time.

    The detector runs only at the start, after a cut or a loss, and every few seconds while there is room for
    another face; otherwise the region comes from the last frame's raw landmarks, sub-pixel and smoothed by
    itself. Where two tracked shapes come to lie on one face, it is given to the identity whose path and looks
    suit it; the other is hidden, held for a while, and later found again.

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
        finder = self.detector if isinstance(self.detector, FaceFinder) else None
        self._witness = Witness(finder or FaceFinder(device=self.landmarker.device))
        self._cuts = SceneCuts()
        self.reset()

    def reset(self) -> None:
        """Forget everything; identities start from 0 again."""
        self._cuts.reset()
        self._next_face = 0
        self._frames = 0
        self._seconds: float | None = None
        self._forget_faces()

    def _forget_faces(self) -> None:
        self._tracks: list[_Track] = []
        self._lost: list[_Track] = []
        self._searched = -math.inf

    def step(self, frame: np.ndarray, seconds: float | None = None) -> list[TrackedFace]:
        """Find the faces of the next frame.

        Args:
            frame: RGB uint8 (H, W, 3), of any size; it may change. Grey and RGBA are taken too.
            seconds: timestamp; None means one frame after the last at `fps`.

        Returns:
            The faces, in order of identity; empty where there are none. Those that were lost less than
            `grace_seconds` ago are among them, marked `held`.

        Raises:
            ConfigError: the frame is not uint8 of such a shape, or time does not move forward.
        """
        frame = as_rgb(frame)
        seconds = self._advance(seconds)
        if self._cuts.step(frame):
            self._forget_faces()
        seen = self._follow(frame, seconds)
        if self._should_search(seconds, seen):
            seen = self._search(frame, seconds, seen)
        self._tracks = sorted(self._update(frame, seconds, seen), key=lambda track: track.face)
        faces = [track.shown for track in self._tracks if track.shown is not None]
        faces += self._held(seconds)[: self.config.max_faces - len(faces)]
        return sorted(faces, key=lambda face: face.face)

    def _advance(self, seconds: float | None) -> float:
        before = self._seconds
        if seconds is None:
            seconds = 0.0 if before is None else before + 1 / self.fps
        if before is not None and seconds <= before:
            raise ConfigError(f"time runs backwards: {seconds:.4f} s after {before:.4f} s")
        self._seconds = seconds
        self._frames += 1
        turn = self._frames % max(_TURNS, len(self._tracks))
        self._turn = self._tracks[turn].face if turn < len(self._tracks) else None
        return seconds

    def _follow(self, frame: Frame, seconds: float) -> list[_Sight]:
        """The tracked faces that are still there; the others become lost ones."""
        self._lost = [track for track in self._lost if seconds - track.seen <= self.config.memory_seconds]
        if not self._tracks:
            return []
        found = self.landmarker.predict_regions(frame, [track.region for track in self._tracks])
        seen = []
        for track, landmarks in self._owners(frame, seconds, found):
            doubted = self._ask_witness(track, frame, landmarks)
            if doubted.doubts < _DOUBTS and _is_face(landmarks, frame, self.config.keep):
                seen.append((doubted, landmarks))
            else:
                self._lost.append(track)
        return seen

    def _owners(self, frame: Frame, seconds: float, found: Landmarks) -> list[_Sight]:
        """Each shape with the track that it belongs to; of two on one face only the better owner keeps it."""
        if not contested(found.points).any():
            return list(zip(self._tracks, found, strict=True))
        kept = distinct(found.points, found.scores.mean(axis=1))
        shapes = [found[i] for i in kept]
        looks = [look_at(frame, shape.points) for shape in shapes]
        own = twins(found.points, found.points[kept])
        costs = _distances(self._tracks, shapes, looks, seconds) - _LOYALTY * own
        pairs = assign(costs, most=math.inf)
        owners = {column: self._tracks[row].face for row, column in pairs}
        for row in set(range(len(self._tracks))) - {row for row, _ in pairs}:
            self._lost.append(replace(self._tracks[row], rival=owners[int(own[row].argmax())]))
        return [(self._tracks[row], shapes[column]) for row, column in pairs]

    def _ask_witness(self, track: _Track, frame: Frame, landmarks: Landmarks) -> _Track:
        """With its doubts counted; one face has its turn now and then, one in doubt at once."""
        if self.config.confirm <= 0 or not (track.doubts or track.face == self._turn):
            return track
        confident = self._witness.confidence(frame, landmarks.points) >= self.config.confirm
        return replace(track, doubts=0 if confident else track.doubts + 1)

    def _should_search(self, seconds: float, seen: list[_Sight]) -> bool:
        if not seen:
            return True
        if len(seen) >= self.config.max_faces:
            return False
        newly_lost = len(seen) < len(self._tracks)
        wait = self.config.redetect_seconds
        wait = min(wait, _RETRY_SECONDS) if self._lost else wait
        return newly_lost or seconds - self._searched >= wait

    def _search(self, frame: Frame, seconds: float, seen: list[_Sight]) -> list[_Sight]:
        """With the faces that the detector finds and the network confirms, largest first."""
        self._searched = seconds
        known = np.array([landmarks.points for _, landmarks in seen]).reshape(-1, 68, 2)
        boxes = self.detector(frame)
        boxes = boxes[np.argsort(-(boxes[:, 2:] - boxes[:, :2]).prod(axis=1), kind="stable")]
        boxes = boxes[~(overlap(boxes, bounding_box(known)) > _SAME_FACE).any(axis=1)]
        found: list[Landmarks] = []
        while len(boxes) and (room := self.config.max_faces - len(known)) > 0:
            for landmarks in self._settle(frame, boxes[:room]):
                shape = landmarks.points[None]
                if _is_face(landmarks, frame, self.config.accept) and not twins(shape, known).any():
                    found.append(landmarks)
                    known = np.concatenate([known, shape])
            boxes = boxes[room:]
        return self._name(frame, seconds, seen, found) if found else seen

    def _settle(self, frame: Frame, boxes: Float[np.ndarray, "faces 4"]) -> Landmarks:
        """Predict twice, the second time in the regions that tracking itself would use."""
        first = self.landmarker.predict_regions(frame, [Region.around_box(box) for box in boxes])
        return self.landmarker.predict_regions(frame, [face_region(points) for points in first.points])

    def _name(self, frame: Frame, seconds: float, seen: list[_Sight], found: list[Landmarks]) -> list[_Sight]:
        """Give found faces to the identities that were lost, or new ones.

        A tracked face that a lost one was hidden by takes part: now that both are in sight, their looks and
        paths say which was in front.
        """
        rivals = {track.rival for track in self._lost}
        in_front = [sight for sight in seen if sight[0].face in rivals]
        claims = [*self._lost, *(track for track, _ in in_front)]
        shapes = [*found, *(landmarks for _, landmarks in in_front)]
        looks = [look_at(frame, landmarks.points) for landmarks in shapes]
        costs = _distances(claims, shapes, looks, seconds)
        own = np.eye(len(claims), len(shapes), len(found) - len(self._lost), dtype=bool)
        own[: len(self._lost)] = False
        costs[own] = np.minimum(costs[own], _STRANGER) - _LOYALTY
        rows = {column: row for row, column in assign(costs, most=_STRANGER)}
        self._lost = [claim for row, claim in enumerate(claims) if row not in rows.values()]
        named = [sight for sight in seen if sight[0].face not in rivals]
        for column, (landmarks, look) in enumerate(zip(shapes, looks, strict=True)):
            points, row = landmarks.points, rows.get(column)
            if row is None:
                identity = Identity.of(self._next_face, points, look, seconds)
                self._next_face += 1
            else:
                identity = claims[row].identity
                identity = identity if own[row, column] else identity.returned(points, seconds)
            if column < len(found):
                track = _Track(identity, face_region(points))
            else:
                track = replace(in_front[column - len(found)][0], identity=identity)
            named.append((track, landmarks))
        return named

    def _update(self, frame: Frame, seconds: float, seen: list[_Sight]) -> list[_Track]:
        """The tracks after this frame; what is hidden, or hides another, learns nothing of path and looks."""
        points = np.array([landmarks.points for _, landmarks in seen]).reshape(-1, 68, 2)
        crossing = contested(points)
        rivals = {track.rival for track in self._lost}
        tracks = []
        for (track, landmarks), hidden in zip(seen, crossing, strict=True):
            if not hidden and track.face not in rivals:
                identity = track.identity.moved(landmarks.points, seconds)
                if track.face == self._turn:
                    identity = identity.seen_as(look_at(frame, landmarks.points))
                track = replace(track, identity=identity)
            tracks.append(self._show(track, landmarks, seconds))
        return tracks

    def _show(self, track: _Track, landmarks: Landmarks, seconds: float) -> _Track:
        """With its stabilised shape."""
        raw = landmarks.points
        state, points = track.state, raw
        if self.stabilizer is not None:
            elapsed = None if state is None else seconds - track.seen
            state, points = self.stabilizer.step(state, raw, elapsed, landmarks.scores)
        shown = TrackedFace(track.face, points, raw, landmarks.scores, bounding_box(points))
        region = approach(track.region, face_region(raw))
        return replace(track, region=region, state=state, shown=shown, seen=seconds)

    def _held(self, seconds: float) -> list[TrackedFace]:
        """The last shapes of the faces that were lost a moment ago, latest first."""
        held = []
        for track in sorted(self._lost, key=lambda track: -track.seen):
            left = 1.0 - (seconds - track.seen) / max(self.config.grace_seconds, 1e-9)
            if track.shown is not None and left > 0:
                held.append(replace(track.shown, scores=track.shown.scores * left, held=True))
        return held


def _distances(
    claims: Sequence[_Track], shapes: Sequence[Landmarks], looks: Sequence[Look], seconds: float
) -> Float[np.ndarray, "claims shapes"]:
    """`Identity.distance` of every claim and shape."""
    sights = list(zip(shapes, looks, strict=True))
    costs = [
        [claim.identity.distance(shape.points, look, seconds) for shape, look in sights] for claim in claims
    ]
    return np.array(costs).reshape(len(claims), len(shapes))


def _is_face(landmarks: Landmarks, frame: Frame, least: float) -> bool:
    """Whether the network believes in it, it is larger than a few pixels and its middle is in the frame."""
    x0, y0, x1, y1 = bounding_box(landmarks.points)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    height, width = frame.shape[:2]
    inside = 0 <= x < width and 0 <= y < height
    return bool(inside and min(x1 - x0, y1 - y0) > _SMALLEST and landmarks.scores.mean() >= least)
