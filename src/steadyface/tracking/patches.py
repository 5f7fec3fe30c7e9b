"""Pictures of eyes and mouth, to notice a blink or a word between two runs of the network."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Float32

from steadyface import markup
from steadyface.arrays import FacePoints
from steadyface.motion import FaceCrop
from steadyface.tracking.config import CarryingConfig

Patches = Float32[np.ndarray, "pixels"]
"""Grey levels of the right eye, the left eye and the mouth, less the crop's mean and over its contrast."""

_CORNERS = np.array([markup.corners(group) for group in (*markup.EYES, "outer_lips")]).ravel()
"""Corners of eyes and mouth: the right and the left one of each patch."""

_HEIGHTS, _WIDTH = (6, 6, 11), 12  # px of the patches of right eye, left eye and mouth
_SAMPLES = 3  # per px and axis, against noise
_REACH = 0.25  # of the distance between its corners: how far a patch reaches beyond each of them
_LEAST_CONTRAST = 4.0  # grey levels
_NOISE_FACTOR = 1.5  # a frame's noise may exceed the least of recent frames by this much
_NOISE_GROWTH = 1.02  # of that least noise from run to run, so that it can rise again

_SIZES = np.array(_HEIGHTS) * _WIDTH
_STARTS = np.cumsum(_SIZES) - _SIZES
_PATCH = np.repeat(np.arange(len(_HEIGHTS)), np.array(_HEIGHTS) * _SAMPLES)  # of each row of samples
_ACROSS = ((np.arange(_WIDTH * _SAMPLES) + 0.5) / _SAMPLES - _WIDTH / 2).astype(np.float32)
_DOWN = np.concatenate([(np.arange(rows * _SAMPLES) + 0.5) / _SAMPLES - rows / 2 for rows in _HEIGHTS])
_DOWN = _DOWN.astype(np.float32)[:, None]
"""Position of each sample in its patch, px from the middle: of a column across, of a row down."""


def take_patches(crop: FaceCrop, points: FacePoints) -> Patches:
    """Cut eyes and mouth out of a face's crop, upright and in a fixed size.

    Args:
        crop: of the face.
        points: (68, 2) in the crop's frame, image px.
    """
    mean, spread = crop.light
    right, left = crop.to_crop(points[_CORNERS]).astype(np.float32).reshape(-1, 2, 2).swapaxes(0, 1)
    middle_x, middle_y = ((right + left) / 2).T[:, _PATCH, None]
    across_x, across_y = ((left - right) * ((1 + 2 * _REACH) / _WIDTH)).T[:, _PATCH, None]
    x = middle_x - across_y * _DOWN + across_x * _ACROSS
    y = middle_y + across_x * _DOWN + across_y * _ACROSS
    sampled = cv2.remap(crop.grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    averaged = cv2.resize(sampled, (_WIDTH, sum(_HEIGHTS)), interpolation=cv2.INTER_AREA)
    return (averaged.ravel().astype(np.float32) - mean) / max(spread, _LEAST_CONTRAST)


class Watch(NamedTuple):
    """Eyes and mouth in the frame of the network's last run on a face, to notice when they change.

    Args:
        patches: eyes and mouth in that frame.
        noise: (3,) mean squared change of each patch by the picture's noise alone: the least between recent
            runs.
    """

    patches: Patches
    noise: Float[np.ndarray, "3"]

    @classmethod
    def begin(cls, patches: Patches) -> Watch:
        """Begin with the first run, when any change may be noise."""
        return cls(patches, np.full(len(_HEIGHTS), np.inf))

    def change(self, patches: Patches, config: CarryingConfig) -> float:
        """Largest change of the three patches since the run, over its limit; above 1 the network is to run.

        Equation: √max(0, mean squared difference - noise) / limit. A moving lid changes few px much, noise
        and misfit change all px a little; the mean absolute difference would tell them apart less well.
        """
        limits = [config.max_eye_change, config.max_eye_change, config.max_mouth_change]
        beyond_noise = np.maximum(self._squared(patches) - _NOISE_FACTOR * self.noise, 0.0)
        return float((np.sqrt(beyond_noise) / limits).max())

    def after_run(self, patches: Patches) -> Watch:
        """Watch the patches of a new run instead, and update the noise by what changed since the last."""
        noise = np.minimum(self._squared(patches), _NOISE_GROWTH * self.noise)
        return Watch(patches, noise)

    def _squared(self, patches: Patches) -> Float[np.ndarray, "3"]:
        """Mean squared difference of each patch."""
        change = patches - self.patches
        return np.add.reduceat(change * change, _STARTS, dtype=float) / _SIZES
