"""Landmarks of the tracked faces of a frame: predicted by the network, or carried by measured motion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool

from steadyface import markup
from steadyface.arrays import FacePoints
from steadyface.geometry import face_size
from steadyface.landmarker import LandmarkModel, Landmarks, predict_faces
from steadyface.motion import Displacements
from steadyface.picture import Picture
from steadyface.tracking.appearance import Estimate, Observation
from steadyface.tracking.config import TrackerConfig
from steadyface.tracking.matching import near_others
from steadyface.tracking.network_thread import NetworkThread
from steadyface.tracking.patches import take_patches
from steadyface.tracking.prefetch import LandmarkPrefetcher, Regions
from steadyface.tracking.schedule import Plan, Schedule
from steadyface.tracking.skin import FaceView, Followed, carried_views
from steadyface.tracking.track import Track, TrackedFace
from steadyface.tracking.verifier import face_score
from steadyface.video import VideoFrame


class LandmarkSource:
    """Predicts or carries the landmarks of the tracked faces of each frame, as a schedule says.

    Args:
        landmarker: the network.
        schedule: when it runs.
        config: settings of the tracker.
        thread: in which the network works ahead.
    """

    def __init__(
        self, landmarker: LandmarkModel, schedule: Schedule, config: TrackerConfig, thread: NetworkThread
    ) -> None:
        self._landmarker, self.schedule, self._config = landmarker, schedule, config
        self._prefetcher = LandmarkPrefetcher(landmarker, thread)
        self.reset()

    def reset(self) -> None:
        """Forget the faces of the last frame."""
        self._earlier_tracks: Sequence[Track] = ()

    def begin(self, tracks: Sequence[Track], next_frame: VideoFrame) -> None:
        """Begin the network on the next frame, for the tracks whose run there is already certain.

        Args:
            tracks: as of the last frame.
            next_frame: the frame after the one that `estimate` gets now.
        """
        certain = [track for track in tracks if self.schedule.due_after_next(track.plan)]
        regions = predicted_regions(certain, next_frame.seconds, self._config)
        if regions:
            self._prefetcher.begin(next_frame.picture, regions)

    def estimate(
        self, frame: Picture, tracks: Sequence[Track], seconds: float, continuous: bool
    ) -> list[Estimate]:
        """Carry the landmarks of every track, or predict them in its predicted region.

        Args:
            frame: the picture.
            tracks: as of the last frame.
            seconds: time of the frame.
            continuous: whether the frame continues the last one, without a cut; else nothing is carried.

        Returns:
            One estimate per track, in their order.
        """
        regions, self._earlier_tracks = self._planned(tracks, seconds), tracks
        others = [track for track in tracks if track.face_id not in regions]
        # The network may be at work on this frame meanwhile, in its own thread.
        moved = self._follow(frame, others, seconds) if continuous else {}
        predicted = self._prefetcher.predict(frame, regions)
        estimates = {
            face_id: Estimate(landmarks) for face_id, landmarks in zip(regions, predicted, strict=True)
        }
        moved = self._without_hidden(moved, estimates)
        estimates |= {face_id: face for face_id, face in moved.items() if face.carried}
        missing = predicted_regions(
            [track for track in others if track.face_id not in estimates], seconds, self._config
        )
        predicted = predict_faces(self._landmarker, frame, list(missing.values()))
        for face_id, landmarks in zip(missing, predicted, strict=True):
            estimates[face_id] = Estimate(landmarks, moved[face_id].followed if face_id in moved else None)
        return self._without_neighbours([estimates[track.face_id] for track in tracks])

    def _without_neighbours(self, estimates: list[Estimate]) -> list[Estimate]:
        """Drop the motion of faces near another one, whose observations matching may exchange."""
        if all(face.carried or face.followed is None for face in estimates):
            return estimates
        near = near_others(np.array([face.landmarks.points for face in estimates]), self._config.occlusion)
        return [
            face._replace(followed=None) if hidden and not face.carried else face
            for face, hidden in zip(estimates, near, strict=True)
        ]

    def plan(
        self, track: Track, observation: Observation, seconds: float, points: FacePoints, followed: Followed
    ) -> Plan:
        """Plan the network's next run on a face, after a frame.

        Args:
            track: before the frame.
            observation: in the frame.
            seconds: time of the frame.
            points: (68, 2) stabilised, image px.
            followed: view and displacements, as given to the stabiliser.
        """
        schedule, (view, displacements) = self.schedule, followed
        elapsed = 0.0 if track.last is None else seconds - track.last_seconds
        if observation.carried and displacements is not None:
            return schedule.after_carrying(track.plan, elapsed, _variance(displacements, points))
        if not schedule.watches or view is None:
            return schedule.after_run(track.plan, elapsed)
        unsettled = False
        if displacements is not None and track.last is not None:
            surprise = observation.points - track.last.raw_points - displacements.displacement
            distance = 100 * float(np.hypot(*surprise.T).sum()) / (len(surprise) * float(face_size(points)))
            limits, valid = schedule.config, _fraction(displacements.valid)
            unsettled = distance > limits.max_surprise or valid < limits.min_valid
        return schedule.after_run(track.plan, elapsed, take_patches(view.crop, points), unsettled)

    def _without_hidden(
        self, moved: dict[int, Estimate], estimates: Mapping[int, Estimate]
    ) -> dict[int, Estimate]:
        """Leave out the moved faces that another face, moved or predicted, may hide."""
        if not moved:
            return moved
        every = moved | dict(estimates)
        shapes = np.array([face.landmarks.points for face in every.values()]).reshape(-1, markup.COUNT, 2)
        near = dict(zip(every, near_others(shapes, self._config.occlusion), strict=True))
        return {face_id: face for face_id, face in moved.items() if not near[face_id]}

    def _follow(self, frame: Picture, tracks: Sequence[Track], seconds: float) -> dict[int, Estimate]:
        """Move faces by their motion since the last frame, as far as the picture shows it well.

        Returns:
            Estimates by face id. Those of faces that ask for the network are not marked as carried.
        """
        faces = [
            (track, track.view, track.last, track.last.displacements)
            for track in tracks
            if track.view is not None
            and track.last is not None
            and track.last.displacements is not None
            and self._may_follow(track, seconds)
        ]
        if not faces:
            return {}
        chosen, views, last, before = zip(*faces, strict=True)
        paces = [(seconds - track.last_seconds) / track.plan.seconds for track in chosen]
        points = np.array([face.points for face in last])
        moved = carried_views(frame, views, points, before, paces)
        estimates = {}
        for track, face, (view, displacements) in zip(chosen, last, moved, strict=True):
            if _fraction(displacements.valid) >= self.schedule.config.min_valid:
                asks = self.schedule.watches and self._asks(track.plan, view, displacements, face.points)
                landmarks = _moved(face, displacements)
                appearance = None if asks else track.last_appearance
                followed = Followed(view, displacements)
                estimates[track.face_id] = Estimate(landmarks, followed, not asks, appearance)
        return estimates

    def _may_follow(self, track: Track, seconds: float) -> bool:
        """Whether a track's last frame is recent and certain enough to carry the face from it."""
        late = seconds - track.last_seconds > self.schedule.config.max_seconds
        return not (track.miss_count or late or (self.schedule.watches and self._is_doubtful(track)))

    def _is_doubtful(self, track: Track) -> bool:
        """Whether the network was less sure of a face than it is of a new one."""
        return track.last is None or face_score(track.last.scores) < self._config.accept

    def _asks(self, plan: Plan, view: FaceView, displacements: Displacements, points: FacePoints) -> bool:
        """Whether a face has changed or drifted so much since the last run that it asks for another."""
        limits = self.schedule.config
        if plan.drift + _variance(displacements, points) > limits.max_drift**2:
            return True
        patches = take_patches(view.crop, points + displacements.displacement)
        return plan.watch is None or plan.watch.change(patches, limits) > 1

    def _planned(self, tracks: Sequence[Track], seconds: float) -> Regions:
        """Regions of the tracks whose run was planned, as predicted from the frame before the last.

        In these regions the network may have worked ahead. If the tracks now predict other faces, or a region
        that differs by the tolerance or more, the new regions are taken. Whether the network did work ahead
        makes no difference, so the same frames always give the same points.
        """
        due = [track for track in tracks if track.plan.due]
        certain = [track for track in self._earlier_tracks if self.schedule.due_after_next(track.plan)]
        regions = predicted_regions(due, seconds, self._config)
        earlier = predicted_regions(certain, seconds, self._config)
        same = list(regions) == list(earlier) and all(
            earlier[face_id].change_to(region) < self._config.roi.prefetch_tolerance
            for face_id, region in regions.items()
        )
        return earlier if same else regions


def predicted_regions(tracks: Sequence[Track], seconds: float, config: TrackerConfig) -> Regions:
    """Predict the region of each track's face at a time, by id."""
    return {track.face_id: track.predicted_roi(seconds, config) for track in tracks}


def _moved(last: TrackedFace, displacements: Displacements) -> Landmarks:
    """Landmarks of the last frame, moved on; the uncertainty of the motion adds to their covariances."""
    points = last.raw_points + displacements.displacement
    return Landmarks(points, last.scores, last.covariances + displacements.covariance, last.visible)


def _fraction(valid: Bool[np.ndarray, "landmarks"]) -> float:
    """Fraction of the landmarks that are valid; `np.mean` takes several times as long."""
    return float(np.count_nonzero(valid)) / len(valid)


def _variance(displacements: Displacements, points: FacePoints) -> float:
    """Mean variance of a coordinate, (percent of face size)²."""
    mean = float(np.einsum("nii->", displacements.covariance)) / (2 * len(points))
    return mean * (100 / float(face_size(points))) ** 2
