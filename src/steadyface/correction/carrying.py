"""Carry corrected positions of a face's points from frame to frame, by motion measured in the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from steadyface.arrays import FaceSequence
from steadyface.geometry import face_size
from steadyface.motion import FaceCrop, measure_displacements, robust_similarity

Variances = Float[np.ndarray, "frames 68"]
Positions = Mapping[tuple[int, int], tuple[float, float]]
"""(frame, point) → x, y in image px."""

_SURE = 1e-6  # px²: variance of a position that a person gave


@dataclass(frozen=True)
class FadingConfig:
    """Reach of a correction, in percent of face size.

    Args:
        whole: standard deviation of a carried position up to which the correction holds whole. Increasing it
            keeps corrections whole for longer, also those that have strayed.
        gone: standard deviation from which on nothing is left of the correction; between both it fades.
            Increasing it reaches further, but keeps positions that have strayed.
        drift: standard deviation that each frame adds to that of the measured motion, whose errors add up in
            one direction. Increasing it makes corrections fade sooner, also while nothing moves.
    """

    whole: float = 1.5
    gone: float = 6.0
    drift: float = 0.2

    @property
    def reach(self) -> int:
        """Most frames to each side that a correction can change."""
        return int((self.gone / self.drift) ** 2)


def carry(
    points: FaceSequence, crops: Sequence[FaceCrop], positions: Positions, config: FadingConfig | None = None
) -> FaceSequence:
    """Correct points in the frames around those that a person corrected.

    Each position is followed forwards and backwards by measured displacements of the skin, whose variances
    add up, until the next correction of the same point. Between two corrections both are averaged by their
    precisions. The result fades from the carried positions to the given points as the standard deviation
    grows.

    Args:
        points: (T, 68, 2) of a face in successive frames, image px.
        crops: of these frames, of one size.
        positions: corrected positions of points in some of the frames.
        config: None takes the defaults.

    Returns:
        (T, 68, 2) image px.
    """
    config = config or FadingConfig()
    count = len(points)
    orders = range(count), range(count - 1, -1, -1)
    (forth, forth_variance), (back, back_variance) = (
        _followed(points, crops, positions, order, config) for order in orders
    )
    precision = 1 / np.stack([forth_variance, back_variance])
    total = precision.sum(axis=0)
    known = total > 0
    total = np.where(known, total, 1.0)
    mean = (precision[..., None] * np.stack([forth, back])).sum(axis=0) / total[..., None]
    unit = np.asarray(face_size(points))[:, None] / 100
    deviation = np.sqrt(1 / total) / unit
    fraction = np.clip((config.gone - deviation) / (config.gone - config.whole), 0, 1) * known
    weight = fraction**2 * (3 - 2 * fraction)
    return np.asarray(points + weight[..., None] * (mean - points))


def _followed(
    points: FaceSequence, crops: Sequence[FaceCrop], positions: Positions, order: range, config: FadingConfig
) -> tuple[FaceSequence, Variances]:
    """Carried positions and their variances, px², in one direction; infinite where nothing is carried."""
    carried, variance = points.copy(), np.full(points.shape[:2], np.inf)
    before = None
    for frame in order:
        active = [] if before is None else np.flatnonzero(np.isfinite(variance[before])).tolist()
        if before is not None and active:
            expected = robust_similarity(points[before], points[frame])(carried[before])
            moved = measure_displacements(crops[before], crops[frame], carried[before], expected)
            drift = config.drift * float(face_size(points[frame])) / 100
            spread = np.trace(moved.covariance, axis1=1, axis2=2) / 2 + drift**2
            carried[frame, active] = (carried[before] + moved.displacement)[active]
            variance[frame, active] = variance[before, active] + spread[active]
        for (corrected_frame, point), (x, y) in positions.items():
            if corrected_frame == frame:
                carried[frame, point], variance[frame, point] = (x, y), _SURE
        before = frame
    return carried, variance
