"""Frames → tracked faces, one frame at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from steadyface.detector import Detector, FaceFinder
from steadyface.errors import ConfigError
from steadyface.geometry import Region, bounding_box, iou
from steadyface.images import Frame, as_rgb
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.stabilizer import DEFAULT_STABILIZER, Stabilizer
from steadyface.stabilizer.choice import choose_stabilizer
from steadyface.tracking.appearance import Identity
from steadyface.tracking.config import TrackerConfig
from steadyface.tracking.matching import assign, contested, distinct, twins
from steadyface.tracking.prefetch import Foresight, Regions
from steadyface.tracking.roi import approach, face_region
from steadyface.tracking.shots import SceneCuts
from steadyface.tracking.track import (
    Seen,
    Sight,
    Track,
    TrackedFace,
    is_face,
    neighbour,
    points_of,
    sights_of,
)
from steadyface.tracking.verifier import Witness
from steadyface.video import VideoFrame

_SAME_FACE = 0.35  # overlap above which a detected box is a face that is tracked already
_STRANGER = 3.0  # distance from which on a found face is not the one that was lost
_LOYALTY = 1.0  # distance by which another face must suit a tracked identity better for it to change over
_RETRY_SECONDS = 0.1  # how often a face that was lost lately is looked for
_ASK_SECONDS = 0.2  # how often the witness is asked about a face, if its turn comes
_DOUBTS = 3  # frames in a row that lose a face


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
        device, threads = self.landmarker.device, self.landmarker.threads
        self.detector = detector or FaceFinder(device=device, threads=threads)
        choice = choose_stabilizer(stabilizer)
        if choice.offline is not None:
            raise ConfigError(
                f"stabilizer {choice.name} needs the future: use steadyface.track or the command"
            )
        self.stabilizer = choice.causal
        self.stabilizer_name = choice.name
        self.config, self.fps = config or TrackerConfig(), fps
        finder = self.detector if isinstance(self.detector, FaceFinder) else None
        self._witness = Witness(finder or FaceFinder(device=device, threads=threads))
        self._cuts = SceneCuts()
        self._foresight = Foresight(self.landmarker)
        self.reset()

    def reset(self) -> None:
        """Forget everything; identities start from 0 again."""
        self._cuts.reset()
        self._next_face = 0
        self._seconds: float | None = None
        self._forget_faces()

    def _forget_faces(self, but: Sequence[Track] = ()) -> None:
        self._tracks: list[Track] = list(but)
        self._lost: list[Track] = []
        self._searched = -math.inf

    def step(
        self, frame: np.ndarray, seconds: float | None = None, upcoming: VideoFrame | None = None
    ) -> list[TrackedFace]:
        """Find the faces of the next frame.

        Args:
            frame: RGB uint8 (H, W, 3), of any size; it may change. Grey and RGBA are taken too.
            seconds: timestamp; None means one frame after the last at `fps`.
            upcoming: the frame after it, where that is at hand: the network begins with it at once, in the
                regions that were to be expected a frame ago, which keeps a second core busy.

        Returns:
            The faces, in order of identity; empty where there are none. Those that were lost less than
            `grace_seconds` ago are among them, marked `held`.

        Raises:
            ConfigError: the frame is not uint8 of such a shape, or time does not move forward.
        """
        frame = as_rgb(frame)
        seconds = self._advance(seconds)
        if self._cuts.step(frame):
            self._forget_faces([track for track in self._tracks if track.is_untouched(frame)])
        seen = self._follow(frame, seconds, upcoming)
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
        return seconds

    def _follow(self, frame: Frame, seconds: float, upcoming: VideoFrame | None) -> list[Seen]:
        """The tracked faces that are still there; the others become lost ones."""
        self._lost = [track for track in self._lost if seconds - track.seen <= self.config.memory_seconds]
        if not self._tracks:
            return []
        later = None if upcoming is None else (upcoming.image, self._regions(upcoming.seconds))
        found = self._foresight.find(frame, self._regions(seconds), later)
        seen = []
        owned = self._owners(seconds, sights_of(frame, found))
        turn = min(self._tracks, key=lambda track: track.asked)
        for track, sight in owned:
            asked = track.doubts > 0 or (track is turn and seconds - track.asked >= _ASK_SECONDS)
            track = replace(
                track,
                doubts=self._doubts(track, frame, sight, seconds, asked),
                asked=seconds if asked else track.asked,
            )
            if track.doubts < _DOUBTS and is_face(sight.landmarks, frame, self.config.keep):
                seen.append((track, sight))
            else:
                self._lost.append(replace(track, rival=neighbour(track.face, sight, owned)))
        return seen

    def _regions(self, seconds: float) -> Regions:
        """Where the tracked faces are to be looked for."""
        return {track.face: track.next_region(seconds) for track in self._tracks}

    def _owners(self, seconds: float, sights: list[Sight]) -> list[Seen]:
        """Each sight with the track it belongs to; of two on one face only the better owner keeps it."""
        points = points_of(sights)
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

    def _doubts(self, track: Track, frame: Frame, sight: Sight, seconds: float, asked: bool) -> int:
        """How many times in a row the face's look or the witness spoke against it; a jump tells at once.

        A look speaks against it that is another's all of a sudden: a face turns and grimaces bit by bit. The
        witness is asked about each face in turn, and about one in doubt at once.
        """
        if self.config.confirm <= 0:
            return 0
        if track.jumped_to(sight, seconds):
            return _DOUBTS
        against = sight.clear and not track.identity.known_as(sight.look)
        against &= track.doubts > 0 or track.looks_changed(sight)
        if asked:
            against |= self._witness.confidence(frame, sight.points) < self.config.confirm
        return track.doubts + 1 if against else 0

    def _should_search(self, seconds: float, seen: list[Seen]) -> bool:
        if not seen:
            return True
        if len(seen) >= self.config.max_faces:
            return False
        newly_lost = len(seen) < len(self._tracks)
        wait = self.config.redetect_seconds
        wait = min(wait, _RETRY_SECONDS) if self._lost else wait
        return newly_lost or seconds - self._searched >= wait

    def _search(self, frame: Frame, seconds: float, seen: list[Seen]) -> list[Seen]:
        """With the faces that the detector finds and the network confirms, largest first."""
        self._searched = seconds
        known = points_of([sight for _, sight in seen])
        boxes = self.detector(frame)
        boxes = boxes[np.argsort(-(boxes[:, 2:] - boxes[:, :2]).prod(axis=1), kind="stable")]
        boxes = boxes[~(iou(boxes, bounding_box(known)) > _SAME_FACE).any(axis=1)]
        found: list[Landmarks] = []
        while len(boxes) and (room := self.config.max_faces - len(known)) > 0:
            for landmarks in self._settle(frame, boxes[:room]):
                shape = landmarks.points[None]
                if is_face(landmarks, frame, self.config.accept) and not twins(shape, known).any():
                    found.append(landmarks)
                    known = np.concatenate([known, shape])
            boxes = boxes[room:]
        if not found:
            return seen
        sights = sights_of(frame, found, points_of([sight for _, sight in seen]))
        return self._name(seconds, seen, sights)

    def _settle(self, frame: Frame, boxes: Float[np.ndarray, "faces 4"]) -> Landmarks:
        """Predict twice, the second time in the regions that tracking itself would use."""
        first = self.landmarker.predict_regions(frame, [Region.around_box(box) for box in boxes])
        return self.landmarker.predict_regions(frame, [face_region(points) for points in first.points])

    def _name(self, seconds: float, seen: list[Seen], found: list[Sight]) -> list[Seen]:
        """Give found faces to the identities that were lost, or new ones.

        A tracked face that a lost one was hidden by takes part, and so does one beside a found face: now that
        both are in sight, their looks and paths say which was in front.
        """
        rivals = {track.rival for track in self._lost} | {neighbour(None, sight, seen) for sight in found}
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
                track = Track(identity, face_region(sight.points))
            else:
                track = replace(in_front[column - len(found)][0], identity=identity)
            named.append((track, sight))
        return named

    def _new_identity(self, sight: Sight, seconds: float) -> Identity:
        self._next_face += 1
        return Identity.of(self._next_face - 1, sight.points, sight.look, seconds, sight.clear)

    def _update(self, seconds: float, seen: list[Seen]) -> list[Track]:
        """The tracks after this frame."""
        rivals = {track.rival for track in self._lost}
        hiding = contested(points_of([sight for _, sight in seen]))
        tracks = []
        for (track, sight), hides in zip(seen, hiding, strict=True):
            if not hides and track.face not in rivals:
                track = replace(track, identity=self._learnt(track.identity, sight, seconds))
            tracks.append(self._show(track, sight, seconds))
        return tracks

    def _learnt(self, identity: Identity, sight: Sight, seconds: float) -> Identity:
        """With the path and look of a sight that does not look like another; a changed look comes in time."""
        if not sight.clear:
            return identity.moved(sight.points, seconds)
        if not identity.known_as(sight.look):
            if seconds - identity.seconds <= self.config.memory_seconds:
                return identity
            identity = replace(identity, clear=False)
        return identity.moved(sight.points, seconds).seen_as(sight.look)

    def _show(self, track: Track, sight: Sight, seconds: float) -> Track:
        """With its stabilised shape."""
        raw, scores = sight.points, sight.landmarks.scores
        state, points = track.state, raw
        if self.stabilizer is not None:
            elapsed = None if state is None else seconds - track.seen
            state, points = self.stabilizer.step(state, raw, elapsed, scores)
        shown = TrackedFace(track.face, points, raw, scores, bounding_box(points))
        return replace(
            track,
            region=approach(track.region, face_region(raw)),
            state=state,
            shown=shown,
            seen=seconds,
            velocity=track.velocity_at(raw, seconds),
            look=sight.look if sight.clear else track.look,
        )

    def _held(self, seconds: float) -> list[TrackedFace]:
        """The last shapes of the faces that were lost a moment ago, latest first."""
        held = []
        for track in sorted(self._lost, key=lambda track: -track.seen):
            left = 1.0 - (seconds - track.seen) / max(self.config.grace_seconds, 1e-9)
            if track.shown is not None and left > 1e-6:
                held.append(replace(track.shown, scores=track.shown.scores * left, held=True))
        return held
