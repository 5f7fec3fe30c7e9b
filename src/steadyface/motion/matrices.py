"""Symmetric 2 × 2 matrices, many at once, as their entries xx, xy, yy along the first axis.

NumPy's routines for stacks of small matrices take several times as long. Vectors stand beside them as their
coordinates x, y along the first axis. Any axes follow, say of faces and of landmarks.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Matrices = Float[np.ndarray, "*batch 2 2"]
Symmetric = Float[np.ndarray, "3 *batch"]
Vectors = Float[np.ndarray, "2 *batch"]
Numbers = Float[np.ndarray, "*batch"]

_ENTRIES, _LAYOUT = np.array([0, 1, 3]), np.array([0, 1, 1, 2])  # of the four in a row, and back
_ROWS, _COLUMNS = np.array([0, 0, 1]), np.array([0, 1, 1])


def pack(matrices: Matrices) -> Symmetric:
    """Take the three entries of each matrix, (…, 2, 2) → (3, …)."""
    return matrices.reshape(-1, 4).T.take(_ENTRIES, axis=0).reshape(3, *matrices.shape[:-2])


def unpack(packed: Symmetric) -> Matrices:
    """Lay the entries out as matrices, (3, …) → (…, 2, 2)."""
    return packed.reshape(3, -1).T.take(_LAYOUT, axis=1).reshape(*packed.shape[1:], 2, 2)


def coordinates(points: Float[np.ndarray, "*batch 2"]) -> Vectors:
    """Put x and y first, (…, 2) → (2, …); a copy, since steps of two cost more than it."""
    return np.ascontiguousarray(points.transpose(-1, *range(points.ndim - 1)))


def points_of(vectors: Vectors) -> Float[np.ndarray, "*batch 2"]:
    """Put x and y last, (2, …) → (…, 2); a view."""
    return vectors.transpose(*range(1, vectors.ndim), 0)


def isotropic(variances: Numbers) -> Symmetric:
    """Return the identity times each number.

    >>> isotropic(np.array([2.0])).ravel()
    array([2., 0., 2.])
    """
    packed = np.zeros((3, *variances.shape))
    packed[::2] = variances
    return packed


def determinant(packed: Symmetric) -> Numbers:
    """Determinant of each matrix."""
    xx, xy, yy = packed
    return xx * yy - xy * xy


def inverse(packed: Symmetric) -> Symmetric:
    """Invert each matrix.

    >>> inverse(np.array([[2.0], [1.0], [1.0]])).ravel()
    array([ 1., -1.,  2.])
    """
    inverted = packed[::-1] / determinant(packed)
    np.negative(inverted[1], out=inverted[1])
    return inverted


def outer(vectors: Vectors) -> Symmetric:
    """Return v·vᵀ of each vector."""
    return vectors.take(_ROWS, axis=0) * vectors.take(_COLUMNS, axis=0)


def apply(packed: Float[np.ndarray, "3 *#batch"], vectors: Float[np.ndarray, "2 *#batch"]) -> Vectors:
    """Multiply each matrix by its vector; both have as many axes."""
    x, y = vectors
    return packed[:2] * x + packed[1:] * y


def squared_length(
    vectors: Float[np.ndarray, "2 *#batch"], precisions: Float[np.ndarray, "3 *#batch"]
) -> Numbers:
    """Squared Mahalanobis length vᵀWv of each vector; both have as many axes."""
    (x, y), (xx, xy, yy) = vectors, precisions
    return x * (xx * x + 2 * xy * y) + yy * y * y


def squared_distance(
    vectors: Float[np.ndarray, "2 *#batch"], covariances: Float[np.ndarray, "3 *#batch"]
) -> Numbers:
    """Squared Mahalanobis length vᵀC⁻¹v of each vector; both have as many axes."""
    (x, y), (xx, xy, yy) = vectors, covariances
    return (x * (yy * x - 2 * xy * y) + xx * y * y) / (xx * yy - xy * xy)


def congruent(outer: Symmetric, inner: Symmetric) -> Symmetric:
    """A·B·A of symmetric A and B."""
    (a, b, d), (p, q, r) = outer, inner
    return np.array(
        [
            a * a * p + 2 * a * b * q + b * b * r,
            a * b * p + (a * d + b * b) * q + b * d * r,
            b * b * p + 2 * b * d * q + d * d * r,
        ]
    )


def transform(packed: Float[np.ndarray, "3 *batch n"], linear: Float[np.ndarray, "*batch 2 2"]) -> np.ndarray:
    """Covariance of A·v where that of each vector v is given: A·M·Aᵀ, with one matrix A for n of them.

    Equation: (A ⊗ A)·vec M, of which three rows are enough.
    """
    products = linear[..., :, None, :, None] * linear[..., None, :, None, :]
    rows = products.reshape(*linear.shape[:-2], 4, 4).take(_ENTRIES, axis=-2)
    return entries_first(rows @ entries_inside(packed.take(_LAYOUT, axis=0)))


def entries_inside(packed: Float[np.ndarray, "entries *batch n"]) -> np.ndarray:
    """Put the entries before the last axis, where products of matrices need them; a view."""
    return packed.transpose(*range(1, packed.ndim - 1), 0, -1)


def entries_first(inside: Float[np.ndarray, "*batch entries n"]) -> np.ndarray:
    """Undo `entries_inside`; a view."""
    return inside.transpose(-2, *range(inside.ndim - 2), -1)
