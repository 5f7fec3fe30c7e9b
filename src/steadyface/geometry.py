"""Coordinates: the rule for pixels, and maps, boxes and regions that follow it.

Coordinates are continuous pixels in the order (x, y), 0-based, with **pixel centres at integers**: the
top-left pixel covers [-½, ½] × [-½, ½], and an image W wide spans [-½, W - ½]. Hence

- a grid that is `s` times finer: x → (x + ½)·s - ½ (`change_grid`);
- a horizontal flip: x → W - 1 - x (`flip_points`);
- a `.pts` file, which counts from 1: subtract 1 on reading, add 1 on writing (`pts`).

No other module adds a half, a stride or a scale to a coordinate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from steadyface.arrays import Box, Boxes, PointBatch, Points, PointStack
from steadyface.errors import ConfigError

_BOX = "box must be finite x0, y0, x1, y1 with x0 < x1 and y0 < y1"
_FARTHEST = 1e6  # px of a box from the image's corner: no image is as large, and its part can be cut out

CROP_MARGIN = 1.3
"""Side of a crop over the larger side of the face's landmark box (the paper's protocol)."""


def change_grid(points: Float[Any, "*batch 2"], scale: Any) -> Float[Any, "*batch 2"]:
    """Move points to a grid of `scale` times as many pixels per side.

    Equation: (x + ½)·scale - ½, which keeps the image's borders on each other.

    Args:
        points: px of the old grid.
        scale: new side over old side, for instance 128 / 256; or two of them, for x and y.

    Returns:
        The same positions in px of the new grid.

    >>> change_grid(np.array([[0.0, 255.0]]), 0.5)
    array([[ -0.25, 127.25]])
    """
    return (points + 0.5) * scale - 0.5


def flip_points(
    points: PointBatch,
    width: float,
    permutation: Int[np.ndarray, "landmarks"] | None = None,
) -> PointBatch:
    """Mirror points left to right in an image `width` px wide: x → width - 1 - x.

    Args:
        points: px of the image.
        width: of the image, in px.
        permutation: the landmark that each landmark becomes (`markup.FLIP`); none keeps the order.

    Returns:
        px of the mirrored image.

    >>> flip_points(np.array([[0.0, 3.0]]), width=10)
    array([[9., 3.]])
    """
    flipped = points * np.array([-1.0, 1.0], points.dtype)
    flipped[..., 0] += width - 1
    return flipped if permutation is None else flipped[..., permutation, :]


def bounding_box(points: PointBatch) -> Float[np.ndarray, "*batch 4"]:
    """Tight box (x0, y0, x1, y1) around each face's points, in their frame of reference.

    Missing points (NaN) are left out; without any the box is NaN.

    >>> bounding_box(np.array([[1.0, 5.0], [4.0, 2.0]]))
    array([1., 2., 4., 5.])
    """
    rows = np.ascontiguousarray(points.mT)
    return np.concatenate([np.fmin.reduce(rows, axis=-1), np.fmax.reduce(rows, axis=-1)], axis=-1)


def box_of_pixels(x: float, y: float, width: float, height: float) -> Box:
    """Box (x0, y0, x1, y1) that whole pixels cover, from a rectangle in OpenCV's form.

    >>> box_of_pixels(0, 0, 10, 20)
    array([-0.5, -0.5,  9.5, 19.5])
    """
    return np.array([x - 0.5, y - 0.5, x + width - 0.5, y + height - 0.5])


def as_box(values: Any) -> Box:
    """Check a box x0, y0, x1, y1 that a caller gives, as an array or a sequence of numbers.

    Raises:
        ConfigError: not four finite numbers with x0 < x1 and y0 < y1, or further off than any image is large.
    """
    box = as_boxes([values])[0]
    if not (box[:2] < box[2:]).all():
        raise ConfigError(f"{_BOX}, got {box.tolist()}")
    return box


def as_boxes(values: Any) -> Boxes:
    """Check boxes that a detector or a caller gives, as an (N, 4) array or a sequence of boxes; none is fine.

    Raises:
        ConfigError: not N times four finite numbers x0, y0, x1, y1 with x0 ≤ x1 and y0 ≤ y1, or one further
            off than any image is large.
    """
    try:
        boxes = np.asarray(values, float)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{_BOX}: {' '.join(str(error).split())}") from error
    if boxes.shape == (0,):
        return boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ConfigError(f"{_BOX}, one row each, got shape {boxes.shape}")
    wrong = ~(np.isfinite(boxes).all(axis=1) & (boxes[:, :2] <= boxes[:, 2:]).all(axis=1))
    if wrong.any():
        raise ConfigError(f"{_BOX}, got {boxes[wrong][0].tolist()}")
    far = (np.abs(boxes) > _FARTHEST).any(axis=1)
    if far.any():
        raise ConfigError(
            f"box must lie within {_FARTHEST:,.0f} px of the image's corner, got {boxes[far][0].tolist()}"
        )
    return boxes


def iou(boxes: Float[np.ndarray, "n 4"], others: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Intersection over union of every box with every other box, in [0, 1].

    >>> iou(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0]]))
    array([[0.33333333]])
    """
    shared = _shared(boxes, others)
    union = _areas(boxes)[:, None] + _areas(others)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def fraction_inside(
    boxes: Float[np.ndarray, "n 4"], others: Float[np.ndarray, "m 4"]
) -> Float[np.ndarray, "n m"]:
    """Fraction of every box that lies inside every other box, in [0, 1].

    >>> fraction_inside(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 9.0, 9.0]]))
    array([[0.5]])
    """
    shared, area = _shared(boxes, others), _areas(boxes)[:, None]
    return np.divide(shared, area, out=np.zeros_like(shared), where=area > 0)


def fraction_in_frame(box: Box, width: int, height: int) -> float:
    """Fraction of one box that lies inside an image; `fraction_inside` takes ten times as long for one.

    >>> fraction_in_frame(np.array([-2.5, -0.5, 1.5, 9.5]), 100, 100)
    0.5
    """
    x0, y0, x1, y1 = box.tolist()
    across = max(0.0, min(x1, width - 0.5) - max(x0, -0.5))
    down = max(0.0, min(y1, height - 0.5) - max(y0, -0.5))
    area = max(0.0, x1 - x0) * max(0.0, y1 - y0)
    return across * down / area if area > 0 else 0.0


def centroid(points: PointBatch) -> Float[np.ndarray, "*batch 2"]:
    """Mean of each face's points; `np.mean` takes three times as long.

    >>> centroid(np.array([[0.0, 0.0], [8.0, 2.0]]))
    array([4., 1.])
    """
    total: np.ndarray = np.add.reduce(points, axis=-2)
    return total / points.shape[-2]


def _shared(boxes: Float[np.ndarray, "n 4"], others: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    sides = np.maximum(high - low, 0)
    return sides[..., 0] * sides[..., 1]  # `prod` takes three times as long


def _areas(boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n"]:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return sides[:, 0] * sides[:, 1]


@dataclass(frozen=True)
class Affine:
    """Affine map between two pixel grids: x ↦ A·x + b, stored as one (2, 3) matrix [A | b].

    >>> double = Affine.scaling(2.0)
    >>> double(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    >>> double.inverse(double(np.array([[3.0, 4.0]])))
    array([[3., 4.]])
    """

    matrix: Float[np.ndarray, "2 3"]

    @classmethod
    def scaling(cls, x: float, y: float | None = None) -> Affine:
        """Map of `change_grid`; y defaults to x."""
        y = x if y is None else y
        return cls(np.array([[x, 0.0, 0.5 * x - 0.5], [0.0, y, 0.5 * y - 0.5]]))

    @classmethod
    def translation(cls, x: float, y: float) -> Affine:
        """Map that adds (x, y)."""
        return cls(np.array([[1.0, 0.0, x], [0.0, 1.0, y]]))

    def __call__(self, points: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch 2"]:
        """Map points of the source grid to the target grid."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]

    def boxes(self, boxes: Float[np.ndarray, "*batch 4"]) -> Float[np.ndarray, "*batch 4"]:
        """Map boxes (x0, y0, x1, y1); only for maps without rotation.

        >>> Affine.scaling(2.0, 1.0).boxes(np.array([0.0, 0.0, 3.0, 3.0]))
        array([0.5, 0. , 6.5, 3. ])
        """
        return self(boxes.reshape(*boxes.shape[:-1], 2, 2)).reshape(boxes.shape)

    @cached_property
    def inverse(self) -> Affine:
        """Inverse map."""
        (a, b, x), (c, d, y) = self.matrix.tolist()
        area = a * d - b * c
        return Affine(np.array([[d, -b, b * y - d * x], [-c, a, c * x - a * y]]) / area)

    @cached_property
    def scale(self) -> float:
        """Target px per source px: the square root of the ratio of areas."""
        (a, b, _), (c, d, _) = self.matrix.tolist()
        return math.sqrt(abs(a * d - b * c))

    def then(self, after: Affine) -> Affine:
        """Compose: this map first, then `after`."""
        (a, b, x), (c, d, y) = self.matrix.tolist()  # numbers of Python: arrays of six cost more
        rows = [[p * a + q * c, p * b + q * d, p * x + q * y + z] for p, q, z in after.matrix.tolist()]
        return Affine(np.array(rows))


def map_each(maps: Sequence[Affine], points: PointStack) -> PointStack:
    """Map each face's points (faces, landmarks, 2) by its own map.

    >>> map_each([Affine.scaling(2.0), Affine.translation(1.0, 0.0)], np.zeros((2, 1, 2))).tolist()
    [[[0.5, 0.5]], [[1.0, 0.0]]]
    """
    matrices = np.array([each.matrix for each in maps])
    return points @ matrices[..., :2].mT + matrices[:, None, :, 2]


@dataclass(frozen=True)
class Region:
    """Square of an image at any sub-pixel position, size and roll: the input of a network.

    Args:
        x, y: centre, image px.
        side: length of a side, image px.
        roll: angle of the square's own x axis in the image, radians, clockwise on screen.
    """

    x: float
    y: float
    side: float
    roll: float = 0.0

    @classmethod
    def around_box(cls, box: Box | Sequence[float], margin: float = CROP_MARGIN) -> Region:
        """Upright square of side `margin`·max(w, h, 1 px) on the centre of a landmark box.

        >>> Region.around_box(np.array([0.0, 0.0, 10.0, 20.0]))
        Region(x=5.0, y=10.0, side=26.0, roll=0.0)
        """
        x0, y0, x1, y1 = map(float, box)
        return cls((x0 + x1) / 2, (y0 + y1) / 2, margin * max(x1 - x0, y1 - y0, 1.0))

    @classmethod
    def around_points(cls, points: Points, roll: float = 0.0, margin: float = CROP_MARGIN) -> Region:
        """Square turned by `roll` around a face's points (image px); at roll 0 that of `around_box`."""
        return cls.around_faces(points[None], [roll], margin)[0]

    @classmethod
    def around_faces(
        cls, points: PointStack, rolls: Sequence[float], margin: float = CROP_MARGIN
    ) -> list[Region]:
        """Squares around some faces' points, as `around_points` gives each."""
        turns = [(math.cos(roll), math.sin(roll)) for roll in rolls]
        boxes = bounding_box(points @ np.array([[[cos, -sin], [sin, cos]] for cos, sin in turns]))
        regions = []
        for box, roll, (cos, sin) in zip(boxes.tolist(), rolls, turns, strict=True):
            upright = cls.around_box(box, margin)
            x, y = cos * upright.x - sin * upright.y, sin * upright.x + cos * upright.y
            regions.append(cls(x, y, upright.side, roll))
        return regions

    @property
    def corners(self) -> Float[np.ndarray, "4 2"]:
        """Four corners, image px, clockwise from the square's own top left."""
        unit = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
        cos, sin = math.cos(self.roll), math.sin(self.roll)
        return (unit * self.side) @ np.array([[cos, sin], [-sin, cos]]) + [self.x, self.y]

    def turn_to(self, other: Region) -> float:
        """Angle by which this square turns to have the roll of another, radians, from -π to π."""
        return math.remainder(other.roll - self.roll, 2 * math.pi)

    def change_to(self, other: Region) -> float:
        """Sum of the shift to another square in its sides, the change of ln(side) and the turn in radians.

        >>> Region(0.0, 0.0, 10.0).change_to(Region(3.0, 4.0, 10.0, roll=0.5))
        1.0
        """
        shift = math.hypot(other.x - self.x, other.y - self.y) / other.side
        return shift + abs(math.log(other.side / self.side)) + abs(self.turn_to(other))

    def to_crop(self, size: int) -> Affine:
        """Map from image px to px of a `size` × `size` crop of this square.

        >>> Region(x=4.5, y=4.5, side=10.0).to_crop(20)(np.array([[0.0, 9.0]]))
        array([[ 0.5, 18.5]])
        """
        scale = size / self.side
        cos, sin = scale * math.cos(self.roll), scale * math.sin(self.roll)
        middle, x, y = (size - 1) / 2, self.x, self.y
        return Affine(
            np.array([[cos, sin, middle - cos * x - sin * y], [-sin, cos, middle + sin * x - cos * y]])
        )


def face_size(
    points: PointBatch,
) -> Float[np.ndarray | np.floating, "*batch"]:
    """Size of a face: √(width · height) of its points' box, px.

    Unlike the distance of the eyes it does not shrink to zero when the head turns.

    >>> float(face_size(np.array([[0.0, 0.0], [8.0, 2.0]])))
    4.0
    """
    low, high = _extremes(points)
    span = high - low
    return np.sqrt(span[..., 0] * span[..., 1])


def box_size(box: Box) -> float:
    """`face_size` of the points in one box, px.

    >>> box_size(np.array([0.0, 0.0, 8.0, 2.0]))
    4.0
    """
    x0, y0, x1, y1 = box.tolist()
    return math.sqrt((x1 - x0) * (y1 - y0))


def _extremes(points: PointBatch) -> tuple[Float[np.ndarray, "*batch 2"], Float[np.ndarray, "*batch 2"]]:
    """Least and largest coordinates of each face; of rows of x and of y, in half the time of pairs."""
    rows = np.ascontiguousarray(points.mT)
    return np.minimum.reduce(rows, axis=-1), np.maximum.reduce(rows, axis=-1)
