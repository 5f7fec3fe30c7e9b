"""Packed symmetric matrices against NumPy's routines for stacks of matrices."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import Float

from steadyface.motion.matrices import (
    apply,
    congruent,
    coordinates,
    determinant,
    entries_first,
    entries_inside,
    inverse,
    isotropic,
    outer,
    pack,
    points_of,
    squared_distance,
    squared_length,
    transform,
    unpack,
)

RNG = np.random.default_rng(0)


def covariances(*batch: int) -> Float[np.ndarray, "*batch 2 2"]:
    factors = RNG.normal(size=(*batch, 2, 2))
    return factors @ factors.mT + 0.1 * np.eye(2)


@pytest.mark.parametrize("batch", [(68,), (2, 68)])
class TestBatches:
    def test_unpack_undoes_pack(self, batch: tuple[int, ...]) -> None:
        matrices = covariances(*batch)
        np.testing.assert_array_equal(unpack(pack(matrices)), matrices)

    def test_inverse_and_determinant(self, batch: tuple[int, ...]) -> None:
        matrices = covariances(*batch)
        np.testing.assert_allclose(unpack(inverse(pack(matrices))), np.linalg.inv(matrices))
        np.testing.assert_allclose(determinant(pack(matrices)), np.linalg.det(matrices))

    def test_products_with_vectors(self, batch: tuple[int, ...]) -> None:
        matrices, vectors = covariances(*batch), RNG.normal(size=(2, *batch))
        columns = np.moveaxis(vectors, 0, -1)[..., None]
        product = matrices @ columns
        np.testing.assert_allclose(apply(pack(matrices), vectors), np.moveaxis(product[..., 0], -1, 0))
        np.testing.assert_allclose(squared_length(vectors, pack(matrices)), (columns.mT @ product)[..., 0, 0])
        np.testing.assert_allclose(
            squared_distance(vectors, inverse(pack(matrices))), (columns.mT @ product)[..., 0, 0]
        )
        np.testing.assert_allclose(unpack(outer(vectors)), columns @ columns.mT)

    def test_congruence(self, batch: tuple[int, ...]) -> None:
        first, second = covariances(*batch), covariances(*batch)
        np.testing.assert_allclose(
            unpack(congruent(pack(first), pack(second))), first @ second @ first, rtol=1e-6
        )

    def test_orders_of_axes(self, batch: tuple[int, ...]) -> None:
        points, packed = RNG.normal(size=(*batch, 2)), pack(covariances(*batch))
        np.testing.assert_array_equal(coordinates(points), np.moveaxis(points, -1, 0))
        np.testing.assert_array_equal(points_of(coordinates(points)), points)
        np.testing.assert_array_equal(entries_inside(packed), np.moveaxis(packed, 0, -2))
        np.testing.assert_array_equal(entries_first(entries_inside(packed)), packed)

    def test_one_matrix_for_the_last_axis(self, batch: tuple[int, ...]) -> None:
        matrices, linear = covariances(*batch), RNG.normal(size=(*batch[:-1], 2, 2))
        each = linear[..., None, :, :]
        np.testing.assert_allclose(unpack(transform(pack(matrices), linear)), each @ matrices @ each.mT)

    def test_isotropic(self, batch: tuple[int, ...]) -> None:
        variances = RNG.uniform(size=batch)
        np.testing.assert_array_equal(unpack(isotropic(variances)), variances[..., None, None] * np.eye(2))
