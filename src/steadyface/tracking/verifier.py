"""Verification of tracks: whether a region still shows a face, and the same one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from steadyface.arrays import Box, Crop, FacePoints, Scores
from steadyface.detector import FaceFinder, confidence_at
from steadyface.geometry import bounding_box
from steadyface.landmarker import Landmarks
from steadyface.motion import face_region
from steadyface.picture import Picture
from steadyface.tracking.appearance import Observation
from steadyface.tracking.config import TrackerConfig
from steadyface.tracking.network_thread import NetworkThread, Pending
from steadyface.tracking.track import Track


class FaceVerifier:
    """Checks tracks by motion, by appearance and, now and then, by the face finder.

    The landmark network was trained on faces only, so its scores may stay high where there is none; the face
    finder was trained on everything else as well. Showing it one small crop costs a small part of a search.

    Args:
        finder: network that is asked; its own threshold is not used.
        config: settings; `confirm` is the least confidence of the finder.
        thread: in which the finder works while the tracker goes on.
    """

    def __init__(
        self,
        finder: FaceFinder,
        config: TrackerConfig | None = None,
        thread: NetworkThread | None = None,
    ) -> None:
        self._finder, self._thread = finder, thread or NetworkThread()
        self.config = config or TrackerConfig()

    def verify(
        self, frame: Picture, track: Track, observation: Observation, seconds: float, due: bool
    ) -> Track:
        """Update the track's `miss_count`; at `max_misses` the observation is not its face.

        A jump counts as `max_misses`. A descriptor counts as a miss if it is another face's and came
        suddenly, since a face turns and grimaces bit by bit. The finder is asked if the track is due and its
        last check is old enough; its answer counts in the face's next frame, when it has had time to finish.
        After a miss the finder is asked in every frame and its answer counts at once, so the late first
        answer does not keep a false track longer.

        Args:
            frame: the picture.
            track: before this frame.
            observation: matched to it, image px.
            seconds: time of the frame.
            due: whether it is this track's turn.
        """
        limits = self.config.verifier
        if self.config.confirm <= 0:
            return replace(track, miss_count=0)
        if track.check is not None:
            failed = track.check.result < self.config.confirm
            track = replace(track, check=None, miss_count=max(track.miss_count, int(failed)))
        suspect = track.miss_count > 0
        if track.has_jumped(observation, seconds, self.config.motion):
            return replace(track, miss_count=limits.max_misses)
        appearance = observation.appearance
        missed = (
            observation.unoccluded
            and not track.accepts(appearance, self.config.appearance)
            and (suspect or track.has_changed(appearance, self.config.appearance))
        )
        if suspect:
            missed |= self.confidence(frame, observation.points) < self.config.confirm
            return replace(track, verified_seconds=seconds, miss_count=track.miss_count + 1 if missed else 0)
        if missed:
            return replace(track, miss_count=1)
        if due and seconds - track.verified_seconds >= limits.interval_seconds:
            return replace(track, verified_seconds=seconds, check=self.begin(frame, observation.points))
        return track

    def confidence(self, frame: Picture, points: FacePoints) -> float:
        """Ask the finder for its confidence, in [0, 1], in a face at the points.

        Args:
            frame: the picture.
            points: (68, 2) image px.
        """
        small, box = self._cut(frame, points)
        return self._finder.confidence(small, box)

    def begin(self, frame: Picture, points: FacePoints) -> Pending[float]:
        """Begin to ask the finder; arguments as of `confidence`."""
        small, box = self._cut(frame, points)
        return self._thread.begin(self._finder.candidates, small).then(partial(confidence_at, box))

    def _cut(self, frame: Picture, points: FacePoints) -> tuple[Crop, Box]:
        """Cut out the crop that the finder sees, and the face's box in it."""
        limits = self.config.verifier
        square, side = face_region(points, limits.margin), limits.side * limits.samples
        crop = frame.sample(square.to_crop(side).inverse, side)
        small = cv2.resize(crop, (limits.side, limits.side), interpolation=cv2.INTER_AREA)
        return small, bounding_box(square.to_crop(limits.side)(points))


def is_face(frame: Picture, landmarks: Landmarks, min_score: float, min_size: float) -> bool:
    """Whether the network is sure of a face that is large enough and has half of its points in the frame.

    It guesses the others, at times boldly.

    Args:
        frame: the picture.
        landmarks: points (68, 2), image px, and scores (68,).
        min_score: least `face_score`.
        min_size: px that both sides of the points' box exceed.
    """
    points = landmarks.points
    inside = ((points >= 0) & (points < [frame.width, frame.height])).all(axis=-1)
    return 2 * int(inside.sum()) >= len(points) and is_certain(landmarks, min_score, min_size)


def is_certain(landmarks: Landmarks, min_score: float, min_size: float) -> bool:
    """Whether the network is sure of a face that is large enough; arguments as of `is_face`."""
    x0, y0, x1, y1 = landmarks.box.tolist()
    return min(x1 - x0, y1 - y0) > min_size and face_score(landmarks.scores) >= min_score


def face_score(scores: Scores) -> float:
    """Mean score of the better half of a face's points: from the side the other half cannot be seen.

    >>> face_score(np.array([0.9, 0.1, 0.7, 0.3]))
    0.8
    """
    return float(np.sort(scores)[len(scores) // 2 :].mean())
