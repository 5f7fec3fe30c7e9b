"""Rendering: warp by triangles, lids of closed eyes, dark inside of an opened mouth, noise and JPEG."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.special import ndtri

from steadyface import markup
from steadyface.arrays import Frame, Points
from steadyface.geometry import Affine
from steadyface.measures import mouth_aspect_ratio
from steadyface.synthetic.talking_still.expressions import closed_share, contour_width

Map = Float[np.ndarray, "height width"]

_DARKNESS = 0.85  # of the inside of a mouth that is closed in the still
_LID, _OPACITY = 0.12, 0.9  # height of a lid above its landmarks, over the eye's width; how it hides the eye
_LASHES, _LASH_DARKNESS = 0.04, 0.6  # thickness of the line of lashes, over the eye's width
_TURNED = 0.05  # apparent closing of an eye whose head turns
_NORMAL = ndtri((np.arange(1 << 16) + 0.5) / (1 << 16))  # quantiles of the normal distribution


def averaged(still: Frame, scale: float) -> tuple[UInt8[np.ndarray, "rows columns 3"], Affine]:
    """Average the still over whole blocks if it shrinks to half or less.

    Args:
        still: RGB uint8.
        scale: frame px per still px.

    Returns:
        The average (or the still), and the map from px of the still to its px.
    """
    block = int(1 / scale)
    if block < 2:
        return still, Affine.scaling(1.0)
    below, beside = (-size % block for size in still.shape[:2])
    whole = cv2.copyMakeBorder(still, 0, below, 0, beside, cv2.BORDER_REFLECT_101)
    size = (whole.shape[1] // block, whole.shape[0] // block)
    return cv2.resize(whole, size, interpolation=cv2.INTER_AREA), Affine.scaling(1 / block)


def whole_map(back: Affine, width: int, height: int) -> tuple[Map, Map]:
    """x and y in the source of every pixel of a frame, by one affine map from the frame to the source."""
    columns, rows = np.arange(width)[None], np.arange(height)[:, None]
    x, y = ((a * columns).astype(np.float32) + (b * rows + c).astype(np.float32) for a, b, c in back.matrix)
    return x, y


def draw_triangles(
    x: Map,
    y: Map,
    corners: Float[np.ndarray, "triangles 3 2"],
    corners_source: Float[np.ndarray, "triangles 3 2"],
) -> None:
    """Write coordinates of the source into the pixels whose centres lie in a triangle, edges included.

    Neighbours agree on their common edge, so the order does not matter.

    Args:
        x, y: of every pixel, px of the source; changed in place.
        corners: px of the frame.
        corners_source: the same, px of the source.
    """
    height, width = x.shape
    triangle, row, left, right = _spans(corners, height)
    first = np.clip(np.ceil(left), 0, width).astype(int)
    counts = np.clip(np.floor(right) + 1, 0, width).astype(int) - first
    counts = np.maximum(counts, 0)
    steps = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    pixels = np.repeat(row * width + first, counts) + steps
    linear, shift = _affine_maps(corners, corners_source)
    start = (linear[triangle] @ np.column_stack([first, row])[..., None])[..., 0] + shift[triangle]
    for axis, target in enumerate((x, y)):
        values = np.repeat(linear[triangle, axis, 0], counts)
        values *= steps
        values += np.repeat(start[:, axis], counts)
        target.reshape(-1)[pixels] = values


def _spans(
    corners: Float[np.ndarray, "triangles 3 2"], height: int
) -> tuple[
    Int[np.ndarray, "spans"],
    Int[np.ndarray, "spans"],
    Float[np.ndarray, "spans"],
    Float[np.ndarray, "spans"],
]:
    """Intersect triangles with rows of pixels: triangle, row, left and right end of each span."""
    low = np.clip(np.ceil(corners[..., 1].min(axis=1)), 0, height).astype(int)
    high = np.clip(np.floor(corners[..., 1].max(axis=1)) + 1, 0, height).astype(int)
    counts = np.maximum(high - low, 0)
    triangle = np.repeat(np.arange(len(corners)), counts)
    row = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts - low, counts)
    ends = corners[triangle]
    others = np.roll(ends, -1, axis=1)
    rise = others[..., 1] - ends[..., 1]
    along = np.divide(row[:, None] - ends[..., 1], rise, out=np.full_like(rise, np.nan), where=rise != 0)
    meets = (along >= 0) & (along <= 1)
    crossing = ends[..., 0] + along * (others[..., 0] - ends[..., 0])
    left = np.where(meets, crossing, np.inf).min(axis=1)
    right = np.where(meets, crossing, -np.inf).max(axis=1)
    return triangle, row, left - 1e-6, right + 1e-6


def _affine_maps(
    corners: Float[np.ndarray, "triangles 3 2"], targets: Float[np.ndarray, "triangles 3 2"]
) -> tuple[Float[np.ndarray, "triangles 2 2"], Float[np.ndarray, "triangles 2"]]:
    """Linear part and shift of the map from each triangle to its target."""
    edges, edges_target = (np.diff(points, axis=1).mT for points in (corners, targets))
    linear = edges_target @ np.linalg.inv(edges)
    return linear, targets[:, 0] - (linear @ corners[:, 0, :, None])[..., 0]


def darken_mouth(image: Frame, points: Points, rest: Points) -> None:
    """Darken the inside of a mouth that was closed in the still, where the warp shows stretched lips.

    Args:
        image: changed in place.
        points: landmarks in it, px.
        rest: the same in the still, px. From a gap of 0.06 on the still shows the inside of the mouth.
    """
    gap, rest_gap = (float(mouth_aspect_ratio(each)) for each in (points, rest))
    opened = 1 - rest_gap / max(gap, rest_gap)
    dark = _DARKNESS * opened * max(1 - rest_gap / 0.06, 0.0)
    if dark < 0.01:
        return
    soft = 0.02 * contour_width(points, "inner_lips")
    _blend(image, points[markup.GROUPS["inner_lips"]], soft, dark, np.zeros(3))


def draw_lids(
    image: Frame, points: Points, rest: Points, colours: Mapping[str, Float[np.ndarray, "3"]]
) -> None:
    """Draw the lids of eyes that have closed, where the warp shows an eye that is squeezed to a slit.

    The skin of a real lid comes down over the eyeball. Here it has one colour, and a dark line of lashes
    where it meets the lower lid.

    Args:
        image: changed in place.
        points: landmarks in it, px.
        rest: the same in the still, px.
        colours: RGB of the lids, of `lid_colour`, for each eye to be drawn.
    """
    for eye, colour in colours.items():
        closed = (closed_share(points, rest, eye) - _TURNED) / (1 - _TURNED)
        if closed <= 0:
            continue
        (first, last), (upper, lower) = markup.corners(eye), markup.facing(eye)
        right, left, width = points[first], points[last], contour_width(points, eye)
        rise = _LID * width * _upwards(points, eye)
        sides = points[[first, last]] + points[upper]
        arch = [sides[0] / 2, *points[upper], sides[1] / 2]
        lid = np.array([right, *(np.array(arch) + rise), left, *points[lower][::-1]])
        _blend(image, lid, 0.03 * width, _OPACITY * closed, colour)
        slit = np.array([right, *(points[upper] + points[lower]) / 2, left])
        half = _LASHES / 2 * width * _upwards(points, eye)
        lashes = np.concatenate([slit - half, (slit + half)[::-1]])
        _blend(image, lashes, 0.012 * width, _LASH_DARKNESS * closed, np.zeros(3))


def lid_colour(still: Frame, points: Points, eye: str) -> Float[np.ndarray, "3"]:
    """Mean RGB of the skin between an eye and its brow; points in px of the still."""
    lid, brow = points[markup.facing(eye)[0]], _brow(points, eye)
    return mean_colour(still, np.concatenate([lid + 0.3 * (brow - lid), (lid + 0.55 * (brow - lid))[::-1]]))


def _brow(points: Points, eye: str) -> Float[np.ndarray, "2"]:
    return points[markup.GROUPS[eye.replace("eye", "brow")]].mean(axis=0)


def _upwards(points: Points, eye: str) -> Float[np.ndarray, "2"]:
    """Unit vector from an eye to its brow."""
    away = _brow(points, eye) - points[list(markup.corners(eye))].mean(axis=0)
    return away / np.linalg.norm(away)


def _blend(
    image: Frame,
    polygon: Float[np.ndarray, "corners 2"],
    soft: float,
    opacity: float,
    colour: Float[np.ndarray, "3"],
) -> None:
    """Paint a polygon (px), in place, with edges that are a Gaussian of width `soft` px."""
    low = np.maximum(np.floor(polygon.min(axis=0) - 3 * soft), 0).astype(int)
    high = np.minimum(np.ceil(polygon.max(axis=0) + 3 * soft) + 1, image.shape[1::-1]).astype(int)
    if (low >= high).any():
        return
    mask = np.zeros(tuple(high - low)[::-1], np.float32)
    cv2.fillPoly(mask, [np.round((polygon - low) * 16).astype(np.int32)], opacity, shift=4)
    mask = cv2.GaussianBlur(mask, (0, 0), soft)[..., None]
    window = image[low[1] : high[1], low[0] : high[0]]
    window[:] = np.round(window * (1 - mask) + mask * colour)


def mean_colour(image: Frame, corners: Float[np.ndarray, "corners 2"]) -> Float[np.ndarray, "3"]:
    """Mean RGB inside a convex polygon (px); the mean of the whole image if the polygon is outside."""
    inside = np.zeros(image.shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, np.round(corners).astype(np.int32), 1)
    return np.array(cv2.mean(image, inside if inside.any() else None)[:3])


def exposed(image: Frame, stops: float) -> Frame:
    """Change the exposure; the sRGB levels are taken to be linear light to the power of 1/2.2."""
    levels = 255 * (np.arange(256) / 255) * 2.0 ** (stops / 2.2)
    return np.asarray(cv2.LUT(image, np.round(levels).clip(0, 255).astype(np.uint8)))


def with_noise(image: Frame, deviation: float, rng: np.random.Generator) -> Frame:
    """Add Gaussian noise of that standard deviation, in grey levels.

    Grey levels are integers, so a draw is one of 65,536 rounded quantiles, within ± 4.3 deviations.
    """
    levels = np.round(deviation * _NORMAL).astype(np.int16)
    drawn = rng.integers(len(levels), size=image.shape, dtype=np.uint16)
    return cv2.add(image, levels[drawn], dtype=cv2.CV_8U)


def through_jpeg(image: Frame, quality: int) -> Frame:
    """Encode and decode as a JPEG of that quality, 1 to 100."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.cvtColor(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB)
