"""One face as points, as the contours of its parts, or as a mesh."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from jaxtyping import Int

from steadyface import markup
from steadyface.arrays import FacePoints, Frame
from steadyface.drawing.strokes import BLACK, WHITE, Colour, draw_dots, draw_lines, see_through
from steadyface.geometry import face_size
from steadyface.measures import MEAN_FACE

_LARGEST = 4000.0  # px: no face in a frame is drawn with wider lines than one of this size
_HELD = 0.6  # opacity of a face that is held, not seen
_MESH = 0.7  # opacity of a mesh
_OPEN = 15.0  # mm
_SHADE = 0.35  # opacity of the dark along a line


def draw_points(canvas: Frame, points: FacePoints, colour: Colour, held: bool = False) -> None:
    """Draw the 68 points as dots; those of a held face are dim.

    Args:
        points: px of the canvas.
    """
    radius = max(1.2, drawn_size(points) / 110)
    with see_through(canvas, points, 2 * radius + 2, _HELD if held else 1.0):
        draw_dots(canvas, points, colour, radius, rim=max(0.6, radius / 3))


def draw_contours(canvas: Frame, points: FacePoints, colour: Colour, held: bool = False) -> None:
    """Draw the contours of jaw, brows, nose, eyes and lips, with their points; a held face's are dashed.

    Args:
        points: px of the canvas.
    """
    size = drawn_size(points)
    lines, thickness, dash = [points[members] for members in _contours()], line_width(size), _dash(size, held)
    margin = 3 * thickness + 4
    with see_through(canvas, points, margin, _SHADE):
        draw_lines(canvas, lines, BLACK, thickness + 2 * max(1, thickness // 2), dash)
    with see_through(canvas, points, margin, _HELD if held else 1.0):
        draw_lines(canvas, lines, colour, thickness, dash)
        draw_dots(canvas, points, colour if held else WHITE, max(0.9, size / 160))


def draw_mesh(canvas: Frame, points: FacePoints, colour: Colour, held: bool = False) -> None:
    """Draw a mesh of triangles over the face, which shines through, and its contours; dashed if held.

    Args:
        points: px of the canvas.
    """
    size = drawn_size(points)
    thickness, dash = max(1, line_width(size) // 2), _dash(size, held)
    with see_through(canvas, points, 2 * thickness + 4, _MESH * _HELD if held else _MESH):
        draw_lines(canvas, points[mesh_edges()], colour, thickness, dash)
    draw_contours(canvas, points, colour, held)


DRAWN: dict[str, Callable[[Frame, FacePoints, Colour, bool], None]] = {
    "points": draw_points,
    "contours": draw_contours,
    "mesh": draw_mesh,
}
"""Name of each way to draw one face → the function."""


@cache
def mesh_edges() -> Int[np.ndarray, "edges 2"]:
    """(E, 2) the pairs of points that a mesh over the face joins, the same for every face.

    They are the Delaunay triangulation of the mean face, open at the eyes, the mouth and above the brows. Its
    mouth is opened first, so that the lips' contours are edges of triangles.
    """
    from scipy.spatial import Delaunay  # only a mesh needs it

    brows = {*markup.GROUPS["right_brow"], *markup.GROUPS["left_brow"]}
    holes = [brows, *(set(markup.GROUPS[group]) for group in ("right_eye", "left_eye", "inner_lips"))]
    face = MEAN_FACE[:, :2] + _OPEN * np.outer(markup.JAW_DROP, [0, 1])
    triangles = Delaunay(face).simplices
    kept = [three for three in triangles.tolist() if not any(set(three) <= hole for hole in holes)]
    pairs = [(three[i - 1], three[i]) for three in kept for i in range(3)]
    return np.unique(np.sort(np.concatenate([pairs, markup.EDGES]), axis=1), axis=0)


@cache
def _contours() -> tuple[Int[np.ndarray, "points"], ...]:
    """The points of each contour in drawing order, a closed one back to its first."""
    return tuple(
        np.array([*members, *members[:1]] if group in markup.CLOSED_GROUPS else members)
        for group, members in markup.GROUPS.items()
    )


def drawn_size(points: FacePoints) -> float:
    """Size of a face, px, for the width of its lines; no larger than a frame can be."""
    return min(float(face_size(points)), _LARGEST)


def line_width(size: float) -> int:
    """Thickness of the lines of a face of that size, px."""
    return max(1, round(size / 190))


def _dash(size: float, held: bool) -> float:
    return max(3.0, size / 50) if held else 0.0
