"""Symmetric 2 × 2 matrices, many at once, as their entries xx, xy, yy along the first axis.

NumPy's routines for stacks of small matrices take several times as long.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Matrices = Float[np.ndarray, "*batch 2 2"]
Symmetric = Float[np.ndarray, "3 *batch"]
Vectors = Float[np.ndarray, "2 *batch"]
Numbers = Float[np.ndarray, "*batch"]

IDENTITY = np.array([1.0, 0.0, 1.0])[:, None]


def pack(matrices: Matrices) -> Symmetric:
    """Take the three entries of each matrix, (…, 2, 2) → (3, …)."""
    return np.array([matrices[..., 0, 0], matrices[..., 0, 1], matrices[..., 1, 1]])


def unpack(packed: Symmetric) -> Matrices:
    """Lay the entries out as matrices, (3, …) → (…, 2, 2)."""
    return np.moveaxis(packed.take([0, 1, 1, 2], axis=0), 0, -1).reshape(*packed.shape[1:], 2, 2)


def determinant(packed: Symmetric) -> Numbers:
    """Determinant of each matrix."""
    xx, xy, yy = packed
    return xx * yy - xy * xy


def inverse(packed: Symmetric) -> Symmetric:
    """Invert each matrix.

    >>> inverse(np.array([[2.0], [1.0], [1.0]])).ravel()
    array([ 1., -1.,  2.])
    """
    xx, xy, yy = packed
    return np.array([yy, -xy, xx]) / determinant(packed)


def outer(vectors: Vectors) -> Symmetric:
    """Return v·vᵀ of each vector."""
    x, y = vectors
    return np.array([x * x, x * y, y * y])


def apply(packed: Float[np.ndarray, "3 *#batch"], vectors: Float[np.ndarray, "2 *#batch"]) -> Vectors:
    """Multiply each matrix by its vector."""
    xx, xy, yy = packed
    x, y = vectors
    return np.array([xx * x + xy * y, xy * x + yy * y])


def squared_length(
    vectors: Float[np.ndarray, "2 *#batch"], precisions: Float[np.ndarray, "3 *#batch"]
) -> Numbers:
    """Squared Mahalanobis length vᵀWv of each vector."""
    xx, xy, yy = precisions
    x, y = vectors
    return xx * x * x + 2 * xy * x * y + yy * y * y
