"""Linear model of a face: a mesh over the still, and a displacement of it per degree of freedom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import Delaunay

from steadyface import markup
from steadyface.arrays import Points
from steadyface.geometry import bounding_box
from steadyface.synthetic.talking_still import expressions

Vertices = Float[np.ndarray, "vertices 2"]

_RINGS = ((1.4, 0.5), (2.2, 0.0))  # radius in half faces, fraction of the nearest landmark's displacement
_RING_COUNT = 20
_LEAST_AREA = 0.02  # of a triangle, over its area in the still


@dataclass(frozen=True)
class Face:
    """Mesh over the still and its displacements.

    Args:
        rest: landmarks, then the rings; px of the still.
        modes: displacement of each vertex at weight 1, px of the still: blink, mouth, yaw, pitch, brows.
        triangles: vertices of each.
        closing: the mouth's most negative weight, at which open lips have nearly closed; ≥ 0.
    """

    rest: Vertices
    modes: Float[np.ndarray, "modes vertices 2"]
    triangles: Int[np.ndarray, "triangles 3"]
    closing: float

    @classmethod
    def of_points(
        cls, points: Points, *, eyes: Sequence[str], mouth: float, yaw: float, pitch: float, brows: float
    ) -> Face:
        """Build the mesh of annotated points.

        Args:
            points: (68, 2) px of the still.
            eyes, mouth, yaw, pitch, brows: as of `TalkingStill`.
        """
        axes = _Axes.of_points(points)
        local = expressions.parted(axes.to_local(points))
        modes = np.stack(
            [
                expressions.blink(local, eyes),
                expressions.mouth(local, mouth),
                expressions.parallax(local, math.radians(yaw), axis=0),
                expressions.parallax(local, math.radians(pitch), axis=1),
                expressions.brows(local, brows),
            ]
        )
        closing = expressions.closing(local, modes[1])
        ring, nearest, fraction = _rings(local)
        modes = np.concatenate([modes, fraction[:, None] * modes[:, nearest]], axis=1)
        rest = np.concatenate([local, ring])
        face = cls(axes.to_still(rest), modes @ axes.directions, Delaunay(rest).simplices, closing)
        return face._tied()._without_folds()

    def shape(self, weights: Float[np.ndarray, "*times modes"]) -> Float[np.ndarray, "*times vertices 2"]:
        """Move the vertices by the weighted displacements; px of the still."""
        return self.rest + np.tensordot(weights, self.modes, axes=1)

    def areas(
        self, vertices: Float[np.ndarray, "*times vertices 2"]
    ) -> Float[np.ndarray, "*times triangles"]:
        """Compute twice the signed area of each triangle, px²."""
        a, b, c = np.moveaxis(vertices[..., self.triangles, :], -2, 0)
        first, second = b - a, c - a
        return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]

    def _tied(self) -> Face:
        """Give a vertex that coincides with another, and so is in no triangle, the nearest one's modes."""
        used = np.unique(self.triangles)
        nearest = used[np.linalg.norm(self.rest[:, None] - self.rest[used], axis=-1).argmin(axis=1)]
        return replace(self, modes=self.modes[:, nearest])

    def _without_folds(self) -> Face:
        """Shrink each displacement in turn until every triangle keeps its orientation."""
        face, spans = self, [(0, 0.5, 1), (-self.closing, 0, 0.5, 1), (-1, 0, 1), (-1, 0, 1), (0, 1)]
        for mode in range(len(spans)):
            face = face._limited(mode, spans)
        return face

    def _limited(self, mode: int, spans: list[tuple[float, ...]]) -> Face:
        """Shrink one displacement until no triangle folds at any extreme of those before it."""
        corners = np.array(list(product(*spans[: mode + 1])))
        weights = np.pad(corners, ((0, 0), (0, len(spans) - mode - 1)))
        for gain in np.linspace(1, 0, 21):
            modes = self.modes.copy()
            modes[mode] *= gain
            face = replace(self, modes=modes)
            ratio = face.areas(face.shape(weights)) / self.areas(self.rest)
            if ratio.min() > _LEAST_AREA:
                break
        return face


@dataclass(frozen=True)
class _Axes:
    """Axes of a face in the still: x from eye to eye, y down to the chin, 0 in the middle of the box."""

    centre: Float[np.ndarray, "2"]
    directions: Float[np.ndarray, "2 2"]

    @classmethod
    def of_points(cls, points: Points) -> _Axes:
        right, left = points[list(markup.OUTER_EYE_CORNERS)]
        x, y = (left - right) / np.linalg.norm(left - right)
        directions = np.array([[x, y], [-y, x]])
        middle = bounding_box(points @ directions.T).reshape(2, 2).mean(axis=0)
        return cls(middle @ directions, directions)

    def to_local(self, points: Points) -> Points:
        return (points - self.centre) @ self.directions.T

    def to_still(self, points: Vertices) -> Vertices:
        return points @ self.directions + self.centre


def _rings(
    points: Points,
) -> tuple[Vertices, Int[np.ndarray, "anchors"], Float[np.ndarray, "anchors"]]:
    """Anchors around the face: positions, nearest landmarks, and fractions of their displacements."""
    turns = 2 * np.pi * np.arange(_RING_COUNT) / _RING_COUNT
    circle = np.column_stack([np.cos(turns), np.sin(turns)]) * np.ptp(points, axis=0) / 2
    rings = np.concatenate([radius * circle for radius, _ in _RINGS])
    nearest = np.linalg.norm(rings[:, None] - points, axis=-1).argmin(axis=1)
    return rings, nearest, np.repeat([fraction for _, fraction in _RINGS], _RING_COUNT)
