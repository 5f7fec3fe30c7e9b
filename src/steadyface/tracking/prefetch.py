"""Landmarks of the next frame, computed in a thread beside the rest of the work on this one."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from steadyface.geometry import Region
from steadyface.landmarker import Landmarker, LandmarkModel, Landmarks, predict_faces
from steadyface.picture import Picture

Regions = Mapping[int, Region]
"""Face id → region of the frame in which the face's landmarks are predicted."""


class LandmarkPrefetcher:
    """Runs the landmark network on a frame, and begins with the next frame in a thread.

    Landmarks that were begun in advance are used if frame and regions are those that were expected, else the
    network runs again; so they never differ from those of a frame by itself.

    Args:
        landmarker: predicts the landmarks. Only a `Landmarker` of more than one thread works in advance:
            another model need not bear calls from two threads.
    """

    def __init__(self, landmarker: LandmarkModel) -> None:
        self._landmarker = landmarker
        threaded = isinstance(landmarker, Landmarker) and landmarker.threads != 1
        self._thread = ThreadPoolExecutor(1, "landmarks") if threaded else None
        self._prefetched: _Prefetched | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the thread and what it works at."""
        return type(self), (self._landmarker,)

    def predict(
        self, frame: Picture, regions: Regions, next_frame: tuple[Picture, Regions] | None = None
    ) -> Landmarks:
        """Predict a frame's landmarks, one face per region in the same order.

        Args:
            frame: the picture.
            regions: of the frame's faces, image px.
            next_frame: the frame after it and the regions expected there; prediction begins at once.

        Returns:
            points (N, 68, 2), scores (N, 68), covariances (N, 68, 2, 2), visible (N, 68), in image px. Errors
            of the network on a prefetched frame are raised here, when that frame's turn comes.
        """
        prefetched, self._prefetched = self._prefetched, None
        if next_frame is not None and self._thread is not None:
            self._prefetched = _Prefetched(*next_frame, self._thread.submit(self._predict, *next_frame))
        if prefetched is not None and prefetched.fits(frame, regions):
            return prefetched.landmarks.result()
        return self._predict(frame, regions)

    def _predict(self, frame: Picture, regions: Regions) -> Landmarks:
        return predict_faces(self._landmarker, frame, list(regions.values()))


@dataclass(frozen=True)
class _Prefetched:
    """A frame whose landmarks are being predicted."""

    frame: Picture
    regions: Regions
    landmarks: Future[Landmarks]

    def fits(self, frame: Picture, regions: Regions) -> bool:
        """Whether its landmarks are those of these faces of this frame, in this order."""
        return frame == self.frame and list(regions.items()) == list(self.regions.items())
