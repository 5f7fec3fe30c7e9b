"""`.pts` files: landmark annotations of 300-W, 300-VW and the Talking Face video."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from steadyface.arrays import FacePoints, Points
from steadyface.errors import DataError
from steadyface.files import read_bytes, write_text
from steadyface.markup import COUNT, OUTER_EYE_CORNERS


def read_pts(path: str | Path, one_based: bool = True) -> FacePoints:
    """Read the 68 points of a `.pts` file.

    Args:
        path: text with the lines `version: 1`, `n_points: 68`, `{`, 68 lines `x y`, `}`.
        one_based: the file counts pixels from 1 (300-W); False for Talking Face, which counts from 0.

    Returns:
        (68, 2) x, y in 0-based image px.

    Raises:
        DataError: unreadable, without braces, a line that is not two finite numbers, or another count; with
            path and line.
    """
    lines = read_bytes(path).decode(errors="replace").splitlines()
    stripped = [line.strip() for line in lines]
    if "{" not in stripped or "}" not in stripped:
        raise DataError(path, "no { … } around the points")
    first, last = stripped.index("{") + 1, stripped.index("}")
    points = [_point(path, number + 1, stripped[number]) for number in range(first, last) if stripped[number]]
    if len(points) != COUNT:
        raise DataError(path, f"{len(points)} points, expected {COUNT}", line=first)
    return np.array(points) - (1.0 if one_based else 0.0)


def read_face(
    path: str | Path, eyes: tuple[int, int] = OUTER_EYE_CORNERS, one_based: bool = True
) -> FacePoints:
    """Read the 68 points of a face and check that it has a size.

    Errors are divided by the distance of the outer eye corners, so an annotation of zeros would turn the mean
    of all others into infinity.

    Args:
        path, one_based: as of `read_pts`.
        eyes: the outer eye corners in the file's markup.

    Raises:
        DataError: as of `read_pts`, or the eye corners coincide.
    """
    points = read_pts(path, one_based=one_based)
    right, left = points[list(eyes)]
    if (right == left).all():
        raise DataError(path, f"no face: both outer eye corners at {right[0]:g}, {right[1]:g} px")
    return points


def write_pts(path: str | Path, points: Points) -> None:
    """Write points (0-based image px) as a `.pts` file, which counts from 1.

    Raises:
        DataError: the file cannot be written.
    """
    rows = [f"{x:.4f} {y:.4f}" for x, y in points + 1.0]
    write_text(path, "\n".join(["version: 1", f"n_points: {len(points)}", "{", *rows, "}", ""]))


def _point(path: str | Path, line: int, text: str) -> tuple[float, float]:
    try:
        x, y = (float(value) for value in text.split())
    except ValueError as error:
        raise DataError(path, f"expected two numbers, found {text!r}", line) from error
    if not (math.isfinite(x) and math.isfinite(y)):
        raise DataError(path, f"a point that is not finite: {text!r}", line)
    return x, y
