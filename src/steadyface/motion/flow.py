"""Optical flow at the landmarks between two crops of each face, with a covariance for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from steadyface import markup
from steadyface.arrays import Points, PointStack
from steadyface.geometry import Affine, map_each
from steadyface.motion.matrices import Symmetric, coordinates, inverse, outer, transform, unpack

Grey = UInt8[np.ndarray, "height width"]
AnyGrey = UInt8[np.ndarray, "_ _"]

_SLOPE = 4.0  # sum of the differences along both diagonals of three by three px, over the slope
_FLAT = 1.0  # grey levels: a crop with less spread than that shows nothing to compare
_MEAN_OF_NORMAL = 1.2533  # standard deviation over mean absolute value
_ACROSS = np.arange(-2, 3)  # positions of the gradients in a window, in fourths of its side
_FINE = slice(markup.GROUPS["right_eye"][0], markup.COUNT)  # eyes and lips
_COARSE = slice(0, _FINE.start)


@dataclass(frozen=True, eq=False)
class FaceCrop:
    """A grey square cut around a face.

    Args:
        grey: uint8.
        to_crop: map from image px to px of the crop.
    """

    grey: Grey
    to_crop: Affine

    def level(self, index: int) -> AnyGrey:
        """Grey levels on a level of the pyramid: 0 is the crop, and each further level has half the side.

        Levels are kept, since a crop is compared twice: with the frame before it and with the frame after.
        """
        while len(self._pyramid) <= index:
            self._pyramid.append(cv2.pyrDown(self._pyramid[-1]))
        return self._pyramid[index]

    @cached_property
    def _pyramid(self) -> list[AnyGrey]:
        return [self.grey]

    @cached_property
    def light(self) -> tuple[float, float]:
        """Mean and standard deviation, grey levels."""
        mean, deviation = cv2.meanStdDev(self.grey)
        return float(mean[0, 0]), float(deviation[0, 0])


@dataclass(frozen=True)
class FlowConfig:
    """Settings of the optical flow, in px of the crop.

    Args:
        window: side of the square that is compared around a landmark, odd. Increasing it lowers the noise,
            but costs time with its square, and errs more where the skin bends or another object is near.
        fine_window: the same at the eyes and lips, whose surroundings move in other ways, and in the search
            backwards.
        start_window: the same on the levels above the crop itself, in their px, for all landmarks.
        levels: pyramid levels above the crop itself. Increasing it follows larger displacements, but
            finds wrong ones more often.
        iterations, precision: iterations on a level at most, and the step in px below which they stop. More
            iterations, or a smaller step, cost time.
        noise_gain: factor of the covariance of the least squares, since the pixels of a resampled crop are
            not independent. Increasing it trusts the picture less.
        gap_gain: factor of the squared forward-backward gap in the covariance. Increasing it trusts
            displacements that do not lead back less.
        floor: standard deviation of the best displacement, px. Increasing it trusts the picture less.
        slip: the same per px of displacement, since a moving face also bends, turns and is resampled.
    """

    window: int = 21
    fine_window: int = 9
    start_window: int = 11
    levels: int = 1
    iterations: int = 6
    precision: float = 0.03
    noise_gain: float = 2.0
    gap_gain: float = 1.0
    floor: float = 0.02
    slip: float = 0.025

    @cached_property
    def windows(self) -> Int[np.ndarray, "68"]:
        """Window of each landmark in the search forwards on the crop itself."""
        return np.where(np.arange(markup.COUNT) < _FINE.start, self.window, self.fine_window)


_CONFIG = FlowConfig()


class Flow(NamedTuple):
    """Displacements by optical flow, each landmark alone; of one face, or of several.

    Args:
        displacement: image px.
        covariance: image px².
        found: whether the search ended inside the crop.
    """

    displacement: Float[np.ndarray, "*faces landmarks 2"]
    covariance: Float[np.ndarray, "*faces landmarks 2 2"]
    found: Bool[np.ndarray, "*faces landmarks"]


def measure_flow(
    before: FaceCrop, after: FaceCrop, points: Points, expected: Points, config: FlowConfig | None = None
) -> Flow:
    """Measure how far the picture at each landmark moves from one frame to the next.

    Equation: d minimises Σ(J(p + d) - I(p))² over the window, on a pyramid, from coarse to fine. Its
    covariance is g·s²·(Σ∇I∇Iᵀ)⁻¹ + k·bbᵀ + f²; s is the deviation of the remaining difference and b the gap
    between the landmark and the end of the flow back from p + d. Along an edge the covariance is long.
    Source: Lucas and Kanade 1981; Bouguet 2000, in OpenCV; Simoncelli et al. 1991 (covariance); Kalal et al.
    2010 (gap). Differs from them in: each frame has a crop that turns and scales with the face, so that a
    rotating or approaching face does not deform the window.

    Args:
        before, after: crops of the two frames, of one size. Crops of the same region show a resting face
            without any noise of resampling.
        points: (68, 2) landmarks in the first frame, image px.
        expected: where they are expected in the second frame, image px.
        config: None takes the defaults.
    """
    flows = measure_flows([before], [after], points[None], expected[None], config)
    return Flow(*(each[0] for each in flows))


def measure_flows(
    before: Sequence[FaceCrop],
    after: Sequence[FaceCrop],
    points: PointStack,
    expected: PointStack,
    config: FlowConfig | None = None,
) -> Flow:
    """Measure the flow of several faces as `measure_flow` does; only their searches run one by one."""
    config = config or _CONFIG
    start = map_each([crop.to_crop for crop in before], points).astype(np.float32)
    guess = map_each([crop.to_crop for crop in after], expected).astype(np.float32)
    found = [_follow(*face, config) for face in zip(before, after, start, guess, strict=True)]
    end, reached, residual, back = (np.array(each) for each in zip(*found, strict=True))
    covariance = inverse(_structure_tensors([crop.grey for crop in before], start, config.windows))
    covariance *= config.noise_gain * (_MEAN_OF_NORMAL * residual) ** 2
    to_image = [crop.to_crop.inverse for crop in after]
    displacement = map_each(to_image, end.astype(float)) - points
    scale = np.array([crop.to_crop.scale for crop in after])[:, None]
    x, y = coordinates(displacement)
    covariance += config.gap_gain * outer(coordinates((back - start).astype(float)))
    covariance[::2] += config.floor**2 + config.slip**2 * scale**2 * (x * x + y * y)
    linear = np.array([each.matrix[:, :2] for each in to_image])
    return Flow(displacement, unpack(transform(covariance, linear)), reached)


class _Found(NamedTuple):
    """Landmarks of a face found by a search forwards and back, px of the crops.

    Args:
        end: position in the second crop.
        reached: whether it was found, forwards and back.
        residual: mean absolute difference between the windows at start and end, grey levels.
        back: position in the first crop to which the search from `end` led.
    """

    end: Float[np.ndarray, "n 2"]
    reached: Bool[np.ndarray, "n"]
    residual: Float[np.ndarray, "n"]
    back: Float[np.ndarray, "n 2"]


def _follow(
    before: FaceCrop,
    after: FaceCrop,
    start: Float[np.ndarray, "n 2"],
    guess: Float[np.ndarray, "n 2"],
    config: FlowConfig,
) -> _Found:
    """Search for one face's landmarks from coarse to fine, and back, in px of the crops."""
    pyramid = _pyramid(before, after, config.levels)
    near: np.ndarray = guess
    for level in range(config.levels, 0, -1):
        scale = 0.5**level
        near = _search(*pyramid[level], scale * start, scale * near, config.start_window, config).end / scale
    first, second = pyramid[0]
    parts = [
        _search(first, second, start[part], near[part], window, config)
        for part, window in ((_COARSE, config.window), (_FINE, config.fine_window))
    ]
    end, found, residual = (np.concatenate(each) for each in zip(*parts, strict=True))
    back, found_back, _ = _search(second, first, end, end + start - guess, config.fine_window, config)
    return _Found(end, found & found_back, residual, back)


class _Ends(NamedTuple):
    """Ends of a search on one level, whether each was found, and the mean absolute difference there."""

    end: Float[np.ndarray, "n 2"]
    reached: Bool[np.ndarray, "n"]
    residual: Float[np.ndarray, "n"]


def _search(
    first: Grey,
    second: Grey,
    start: Float[np.ndarray, "n 2"],
    guess: Float[np.ndarray, "n 2"],
    window: int,
    config: FlowConfig,
) -> _Ends:
    """Search on one level of the pyramid, in its px.

    OpenCV gives arbitrary ends where it finds none; here the guess takes their place.
    """
    end, found, residual = cv2.calcOpticalFlowPyrLK(
        first,
        second,
        start,
        guess.copy(),
        winSize=(window, window),
        maxLevel=0,
        criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, config.iterations, config.precision),
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    reached = found == 1
    return _Ends(np.where(reached, end, guess), reached[:, 0], np.where(reached, residual, 0)[:, 0])


def _pyramid(before: FaceCrop, after: FaceCrop, levels: int) -> list[tuple[AnyGrey, AnyGrey]]:
    """Both crops on each level, the finest first; the second gets the mean and contrast of the first.

    Optical flow assumes that brightness does not change.
    """
    (wanted, contrast), (mean, spread) = before.light, after.light
    gain = contrast / spread if min(spread, contrast) >= _FLAT else 1.0
    offset = wanted - gain * mean
    pairs = [(before.level(level), after.level(level)) for level in range(levels + 1)]
    if max(abs(offset), abs(255 * (gain - 1) + offset)) < 0.5:  # less than rounding
        return pairs
    return [(first, cv2.convertScaleAbs(second, alpha=gain, beta=offset)) for first, second in pairs]


def _structure_tensors(
    greys: Sequence[Grey], points: Float[np.ndarray, "faces n 2"], windows: Int[np.ndarray, "n"]
) -> Symmetric:
    """Σ∇I∇Iᵀ over the window around each point, (grey levels per px)²; never singular.

    It is estimated from 25 gradients spread over the window, since neighbouring ones are nearly the same.
    Each is measured by the slopes along both diagonals, whose sum and difference it is.
    """
    width = len(greys[0])
    across = np.rint(coordinates(points)).astype(int)[..., None] + (windows // 4)[:, None] * _ACROSS
    x, y = np.minimum(np.maximum(across, 1), width - 2)
    pixels = (width * y[..., None] + x[..., None, :]).reshape(*points.shape[:2], -1)
    corners = np.array([-width - 1, 1 - width, width - 1, width + 1])[:, None, None]
    values = np.array([grey.take(each + corners) for grey, each in zip(greys, pixels, strict=True)])
    above_left, above_right, below_left, below_right = values.astype(np.float32).swapaxes(0, 1)
    falling, rising = below_right - above_left, above_right - below_left
    one, other, both = (
        np.add.reduce(first * second, axis=-1)
        for first, second in ((falling, falling), (rising, rising), (falling, rising))
    )
    sums = np.array([one + other + 2 * both, one - other, one + other - 2 * both])
    tensors = sums * (windows**2 / (_SLOPE**2 * pixels.shape[-1]))
    tensors[::2] += 1
    return tensors
