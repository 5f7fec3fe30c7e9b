"""Jitter and filter delay of each face over the last second."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from steadyface.metrics import jitter, lag
from steadyface.tracking import TrackedFace
from steadyface.tracks.timeline import runs_of

_SECOND = 1.0
_MOST_FRAMES = 120  # limit if the page's clock hardly moves


class Steadiness(NamedTuple):
    """Jitter of raw and stabilised points, % of the inter-ocular distance, and filter delay, frames.

    NaN where unknown.
    """

    jitter_raw: float
    jitter: float
    delay: float


_UNKNOWN = Steadiness(math.nan, math.nan, math.nan)


class LastSecond:
    """`metrics.jitter` and `metrics.lag` of each face over the last second of successive frames.

    A face that was missing or held starts again.
    """

    def __init__(self) -> None:
        self._seen: dict[int, deque[tuple[float, bool, np.ndarray]]] = {}

    def add(self, faces: Sequence[TrackedFace], seconds: float) -> list[Steadiness]:
        """Add the faces of the next frame.

        Returns:
            Steadiness of each face: jitter from the third frame on, delay from the sixth on while it moves.
            Raw points count in the longest run of frames in which the network saw the face.
        """
        visible = [face for face in faces if not face.held]
        before = self._seen
        self._seen = {face.face_id: before.get(face.face_id, deque(maxlen=_MOST_FRAMES)) for face in visible}
        for face in visible:
            run = self._seen[face.face_id]
            run.append((seconds, face.carried, np.stack([face.raw_points, face.points])))
            while run[0][0] < seconds - _SECOND:
                run.popleft()
        return [self._steadiness(face.face_id) for face in faces]

    def _steadiness(self, face: int) -> Steadiness:
        run = self._seen.get(face, ())
        if len(run) < 3:
            return _UNKNOWN
        raw, shown = np.stack([points for _, _, points in run], axis=1).astype(float)
        seen = np.flatnonzero([not carried for _, carried, _ in run])
        longest = max((seen[part] for part in runs_of(seen)), key=len, default=seen)
        return Steadiness(jitter(raw[longest]), jitter(shown), lag(shown, raw))
