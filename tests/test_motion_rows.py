"""Displacements of a table's rows, in memory and in a temporary file."""

from __future__ import annotations

import errno
import gc
import tempfile
from pathlib import Path

import numpy as np
import pytest
from test_motion_sequence import displacements, same

from steadyface.errors import DataError
from steadyface.motion import Displacements, MotionSequence
from steadyface.tracks import MotionRows, motion_rows


def some(count: int) -> list[Displacements | None]:
    return [each for seed in range(-(-count // 5)) for each in displacements(seed)][:count]


@pytest.mark.parametrize("in_memory", [1 << 30, 2000])
def test_rows_come_back_in_any_order(in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a packed sequence keeps them, between additions too, and over the blocks that are read at once."""
    monkeypatch.setattr(motion_rows, "_IN_MEMORY", in_memory)
    monkeypatch.setattr(motion_rows, "_BLOCK", 4)
    rows, packed = MotionRows(), MotionSequence.pack(some(23))
    for number, each in enumerate(some(23)):
        rows.append(each)
        assert same(rows[number], packed[number])
    assert len(rows) == 23
    assert all(
        same(rows[number], packed[number]) for number in np.random.default_rng(0).permutation(23).tolist()
    )
    with pytest.raises(IndexError):
        rows[23]


def test_the_file_is_nowhere_to_be_found_and_goes_with_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(motion_rows, "_IN_MEMORY", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rows = MotionRows()
    rows.append(some(2)[1])
    assert list(tmp_path.iterdir()) == []
    del rows
    gc.collect()
    assert not recwarn.list


def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = MotionRows()

    def full(_: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(rows._file, "write", full)
    with pytest.raises(DataError, match=r"^temporary file: cannot be written: No space left on device$"):
        rows.append(None)
