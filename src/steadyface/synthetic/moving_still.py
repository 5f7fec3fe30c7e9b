"""Still image under a moving camera: the path of every landmark is known exactly."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from steadyface.arrays import Frame, PointSequence, Times
from steadyface.geometry import Affine
from steadyface.video import VideoFrame


@dataclass(frozen=True)
class MovingStill:
    """Still image seen by a hand-held camera: slow sway, some roll and zoom, and sensor noise.

    Args:
        still: RGB uint8.
        centre: point that the camera looks at, px of the still.
        zoom: frame px per still px, on average.
        width, height: of the frames, px.
        fps: frames per second.
        seconds: length.
        noise: standard deviation of the sensor noise, grey levels.
        seed: of the noise.
    """

    still: Frame
    centre: tuple[float, float]
    zoom: float = 1.0
    width: int = 1280
    height: int = 720
    fps: float = 30.0
    seconds: float = 4.0
    noise: float = 3.0
    seed: int = 0

    def __len__(self) -> int:
        return round(self.seconds * self.fps)

    def to_frame(self, seconds: float) -> Affine:
        """Map from px of the still to px of the frame at a time."""

        def sway(period: float, phase: float = 0.0) -> float:
            return math.sin(2 * math.pi * seconds / period + phase)

        scale = self.zoom * (1 + 0.12 * sway(3.7))
        roll = math.radians(7.0) * sway(2.9, 1.0)
        cos, sin = scale * math.cos(roll), scale * math.sin(roll)
        linear = np.array([[cos, -sin], [sin, cos]])
        target = np.array(
            [self.width * (0.5 + 0.10 * sway(3.1)), self.height * (0.5 + 0.08 * sway(2.3, 2.0))]
        )
        return Affine(np.column_stack([linear, target - linear @ np.array(self.centre)]))

    def mean_face(self, points: PointSequence, seconds: Times) -> PointSequence:
        """Replace measured points by their mean, moved exactly like the camera.

        The measurements are mapped back to the still, where nothing moves, averaged there, and mapped to the
        frames again. The difference of the measurements from the result is noise and lag, without a constant
        error.

        Args:
            points: px of the frames.
            seconds: time of each frame.
        """
        maps = [self.to_frame(float(time)) for time in seconds]
        still = [to_frame.inverse(found) for to_frame, found in zip(maps, points, strict=True)]
        return np.stack([to_frame(np.mean(still, axis=0)) for to_frame in maps])

    def __iter__(self) -> Iterator[VideoFrame]:
        rng = np.random.default_rng(self.seed)
        for index in range(len(self)):
            seconds = index / self.fps
            matrix = self.to_frame(seconds).matrix
            image = cv2.warpAffine(
                self.still,
                matrix,
                (self.width, self.height),
                flags=cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REFLECT_101,
            )
            noise = rng.standard_normal(image.shape, dtype=np.float32) * self.noise
            yield VideoFrame(index, seconds, np.clip(image + noise + 0.5, 0, 255).astype(np.uint8))
