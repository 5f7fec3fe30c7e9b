"""Where one shot of a video ends and the next begins, told from a few thousand pixels of each frame."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from jaxtyping import Float

from steadyface.images import Frame

_WIDTH, _HEIGHT = 32, 24  # px of the thumbnail that is compared
_SAMPLES = 3  # pixels read per thumbnail px and axis; the frame's others are never touched
_BLUR = 1.0  # thumbnail px, so that a motion of half a pixel is hardly novel
_MIDDLE = 0.6  # share of a side that is sought in the other thumbnail: the rest is room for a pan

_LEAST = 0.12  # novelty below which nothing is a cut
_RATIO = 3.5  # novelty of a cut over the largest of the frames before
_USUAL = 0.02  # novelty that is always to be expected
_UNKNOWN = 0.06  # … while the shot has only begun
_RECENT = 5  # frames that tell what is usual

_FLAT = 4.0  # grey levels: deviation of a picture that shows nothing (black, white, a closed lens)
_WHITE, _FLASH = 250.0, 0.1  # a share of saturated pixels that grew by so much is a flash's …
_FLASHES = 4  # … unless it stays for more frames than that


class SceneCuts:
    """Says of each frame whether it begins another shot; remembers thumbnails only.

    A frame is as novel as 1 - r, r being the correlation of its middle with the best-fitting part of the
    last frame (or the other way round), so that neither a pan nor a change of exposure is novel. A cut is one
    frame that is far more novel than those just before: fast motion is novel again and again. Black and
    white frames and flashes are skipped: what follows is compared with what was before.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the frames seen."""
        self._last: Float[np.ndarray, "rows columns"] | None = None
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._flashes = 0

    def step(self, frame: Frame) -> bool:
        """Whether the frame begins another shot. The first one does not.

        Args:
            frame: RGB uint8, of any size; it may change.
        """
        now = _thumbnail(frame)
        if self._shows_nothing(now):
            return False
        last, self._last = self._last, now
        if last is None:
            return False
        novelty = _novelty(last, now)
        usual = max(self._recent, default=_UNKNOWN)
        if novelty > _LEAST and novelty > _RATIO * (_USUAL + usual):
            self._recent.clear()
            return True
        self._recent.append(novelty)
        return False

    def _shows_nothing(self, now: Float[np.ndarray, "rows columns"]) -> bool:
        if _spread(now) < _FLAT:
            return True
        white = 0.0 if self._last is None else _white(now) - _white(self._last)
        self._flashes = self._flashes + 1 if white > _FLASH else 0
        return 0 < self._flashes <= _FLASHES


def _thumbnail(frame: Frame) -> Float[np.ndarray, "rows columns"]:
    """The frame in grey levels, averaged from evenly spaced pixels."""
    height, width = frame.shape[:2]
    down, across = max(1, height // (_HEIGHT * _SAMPLES)), max(1, width // (_WIDTH * _SAMPLES))
    grey = cv2.cvtColor(frame[down // 2 :: down, across // 2 :: across], cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)
    return cv2.GaussianBlur(small, (0, 0), _BLUR)


def _spread(thumbnail: Float[np.ndarray, "rows columns"]) -> float:
    """Standard deviation of the grey levels."""
    return float(cv2.meanStdDev(thumbnail)[1][0, 0])


def _white(thumbnail: Float[np.ndarray, "rows columns"]) -> float:
    return float(np.count_nonzero(thumbnail >= _WHITE)) / thumbnail.size


def _novelty(one: Float[np.ndarray, "rows columns"], other: Float[np.ndarray, "rows columns"]) -> float:
    """1 - the correlation of one picture's middle with where it fits best in the other."""
    fit = _fit(one, other)
    return 1.0 - (fit if fit > 1.0 - _USUAL else max(fit, _fit(other, one)))


def _fit(sought: Float[np.ndarray, "rows columns"], within: Float[np.ndarray, "rows columns"]) -> float:
    rows, columns = round(_HEIGHT * _MIDDLE), round(_WIDTH * _MIDDLE)
    y, x = (_HEIGHT - rows) // 2, (_WIDTH - columns) // 2
    middle = np.ascontiguousarray(sought[y : y + rows, x : x + columns])
    if _spread(middle) < 1.0:
        return 0.0  # the correlation of a flat picture is anything
    return float(cv2.matchTemplate(within, middle, cv2.TM_CCOEFF_NORMED).max())
