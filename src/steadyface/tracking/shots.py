"""Detection of cuts between shots, from a few thousand pixels of each frame."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from jaxtyping import Float

from steadyface.arrays import Frame
from steadyface.tracking.config import CutConfig

Thumbnail = Float[np.ndarray, "rows columns"]
"""Grey levels of a small, blurred copy of a frame."""


class CutDetector:
    """Detects frames that begin another shot.

    The novelty of a frame is 1 - r, where r is the correlation of its middle with the best-fitting part of
    the last frame, or the other way round: panning and changes of exposure are not novel. A cut is one frame
    that is far more novel than those just before it, while fast motion is novel in frame after frame. Blank
    frames and flashes are skipped: the frame after them is compared with the one before.

    Args:
        config: the limits.
    """

    def __init__(self, config: CutConfig | None = None) -> None:
        self.config = config or CutConfig()
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        self._last: Thumbnail | None = None
        self._recent: deque[float] = deque(maxlen=self.config.window)
        self._flash_frames = 0

    def step(self, frame: Frame) -> bool:
        """Test whether the frame begins another shot; the first frame does not.

        Args:
            frame: RGB uint8 (H, W, 3), of any size; it may change.
        """
        config, now = self.config, self._thumbnail(frame)
        if _deviation(now) < config.flat_deviation or self._is_flash(now):
            return False
        last, self._last = self._last, now
        if last is None:
            return False
        novelty = self._novelty(last, now)
        recent = max(self._recent, default=config.initial_novelty)
        if novelty > config.min_novelty and novelty > config.ratio * (config.base_novelty + recent):
            self._recent.clear()
            return True
        self._recent.append(novelty)
        return False

    def _is_flash(self, now: Thumbnail) -> bool:
        growth = 0.0 if self._last is None else self._saturated(now) - self._saturated(self._last)
        self._flash_frames = self._flash_frames + 1 if growth > self.config.flash_fraction else 0
        return 0 < self._flash_frames <= self.config.max_flash_frames

    def _saturated(self, thumbnail: Thumbnail) -> float:
        """Fraction of saturated pixels."""
        return float(np.count_nonzero(thumbnail >= self.config.white_level)) / thumbnail.size

    def _thumbnail(self, frame: Frame) -> Thumbnail:
        """Average evenly spaced pixels of a frame; reading only these keeps 4K as cheap as 360p."""
        config, (height, width) = self.config, frame.shape[:2]
        down = max(1, height // (config.height * config.samples))
        across = max(1, width // (config.width * config.samples))
        grey = cv2.cvtColor(frame[down // 2 :: down, across // 2 :: across], cv2.COLOR_RGB2GRAY)
        small = cv2.resize(grey, (config.width, config.height), interpolation=cv2.INTER_AREA)
        return cv2.GaussianBlur(small.astype(np.float32), (0, 0), config.blur)

    def _novelty(self, last: Thumbnail, now: Thumbnail) -> float:
        """1 - the best correlation of one thumbnail's middle within the other."""
        correlation = self._correlation(last, now)
        if correlation <= 1.0 - self.config.base_novelty:
            correlation = max(correlation, self._correlation(now, last))
        return 1.0 - correlation

    def _correlation(self, template: Thumbnail, within: Thumbnail) -> float:
        height, width = template.shape
        rows, columns = round(height * self.config.template), round(width * self.config.template)
        y, x = (height - rows) // 2, (width - columns) // 2
        middle = np.ascontiguousarray(template[y : y + rows, x : x + columns])
        if _deviation(middle) < 1.0:
            return 0.0  # the correlation of a flat picture is undefined
        return float(cv2.matchTemplate(within, middle, cv2.TM_CCOEFF_NORMED).max())


def _deviation(picture: Thumbnail) -> float:
    """Standard deviation of the grey levels."""
    return float(cv2.meanStdDev(picture)[1][0, 0])
