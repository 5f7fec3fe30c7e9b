"""Check by the identity network that a face which has moved at once is the person of the last frame."""

from __future__ import annotations

from functools import cached_property

from steadyface.arrays import FacePoints
from steadyface.identity import Descriptor, IdentityEncoder
from steadyface.motion import FaceCrop, face_region
from steadyface.picture import Picture
from steadyface.tracking.appearance import Observation
from steadyface.tracking.config import AppearanceConfig
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
        if track.view is None or track.last is None:
            return False
        if track.has_changed(observation.appearance, self._config):
            return False
        before = self._describe(track.view.crop, track.last.raw_points)
        crop = cut_face(frame, face_region(observation.points))
        similarity = float(before @ self._describe(crop, observation.points))
        return similarity >= self._config.same_person

    def _describe(self, crop: FaceCrop, points: FacePoints) -> Descriptor:
        """Describe the face in a grey crop; `points` in image px."""
        return self._encoder.describe(crop.grey, [crop.to_crop(points)])[0]

    @cached_property
    def _encoder(self) -> IdentityEncoder:
        return IdentityEncoder(self._device, self._threads)
