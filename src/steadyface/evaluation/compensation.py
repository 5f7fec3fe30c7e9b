"""Measured motion for any causal filter, to show how much the motion alone contributes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from steadyface.arrays import PointBatch, Points
from steadyface.motion import Displacements
from steadyface.motion.matrices import coordinates, points_of
from steadyface.stabilizer import CausalFilter
from steadyface.stabilizer.base import Measurement
from steadyface.stabilizer.outliers import Screened
from steadyface.stabilizer.picture import PictureModel, begin_skin, move_skin


class Memory(NamedTuple):
    """Memory of `MotionCompensated`.

    Args:
        plain: of the filter on the points.
        points: its last output, image px.
        residual: of the filter on the points less `path`.
        path: (landmarks, 2) displacement of the skin since the first frame, px.
    """

    plain: Any
    points: PointBatch
    residual: Any
    path: Points


@dataclass(frozen=True, eq=False)
class MotionCompensated(CausalFilter):
    """Causal filter of the points less the measured path of the skin, to which the path is added again.

    Equation: x(t) = q(t) + F(z - q)(t), where the path q adds up the displacements, and F is the filter. F
    filters what is left of the points z when the skin's motion is subtracted, so it may smooth a moving face
    as much as a resting one; the drift of q is in both terms, and cancels. Each displacement is taken as by
    the default stabiliser (`picture.move_skin`): where it is uncertain, or skin folds, the step of F(z)
    decides. Without displacements the path stays where it is, and x is F(z).

    Args:
        filter_of_points: F.
        picture: certainty of displacements.
    """

    kind: ClassVar[str] = "motion-compensated"
    uses_motion: ClassVar[bool] = True
    filter_of_points: CausalFilter
    picture: PictureModel = field(default=PictureModel(), kw_only=True)

    def begin(self, points: PointBatch) -> Memory:
        begun = self.filter_of_points.begin(points)
        return Memory(begun, points, begun, np.zeros_like(points))

    def advance(self, memory: Memory, measurement: Measurement) -> tuple[Memory, PointBatch]:
        """Move the path on, and filter the residual."""
        plain, points = self.filter_of_points.advance(memory.plain, measurement)
        path = memory.path
        if measurement.displacements is not None:
            path = self._moved(path, measurement, measurement.displacements, points - memory.points)
        left = measurement._replace(points=measurement.points - path)
        residual, filtered = self.filter_of_points.advance(memory.residual, left)
        return Memory(plain, points, residual, path), path + filtered

    def coast(
        self, memory: Memory, points: Points, screened: Screened, displacements: Displacements | None
    ) -> tuple[Memory, Points]:
        if displacements is None:
            return memory, points
        moved = displacements.displacement
        return memory._replace(path=memory.path + moved), points + moved

    def _moved(
        self, path: Points, measurement: Measurement, displacements: Displacements, step: Points
    ) -> Points:
        """Path after the next frame; `step` is that of the plain filter's points, px."""
        unit, frames = float(measurement.unit), measurement.frames
        certain = begin_skin(self.picture, path, np.zeros(len(path)), unit)
        change = coordinates(step)
        moved = move_skin(self.picture, certain, displacements, change, np.ones(len(path)), unit, frames)
        return points_of(moved.points)
