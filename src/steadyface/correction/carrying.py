"""Carry corrected places of a face from frame to frame, by the motion that the picture shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from steadyface.arrays import FaceSequence
from steadyface.geometry import face_size
from steadyface.motion import FaceCrop, measure_displacements, robust_similarity

Variances = Float[np.ndarray, "frames 68"]
Places = Mapping[tuple[int, int], tuple[float, float]]
"""(frame, point) → x, y in image px."""

_SURE = 1e-6  # px²: variance of a place that a person gave


@dataclass(frozen=True)
class FadingConfig:
    """Reach of a correction, in percent of face size.

    Args:
        whole: standard deviation of a carried place up to which the correction holds whole.
        gone: that from which on nothing is left of it; between both it fades. Increasing it reaches further,
            but carries on what has strayed.
        drift: standard deviation that a frame adds to that of the measured motion, since what slips, slips
            again and again. Increasing it makes corrections fade sooner, also while nothing moves.
    """

    whole: float = 1.5
    gone: float = 6.0
    drift: float = 0.2

    @property
    def reach(self) -> int:
        """Most frames to each side that a correction can change."""
        return int((self.gone / self.drift) ** 2)


def carry(
    points: FaceSequence, crops: Sequence[FaceCrop], places: Places, config: FadingConfig | None = None
) -> FaceSequence:
    """Correct points in the frames around those that a person corrected.

    Each place is followed forward and back by measured displacements of the skin there, whose variances add
    up, until the next correction of the same point. Between two corrections both are joined by their
    precisions. The result fades from the carried places to the given points as the standard deviation grows.

    Args:
        points: (T, 68, 2) of a face in successive frames, image px.
        crops: of these frames, of one size.
        places: of points in some of the frames.
        config: None takes the defaults.

    Returns:
        (T, 68, 2) image px.
    """
    config = config or FadingConfig()
    count = len(points)
    orders = range(count), range(count - 1, -1, -1)
    (forth, forth_variance), (back, back_variance) = (
        _followed(points, crops, places, order, config) for order in orders
    )
    precision = 1 / np.stack([forth_variance, back_variance])
    total = precision.sum(axis=0)
    known = total > 0
    total = np.where(known, total, 1.0)
    mean = (precision[..., None] * np.stack([forth, back])).sum(axis=0) / total[..., None]
    unit = np.asarray(face_size(points))[:, None] / 100
    deviation = np.sqrt(1 / total) / unit
    left = np.clip((config.gone - deviation) / (config.gone - config.whole), 0, 1) * known
    share = left**2 * (3 - 2 * left)
    return np.asarray(points + share[..., None] * (mean - points))


def _followed(
    points: FaceSequence, crops: Sequence[FaceCrop], places: Places, order: range, config: FadingConfig
) -> tuple[FaceSequence, Variances]:
    """Carried places and their variances, px², in one direction; infinite where there is none."""
    place, variance = points.copy(), np.full(points.shape[:2], np.inf)
    before = None
    for frame in order:
        active = [] if before is None else np.flatnonzero(np.isfinite(variance[before])).tolist()
        if before is not None and active:
            expected = robust_similarity(points[before], points[frame])(place[before])
            moved = measure_displacements(crops[before], crops[frame], place[before], expected)
            drift = config.drift * float(face_size(points[frame])) / 100
            spread = np.trace(moved.covariance, axis1=1, axis2=2) / 2 + drift**2
            place[frame, active] = (place[before] + moved.displacement)[active]
            variance[frame, active] = variance[before, active] + spread[active]
        for (at, point), (x, y) in places.items():
            if at == frame:
                place[frame, point], variance[frame, point] = (x, y), _SURE
        before = frame
    return place, variance
