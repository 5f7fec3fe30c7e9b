"""State of a track, and the tracked face that a frame shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from steadyface.arrays import Box, FacePoints
from steadyface.geometry import Region, bounding_box, box_size, centroid, change_grid, face_size
from steadyface.motion import Displacements, face_region
from steadyface.picture import Picture
from steadyface.tracking.appearance import (
    Appearance,
    Observation,
    appearance_distance,
    describe,
    quarter_distance,
)
from steadyface.tracking.config import AppearanceConfig, MotionConfig, TrackerConfig
from steadyface.tracking.network_thread import Pending
from steadyface.tracking.roi import predict_region, smooth_region
from steadyface.tracking.schedule import Plan
from steadyface.tracking.skin import FaceView, Followed

_SAME_SHAPE = 0.02  # relative difference of aspect ratios up to which a frame shows the same picture
_SHORTEST = 1e-3  # s: over less, noise would be taken for speed


@dataclass(frozen=True, eq=False)
class TrackedFace:
    """One face in one frame, in image px.

    Args:
        face_id: number of the face, from 0; a face that returns keeps it.
        points: (68, 2) stabilised.
        raw_points: (68, 2) as the network predicted them; carried along the skin since, if `carried`.
        scores: (68,) in [0, 1].
        box: (4,) x0, y0, x1, y1 of the stabilised points.
        held: whether the face is lost and coasts in its last shape; its scores and `visible` fall until it is
            dropped.
        visible: (68,) in [0, 1]: probability that nothing hides the point; NaN if the network does not tell.
        covariances: (68, 2, 2) px², of the error of `raw_points`; NaN where unknown.
        displacements: of the landmarks since the face's last frame, as measured in the picture; None if they
            were not.
        name: who it is, or `unknown`; None if no people were given.
        similarity: cosine of its descriptor with that person's photograph, or with the most similar one of
            all; NaN before it was seen whole.
        carried: whether the network did not run on the face in this frame, and displacements alone moved all
            points; `scores` and `visible` are those of its last run, and `covariances` have grown.
    """

    face_id: int
    points: FacePoints
    raw_points: FacePoints
    scores: Float[np.ndarray, "68"]
    box: Box
    held: bool = False
    visible: Float[np.ndarray, "68"] = field(default_factory=lambda: np.full(68, np.nan))
    covariances: Float[np.ndarray, "68 2 2"] = field(default_factory=lambda: np.full((68, 2, 2), np.nan))
    displacements: Displacements | None = None
    name: str | None = None
    similarity: float = math.nan
    carried: bool = False


@dataclass(frozen=True)
class Track:
    """State of one face, tracked or lost.

    The first group is for recognition: it is updated only while no other face can be in the way, and matching
    compares observations with it. The second group describes the last frame with the face, whatever hid it.

    Args:
        face_id: number of the face, from 0.
        centre: (2,) of its box, image px.
        size: `geometry.face_size`, px.
        centre_velocity: (2,) running mean, px/s.
        located_seconds: time of `centre`, `size` and `centre_velocity`.
        appearance: running mean of its descriptors.
        appearance_known: whether `appearance` stems from unoccluded observations; that of a face which comes
            in through the border of the frame does not yet.

        roi: smoothed region of the last frame with it, image px.
        last: the face as that frame showed it; None before its first.
        last_seconds: time of that frame.
        velocity: (2,) running mean of its points' velocity, px/s.
        last_appearance: its last unoccluded descriptor.
        stabilizer_state: state of the causal filter.
        view: crop of the last frame, for measuring displacements; None if they are not measured.
        plan: when the network runs on it again.

        verified_seconds: time of the finder's last check.
        check: confidence of the finder, if it was asked in the last frame; it counts in the next one.
        miss_count: failed checks in successive frames.
        occluder: id of the face that probably hid it when it was lost.
    """

    face_id: int
    centre: Float[np.ndarray, "2"]
    size: float
    centre_velocity: Float[np.ndarray, "2"]
    located_seconds: float
    appearance: Appearance
    appearance_known: bool

    roi: Region
    last: TrackedFace | None = None
    last_seconds: float = -math.inf
    velocity: Float[np.ndarray, "2"] = field(default_factory=lambda: np.zeros(2))
    last_appearance: Appearance | None = None
    stabilizer_state: Any = None
    view: FaceView | None = None
    plan: Plan = field(default_factory=Plan)

    verified_seconds: float = -math.inf
    check: Pending[float] | None = None
    miss_count: int = 0
    occluder: int | None = None

    @classmethod
    def start(cls, face_id: int, observation: Observation, seconds: float) -> Track:
        """Start the track of a face at its first observation."""
        return cls(
            face_id=face_id,
            centre=_centre(observation.landmarks.box),
            size=box_size(observation.landmarks.box),
            centre_velocity=np.zeros(2),
            located_seconds=seconds,
            appearance=observation.appearance,
            appearance_known=observation.unoccluded,
            roi=face_region(observation.points),
        )

    def resume(self, observation: Observation, seconds: float) -> Track:
        """Restart a lost track at an observation; it keeps id and appearance, and begins without motion."""
        track = Track.start(self.face_id, observation, seconds)
        return replace(track, appearance=self.appearance, appearance_known=self.appearance_known)

    def rescaled(self, scale: float) -> Track:
        """Bring all positions to frames of `scale` times as many px per side.

        The picture is sampled anew, so the filter and the measured motion begin anew, and the network runs.
        """
        x, y = change_grid(np.array([self.roi.x, self.roi.y]), scale).tolist()
        return replace(
            self,
            centre=change_grid(self.centre, scale),
            size=scale * self.size,
            centre_velocity=scale * self.centre_velocity,
            roi=replace(self.roi, x=x, y=y, side=scale * self.roi.side),
            last=None if self.last is None else _rescaled_face(self.last, scale),
            velocity=scale * self.velocity,
            stabilizer_state=None,
            view=None,
            plan=Plan(),
        )

    def identified_as(self, other: Track) -> Track:
        """Keep the state of the last frame, but take id and state for recognition from another track."""
        return replace(
            self,
            face_id=other.face_id,
            centre=other.centre,
            size=other.size,
            centre_velocity=other.centre_velocity,
            located_seconds=other.located_seconds,
            appearance=other.appearance,
            appearance_known=other.appearance_known,
        )

    def predicted_roi(self, seconds: float, config: TrackerConfig) -> Region:
        """Predict the region of the face at a time."""
        elapsed = min(seconds - self.last_seconds, config.motion.prediction_seconds)
        return predict_region(self.roi, self.velocity * elapsed, config.roi)

    def cost(self, observation: Observation, seconds: float, config: TrackerConfig) -> float:
        """Compute the cost of matching an observation to this track.

        It is the sum of `motion_cost` and an appearance term of 1 at the `distance_scale`, which is at most 1
        where the observation or the track's appearance is occluded. An object that covers a face, such as a
        hand, changes more of its descriptor than another face would.
        """
        distance = appearance_distance(self.appearance, observation.appearance)
        term = distance / config.appearance.distance_scale
        in_sight = observation.unoccluded and observation.visible_fraction >= config.occlusion.min_visible
        if not (in_sight and self.appearance_known):
            term = min(term, 1.0)
        return self.motion_cost(observation.landmarks.box, seconds, config.motion) + term

    def motion_cost(self, box: Box, seconds: float, config: MotionConfig) -> float:
        """Sum the deviations from the path and from the size, each 1 at its tolerance.

        Args:
            box: of the face's points, image px.
            seconds: time of the frame.
            config: the tolerances, which grow with the time since the face was located.
        """
        elapsed = max(seconds - self.located_seconds, 0.0)
        size, uncertain = box_size(box), min(elapsed, config.max_noise_seconds)
        position_noise = max(self.size, size) * (config.position_noise + config.process_noise * uncertain)
        deviation = self._distance_from_path(_centre(box), elapsed, config) / position_noise
        growth = abs(math.log(max(size, 1e-3) / max(self.size, 1e-3)))
        return deviation + growth / (config.log_size_noise + config.log_size_process_noise * uncertain)

    def _distance_from_path(
        self, centre: Float[np.ndarray, "2"], elapsed: float, config: MotionConfig
    ) -> float:
        """Distance from the straight path since the face was located; it may have stopped anywhere on it."""
        duration = config.stopping_seconds
        path = self.centre_velocity * duration * (1 - math.exp(-elapsed / duration))
        along = float((centre - self.centre) @ path) / max(float(path @ path), 1e-9)
        return float(np.linalg.norm(centre - self.centre - min(max(along, 0.0), 1.0) * path))

    def has_jumped(self, observation: Observation, seconds: float, config: MotionConfig) -> bool:
        """Whether an observation is further from the predicted position than a head can move."""
        if self.last is None:
            return False
        elapsed = seconds - self.last_seconds
        predicted = self.velocity * min(elapsed, config.prediction_seconds)
        deviation = centroid(observation.points - self.last.raw_points) - predicted
        size = float(face_size(self.last.raw_points))
        return math.hypot(*deviation) > size * (config.max_jump + config.max_jump_speed * elapsed)

    def accepts(self, appearance: Appearance, config: AppearanceConfig) -> bool:
        """Whether an unoccluded descriptor may be this face's."""
        return not self.appearance_known or (
            appearance_distance(self.appearance, appearance) < config.max_distance
        )

    def has_changed(self, appearance: Appearance, config: AppearanceConfig) -> bool:
        """Whether a descriptor differs suddenly from the last unoccluded one."""
        return self.last_appearance is not None and (
            appearance_distance(self.last_appearance, appearance) > config.max_change
        )

    def is_unchanged(self, frame: Picture, config: AppearanceConfig) -> bool:
        """Whether a frame after a cut shows the face unchanged at its position: only another part was cut."""
        if self.last is None or self.last_appearance is None:
            return False
        appearance = describe(frame, self.last.raw_points, config)
        return appearance_distance(self.last_appearance, appearance) < config.unchanged

    def is_identical(self, appearance: Appearance, config: AppearanceConfig) -> bool:
        """Whether a quarter of the face, or more, is as in the last frame."""
        return self.last_appearance is not None and (
            quarter_distance(self.last_appearance, appearance) < config.identical
        )

    def resembles_mean(self, appearance: Appearance, config: AppearanceConfig) -> bool:
        """Whether a descriptor is almost the mean of the face's own."""
        return self.appearance_known and appearance_distance(self.appearance, appearance) < config.unchanged

    def learn(self, observation: Observation, seconds: float, config: TrackerConfig) -> Track:
        """Update the state for recognition with an observation that no other face can hide.

        An unoccluded descriptor unlike the face's own is ignored for `memory_seconds`, since it may be
        somebody else's; if it stays, the face has changed and the descriptor replaces the mean. A carried
        face has no new descriptor.
        """
        if observation.carried or not observation.unoccluded:
            return self.move(observation.landmarks.box, seconds, config.motion)
        track = self
        if not self.accepts(observation.appearance, config.appearance):
            if seconds - self.located_seconds <= config.memory_seconds:
                return self
            track = replace(self, appearance_known=False)
        track = track.move(observation.landmarks.box, seconds, config.motion)
        return track.learn_appearance(observation.appearance, config.appearance)

    def move(self, box: Box, seconds: float, config: MotionConfig) -> Track:
        """Update centre, size and velocity of the centre by the box of the face's points, image px."""
        centre = _centre(box)
        velocity = (centre - self.centre) / max(seconds - self.located_seconds, _SHORTEST)
        velocity = self.centre_velocity + config.velocity_gain * (velocity - self.centre_velocity)
        return replace(
            self,
            centre=centre,
            size=box_size(box),
            centre_velocity=velocity,
            located_seconds=seconds,
        )

    def learn_appearance(self, appearance: Appearance, config: AppearanceConfig) -> Track:
        """Update the mean descriptor with an unoccluded one, unless that is another face's."""
        if not self.appearance_known:
            return replace(self, appearance=appearance, appearance_known=True)
        if not self.accepts(appearance, config):
            return self
        mean = (1 - config.update_rate) * self.appearance + config.update_rate * appearance
        return replace(self, appearance=mean / max(math.sqrt(mean @ mean), 1e-9))

    def update(
        self,
        observation: Observation,
        seconds: float,
        points: FacePoints,
        state: Any,
        followed: Followed,
        plan: Plan,
        config: TrackerConfig,
    ) -> Track:
        """Update what the last frame shows.

        Args:
            observation: of the frame.
            seconds: time of the frame.
            points: (68, 2) stabilised, image px.
            state: of the stabiliser after it.
            followed: view and displacements; these are dropped if the track had another face's id in the
                last frame.
            plan: of the network's next run.
            config: gains of velocity and region.
        """
        raw_points, landmarks = observation.points, observation.landmarks
        velocity = self.velocity
        same_face = self.last is not None and self.last.face_id == self.face_id
        if self.last is not None:
            elapsed = max(seconds - self.last_seconds, _SHORTEST)
            measured = centroid(raw_points - self.last.raw_points) / elapsed
            velocity = velocity + config.motion.velocity_gain * (measured - velocity)
        return replace(
            self,
            roi=smooth_region(self.roi, face_region(raw_points), config.roi),
            last=TrackedFace(
                self.face_id,
                points,
                raw_points,
                landmarks.scores,
                bounding_box(points),
                visible=landmarks.visible,
                covariances=landmarks.covariances,
                displacements=followed.displacements if same_face else None,
                carried=observation.carried,
            ),
            last_seconds=seconds,
            velocity=velocity,
            last_appearance=observation.appearance if observation.unoccluded else self.last_appearance,
            stabilizer_state=state,
            view=followed.view,
            plan=plan,
        )


Match = tuple[Track, Observation]
"""A track and its observation in the frame."""


def _centre(box: Box) -> Float[np.ndarray, "2"]:
    return (box[:2] + box[2:]) / 2


def rescale_tracks(tracks: Sequence[Track], before: tuple[int, int], now: tuple[int, int]) -> list[Track]:
    """Bring tracks from frames of one (width, height) to another; none stays if the shape differs."""
    across, down = now[0] / before[0], now[1] / before[1]
    if abs(across / down - 1) > _SAME_SHAPE:
        return []
    return [track.rescaled(math.sqrt(across * down)) for track in tracks]


def _rescaled_face(face: TrackedFace, scale: float) -> TrackedFace:
    points = change_grid(face.points, scale)
    return replace(
        face,
        points=points,
        raw_points=change_grid(face.raw_points, scale),
        box=bounding_box(points),
        covariances=scale**2 * face.covariances,
        displacements=None,
    )
