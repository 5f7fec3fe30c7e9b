"""A folder of text for After Effects: key frames of a point control per landmark, to be pasted on a layer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from steadyface import files
from steadyface.tracks.formats.columns import exact
from steadyface.tracks.schema import Table, identities, seen_rows

_CORNER = 0.5  # px: a composition's origin is the corner of the first pixel, ours its centre


def write_key_frames(path: Path, table: Table) -> None:
    """Write `PATH/face0.txt` for each identity: key frames of `Point Control #1` to `#68`, where it is seen.

    A key frame lies on the frame of the clip's rate that is nearest to its time; a missing point has none.

    Source: the text that After Effects puts on the clipboard, "Adobe After Effects 8.0 Keyframe Data".

    Raises:
        DataError: a file cannot be written.
    """
    columns = table.columns
    with files.atomic_folder(path, "*.txt") as part:
        for face in identities(columns):
            lines = "\n".join(_lines(table, seen_rows(columns, face)))
            files.write_text(part / f"face{face}.txt", f"{lines}\n")


def _lines(table: Table, rows: np.ndarray) -> Iterator[str]:
    meta, columns = table.meta, table.columns
    fps, (width, height) = meta.get("fps") or 25.0, meta.get("size") or (0, 0)
    frames, last = np.unique(np.round(columns["seconds"][rows] * fps).astype(int)[::-1], return_index=True)
    chosen = rows[::-1][last]  # the last of rows that fall on one frame
    yield from (
        "Adobe After Effects 8.0 Keyframe Data",
        "",
        f"\tUnits Per Second\t{fps:.10g}",
        f"\tSource Width\t{width}",
        f"\tSource Height\t{height}",
        "\tSource Pixel Aspect Ratio\t1",
        "\tComp Pixel Aspect Ratio\t1",
    )
    for number, points in enumerate(exact(columns["points"][chosen]).swapaxes(0, 1) + _CORNER, 1):
        yield from ("", f"Effects\tPoint Control #{number}\tPoint #2", "\tFrame\tX pixels\tY pixels\t")
        known = np.isfinite(points).all(axis=1)
        keys = zip(frames[known], points[known], strict=True)
        yield from (f"\t{frame}\t{x:.4f}\t{y:.4f}\t" for frame, (x, y) in keys)
    yield from ("", "", "End of Keyframe Data")
