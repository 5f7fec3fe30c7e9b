"""The mesh of a talking still: no motion folds it, and at rest it is as annotated."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from talking_scenes import SEEDS, face, path, pressed, scene, shut_face


@pytest.mark.parametrize("seed", SEEDS)
def test_no_triangle_turns_over(seed: int) -> None:
    wild = {"yaw": 50.0, "pitch": 40.0, "mouth": 1.0, "brows": 0.6}
    for points, changes in product((face(), shut_face(), pressed()), ({}, wild)):
        life = replace(scene(seed, **changes), points=points)
        mesh = life._face
        weights = np.stack([life._script.weights(k / 30, mesh.closing) for k in range(150)])
        assert (mesh.areas(mesh.shape(weights)) / mesh.areas(mesh.rest)).min() > 0


def test_shut_lips_are_parted_and_all_else_is_as_annotated() -> None:
    np.testing.assert_allclose(scene().rest, face(), rtol=0, atol=1e-9)
    shut = pressed()
    rest = replace(scene(), points=shut).rest
    width = np.linalg.norm(shut[54] - shut[48])
    gaps = np.linalg.norm(rest[[65, 66, 67]] - rest[[63, 62, 61]], axis=-1)
    np.testing.assert_allclose(gaps, 0.015 * np.linalg.norm(shut[64] - shut[60]), rtol=1e-9)
    assert np.abs(rest - shut).max() < 0.01 * width


def test_points_on_one_place_stay_together() -> None:
    twins = face().copy()
    twins[60] = twins[49]  # alone, one would go down and the other up
    points = path(replace(scene(), points=twins))
    np.testing.assert_allclose(points[:, 60], points[:, 49], rtol=0, atol=1e-9)
