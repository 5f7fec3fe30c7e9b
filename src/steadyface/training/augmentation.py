"""Random variation of training crops: one transform of image and points, then the flaws of cameras."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from steadyface import markup
from steadyface.arrays import Crop, Frame, Points
from steadyface.geometry import Region, flip_points
from steadyface.images import crop_region


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random variation of a training crop.

    Args:
        scale: standard deviation of log₂ of the region's side.
        shift: standard deviation of the region's shift, in sides.
        roll: standard deviation of the rotation, degrees.
        flip: probability of mirroring.
        camera: probability of each flaw (light, grey, blur, noise, JPEG, low resolution).
        occlusion: probability of a patch that hides a part of the face.
        level: probability of no rotation.
        clip: limit of the normally distributed deviations, in standard deviations.
        reflect: probability of mirroring the image at its border; black otherwise.
    """

    scale: float = 0.15
    shift: float = 0.04
    roll: float = 15.0
    flip: float = 0.5
    camera: float = 0.25
    occlusion: float = 0.3
    level: float = 0.0
    clip: float = 3.0
    reflect: float = 0.5

    def region(self, region: Region, rng: np.random.Generator) -> Region:
        """Draw a region near the given one."""
        side = region.side * 2.0 ** self._normal(rng, self.scale)
        dx, dy = (self._normal(rng, self.shift) * region.side for _ in range(2))
        turn = 0.0 if rng.random() < self.level else self._normal(rng, self.roll)
        return Region(region.x + dx, region.y + dy, side, region.roll + math.radians(turn))

    def _normal(self, rng: np.random.Generator, deviation: float) -> float:
        return float(np.clip(rng.standard_normal(), -self.clip, self.clip)) * deviation

    def crop(
        self,
        image: Frame,
        points: Points,
        size: int,
        rng: np.random.Generator,
        region: Region | None = None,
    ) -> tuple[Crop, Points]:
        """Draw a varied crop of a face, with its points in crop px.

        Args:
            image: RGB uint8.
            points: 68 points, image px.
            size: side of the crop, px.
            rng: source of all randomness.
            region: the plain crop's, image px; None takes `Region.around_points`.
        """
        region = self.region(region or Region.around_points(points), rng)
        border = cv2.BORDER_REFLECT_101 if rng.random() < self.reflect else cv2.BORDER_CONSTANT
        crop, to_crop = crop_region(image, region, size, border)
        points = to_crop(points)
        if rng.random() < self.flip:
            crop, points = crop[:, ::-1], flip_points(points, size, markup.FLIP)
        return self.degrade(crop, rng), points

    def degrade(self, crop: Crop, rng: np.random.Generator, soften: bool = True) -> Crop:
        """Give a crop random flaws of a worse camera, and perhaps a patch in front of the face.

        Args:
            crop: RGB.
            rng: source of all randomness.
            soften: whether blur and low resolution are among the flaws.
        """
        crop = np.ascontiguousarray(crop)
        if rng.random() < self.occlusion:
            crop = _occlude(crop, rng)
        soft = (_low_resolution, _blur) if soften else ()
        for flaw in (*soft, _light, _grey, _noise, _jpeg):
            if rng.random() < self.camera:
                crop = flaw(crop, rng)
        return crop


def _occlude(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = crop.shape[0]
    w, h = (int(rng.uniform(0.1, 0.45) * size) for _ in range(2))
    x, y = (int(rng.uniform(0, size - length)) for length in (w, h))
    crop = crop.copy()
    if rng.random() < 0.5:
        crop[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    else:
        crop[y : y + h, x : x + w] = rng.integers(0, 256, (h, w, 3))
    return crop


def _low_resolution(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = crop.shape[0]
    small = max(8, int(size * rng.uniform(0.25, 0.8)))
    down = cv2.resize(crop, (small, small), interpolation=cv2.INTER_AREA)
    return cv2.resize(down, (size, size), interpolation=cv2.INTER_LINEAR)


def _blur(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.5:
        return cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.3, 1.5) * crop.shape[0] / 128)
    length = 1 + 2 * max(1, int(rng.uniform(0.01, 0.035) * crop.shape[0]))
    turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), rng.uniform(0, 180), 1.0)
    line = np.zeros((length, length), np.float32)
    line[length // 2] = 1
    kernel = cv2.warpAffine(line, turn, (length, length)) + 1e-6
    return cv2.filter2D(crop, -1, kernel / kernel.sum())


def _light(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    gain = rng.uniform(0.5, 1.5) * rng.uniform(0.85, 1.15, 3)
    values = np.arange(256)[:, None] / 255
    curve = 255 * gain * values ** rng.uniform(0.6, 1.7) + rng.uniform(-25, 25)
    table = np.clip(curve, 0, 255).astype(np.uint8).reshape(1, 256, 3)
    return cv2.LUT(crop, table)


def _grey(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    grey = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(grey, keep := rng.uniform(0.4, 1.0), crop, 1 - keep, 0)


def _noise(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal(crop.shape, dtype=np.float32) * rng.uniform(2, 14)
    return np.clip(crop + noise, 0, 255).astype(np.uint8)


def _jpeg(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    _, data = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(15, 70))])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
