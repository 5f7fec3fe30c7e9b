"""A folder of `.pts` files: an annotation of each face in each frame."""

from __future__ import annotations

from pathlib import Path

from steadyface.files import atomic_folder
from steadyface.pts import write_pts
from steadyface.tracks.schema import Table


def write_folder(path: Path, table: Table) -> None:
    """Write `PATH/000012_face0.pts` for each row whose face is seen.

    The files are written beside and then moved in, so that the folder holds no half-written one; `.pts` files
    of an earlier run are removed.

    Raises:
        DataError: a file cannot be written.
    """
    columns = table.columns
    with atomic_folder(path, "*.pts") as part:
        for row in (~columns["held"]).nonzero()[0]:
            name = f"{columns['frame'][row]:06d}_face{columns['face'][row]}.pts"
            write_pts(part / name, columns["points"][row].astype(float))
