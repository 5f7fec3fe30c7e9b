"""Frames → tracked faces, one frame at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float

from steadyface.detector import Detector, FaceFinder
from steadyface.errors import ConfigError
from steadyface.geometry import Region, bounding_box, box_of_pixels, contained, face_size, overlap
from steadyface.images import Frame, as_rgb
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.stabilizer import DEFAULT_STABILIZER, Stabilizer, State
from steadyface.tracker.association import assign, contested, distinct, twins
from steadyface.tracker.choice import choose_stabilizer
from steadyface.tracker.config import TrackerConfig
from steadyface.tracker.cuts import SceneCuts
from steadyface.tracker.identity import Identity, Look, look_at
from steadyface.tracker.presence import Witness
from steadyface.tracker.region import ahead, approach, face_region

_SAME_FACE = 0.35  # overlap above which a detected box is a face that is tracked already
_STRANGER = 3.0  # distance from which on a found face is not the one that was lost
_LOYALTY = 1.0  # distance by which another face must suit a tracked identity better for it to change over
_SMALLEST = 8.0  # px of a face
_NEAR = 2.0  # face sizes between two faces of which one may hide the other
_HAIR = 0.4  # sizes of a face to each side of it in which its head may hide another's face
_WHOLE = 0.95  # share of a face inside the frame from which on its look tells who it is
_JUMP, _JUMP_LATER = (
    0.25,
    1.5,
)  # face sizes off its path, and more for each second, that a face may get at once
_SWIFTNESS = 0.5  # share of a new velocity in the running mean
_FORESIGHT = 0.2  # s for which a face's motion is taken to go on as it was
_RETRY_SECONDS = 0.1  # how often a face that was lost lately is looked for
_TURNS = 4  # frames, at least, until the witness is asked about the same face again
_DOUBTS = 3  # frames in a row that lose a face


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
class _Sight:
    """A face as one frame shows it."""

    landmarks: Landmarks
    look: Look
    clear: bool  # all of it is in sight

    @property
    def points(self) -> Float[np.ndarray, "68 2"]:
        return self.landmarks.points


@dataclass(frozen=True)
class _Track:
    """What is remembered of a face, tracked or lost."""

    identity: Identity
    region: Region  # around it in the last frame
    state: State | None = None  # the stabiliser's
    shown: TrackedFace | None = None  # in the last frame with it
    seen: float = -math.inf  # seconds of that frame
    velocity: Float[np.ndarray, "2"] = field(default_factory=lambda: np.zeros(2))  # px/s, even while hidden
    doubts: int = 0  # whether it is this face, or one at all: frames in a row
    rival: int | None = None  # the face that it was lost to, in front of it

    @property
    def face(self) -> int:
        return self.identity.face

    def distance(self, sight: _Sight, seconds: float) -> float:
        return self.identity.distance(sight.points, sight.look, seconds, sight.clear)

    def jumped_to(self, sight: _Sight, seconds: float) -> bool:
        """Whether it would have left its path faster than a head can."""
        if self.shown is None:
            return False
        elapsed = seconds - self.seen
        moved = (sight.points - self.shown.raw_points).mean(axis=0) - self.velocity * min(elapsed, _FORESIGHT)
        reach = float(face_size(self.shown.raw_points)) * (_JUMP + _JUMP_LATER * elapsed)
        return float(np.linalg.norm(moved)) > reach

    def next_region(self, seconds: float) -> Region:
        return ahead(self.region, self.velocity * min(seconds - self.seen, _FORESIGHT))


_Seen = tuple[_Track, _Sight]


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
        self._tracks = sorted(self._update(seconds, seen), key=lambda track: track.face)
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

    def _follow(self, frame: Frame, seconds: float) -> list[_Seen]:
        """The tracked faces that are still there; the others become lost ones."""
        self._lost = [track for track in self._lost if seconds - track.seen <= self.config.memory_seconds]
        if not self._tracks:
            return []
        found = self.landmarker.predict_regions(frame, [track.next_region(seconds) for track in self._tracks])
        seen = []
        owned = self._owners(seconds, _sights(frame, found))
        for track, sight in owned:
            track = replace(track, doubts=self._doubts(track, frame, sight, seconds))
            if track.doubts < _DOUBTS and _is_face(sight.landmarks, frame, self.config.keep):
                seen.append((track, sight))
            else:
                self._lost.append(replace(track, rival=_neighbour(track, sight, owned)))
        return seen

    def _owners(self, seconds: float, sights: list[_Sight]) -> list[_Seen]:
        """Each sight with the track it belongs to; of two on one face only the better owner keeps it."""
        points = _points(sights)
        if not contested(points).any():
            return list(zip(self._tracks, sights, strict=True))
        kept = distinct(points, np.array([sight.landmarks.scores.mean() for sight in sights]))
        own = twins(points, points[kept])
        sights = [sights[i] for i in kept]
        in_front = [replace(sight, clear=True) for sight in sights]
        costs = [[track.distance(sight, seconds) for sight in in_front] for track in self._tracks]
        pairs = assign(np.array(costs) - _LOYALTY * own, most=math.inf)
        owners = {column: self._tracks[row].face for row, column in pairs}
        for row in set(range(len(self._tracks))) - {row for row, _ in pairs}:
            self._lost.append(replace(self._tracks[row], rival=owners[int(own[row].argmax())]))
        return [(self._tracks[row], sights[column]) for row, column in pairs]

    def _doubts(self, track: _Track, frame: Frame, sight: _Sight, seconds: float) -> int:
        """How many times in a row the face's look or the witness spoke against it; a jump tells at once.

        The witness is asked about each face in turn, and about one in doubt at once.
        """
        if self.config.confirm <= 0:
            return 0
        if track.jumped_to(sight, seconds):
            return _DOUBTS
        against = sight.clear and not track.identity.known_as(sight.look)
        if track.doubts or track.face == self._turn:
            against |= self._witness.confidence(frame, sight.points) < self.config.confirm
        return track.doubts + 1 if against else 0

    def _should_search(self, seconds: float, seen: list[_Seen]) -> bool:
        if not seen:
            return True
        if len(seen) >= self.config.max_faces:
            return False
        newly_lost = len(seen) < len(self._tracks)
        wait = self.config.redetect_seconds
        wait = min(wait, _RETRY_SECONDS) if self._lost else wait
        return newly_lost or seconds - self._searched >= wait

    def _search(self, frame: Frame, seconds: float, seen: list[_Seen]) -> list[_Seen]:
        """With the faces that the detector finds and the network confirms, largest first."""
        self._searched = seconds
        known = _points([sight for _, sight in seen])
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
        if not found:
            return seen
        clear = _clear(frame, known)[len(seen) :]
        sights = [
            _Sight(each, look_at(frame, each.points), bool(c)) for each, c in zip(found, clear, strict=True)
        ]
        return self._name(seconds, seen, sights)

    def _settle(self, frame: Frame, boxes: Float[np.ndarray, "faces 4"]) -> Landmarks:
        """Predict twice, the second time in the regions that tracking itself would use."""
        first = self.landmarker.predict_regions(frame, [Region.around_box(box) for box in boxes])
        return self.landmarker.predict_regions(frame, [face_region(points) for points in first.points])

    def _name(self, seconds: float, seen: list[_Seen], found: list[_Sight]) -> list[_Seen]:
        """Give found faces to the identities that were lost, or new ones.

        A tracked face that a lost one was hidden by takes part: now that both are in sight, their looks and
        paths say which was in front.
        """
        rivals = {track.rival for track in self._lost}
        in_front = [(track, replace(sight, clear=True)) for track, sight in seen if track.face in rivals]
        claims = [*self._lost, *(track for track, _ in in_front)]
        sights = [*found, *(sight for _, sight in in_front)]
        costs = np.array([[claim.distance(sight, seconds) for sight in sights] for claim in claims])
        costs = costs.reshape(len(claims), len(sights))
        own = np.zeros(costs.shape, bool)
        own[len(self._lost) :, len(found) :] = np.eye(len(in_front), dtype=bool)
        costs[own] = np.minimum(costs[own], _STRANGER) - _LOYALTY
        rows = {column: row for row, column in assign(costs, most=_STRANGER)}
        self._lost = [claim for row, claim in enumerate(claims) if row not in rows.values()]
        named = [(track, sight) for track, sight in seen if track.face not in rivals]
        for column, sight in enumerate(sights):
            row = rows.get(column)
            if row is None:
                identity = self._new_identity(sight, seconds)
            elif own[row, column]:
                identity = claims[row].identity
            else:
                identity = claims[row].identity.returned(sight.points, seconds)
            if column < len(found):
                track = _Track(identity, face_region(sight.points))
            else:
                track = replace(in_front[column - len(found)][0], identity=identity)
            named.append((track, sight))
        return named

    def _new_identity(self, sight: _Sight, seconds: float) -> Identity:
        self._next_face += 1
        return Identity.of(self._next_face - 1, sight.points, sight.look, seconds)

    def _update(self, seconds: float, seen: list[_Seen]) -> list[_Track]:
        """The tracks after this frame; of a face that is not in clear sight path and looks are not learnt."""
        rivals = {track.rival for track in self._lost}
        hiding = contested(_points([sight for _, sight in seen]))
        tracks = []
        for (track, sight), hides in zip(seen, hiding, strict=True):
            if not hides and track.face not in rivals:
                identity = track.identity.moved(sight.points, seconds)
                track = replace(track, identity=identity.seen_as(sight.look) if sight.clear else identity)
            tracks.append(self._show(track, sight.landmarks, seconds))
        return tracks

    def _show(self, track: _Track, landmarks: Landmarks, seconds: float) -> _Track:
        """With its stabilised shape."""
        raw = landmarks.points
        state, points = track.state, raw
        if self.stabilizer is not None:
            elapsed = None if state is None else seconds - track.seen
            state, points = self.stabilizer.step(state, raw, elapsed, landmarks.scores)
        shown = TrackedFace(track.face, points, raw, landmarks.scores, bounding_box(points))
        region, velocity = approach(track.region, face_region(raw)), track.velocity
        if track.shown is not None:
            moved = (raw - track.shown.raw_points).mean(axis=0) / (seconds - track.seen)
            velocity = velocity + _SWIFTNESS * (moved - velocity)
        return replace(track, region=region, state=state, shown=shown, seen=seconds, velocity=velocity)

    def _held(self, seconds: float) -> list[TrackedFace]:
        """The last shapes of the faces that were lost a moment ago, latest first."""
        held = []
        for track in sorted(self._lost, key=lambda track: -track.seen):
            left = 1.0 - (seconds - track.seen) / max(self.config.grace_seconds, 1e-9)
            if track.shown is not None and left > 1e-6:
                held.append(replace(track.shown, scores=track.shown.scores * left, held=True))
        return held


def _sights(frame: Frame, found: Landmarks) -> list[_Sight]:
    """What a frame shows of the faces found."""
    clear = _clear(frame, found.points)
    return [_Sight(each, look_at(frame, each.points), bool(c)) for each, c in zip(found, clear, strict=True)]


def _neighbour(track: _Track, sight: _Sight, seen: list[_Seen]) -> int | None:
    """The other face that is nearest, if it is near enough to hide this one."""
    others = [(other.face, each.points) for other, each in seen if other.face != track.face]
    away = {face: float(np.linalg.norm((points - sight.points).mean(axis=0))) for face, points in others}
    nearest = min(away, key=away.__getitem__, default=None)
    return nearest if nearest is not None and away[nearest] < _NEAR * face_size(sight.points) else None


def _clear(frame: Frame, points: Float[np.ndarray, "faces 68 2"]) -> Bool[np.ndarray, "faces"]:
    """Which faces are in sight as a whole: hidden neither by another nor by the frame's border."""
    height, width = frame.shape[:2]
    whole = contained(bounding_box(points), box_of_pixels(0, 0, width, height)[None])[:, 0]
    return ~contested(points, _HAIR) & (whole > _WHOLE)


def _points(sights: Sequence[_Sight]) -> Float[np.ndarray, "faces 68 2"]:
    return np.array([sight.points for sight in sights]).reshape(-1, 68, 2)


def _is_face(landmarks: Landmarks, frame: Frame, least: float) -> bool:
    """Whether the network believes in it, it is larger than a few pixels and its middle is in the frame."""
    x0, y0, x1, y1 = bounding_box(landmarks.points)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    height, width = frame.shape[:2]
    inside = 0 <= x < width and 0 <= y < height
    return bool(inside and min(x1 - x0, y1 - y0) > _SMALLEST and landmarks.scores.mean() >= least)
