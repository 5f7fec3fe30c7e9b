"""Styles of drawing one face: points, contours or mesh."""

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

_LARGEST = 4000.0  # px: size of face from which on lines get no wider
_THIN = 190.0  # px: size of face below which lines of 1 px are wide for it
_DOT = 0.5  # px: smallest radius of a dot
_HELD = 0.6  # opacity of a held face
_MESH = 0.7  # opacity of a mesh
_JAW_DROP = 15.0  # mm
_SHADE = 0.35  # opacity of the dark edge along a line


def draw_points(canvas: Frame, points: FacePoints, colour: Colour, held: bool = False) -> None:
    """Draw the 68 points as dots, dim for a held face.

    Args:
        points: px of the canvas.
    """
    size = drawn_size(points)
    radius = max(_DOT, size / 110)
    rim = max(min(0.6, radius / 2), radius / 3)
    with see_through(canvas, points, 2 * radius + 2, _faintness(size) * (_HELD if held else 1.0)):
        draw_dots(canvas, points, colour, radius, rim)


def draw_contours(canvas: Frame, points: FacePoints, colour: Colour, held: bool = False) -> None:
    """Draw points and contours of jaw, brows, nose, eyes and lips, dashed for a held face.

    Args:
        points: px of the canvas.
    """
    size = drawn_size(points)
    lines, thickness, dash = [points[members] for members in _contours()], line_width(size), _dash(size, held)
    margin = 3 * thickness + 4
    faint = _faintness(size)
    with see_through(canvas, points, margin, faint**2 * _SHADE):
        draw_lines(canvas, lines, BLACK, thickness + 2 * max(1, thickness // 2), dash)
    with see_through(canvas, points, margin, faint * (_HELD if held else 1.0)):
        draw_lines(canvas, lines, colour, thickness, dash)
        draw_dots(canvas, points, colour if held else WHITE, max(_DOT, size / 160))


def draw_mesh(canvas: Frame, points: FacePoints, colour: Colour, held: bool = False) -> None:
    """Draw a translucent mesh of triangles and the contours, dashed for a held face.

    Args:
        points: px of the canvas.
    """
    size = drawn_size(points)
    thickness, dash = max(1, line_width(size) // 2), _dash(size, held)
    opacity = _faintness(size) ** 2 * _MESH * (_HELD if held else 1.0)
    with see_through(canvas, points, 2 * thickness + 4, opacity):
        draw_lines(canvas, points[mesh_edges()], colour, thickness, dash)
    draw_contours(canvas, points, colour, held)


DRAWN: dict[str, Callable[[Frame, FacePoints, Colour, bool], None]] = {
    "points": draw_points,
    "contours": draw_contours,
    "mesh": draw_mesh,
}
"""Function of each style, by name."""


@cache
def mesh_edges() -> Int[np.ndarray, "edges 2"]:
    """Pairs of landmarks joined by the mesh, (E, 2).

    The mesh is the Delaunay triangulation of the mean face, without triangles in the eyes, in the mouth and
    above the brows. The mouth of the mean face is opened first, so that the contours of the lips are edges.
    """
    from scipy.spatial import Delaunay  # only a mesh needs it

    brows = {*markup.GROUPS["right_brow"], *markup.GROUPS["left_brow"]}
    holes = [brows, *(set(markup.GROUPS[group]) for group in ("right_eye", "left_eye", "inner_lips"))]
    face = MEAN_FACE[:, :2] + _JAW_DROP * np.outer(markup.JAW_DROP, [0, 1])
    triangles = Delaunay(face).simplices
    kept = [three for three in triangles.tolist() if not any(set(three) <= hole for hole in holes)]
    pairs = [(three[i - 1], three[i]) for three in kept for i in range(3)]
    return np.unique(np.sort(np.concatenate([pairs, markup.EDGES]), axis=1), axis=0)


@cache
def _contours() -> tuple[Int[np.ndarray, "points"], ...]:
    """Landmarks of each contour in drawing order; a closed one ends at its first."""
    return tuple(
        np.array([*members, *members[:1]] if group in markup.CLOSED_GROUPS else members)
        for group, members in markup.GROUPS.items()
    )


def drawn_size(points: FacePoints) -> float:
    """Size of a face, px, from which the width of its lines follows; limited."""
    return min(float(face_size(points)), _LARGEST)


def line_width(size: float) -> int:
    """Thickness of the lines of a face of that size, px."""
    return max(1, round(size / _THIN))


def _faintness(size: float) -> float:
    """Opacity of the marks of a small face, so that they do not cover it: no line is thinner than a px."""
    return min(1.0, (size / _THIN) ** 0.5)


def _dash(size: float, held: bool) -> float:
    return max(3.0, size / 50) if held else 0.0
