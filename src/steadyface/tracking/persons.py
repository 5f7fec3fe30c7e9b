"""Checks by the identity network: faces that have moved at once, and faces in shots that return."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property

import numpy as np

from steadyface.arrays import FacePoints
from steadyface.identity import Descriptor, IdentityEncoder
from steadyface.motion import FaceCrop, face_region
from steadyface.picture import Picture
from steadyface.tracking.appearance import Observation
from steadyface.tracking.config import AppearanceConfig, TrackerConfig
from steadyface.tracking.skin import cut_face
from steadyface.tracking.track import Track


class PersonCheck:
    """Compares a face with the same track's face in the last frame.

    The network opens at the first check, which few clips need.

    Args:
        device, threads: as of `IdentityEncoder`.
        config: `same_person` is the least similarity.
    """

    def __init__(self, device: str, threads: int | None, config: AppearanceConfig) -> None:
        self._device, self._threads, self._config = device, threads, config

    def is_same(self, frame: Picture, track: Track, observation: Observation) -> bool:
        """Whether an observation shows the person of the track's last frame.

        It does not where motion is not measured, since then no picture of the last frame is kept.

        Args:
            frame: the picture.
            track: before this frame.
            observation: in the track's region, image px.
        """
        if track.has_changed(observation.appearance, self._config):
            return False
        return self.similarity(frame, track, observation) >= self._config.same_person

    def similarity(self, frame: Picture, track: Track, observation: Observation) -> float:
        """Cosine of the descriptors of an observation and of the track's last frame; -1 without a picture."""
        if track.view is None or track.last is None:
            return -1.0
        before = self._describe(track.view.crop, track.last.raw_points)
        crop = cut_face(frame, face_region(observation.points))
        return float(before @ self._describe(crop, observation.points))

    def _describe(self, crop: FaceCrop, points: FacePoints) -> Descriptor:
        """Describe the face in a grey crop; `points` in image px."""
        return self._encoder.describe(crop.grey, [crop.to_crop(points)])[0]

    @cached_property
    def _encoder(self) -> IdentityEncoder:
        return IdentityEncoder(self._device, self._threads)


class EndedFaces:
    """Faces that cuts have ended, by scene, until the shot returns and shows the same person.

    A wrong id is worse than a new one. So the shot must begin as that face's ended (`CutDetector.scene`), the
    face must not look like another one, the identity network must be sure, and there must be no second face
    of which it is sure too.

    Args:
        persons: compares faces; it needs the pictures that are kept where motion is measured.
        config: `returned_person` is the least similarity, `ended_seconds` the longest absence.
    """

    def __init__(self, persons: PersonCheck, config: TrackerConfig) -> None:
        self._persons, self._config = persons, config
        self.reset()

    def reset(self) -> None:
        """Forget all faces."""
        self._ended: dict[int, list[Track]] = defaultdict(list)

    def add(self, scene: int, tracks: Iterable[Track]) -> None:
        """Remember faces that a cut ends, of which there is a picture."""
        self._ended[scene] += [track for track in tracks if track.view is not None]

    def find(
        self, frame: Picture, scene: int, observations: Mapping[int, Observation], seconds: float
    ) -> dict[int, Track]:
        """Find the remembered faces among observations, and forget those.

        Args:
            frame: the picture.
            scene: of the frame.
            observations: new faces by number, image px.
            seconds: time of the frame.

        Returns:
            Number of the observation → its track.
        """
        limits, longest = self._config.appearance, self._config.ended_seconds
        for each, ended in self._ended.items():
            self._ended[each] = [track for track in ended if seconds - track.last_seconds <= longest]
        tracks = self._ended[scene]
        sure = [
            [
                observation.unoccluded
                and track.accepts(observation.appearance, limits)
                and self._persons.similarity(frame, track, observation) >= limits.returned_person
                for observation in observations.values()
            ]
            for track in tracks
        ]
        table = np.array(sure, bool).reshape(len(tracks), len(observations))
        alone = table & (table.sum(axis=0) == 1) & (table.sum(axis=1, keepdims=True) == 1)
        numbers = [*observations]
        found = {numbers[column]: tracks[row] for row, column in np.argwhere(alone).tolist()}
        self._ended[scene] = [track for track in tracks if track not in found.values()]
        return found
