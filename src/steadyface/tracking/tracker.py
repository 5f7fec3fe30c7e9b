"""Tracker: video frames → tracked faces, one frame at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from steadyface.detector import Detector, FaceFinder
from steadyface.errors import ConfigError
from steadyface.identity import IdentityEncoder
from steadyface.landmarker import Landmarker, LandmarkModel
from steadyface.picture import Picture, as_picture
from steadyface.stabilizer import DEFAULT_STABILIZER, Stabilizer
from steadyface.tracking.appearance import Estimate, Observation, observe, points_of
from steadyface.tracking.carrying import LandmarkSource
from steadyface.tracking.config import TrackerConfig
from steadyface.tracking.detection import FaceSearch, LeftOut, predict_new_faces
from steadyface.tracking.matching import assign, find_occluder, near_others, same_face, suppress_duplicates
from steadyface.tracking.network_thread import NetworkThread
from steadyface.tracking.parts import FaceFilter, FrameClock, causal_filter, check_parts
from steadyface.tracking.people import Namer, load_people
from steadyface.tracking.persons import EndedFaces, PersonCheck
from steadyface.tracking.schedule import AUTO, Schedule
from steadyface.tracking.shots import CutDetector, Transition
from steadyface.tracking.skin import Followed
from steadyface.tracking.steadying import follow_faces, steady_faces
from steadyface.tracking.track import Match, Track, TrackedFace, rescale_tracks
from steadyface.tracking.verifier import FaceVerifier, is_face
from steadyface.video import VideoFrame


class Tracker:
    """Tracks faces through a video, one frame at a time.

    Each frame: predict the region of every track, predict the landmarks there, match them to the tracks where
    faces overlap, verify the matches, detect new faces if due, update the tracks; lost faces coast.

    The detector runs only at the start, after a cut or a loss, and every `redetect_seconds` while there is
    room for another face. A region follows from the raw landmarks of the last frame, sub-pixel and smoothed.
    Where two tracked shapes come to lie on one face, the track whose path and appearance fit it best keeps
    it; the other is taken to be hidden, coasts for a while, and is found again later.

    Args:
        landmarker: any `LandmarkModel`; None means the default `Landmarker`.
        detector: any callable image → boxes (`Detector`); None means a `FaceFinder`.
        stabilizer: name or file as for `choose_stabilizer`, of a causal filter, with the parameters for the
            landmarker's network; a `Stabilizer`; or any other `FaceFilter`.
        config: settings; None means the defaults.
        fps: frame rate that is assumed where `step` gets no time.
        motion: measure in the picture how far the skin has moved, if the stabiliser takes that (`sta` does).
        people: folder of photographs by which faces are named, as of `load_people`; None gives no names.
        network_every: run the network when a face's picture asks for it (`"auto"`; in every frame where
            motion is not measured), or in every n-th frame of it; measured motion carries the points between.
            Cuts, occlusions and new faces run it at once.

    A tracker pickles with its faces, also in the middle of a video.

    Raises:
        ConfigError: `fps` is not positive, the stabiliser is unknown or sees the future, or a part is not of
            its kind.
    """

    def __init__(
        self,
        landmarker: LandmarkModel | None = None,
        detector: Detector | None = None,
        stabilizer: str | Path | Stabilizer | FaceFilter = DEFAULT_STABILIZER,
        config: TrackerConfig | None = None,
        fps: float = 25.0,
        motion: bool = True,
        people: str | Path | None = None,
        network_every: int | str = AUTO,
    ) -> None:
        if not 0 < fps < math.inf:
            raise ConfigError(f"fps must be positive, got {fps}")
        if not isinstance(config, TrackerConfig | None):
            raise ConfigError(f"config must be a TrackerConfig, got {type(config).__name__}")
        self.landmarker: LandmarkModel = Landmarker() if landmarker is None else landmarker
        ours = self.landmarker if isinstance(self.landmarker, Landmarker) else None
        device, threads = (ours.device, ours.threads) if ours else ("auto", None)
        self.detector: Detector = FaceFinder(device=device, threads=threads) if detector is None else detector
        self.config, self.fps = TrackerConfig() if config is None else config, fps
        check_parts(self.landmarker, self.detector, stabilizer)
        self.stabilizer, self.stabilizer_name = causal_filter(stabilizer, self.landmarker)
        self.measures_motion = motion and getattr(self.stabilizer, "uses_motion", False)
        finder = self.detector if isinstance(self.detector, FaceFinder) else None
        thread = NetworkThread.beside(self.landmarker)
        self._verifier = FaceVerifier(
            finder or FaceFinder(device=device, threads=threads), self.config, thread
        )
        self._searches = FaceSearch(self.detector, thread)
        self._cuts = CutDetector(self.config.cuts)
        self._persons = PersonCheck(device, threads, self.config.appearance)
        self._ended = EndedFaces(self._persons, self.config)
        self.namer: Namer | None = None
        if people is not None:
            encoder = IdentityEncoder(device, threads)
            known = load_people(people, self.landmarker, self.detector, encoder)
            self.namer = Namer(known, encoder, self.config.naming)
        schedule = Schedule.of(network_every, self.measures_motion, self.config.carrying)
        self._source = LandmarkSource(self.landmarker, schedule, self.config, thread)
        self.reset()

    def reset(self) -> None:
        """Forget all faces and the time; ids start from 0 again."""
        self._cuts.reset()
        self._ended.reset()
        if self.namer is not None:
            self.namer.reset()
        self.left_out = LeftOut()
        self._next_id = 0
        self._clock = FrameClock(self.fps)
        self._size: tuple[int, int] | None = None
        self._scene = self._cuts.scene
        self._dissolve_id: int | None = None
        self._restart()

    def _restart(self, tracks: Sequence[Track] = ()) -> None:
        """Forget all tracks but the given ones."""
        self._tracks: list[Track] = list(tracks)
        self._source.reset()
        self._lost: list[Track] = []
        self._searches.reset()

    def _end_shot(self, kept: Sequence[Track]) -> None:
        """Forget all tracks but the given ones at a cut; their faces may return when the shot does."""
        ids = {track.face_id for track in kept}
        ended = [track for track in (*self._tracks, *self._lost) if track.face_id not in ids]
        self._ended.add(self._scene, ended)
        self._scene = self._cuts.scene
        self._restart(kept)

    def step(
        self, frame: np.ndarray | Picture, seconds: float | None = None, next_frame: VideoFrame | None = None
    ) -> list[TrackedFace]:
        """Track the faces of the next frame.

        Args:
            frame: RGB uint8 (H, W, 3), of any size; it may change, and faces keep their ids if the shape is
                the same. Grey and RGBA are taken too, and so is `VideoFrame.picture`, of which parts cost
                less than the whole image.
            seconds: time of the frame; None means one frame after the last at `fps`.
            next_frame: the frame after it, if at hand. The network begins with it in a second thread, in the
                regions that are known before this frame's landmarks.

        Returns:
            The faces, in order of `face_id`; empty if there are none. Faces lost less than `grace_seconds`
            ago are among them, marked `held`.

        Raises:
            ConfigError: the frame is not uint8 of such a shape; time does not move forward, or so fast that
                it must be milliseconds; or the model or the detector gives arrays of another shape.
        """
        picture = as_picture(frame)
        if next_frame is not None and not isinstance(next_frame, VideoFrame):
            raise ConfigError(f"next_frame must be a VideoFrame, got {type(next_frame).__name__}")
        seconds = self._advance(seconds, by_reader=next_frame is not None)
        self._follow_size(picture)
        if next_frame is not None:
            self._source.begin(self._tracks, next_frame)
        transition = self._cuts.step(picture)
        self._begin_shot(picture, transition)
        continuous = transition is Transition.NONE
        estimates = self._source.estimate(picture, self._tracks, seconds, continuous)
        observations = observe(picture, estimates, self.config)
        if transition is Transition.DISSOLVE:
            observations = self._end_dissolved(observations)
        elif transition is Transition.POSSIBLE_CUT:
            observations = self._end_replaced(picture, observations)
        matches = self._match(observations, seconds)
        matches = self._verify(picture, matches, seconds)
        matches = self._detect(picture, matches, seconds)
        faces = self._update(picture, matches, seconds)
        room = self.config.max_faces - len(faces)
        faces = sorted([*faces, *self._coast(seconds)[:room]], key=lambda face: face.face_id)
        return faces if self.namer is None else self.namer.step(picture, matches, faces, seconds)

    def _begin_shot(self, frame: Picture, transition: Transition) -> None:
        """Forget the tracks that a cut ends, and in each frame of a dissolve those that began in it.

        So the points in a dissolve's last frame, which shows the new shot alone, do not depend on its other
        frames. The new faces have the same ids in all frames of a dissolve.
        """
        if transition is Transition.CUT:
            limits = self.config.appearance
            self._end_shot([track for track in self._tracks if track.is_unchanged(frame, limits)])
        if transition is not Transition.DISSOLVE:
            self._dissolve_id = None
        elif self._dissolve_id is None:
            self._dissolve_id = self._next_id
        else:
            self._next_id = self._dissolve_id
            self._restart([track for track in self._tracks if track.face_id < self._next_id])

    def _end_dissolved(self, observations: list[Observation]) -> list[Observation]:
        """In a dissolve, forget the tracks whose faces no longer look as they did on average.

        A face that something covers stays: a slow object before it is easily taken for a dissolve.

        Returns:
            The observations of the other tracks.
        """
        limits, visible = self.config.appearance, self.config.occlusion.min_visible
        pairs = [
            (track, observation)
            for track, observation in zip(self._tracks, observations, strict=True)
            if observation.visible_fraction < visible or track.resembles_mean(observation.appearance, limits)
        ]
        if len(pairs) < len(observations):
            self._restart([track for track, _ in pairs])
        return [observation for _, observation in pairs]

    def _end_replaced(self, frame: Picture, observations: list[Observation]) -> list[Observation]:
        """At a possible cut, forget the tracks whose regions now show another face.

        A track stays if its region shows no face, or if its own face was never unoccluded: neither tells
        whether the face was replaced. It stays too if the face is the same person's, who has only jerked, as
        after a frozen picture.

        Returns:
            The observations of the other tracks.
        """
        limits = self.config.appearance
        pairs = [
            (track, observation)
            for track, observation in zip(self._tracks, observations, strict=True)
            if track.last_appearance is None
            or track.is_identical(observation.appearance, limits)
            or self._verifier.confidence(frame, observation.points) < self.config.confirm
            or self._persons.is_same(frame, track, observation)
        ]
        if len(pairs) < len(observations):
            self._cuts.begin_shot()
            self._end_shot([track for track, _ in pairs])
        return [observation for _, observation in pairs]

    def _advance(self, seconds: float | None, by_reader: bool) -> float:
        """Set the time, and forget the tracks lost more than `memory_seconds` ago."""
        seconds = self._clock.advance(seconds, by_reader)
        memory = self.config.memory_seconds
        self._lost = [track for track in self._lost if seconds - track.last_seconds <= memory]
        return seconds

    def _follow_size(self, frame: Picture) -> None:
        """Scale the tracks to a frame of another size; one of another shape ends them, as a cut."""
        before, self._size = self._size, (frame.width, frame.height)
        if before is not None and before != self._size:
            lost = rescale_tracks(self._lost, before, self._size)
            self._restart(rescale_tracks(self._tracks, before, self._size))
            self._lost = lost

    def _match(self, observations: list[Observation], seconds: float) -> list[Match]:
        """Match observations to tracks; where two lie on one face, one track keeps it and the other is lost.

        Where no faces overlap, every track keeps the observation in its own region.
        """
        points = points_of(observations)
        if not near_others(points, self.config.occlusion).any():
            return list(zip(self._tracks, observations, strict=True))
        scores = np.array([observation.landmarks.scores.mean() for observation in observations])
        kept = suppress_duplicates(points, scores, self.config.matching)
        own = same_face(points, points[kept], self.config.matching)
        # A face that is visible is in front, so its appearance counts in full, though another face is near.
        in_front = [replace(observations[i], unoccluded=True) for i in kept]
        costs = self._costs(self._tracks, in_front, seconds)
        pairs = assign(costs - self.config.matching.switch_penalty * own, max_cost=math.inf)
        occluders = {column: self._tracks[row].face_id for row, column in pairs}
        for row in sorted(set(range(len(self._tracks))) - {row for row, _ in pairs}):
            self._lost.append(replace(self._tracks[row], occluder=occluders[int(own[row].argmax())]))
        return [(self._tracks[row], observations[kept[column]]) for row, column in pairs]

    def _verify(self, frame: Picture, matches: list[Match], seconds: float) -> list[Match]:
        """Keep the matches that still show a face, and the same one; the other tracks are lost."""
        due = min(self._tracks, key=lambda track: track.verified_seconds, default=None)
        limits, verified = self.config.verifier, []
        for before, observation in matches:
            track = self._verifier.verify(frame, before, observation, seconds, due=before is due)
            sure = is_face(frame, observation.landmarks, self.config.keep, limits.min_size)
            if sure and track.miss_count < limits.max_misses:
                verified.append((track, observation))
            else:
                self._lost.append(
                    replace(track, occluder=self._occluder(track.face_id, observation, matches))
                )
        return verified

    def _search_interval(self, matches: list[Match]) -> float:
        """Time from one search for faces to the next, s; 0 if no face is left, or one was just lost.

        Without room for another face, the search only counts those that are left out.
        """
        if not matches:
            return 0.0
        if len(matches) >= self.config.max_faces:
            return self.config.count_seconds
        if len(matches) < len(self._tracks):
            return 0.0
        interval = self.config.redetect_seconds
        return min(interval, self.config.retry_seconds) if self._lost else interval

    def _detect(self, frame: Picture, matches: list[Match], seconds: float) -> list[Match]:
        """Search for faces, if due; add those that the landmark network confirms, as lost or new tracks."""
        urgent = bool(self._lost) or not matches
        boxes = self._searches.boxes(frame, seconds, self._search_interval(matches), urgent)
        if boxes is None:
            return matches
        known = [observation for _, observation in matches]
        landmarks, left_out = predict_new_faces(frame, boxes, self.landmarker, points_of(known), self.config)
        self.left_out = self.left_out.worst(left_out)
        found = observe(frame, [Estimate(each) for each in landmarks], self.config, known)
        return self._identify(frame, matches, found, seconds) if found else matches

    def _update(self, frame: Picture, matches: list[Match], seconds: float) -> list[TrackedFace]:
        """Update the tracks; recognition only learns from faces that no other one can hide."""
        occluders = {track.occluder for track in self._lost}
        near = near_others(points_of([observation for _, observation in matches]), self.config.occlusion)
        followed = [Followed()] * len(matches)
        if self.measures_motion:
            followed = follow_faces(frame, matches)
        stabilised = [(None, observation.points) for _, observation in matches]
        if self.stabilizer is not None:
            stabilised = steady_faces(self.stabilizer, matches, followed, seconds)
        tracks = []
        for (track, observation), may_be_hidden, moved, (state, points) in zip(
            matches, near, followed, stabilised, strict=True
        ):
            if not may_be_hidden and track.face_id not in occluders:
                track = track.learn(observation, seconds, self.config)
            plan = self._source.plan(track, observation, seconds, points, moved)
            tracks.append(track.update(observation, seconds, points, state, moved, plan, self.config))
        self._tracks = sorted(tracks, key=lambda track: track.face_id)
        return [track.last for track in self._tracks if track.last is not None]

    def _coast(self, seconds: float) -> list[TrackedFace]:
        """Show the last shapes of the faces lost less than `grace_seconds` ago, latest first."""
        coasting = []
        for track in sorted(self._lost, key=lambda track: -track.last_seconds):
            left = 1.0 - (seconds - track.last_seconds) / max(self.config.grace_seconds, 1e-9)
            if track.last is not None and left > 1e-6:
                last = replace(track.last, held=True, displacements=None)
                fading = replace(last, scores=last.scores * left, visible=last.visible * left)
                coasting.append(fading)
        return coasting

    def _identify(
        self, frame: Picture, matches: list[Match], found: list[Observation], seconds: float
    ) -> list[Match]:
        """Give found faces the ids of lost tracks, of tracks that cuts ended, or new ones.

        A tracked face that may have hidden a lost one takes part, and so does one beside a found face: now
        that both are visible, appearance and path tell which of the two was in front.
        """
        limits = self.config.matching
        involved = {track.occluder for track in self._lost}
        involved |= {self._occluder(None, observation, matches) for observation in found}
        in_front = [match for match in matches if match[0].face_id in involved]
        identified = [match for match in matches if match[0].face_id not in involved]

        # Rows are the lost tracks, then those in front; columns the found faces, then those in front.
        candidates = [*self._lost, *(track for track, _ in in_front)]
        observations = [*found, *(replace(observation, unoccluded=True) for _, observation in in_front)]
        costs = self._costs(candidates, observations, seconds)

        # A track in front may always keep its own observation, and changing it costs the penalty.
        own = np.zeros(costs.shape, bool)
        own[len(self._lost) :, len(found) :] = np.eye(len(in_front), dtype=bool)
        costs[own] = np.minimum(costs[own], limits.max_cost) - limits.switch_penalty
        pairs = assign(costs, limits.max_cost)
        assigned, taken = {column: candidates[row] for row, column in pairs}, {row for row, _ in pairs}
        self._lost = [track for row, track in enumerate(candidates) if row not in taken]

        # Found faces without a track may be those of an earlier shot, or new.
        unknown = {column: each for column, each in enumerate(found) if column not in assigned}
        assigned |= self._ended.find(frame, self._scene, unknown, seconds)
        own_tracks = [*[None] * len(found), *(track for track, _ in in_front)]
        for column, (observation, own_track) in enumerate(zip(observations, own_tracks, strict=True)):
            track = assigned.get(column)
            if track is None:
                track = Track.start(self._take_id(), observation, seconds)
            elif track is not own_track:
                track = track.resume(observation, seconds)
            if own_track is not None:  # its last frame stays, even if it was another face
                track = own_track.identified_as(track)
            identified.append((track, observation))
        return identified

    def _costs(
        self, tracks: Sequence[Track], observations: Sequence[Observation], seconds: float
    ) -> Float[np.ndarray, "tracks observations"]:
        costs = [[track.cost(each, seconds, self.config) for each in observations] for track in tracks]
        return np.array(costs).reshape(len(tracks), len(observations))

    def _occluder(self, face_id: int | None, observation: Observation, matches: list[Match]) -> int | None:
        """Id of the tracked face, other than `face_id`, that may hide an observation."""
        others = {track.face_id: other.points for track, other in matches if track.face_id != face_id}
        return find_occluder(observation.points, others, self.config.occlusion)

    def _take_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1
