"""Landmarks of the tracked faces of a frame: predicted by the network, or carried by measured motion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from steadyface import markup
from steadyface.arrays import FacePoints
from steadyface.geometry import face_size
from steadyface.landmarker import LandmarkModel, Landmarks, predict_faces
from steadyface.motion import Displacements
from steadyface.picture import Picture
from steadyface.tracking.appearance import Observation
from steadyface.tracking.config import TrackerConfig
from steadyface.tracking.matching import near_others
from steadyface.tracking.prefetch import LandmarkPrefetcher, Regions
from steadyface.tracking.roi import region_change
from steadyface.tracking.schedule import Patches, Plan, Schedule
from steadyface.tracking.skin import FaceView, Followed, carried_view
from steadyface.tracking.track import Track, TrackedFace
from steadyface.tracking.verifier import face_score
from steadyface.video import VideoFrame

_CORNERS = np.array([36, 39, 42, 45, 48, 54])
"""Corners of eyes and mouth, in pairs."""

_HEIGHTS = (0.5, 0.5, 0.9)
"""Of the patch of each pair, over its width."""

_BESIDE = 0.25  # distances between the corners by which a patch reaches beyond them
_WIDE = 24  # px of a patch as it is sampled; twice those of the patch that is kept, against noise
_SPLITS = np.cumsum([_WIDE // 2 * (round(_WIDE * height) // 2) for height in _HEIGHTS])[:-1]
_LEAST_CONTRAST = 4.0  # grey levels


class Seen(NamedTuple):
    """Landmarks of one face, and its measured motion if that carried them here."""

    landmarks: Landmarks
    carried: Followed | None = None


class LandmarkSource:
    """Gives the landmarks of the tracked faces of each frame, by a schedule.

    Args:
        landmarker: the network.
        schedule: when it runs.
        config: settings of the tracker.
    """

    def __init__(self, landmarker: LandmarkModel, schedule: Schedule, config: TrackerConfig) -> None:
        self._landmarker, self.schedule, self._config = landmarker, schedule, config
        self._prefetcher = LandmarkPrefetcher(landmarker)
        self.reset()

    def reset(self) -> None:
        """Forget the faces of the last frame."""
        self._earlier_tracks: Sequence[Track] = ()

    def begin(self, tracks: Sequence[Track], next_frame: VideoFrame) -> None:
        """Begin with the network on the frame after the one to be seen, on the tracks that are certain.

        Args:
            tracks: as of the last frame.
            next_frame: the frame after the one to be seen.
        """
        certain = [track for track in tracks if self.schedule.due_after_next(track.plan)]
        regions = predicted_regions(certain, next_frame.seconds, self._config)
        if regions:
            self._prefetcher.begin(next_frame.picture, regions)

    def see(self, frame: Picture, tracks: Sequence[Track], seconds: float, steady: bool) -> list[Seen]:
        """Predict or carry the landmarks of every track, the former in its predicted region.

        Args:
            frame: the picture.
            tracks: as of the last frame.
            seconds: time of the frame.
            steady: whether the frame goes on from the last one, without any cut; else the network runs.
        """
        regions, self._earlier_tracks = self._planned(tracks, seconds), tracks
        predicted = self._prefetcher.predict(frame, regions)
        seen = {face_id: Seen(each) for face_id, each in zip(regions, predicted, strict=True)}
        if steady and len(seen) < len(tracks):
            seen |= self._carry(
                frame, [track for track in tracks if track.face_id not in seen], seen, seconds
            )
        missing = predicted_regions(
            [track for track in tracks if track.face_id not in seen], seconds, self._config
        )
        asked = predict_faces(self._landmarker, frame, list(missing.values()))
        seen |= {face_id: Seen(each) for face_id, each in zip(missing, asked, strict=True)}
        return [seen[track.face_id] for track in tracks]

    def plan(
        self, track: Track, observation: Observation, seconds: float, points: FacePoints, followed: Followed
    ) -> Plan:
        """Plan after a frame.

        Args:
            track: before the frame.
            observation: in the frame.
            seconds: time of the frame.
            points: (68, 2) stabilised, image px.
            followed: view and displacements, as the stabiliser got them.
        """
        schedule, (view, displacements) = self.schedule, followed
        elapsed = 0.0 if track.last is None else seconds - track.last_seconds
        if observation.carried is not None and displacements is not None:
            return schedule.after_carrying(track.plan, elapsed, _variance(displacements, points))
        if not schedule.watches or view is None:
            return schedule.after_run(track.plan, elapsed)
        unsettled = False
        if displacements is not None and track.last is not None:
            away = observation.points - track.last.raw_points - displacements.displacement
            distance = 100 * float(np.linalg.norm(away, axis=-1).mean()) / float(face_size(points))
            limits = schedule.config
            unsettled = distance > limits.max_surprise or bool(displacements.valid.mean() < limits.min_valid)
        return schedule.after_run(track.plan, elapsed, take_patches(view, points), unsettled)

    def _carry(
        self, frame: Picture, tracks: Sequence[Track], seen: Mapping[int, Seen], seconds: float
    ) -> dict[int, Seen]:
        """Carry the faces whose motion the picture shows well, and that no other one can hide."""
        carried = {}
        for track in tracks:
            if (found := self._follow(frame, track, seconds)) is not None:
                carried[track.face_id] = found
        every = carried | dict(seen)
        shapes = np.array([each.landmarks.points for each in every.values()]).reshape(-1, markup.COUNT, 2)
        near = dict(zip(every, near_others(shapes, self._config.occlusion), strict=True))
        return {face_id: each for face_id, each in carried.items() if not near[face_id]}

    def _follow(self, frame: Picture, track: Track, seconds: float) -> Seen | None:
        """Measure the motion of a face since the last frame; None where that is not enough."""
        limits, last, plan = self.schedule.config, track.last, track.plan
        elapsed = seconds - track.last_seconds
        if last is None or last.displacements is None or track.view is None or track.miss_count:
            return None
        if elapsed > limits.max_seconds or (self.schedule.watches and self._is_doubtful(track)):
            return None
        pace = elapsed / plan.seconds
        view, displacements = carried_view(frame, track.view, last.points, last.displacements, pace)
        if displacements.valid.mean() < limits.min_valid:
            return None
        if self.schedule.watches and self._asks(plan, view, displacements, last.points):
            return None
        return Seen(_moved(last, displacements), Followed(view, displacements))

    def _is_doubtful(self, track: Track) -> bool:
        """Whether the network was less sure of a face than it is of a new one."""
        return track.last is None or face_score(track.last.scores) < self._config.accept

    def _asks(self, plan: Plan, view: FaceView, displacements: Displacements, points: FacePoints) -> bool:
        """Whether a face has changed or drifted so much since the last run that it asks for another."""
        limits = self.schedule.config
        if plan.drift + _variance(displacements, points) > limits.max_drift**2:
            return True
        patches = take_patches(view, points + displacements.displacement)
        return plan.patches is None or change_of(plan.patches, patches) > limits.max_change

    def _planned(self, tracks: Sequence[Track], seconds: float) -> Regions:
        """Regions of the tracks for which a run was planned, as they were known before the last frame.

        So the network can work ahead. If one differs by the tolerance or more from what is known by now, or
        the faces do, those of now. The network need not really have worked ahead: the same frames give the
        same points either way.
        """
        due = [track for track in tracks if track.plan.due]
        certain = [track for track in self._earlier_tracks if self.schedule.due_after_next(track.plan)]
        regions = predicted_regions(due, seconds, self._config)
        earlier = predicted_regions(certain, seconds, self._config)
        same = list(regions) == list(earlier) and all(
            region_change(earlier[face_id], region) < self._config.roi.prefetch_tolerance
            for face_id, region in regions.items()
        )
        return earlier if same else regions


def predicted_regions(tracks: Sequence[Track], seconds: float, config: TrackerConfig) -> Regions:
    """Predict the region of each track's face at a time, by id."""
    return {track.face_id: track.predicted_roi(seconds, config) for track in tracks}


def take_patches(view: FaceView, points: FacePoints) -> Patches:
    """Cut the eyes and the mouth out of a face's crop, upright and of one size, in its contrast.

    Args:
        view: of the face.
        points: (68, 2) of the frame, image px.

    Returns:
        Grey levels, less the crop's mean and over its standard deviation.
    """
    grey = view.crop.grey
    mean, spread = (float(each[0, 0]) for each in cv2.meanStdDev(grey))
    corners = view.crop.to_crop(points[_CORNERS]).reshape(-1, 2, 2)
    patches = [
        _take_patch(grey, pair[0], pair[1], round(_WIDE * height)).ravel()
        for pair, height in zip(corners, _HEIGHTS, strict=True)
    ]
    return (np.concatenate(patches).astype(np.float32) - mean) / max(spread, _LEAST_CONTRAST)


def change_of(before: Patches, after: Patches) -> float:
    """Largest change of a patch: the mean of its absolute differences."""
    parts = np.split(np.abs(after - before), _SPLITS)
    return max(float(part.mean()) for part in parts)


def _take_patch(
    grey: UInt8[np.ndarray, "side side"],
    right: Float[np.ndarray, "2"],
    left: Float[np.ndarray, "2"],
    high: int,
) -> UInt8[np.ndarray, "rows columns"]:
    """Sample a patch of `_WIDE` × `high` px around two corners, and halve it."""
    across = (left - right) * (1 + 2 * _BESIDE) / _WIDE  # a patch px to the right, px of the crop
    down = np.array([-across[1], across[0]])
    first = (right + left) / 2 - across * (_WIDE - 1) / 2 - down * (high - 1) / 2
    to_crop = np.stack([across, down, first], axis=1)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(grey, to_crop, (_WIDE, high), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(patch, (_WIDE // 2, high // 2), interpolation=cv2.INTER_AREA)


def _moved(last: TrackedFace, displacements: Displacements) -> Landmarks:
    """Landmarks of the last frame, moved on; what is not known of the motion adds to their error."""
    points = last.raw_points + displacements.displacement
    return Landmarks(points, last.scores, last.covariances + displacements.covariance, last.visible)


def _variance(displacements: Displacements, points: FacePoints) -> float:
    """Mean variance of a coordinate, (percent of face size)²."""
    mean = float(np.trace(displacements.covariance, axis1=-2, axis2=-1).mean()) / 2
    return mean * (100 / float(face_size(points))) ** 2
