"""Lines, dots and labels at sub-pixel positions, legible on any background."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2
import numpy as np
from jaxtyping import Float, Int

from steadyface.arrays import Frame
from steadyface.geometry import bounding_box

Colour = tuple[int, int, int]
Polyline = Float[np.ndarray, "_ 2"]
Pieces = Float[np.ndarray, "_ 2 2"]

COLOURS: tuple[Colour, ...] = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (213, 94, 0),
    (0, 114, 178),
)
"""Colours of identities, in turn. Source: Okabe and Ito 2008, distinct for all kinds of colour vision."""

BLACK, WHITE = (0, 0, 0), (255, 255, 255)

_SHIFT = 4  # OpenCV draws at 1/16 px
_LARGEST = 2**22  # larger coordinates overflow in OpenCV
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_BRIGHT = 120  # of 255: luma from which black is easier to read on a colour than white


def draw_lines(
    canvas: Frame, lines: Sequence[Polyline] | Pieces, colour: Colour, thickness: int, dash: float = 0.0
) -> None:
    """Draw open lines into the canvas.

    Args:
        lines: (points, 2) each, px of the canvas; lines of two points can be one array.
        thickness: px.
        dash: length of a dash and of the gap after it, px; 0 draws without gaps.
    """
    lines = _dashes(lines, dash) if dash else lines
    fixed = list(_fixed(lines)) if isinstance(lines, np.ndarray) else [_fixed(line) for line in lines]
    cv2.polylines(canvas, fixed, False, colour, thickness, cv2.LINE_AA, _SHIFT)


def draw_dots(canvas: Frame, points: Polyline, colour: Colour, radius: float, rim: float = 0.0) -> None:
    """Draw a disc at each point, with a black rim of `rim` px around it."""
    fixed = _fixed(points).tolist()
    for reach, paint in ((radius + rim, BLACK), (radius, colour)):
        if reach > radius or paint is colour:
            for x, y in fixed:
                cv2.circle(canvas, (x, y), round(reach * 2**_SHIFT), paint, -1, cv2.LINE_AA, _SHIFT)


def draw_label(canvas: Frame, text: str, corner: tuple[float, float], colour: Colour, scale: float) -> None:
    """Write text on a plate of a colour.

    Args:
        corner: x, y of the plate's lower left corner, px of the canvas; moved to keep the plate inside.
        scale: 1 for letters 22 px high.
    """
    thickness = max(1, round(1.4 * scale))
    (width, height), below = cv2.getTextSize(text, _FONT, scale, thickness)
    pad = max(2, round(5 * scale))
    width, height = width + 2 * pad, height + below + pad
    x = int(np.clip(corner[0], 0, max(canvas.shape[1] - width, 0)))
    y = int(np.clip(corner[1], height, max(canvas.shape[0], height)))
    cv2.rectangle(canvas, (x, y - height), (x + width, y), colour, -1)
    ink = BLACK if np.dot(colour, (0.299, 0.587, 0.114)) > _BRIGHT else WHITE
    cv2.putText(canvas, text, (x + pad, y - below), _FONT, scale, ink, thickness, cv2.LINE_AA)


@contextmanager
def see_through(canvas: Frame, points: Polyline, margin: float, opacity: float) -> Iterator[None]:
    """Draw the block's strokes with an opacity, as far as `margin` px around the points."""
    if opacity == 1.0:
        yield
        return
    edge = np.array([-margin, -margin, margin, margin])
    height, width = canvas.shape[:2]
    box = np.clip(np.round(bounding_box(points) + edge), 0, [width, height] * 2)
    x0, y0, x1, y1 = box.astype(int).tolist()
    part = canvas[y0:y1, x0:x1]
    before = part.copy()
    yield
    if part.size:
        cv2.addWeighted(part, opacity, before, 1 - opacity, 0, dst=part)


def _dashes(lines: Sequence[Polyline] | Pieces, dash: float) -> Pieces:
    """Split each straight piece of each line into dashes and gaps of about `dash` px."""
    starts = np.concatenate([line[:-1] for line in lines])
    steps = np.concatenate([line[1:] for line in lines]) - starts
    counts = np.clip(np.round(np.linalg.norm(steps, axis=1) / (2 * dash)), 1, 500).astype(int)
    first = np.concatenate([np.arange(count) / count for count in counts])[:, None]
    starts, steps, counts = (np.repeat(values, counts, axis=0) for values in (starts, steps, counts))
    return np.stack([starts + first * steps, starts + (first + 0.5 / counts[:, None]) * steps], axis=1)


def _fixed(points: Float[np.ndarray, "*lines 2"]) -> Int[np.ndarray, "*lines 2"]:
    """Convert points to OpenCV's fixed-point px."""
    return np.clip(np.round(points * 2**_SHIFT), -_LARGEST, _LARGEST).astype(np.int32)
