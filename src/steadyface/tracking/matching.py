"""Matching of shapes: duplicates, occlusion between faces, and the assignment of least cost."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment

from steadyface.arrays import FacePoints, FaceStack
from steadyface.geometry import bounding_box, face_size, fraction_inside, iou
from steadyface.tracking.config import MatchingConfig, OcclusionConfig


def same_face(
    points: FaceStack, others: Float[np.ndarray, "others 68 2"], config: MatchingConfig
) -> Bool[np.ndarray, "faces others"]:
    """Test which shapes lie on the same face, by the IoU of their boxes or the distance of their landmarks.

    Args:
        points, others: (N, 68, 2) and (M, 68, 2), image px.
        config: the limits.
    """
    if not len(points) or not len(others):
        return np.zeros((len(points), len(others)), bool)
    boxes = iou(bounding_box(points), bounding_box(others))
    distances = np.linalg.norm(points[:, None] - others[None], axis=-1).mean(axis=-1)
    sizes = np.sqrt(np.outer(face_size(points), face_size(others)))
    return (boxes > config.same_face_iou) | (distances < config.same_face_distance * sizes)


def suppress_duplicates(
    points: FaceStack, scores: Float[np.ndarray, "faces"], config: MatchingConfig
) -> list[int]:
    """Select the best-scored shape of each face.

    Args:
        points: (N, 68, 2) image px.
        scores: (N,) one per shape.
        config: the limits of `same_face`.

    Returns:
        Indices of the selected shapes, ascending.
    """
    same = same_face(points, points, config)
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable").tolist():
        if not same[i, kept].any():
            kept.append(i)
    return sorted(kept)


def near_others(points: FaceStack, config: OcclusionConfig, margin: float = 0.0) -> Bool[np.ndarray, "faces"]:
    """Test which faces overlap another one, so that either may hide the other.

    Args:
        points: (N, 68, 2) image px.
        config: the limits.
        margin: widening of each box on every side, in its own sizes.
    """
    if len(points) < 2:
        return np.zeros(len(points), bool)
    boxes = bounding_box(points)
    spans = margin * (boxes[:, 2:] - boxes[:, :2])
    overlaps = fraction_inside(boxes, boxes + np.hstack([-spans, spans])) > config.min_fraction
    return (overlaps | overlaps.T).sum(axis=1) > 1  # each overlaps itself


def find_occluder(
    points: FacePoints,
    others: Mapping[int, FacePoints],
    config: OcclusionConfig,
) -> int | None:
    """Find the nearest other face that is near enough to hide a shape.

    Args:
        points: (68, 2) image px.
        others: id → (68, 2) image px.
        config: the limits.
    """
    distances = {
        face_id: float(np.linalg.norm((other - points).mean(axis=0))) for face_id, other in others.items()
    }
    nearest = min(distances, key=distances.__getitem__, default=None)
    limit = config.occluder_distance * face_size(points)
    return nearest if nearest is not None and distances[nearest] < limit else None


def assign(costs: Float[np.ndarray, "rows columns"], max_cost: float) -> list[tuple[int, int]]:
    """Pair rows with columns at the least total cost (Hungarian method).

    Each row and column is paired once at most, and no pair costs `max_cost` or more. An unpaired row or
    column costs `max_cost`, so one good pair is not given up for two bad ones.

    Returns:
        Pairs (row, column), ascending by row.

    >>> assign(np.array([[0.1, 0.2], [0.2, 9.0]]), max_cost=3.0)
    [(0, 1), (1, 0)]
    >>> assign(np.array([[9.0, 0.2]]), max_cost=3.0)
    [(0, 1)]
    """
    rows, columns = linear_sum_assignment(np.minimum(costs, max_cost))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if costs[r, c] < max_cost]
