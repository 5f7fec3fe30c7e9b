"""Which sight is whose: faces that are one, and the cheapest way to give faces to identities."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment

from steadyface.geometry import bounding_box, face_size, fraction_inside, iou

_SAME_BOX = 0.5  # overlap of two boxes …
_SAME_SHAPE = 0.2  # … or mean distance of landmarks, in face sizes, that make two shapes one face
_CONTESTED = 0.05  # share of a face's box inside another's from which on they hide each other


def twins(
    points: Float[np.ndarray, "faces 68 2"], others: Float[np.ndarray, "others 68 2"]
) -> Bool[np.ndarray, "faces others"]:
    """Which shapes lie on the same face: by their boxes' overlap or by their landmarks' distance.

    Args:
        points, others: (N, 68, 2) and (M, 68, 2), image px.
    """
    if not len(points) or not len(others):
        return np.zeros((len(points), len(others)), bool)
    boxes = iou(bounding_box(points), bounding_box(others))
    gaps = np.linalg.norm(points[:, None] - others[None], axis=-1).mean(axis=-1)
    sizes = np.sqrt(np.outer(face_size(points), face_size(others)))
    return (boxes > _SAME_BOX) | (gaps < _SAME_SHAPE * sizes)


def distinct(points: Float[np.ndarray, "faces 68 2"], scores: Float[np.ndarray, "faces"]) -> list[int]:
    """Indices of shapes that lie on different faces; of those on one face the best-scored is kept."""
    same = twins(points, points)
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable").tolist():
        if not same[i, kept].any():
            kept.append(i)
    return sorted(kept)


def contested(points: Float[np.ndarray, "faces 68 2"], margin: float = 0.0) -> Bool[np.ndarray, "faces"]:
    """Which faces are so close to another of them that either may hide the other.

    Args:
        points: (N, 68, 2) image px.
        margin: by which each box is grown to every side, in its own sizes: a head is more than a face.
    """
    if len(points) < 2:
        return np.zeros(len(points), bool)
    boxes = bounding_box(points)
    spans = margin * (boxes[:, 2:] - boxes[:, :2])
    shared = fraction_inside(boxes, boxes + np.hstack([-spans, spans]))
    np.fill_diagonal(shared, 0.0)
    return (np.maximum(shared, shared.T) > _CONTESTED).any(axis=1)


def assign(costs: Float[np.ndarray, "rows columns"], most: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of least total cost, each row and column once at most, no pair above `most`.

    An unpaired row or column costs as much as `most`, so one good pair is not given up for two bad ones.

    >>> assign(np.array([[0.1, 0.2], [0.2, 9.0]]), most=3.0)
    [(0, 1), (1, 0)]
    >>> assign(np.array([[9.0, 0.2]]), most=3.0)
    [(0, 1)]
    """
    rows, columns = linear_sum_assignment(np.minimum(costs, most))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if costs[r, c] < most]
