"""Landmarks of the next frame, computed in a thread beside the rest of the work on this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steadyface.geometry import Affine, Region
from steadyface.landmarker import Landmarker, LandmarkModel, Landmarks, predict_faces, to_image
from steadyface.picture import Picture
from steadyface.tracking.network_thread import NetworkThread, Pending

Regions = Mapping[int, Region]
"""Face id → region of the frame in which the face's landmarks are predicted."""


class LandmarkPrefetcher:
    """Runs the landmark network on a frame, or in advance, in a thread, on the next one.

    Landmarks that were begun in advance are used if frame and regions are those that were expected, else the
    network runs again; so they never differ from those of a frame by itself.

    Args:
        landmarker: predicts the landmarks.
        thread: in which a network runs; without a thread nothing is begun in advance.
    """

    def __init__(self, landmarker: LandmarkModel, thread: NetworkThread) -> None:
        self._landmarker, self._thread = landmarker, thread
        self._begun: tuple[_Prefetched, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the thread and its work."""
        return type(self), (self._landmarker, self._thread)

    def begin(self, frame: Picture, regions: Regions) -> None:
        """Begin to predict a frame's landmarks, after those of the frame that was begun before.

        Args:
            frame: the picture.
            regions: expected of the frame's faces, image px.
        """
        if not self._thread.threaded or not isinstance(self._landmarker, Landmarker):
            return
        pairs = [(frame, region) for region in regions.values()]
        runs = [
            (self._thread.begin(self._landmarker.predict_crops, crops), to_crops)
            for crops, to_crops in self._landmarker.cut_faces(pairs)
        ]
        self._begun = (*self._begun[-1:], _Prefetched(frame, regions, runs))

    def predict(self, frame: Picture, regions: Regions) -> Landmarks:
        """Predict a frame's landmarks, one face per region in the same order.

        Args:
            frame: the picture.
            regions: of the frame's faces, image px.

        Returns:
            points (N, 68, 2), scores (N, 68), covariances (N, 68, 2, 2), visible (N, 68), in image px. Errors
            of the network on a prefetched frame are raised here, when that frame's turn comes.
        """
        begun = self._begun
        self._begun = tuple(each for each in begun if each.frame != frame)
        for each in begun:
            if each.fits(frame, regions):
                return each.landmarks()
        return predict_faces(self._landmarker, frame, list(regions.values()))


@dataclass(frozen=True)
class _Prefetched:
    """A frame whose landmarks are being predicted.

    Args:
        frame: the picture.
        regions: of its faces.
        runs: of the network, and the maps to the crops of each.
    """

    frame: Picture
    regions: Regions
    runs: Sequence[tuple[Pending[Landmarks], Sequence[Affine]]]

    def fits(self, frame: Picture, regions: Regions) -> bool:
        """Whether its landmarks are those of these faces of this frame, in this order."""
        return frame == self.frame and list(regions.items()) == list(self.regions.items())

    def landmarks(self) -> Landmarks:
        """Wait for the network."""
        return Landmarks.join([to_image(run.result, to_crops) for run, to_crops in self.runs])
