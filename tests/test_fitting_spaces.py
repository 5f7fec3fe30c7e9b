"""Free numbers of a fit always give a stabiliser, and the paper's at its starting point."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fitting_statistics import make_clips

from steadyface.errors import ConfigError
from steadyface.fitting.form import BASES, Form
from steadyface.fitting.spaces import Space, space
from steadyface.fitting.statistics import statistics
from steadyface.stabilizer import KINDS
from steadyface.stabilizer.paper import PaperSTA
from steadyface.stabilizer.sta import STA

CLIPS = [make_clips()]
free = st.floats(-30, 30)


def make_space(kind: str, **changes: Any) -> Space:
    return space(Form(kind, **changes), CLIPS, 25.0, "on trial")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_one(kind: str) -> None:
    where = make_space(kind)
    tried = list(where.candidates) or [where.build(start) for start in where.starts if where.build]
    assert tried
    for stabilizer in tried:
        assert (stabilizer.kind, stabilizer.fps, stabilizer.fitted) == (kind, 25, "on trial")


@pytest.mark.parametrize("components", [1, 2, 3])
@pytest.mark.parametrize("kind", ["sta", "sta-paper"])
def test_as_many_components_as_asked_for(kind: str, components: int) -> None:
    where = make_space(kind, components=components)
    assert where.build is not None
    for start in where.starts:
        assert len(where.build(start).as_dict()["alphas"]) == components
    assert all(len(start) == len(where.starts[0]) for start in where.starts)


@pytest.mark.parametrize("raw_numbers", [False, True])
@pytest.mark.parametrize("kind", ["sta", "sta-paper"])
@given(st.data())
@settings(max_examples=20)
def test_any_numbers_make_a_stabilizer(kind: str, raw_numbers: bool, data: st.DataObject) -> None:
    where = make_space(kind, raw_numbers=raw_numbers)
    assert where.build is not None
    size = len(where.starts[0])
    where.build(np.array(data.draw(st.lists(free, min_size=size, max_size=size))))


@pytest.mark.parametrize("components", [1, 2, 3])
@pytest.mark.parametrize("kind", ["sta", "sta-paper"])
def test_each_number_counts(kind: str, components: int) -> None:
    where = make_space(kind, components=components)
    assert where.build is not None
    start = where.starts[0]
    for i in range(len(start)):
        one, other = (where.build(start + step * np.eye(len(start))[i]).as_dict() for step in (0.0, 0.3))
        assert one != other


def test_the_joint_basis_makes_noise_and_motion_uncorrelated() -> None:
    where, found = make_space("sta"), statistics(CLIPS)
    assert where.build is not None
    basis = np.array(where.build(where.starts[0]).as_dict()["basis"])
    # Seven digits of each number are kept.
    np.testing.assert_allclose(basis.T @ found.noise @ basis, np.eye(10), rtol=0, atol=1e-5)
    motion = basis.T @ found.motion @ basis
    np.testing.assert_allclose(motion, np.diag(np.diag(motion)), rtol=0, atol=1e-5 * motion.max())
    assert (np.diff(np.diag(motion)) < 0).all()


@pytest.mark.parametrize("kind", ["sta", "sta-paper"])
def test_the_papers_basis_has_the_eigenvectors_of_the_motion(kind: str) -> None:
    where, found = make_space(kind, basis="motion"), statistics(CLIPS)
    stabilizer = where.build(where.starts[0]) if where.build else None
    assert isinstance(stabilizer, STA | PaperSTA)
    np.testing.assert_allclose(stabilizer.basis.T @ stabilizer.basis, np.eye(10), rtol=0, atol=1e-9)
    motion = stabilizer.basis.T @ found.motion @ stabilizer.basis
    np.testing.assert_allclose(motion, np.diag(np.diag(motion)), rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ["sta", "sta-paper"])
def test_the_identity_treats_all_coordinates_alike(kind: str) -> None:
    where = make_space(kind, basis="identity")
    stabilizer = where.build(where.starts[0]) if where.build else None
    assert isinstance(stabilizer, STA | PaperSTA)
    np.testing.assert_array_equal(stabilizer.basis, np.eye(10))
    assert np.ptp(stabilizer.noise) == 0


def test_the_papers_own_numbers_begin_where_the_paper_says() -> None:
    where = make_space("sta-paper", raw_numbers=True)
    (start,) = where.starts
    assert len(start) == 4 + 3 * 10
    stabilizer = where.build(start) if where.build else None
    assert isinstance(stabilizer, PaperSTA)
    level = np.diag(statistics(CLIPS).noise).mean()
    assert stabilizer.gamma == 0.5
    np.testing.assert_array_equal(stabilizer.alphas, [0.5, 0.5])
    np.testing.assert_array_equal(stabilizer.betas, [0.5, 0.5])
    np.testing.assert_allclose(stabilizer.noise, np.full(10, level))
    np.testing.assert_array_equal(stabilizer.walks[0], np.zeros(10))
    np.testing.assert_allclose(stabilizer.walks[1], np.full(10, 10 * level))


def test_unknown_kinds() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown kind of stabiliser 'median'.*sta, sta-paper, moving-average"
    ):
        make_space("median")
    assert BASES == ("joint", "motion", "identity")
