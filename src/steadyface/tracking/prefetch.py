"""Landmarks of the next frame, computed in a thread beside the rest of the work on this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from steadyface.arrays import Frame
from steadyface.geometry import Region
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.tracking.roi import region_change

Regions = Mapping[int, Region]
"""Face id → region of the frame in which the face's landmarks are predicted."""


class LandmarkPrefetcher:
    """Runs the landmark network on a frame, and begins with the next frame in a thread.

    A face's region hardly changes from one frame to the next, so the next frame's landmarks can be predicted
    in the regions that are known so far. If a region turns out to differ by more than the tolerance, the
    network runs again.

    Args:
        landmarker: predicts the landmarks. With `threads=1` no thread is started: the same regions are then
            predicted when the frame's turn comes.
        tolerance: `roi.region_change` up to which prefetched landmarks are used.
    """

    def __init__(self, landmarker: Landmarker, tolerance: float) -> None:
        self._landmarker = landmarker
        self._tolerance = tolerance
        self._thread = None if landmarker.threads == 1 else ThreadPoolExecutor(1, "landmarks")
        self._prefetched: _Prefetched | None = None

    def predict(
        self, frame: Frame, regions: Regions, next_frame: tuple[Frame, Regions] | None = None
    ) -> Landmarks:
        """Predict a frame's landmarks, one face per region in the same order.

        Args:
            frame: RGB uint8 (H, W, 3).
            regions: of the frame's faces, image px.
            next_frame: the frame after it and the regions expected there; prediction begins at once.

        Returns:
            points (N, 68, 2), scores (N, 68), covariances (N, 68, 2, 2), visible (N, 68), in image px. Errors
            of the network on a prefetched frame are raised here, when that frame's turn comes.
        """
        prefetched = self._prefetched
        self._prefetched = None if next_frame is None else self._begin(*next_frame)
        if prefetched is not None and prefetched.fits(frame, regions, self._tolerance):
            return prefetched.landmarks()
        return self._landmarker.predict_regions(frame, list(regions.values()))

    def _begin(self, frame: Frame, regions: Regions) -> _Prefetched:
        predict = partial(self._landmarker.predict_regions, frame, list(regions.values()))
        return _Prefetched(
            frame, regions, predict if self._thread is None else self._thread.submit(predict).result
        )


@dataclass(frozen=True)
class _Prefetched:
    """A frame whose landmarks are being predicted."""

    frame: Frame
    regions: Regions
    landmarks: Callable[[], Landmarks]

    def fits(self, frame: Frame, regions: Regions, tolerance: float) -> bool:
        """Whether its landmarks can be used for these faces of this frame."""
        return (
            frame is self.frame
            and list(regions) == list(self.regions)
            and all(region_change(self.regions[i], region) < tolerance for i, region in regions.items())
        )
