"""Displacements of a sequence as arrays, and back."""

from __future__ import annotations

import numpy as np
import pytest

from steadyface.motion import Displacements, MotionSequence, SelectedMotion

FRAMES = 5


def displacements(seed: int = 0) -> list[Displacements | None]:
    """Random ones; None in the first frame and in another."""
    rng = np.random.default_rng(seed)
    roots = rng.normal(0, 1, (FRAMES, 68, 2, 2))
    each = [
        Displacements(rng.normal(0, 3, (68, 2)), root @ root.mT, rng.uniform(size=68) < 0.5) for root in roots
    ]
    return [None, each[1], None, *each[3:]]


def test_pack_and_unpack_are_inverse() -> None:
    packed = MotionSequence.pack(displacements())
    assert len(packed) == FRAMES
    assert packed.measured.tolist() == [False, True, False, True, True]
    for before, after in zip(displacements(), packed.unpack(), strict=True):
        if before is None:
            assert after is None
        else:
            assert after is not None
            # Single precision.
            np.testing.assert_allclose(after.displacement, before.displacement, rtol=1e-6)
            np.testing.assert_allclose(after.covariance, before.covariance, rtol=1e-6)
            np.testing.assert_array_equal(after.valid, before.valid)


def test_arrays_are_found_among_others_and_taken_out() -> None:
    packed = MotionSequence.pack(displacements())
    arrays = {"points": np.zeros(3)} | packed.as_arrays()
    again = MotionSequence.pop_from(arrays)
    assert again is not None
    for name, array in packed.as_arrays().items():
        np.testing.assert_array_equal(array, again.as_arrays()[name])
    assert list(arrays) == ["points"]
    assert MotionSequence.pop_from(arrays) is None


def same(one: Displacements | None, other: Displacements | None) -> bool:
    if one is None or other is None:
        return one is other
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_some_frames_are_selected() -> None:
    packed = MotionSequence.pack(displacements())
    chosen = SelectedMotion(packed, np.array([4, 0, 3]))
    assert len(chosen) == 3
    assert all(same(chosen[t], packed[frame]) for t, frame in enumerate([4, 0, 3]))


def test_a_sequence_without_a_picture() -> None:
    packed = MotionSequence.pack([None, None])
    assert packed.unpack() == [None, None]
    assert packed.displacement.shape == (2, 68, 2)


def test_arrays_that_do_not_fit_together_are_refused() -> None:
    arrays = MotionSequence.pack(displacements()).as_arrays()
    with pytest.raises(ValueError, match="do not fit together"):
        MotionSequence.pop_from(arrays | {"motion_valid": np.zeros((FRAMES + 1, 68), bool)})
    with pytest.raises(KeyError):
        MotionSequence.pop_from({"motion_valid": arrays["motion_valid"]})
