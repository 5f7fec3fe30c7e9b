"""Pictures of eyes and mouth, to notice a blink or a word between two runs of the network."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Float32

from steadyface.arrays import FacePoints
from steadyface.motion import FaceCrop
from steadyface.tracking.config import CarryingConfig

Patches = Float32[np.ndarray, "pixels"]
"""Grey levels of the right eye, the left eye and the mouth, less the crop's mean and over its contrast."""

_CORNERS = np.array([36, 39, 42, 45, 48, 54])
"""Corners of eyes and mouth, in pairs."""

_HIGH, _WIDE = (6, 6, 11), 12  # px of the patches
_FINE = 3  # samples per px and axis, against noise
_BESIDE = 0.25  # distances between the corners by which a patch reaches beyond them
_LEAST_CONTRAST = 4.0  # grey levels
_SPREAD = 1.5  # of noise over its least of late
_NOISIER = 1.02  # growth of the noise's variance that is possible from run to run

_SIZES = np.array(_HIGH) * _WIDE
_STARTS = np.cumsum(_SIZES) - _SIZES
_PATCH = np.repeat(np.arange(len(_HIGH)), np.array(_HIGH) * _FINE)  # of each row of samples
_ACROSS = ((np.arange(_WIDE * _FINE) + 0.5) / _FINE - _WIDE / 2).astype(np.float32)
_DOWN = np.concatenate([(np.arange(high * _FINE) + 0.5) / _FINE - high / 2 for high in _HIGH])
_DOWN = _DOWN.astype(np.float32)[:, None]


def take_patches(crop: FaceCrop, points: FacePoints) -> Patches:
    """Cut eyes and mouth out of a face's crop, upright and of one size.

    Args:
        crop: of the face.
        points: (68, 2) of the frame, image px.
    """
    mean, spread = crop.light
    right, left = crop.to_crop(points[_CORNERS]).astype(np.float32).reshape(-1, 2, 2).swapaxes(0, 1)
    middle_x, middle_y = ((right + left) / 2).T[:, _PATCH, None]
    across_x, across_y = ((left - right) * ((1 + 2 * _BESIDE) / _WIDE)).T[:, _PATCH, None]
    x = middle_x - across_y * _DOWN + across_x * _ACROSS
    y = middle_y + across_x * _DOWN + across_y * _ACROSS
    sampled = cv2.remap(crop.grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    kept = cv2.resize(sampled, (_WIDE, sum(_HIGH)), interpolation=cv2.INTER_AREA)
    return (kept.ravel().astype(np.float32) - mean) / max(spread, _LEAST_CONTRAST)


class Watch(NamedTuple):
    """Eyes and mouth when the network last ran on a face, and what the picture's noise changes of them.

    Args:
        patches: eyes and mouth.
        noise: (3,) mean squared change of each patch by noise alone: the least of late.
    """

    patches: Patches
    noise: Float[np.ndarray, "3"]

    @classmethod
    def begin(cls, patches: Patches) -> Watch:
        """Begin with the first run; as yet all change may be noise."""
        return cls(patches, np.full(len(_HIGH), np.inf))

    def change(self, patches: Patches, config: CarryingConfig) -> float:
        """Change since the run over what asks for another, the largest of the three.

        Equation: the root of a patch's mean squared difference, less that of noise, over its limit. A lid
        that moves changes few px much, noise and misfit change all px a little: the mean absolute difference
        tells them apart less well.
        """
        limits = [config.max_eye_change, config.max_eye_change, config.max_mouth_change]
        beyond = np.maximum(self._squared(patches) - _SPREAD * self.noise, 0.0)
        return float((np.sqrt(beyond) / limits).max())

    def after_run(self, patches: Patches) -> Watch:
        """Watch from the next run on."""
        noise = np.minimum(self._squared(patches), _NOISIER * self.noise)
        return Watch(patches, noise)

    def _squared(self, patches: Patches) -> Float[np.ndarray, "3"]:
        """Mean squared difference of each patch."""
        change = patches - self.patches
        return np.add.reduceat(change * change, _STARTS, dtype=float) / _SIZES
