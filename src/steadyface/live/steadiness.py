"""Jitter of each face over the last second."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from steadyface.metrics import jitter
from steadyface.tracking import TrackedFace

_SECOND = 1.0
_MOST_FRAMES = 120  # limit if the page's clock hardly moves


class LastSecond:
    """`metrics.jitter` of each face over the last second of successive frames.

    A face that was missing or held starts again.
    """

    def __init__(self) -> None:
        self._seen: dict[int, deque[tuple[float, np.ndarray]]] = {}

    def add(self, faces: Sequence[TrackedFace], seconds: float) -> list[tuple[float, float]]:
        """Add the faces of the next frame.

        Returns:
            Jitter of raw and of stabilised points for each face, % of the inter-ocular distance; NaN before
            the third frame.
        """
        visible = [face for face in faces if not face.held]
        before = self._seen
        self._seen = {face.face_id: before.get(face.face_id, deque(maxlen=_MOST_FRAMES)) for face in visible}
        for face in visible:
            run = self._seen[face.face_id]
            run.append((seconds, np.stack([face.raw_points, face.points])))
            while run[0][0] < seconds - _SECOND:
                run.popleft()
        return [self._jitter(face.face_id) for face in faces]

    def _jitter(self, face: int) -> tuple[float, float]:
        run = self._seen.get(face, ())
        if len(run) < 3:
            return float("nan"), float("nan")
        both = np.stack([points for _, points in run], axis=1).astype(float)
        return jitter(both[0]), jitter(both[1])
