"""Displacements of a table's rows, in a temporary file once they are many."""

from __future__ import annotations

from tempfile import SpooledTemporaryFile
from weakref import finalize

import numpy as np
from jaxtyping import Int

from steadyface.files import writing
from steadyface.markup import COUNT
from steadyface.motion import Displacements, Motion, MotionSequence

_ROW = np.dtype(
    [
        ("displacement", "f4", (COUNT, 2)),
        ("covariance", "f4", (COUNT, 3)),
        ("valid", "?", (COUNT,)),
        ("measured", "?"),
    ]
)
_IN_MEMORY = 16 << 20  # bytes: eight minutes of a face at 25 frames/s
_BLOCK = 256  # rows that are read at once


class MotionRows:
    """Displacements since the row before of the same face, 1.4 kB a row in single precision; see `Motion`."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  # closed with this object
        finalize(self, self._file.close)
        self._count = 0
        self._read: tuple[int, list[Displacements | None]] = -1, []

    def append(self, displacements: Displacements | None) -> None:
        """Append a row; None if nothing was measured.

        Raises:
            DataError: the temporary file cannot be written, as on a full disk.
        """
        row, packed = np.zeros(1, _ROW), MotionSequence.pack([displacements])
        for name in _ROW.names or ():
            row[name] = getattr(packed, name)
        with writing("temporary file"):
            self._file.seek(self._count * _ROW.itemsize)
            self._file.write(row.tobytes())
        self._count += 1
        self._read = -1, []

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int, /) -> Displacements | None:
        block, place = divmod(range(self._count)[row], _BLOCK)
        if self._read[0] != block:
            self._file.seek(block * _BLOCK * _ROW.itemsize)
            rows = np.frombuffer(self._file.read(_BLOCK * _ROW.itemsize), _ROW)
            self._read = block, MotionSequence(**{name: rows[name] for name in _ROW.names or ()}).unpack()
        return self._read[1][place]


def cuts(rows: Int[np.ndarray, "rows"], apart: Int[np.ndarray, "gaps"], motion: Motion | None) -> list[int]:
    """Positions, in a face's rows, of the first row after each cut.

    Such a row has no row in the frame before it, and no measured displacement. When an edit goes back to a
    face's shot, the face has its id again, but a filter starts anew.

    Args:
        rows: numbers of the face's rows in the table.
        apart: numbers of the face's rows without a row, seen or held, in the frame before.
        motion: displacements of all rows; None without a picture, and then no cut is found.
    """
    after = np.flatnonzero(np.isin(rows, apart)).tolist()
    return [i for i in after if i and motion is not None and motion[int(rows[i])] is None]
