"""The landmarks of the next frame, found while this one is still being worked on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from steadyface.geometry import Region
from steadyface.images import Frame
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.tracking.roi import difference

_NEAR = 0.1  # difference of two regions, in sides and radians, up to which either will do

Regions = Mapping[int, Region]
"""Where the faces of a frame are looked for, by identity."""


class Foresight:
    """Runs the landmark network; that of the next frame in a thread, beside the rest of the work.

    A face's region hardly depends on the frame just before. Where it turns out to be another after all, the
    network runs again.

    Args:
        landmarker: whose network it is. One that is to use one thread gets no second one; it looks at the
            same regions in its turn.
    """

    def __init__(self, landmarker: Landmarker) -> None:
        self._landmarker = landmarker
        self._thread = None if landmarker.threads == 1 else ThreadPoolExecutor(1, "foresight")
        self._coming: _Coming | None = None

    def find(self, frame: Frame, regions: Regions, upcoming: tuple[Frame, Regions] | None) -> Landmarks:
        """The landmarks in a frame's regions, in their order; those of the upcoming one are begun with."""
        expected = self._coming
        self._coming = None if upcoming is None else self._begin(*upcoming)
        if expected is not None and expected.answers(frame, regions):
            return expected.found()
        return self._landmarker.predict_regions(frame, list(regions.values()))

    def _begin(self, frame: Frame, regions: Regions) -> _Coming:
        find = partial(self._landmarker.predict_regions, frame, list(regions.values()))
        return _Coming(frame, regions, find if self._thread is None else self._thread.submit(find).result)


@dataclass(frozen=True)
class _Coming:
    """A frame that the network runs on, or will."""

    frame: Frame
    regions: Regions
    found: Callable[[], Landmarks]

    def answers(self, frame: Frame, regions: Regions) -> bool:
        """Whether it will do for these faces of this frame."""
        return (
            frame is self.frame
            and list(regions) == list(self.regions)
            and all(difference(self.regions[face], region) < _NEAR for face, region in regions.items())
        )
