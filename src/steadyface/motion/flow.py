"""Optical flow at landmarks between two crops of a face, with a covariance for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from steadyface import markup
from steadyface.arrays import Points
from steadyface.geometry import Affine
from steadyface.motion.matrices import IDENTITY, Symmetric, inverse, outer, unpack

Grey = UInt8[np.ndarray, "height width"]

_SCHARR = 32.0  # sum of the kernel's weights on one side of the derivative, over 1 px
_FLAT = 1.0  # grey levels: a crop with less spread than that shows nothing to compare
_MEAN_OF_NORMAL = 1.2533  # standard deviation over mean absolute value
_STRIDE = 2  # px between the gradients that are summed: neighbours say nearly the same
_PARTS = (
    np.array([*markup.GROUPS["right_eye"], *markup.GROUPS["left_eye"]]),
    np.array([*markup.GROUPS["outer_lips"], *markup.GROUPS["inner_lips"]]),
)
_FINE = np.concatenate(_PARTS)
_COARSE = np.setdiff1d(np.arange(markup.COUNT), _FINE)


class FaceCrop(NamedTuple):
    """A grey square cut around a face.

    Args:
        grey: uint8.
        to_crop: map from image px to px of the crop.
    """

    grey: Grey
    to_crop: Affine


@dataclass(frozen=True)
class FlowConfig:
    """Settings of the optical flow, in px of the crop.

    Args:
        window: side of the square that is compared around a landmark, odd. Increasing it lowers the noise
            and the cost rises with its square, but where the skin bends or an edge of something else is near,
            the error grows.
        fine_window: the same at the eyes and lips, whose surroundings move in other ways, and on
            the way back.
        levels: pyramid levels above the crop itself. Increasing it follows larger displacements, but
            finds wrong ones more often.
        back_levels: the same on the way back, which starts near its end.
        iterations, precision: where the search of a level stops. More iterations, or a smaller step, cost
            time.
        noise_gain: factor of the covariance of the least squares: pixels of a resampled crop are not
            independent. Increasing it trusts the picture less.
        gap_gain: factor of the forward-backward gap's square in the covariance. Increasing it trusts
            displacements less that do not lead back.
        floor: standard deviation that the best displacement has, px.
        slip: the same per px of displacement: what moves also bends, turns and is resampled.
    """

    window: int = 21
    fine_window: int = 9
    levels: int = 1
    back_levels: int = 0
    iterations: int = 6
    precision: float = 0.03
    noise_gain: float = 2.0
    gap_gain: float = 1.0
    floor: float = 0.02
    slip: float = 0.025


class Flow(NamedTuple):
    """Displacements as the optical flow gives them, each by itself.

    Args:
        displacement: image px.
        covariance: image px².
        found: whether the search ended inside the crop.
    """

    displacement: Points
    covariance: Float[np.ndarray, "landmarks 2 2"]
    found: Bool[np.ndarray, "landmarks"]


def measure_flow(
    before: FaceCrop, after: FaceCrop, points: Points, expected: Points, config: FlowConfig | None = None
) -> Flow:
    """Measure how far the picture at each landmark moves from one frame to the next.

    Equation: d minimises Σ(J(p + d) - I(p))² over the window, on a pyramid, from coarse to fine. Its
    covariance is g·s²·(Σ∇I∇Iᵀ)⁻¹ + k·bbᵀ + f²: s is the deviation of what is left of the difference, so that
    an edge gives an ellipse along itself; b is the gap between the landmark and where the flow leads back to.
    Source: Lucas and Kanade 1981; Bouguet 2000, in OpenCV; Simoncelli et al. 1991 (covariance); Kalal et al.
    2010 (gap). Differs from them in: each frame has a crop that turns and scales with the face, so
    that a rotation or an approach is no deformation of the window.

    Args:
        before, after: crops of the two frames, of one size. Crops of the same region show a resting face
            without any noise of resampling.
        points: (68, 2) landmarks in the first frame, image px.
        expected: where they are expected in the second frame, image px.
        config: None takes the defaults.
    """
    config = config or FlowConfig()
    start = before.to_crop(points).astype(np.float32)
    guess = after.to_crop(expected).astype(np.float32)
    grey = _with_exposure_of(before.grey, after.grey)
    gradients = _gradients(before.grey)
    end, there, left = np.empty_like(start), np.empty(len(points), bool), np.empty(len(points))
    covariance = np.empty((3, len(points)))
    for part, window in ((_COARSE, config.window), (_FINE, config.fine_window)):
        end[part], there[part], left[part] = _search(
            before.grey, grey, start[part], guess[part], window, config.levels, config
        )
        covariance[:, part] = inverse(_structure_tensors(gradients, start[part], window))
    home = end + start - guess
    back, returned, _ = _search(grey, before.grey, end, home, config.fine_window, config.back_levels, config)
    covariance *= config.noise_gain * (_MEAN_OF_NORMAL * left) ** 2
    gap = (back - start).T.astype(float)
    back_to_image = after.to_crop.inverse
    displacement = back_to_image(end.astype(float)) - points
    moved = after.to_crop.scale**2 * (displacement**2).sum(axis=1)
    covariance += config.gap_gain * outer(gap) + (config.floor**2 + config.slip**2 * moved) * IDENTITY
    linear = back_to_image.matrix[:, :2]
    return Flow(displacement, linear @ unpack(covariance) @ linear.T, there & returned)


def _search(
    first: Grey,
    second: Grey,
    start: Float[np.ndarray, "n 2"],
    guess: Float[np.ndarray, "n 2"],
    window: int,
    levels: int,
    config: FlowConfig,
) -> tuple[Float[np.ndarray, "n 2"], Bool[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Ends of the search, whether each was found, and the mean absolute difference that is left.

    OpenCV leaves anything in what it has not found; here that is the guess.
    """
    end, found, left = cv2.calcOpticalFlowPyrLK(
        first,
        second,
        start,
        guess.copy(),
        winSize=(window, window),
        maxLevel=levels,
        criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, config.iterations, config.precision),
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    reached = found == 1
    return np.where(reached, end, guess), reached[:, 0], np.where(reached, left, 0)[:, 0]


def _with_exposure_of(like: Grey, grey: Grey) -> Grey:
    """The crop with the mean and the contrast of the other: the flow takes brightness for constant."""
    (mean, spread), (wanted, contrast) = (
        (float(part[0, 0]) for part in cv2.meanStdDev(each)) for each in (grey, like)
    )
    if min(spread, contrast) < _FLAT:
        return grey
    gain = contrast / spread
    return cv2.convertScaleAbs(grey, alpha=gain, beta=wanted - gain * mean)


def _gradients(grey: Grey) -> Float32[np.ndarray, "rows columns 3"]:
    """xx, xy and yy of ∇I∇Iᵀ, (grey levels per px)², at every `_STRIDE`-th px."""
    x, y = (cv2.Scharr(grey, cv2.CV_16S, *axis)[::_STRIDE, ::_STRIDE] for axis in ((1, 0), (0, 1)))
    x, y = (each.astype(np.float32) * (1 / _SCHARR) for each in (x, y))
    return cv2.merge([x * x, x * y, y * y])


def _structure_tensors(
    gradients: Float32[np.ndarray, "rows columns 3"], points: Float[np.ndarray, "n 2"], window: int
) -> Symmetric:
    """Σ∇I∇Iᵀ over the window around each point, (grey levels per px)²; never singular."""
    side = window // _STRIDE | 1
    sums = cv2.boxFilter(gradients, -1, (side, side), normalize=True, borderType=cv2.BORDER_REPLICATE)
    rows, columns = gradients.shape[:2]
    x, y = np.rint(points / _STRIDE).astype(int).T
    at = sums[y.clip(0, rows - 1), x.clip(0, columns - 1)]
    return window**2 * at.T.astype(float) + IDENTITY
