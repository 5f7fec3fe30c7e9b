"""Detection of cuts and dissolves between shots, from a few thousand pixels of each frame."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float

from steadyface.picture import Picture
from steadyface.tracking.config import CutConfig

Thumbnail = Float[np.ndarray, "rows columns"]
"""Grey levels of a small, blurred copy of a frame."""

_WINDOWS = (4, 8, 16, 32, 64)
"""Lengths in frames of the dissolves that are looked for; others are found by a part of them."""

_SLOW = 2  # px of a thumbnail by which an object may move along a line
_AROUND = np.ones((2 * _SLOW + 1, 2 * _SLOW + 1), np.uint8)
_MOST_PAUSES = 1  # frames that a dissolve may stand still, as it does where frames are repeated


class Transition(Enum):
    """Kind of change that a frame brings."""

    NONE = auto()
    POSSIBLE_CUT = auto()
    """A sudden but small change: a cut if the faces change too, between two shots of like framing."""
    DISSOLVE = auto()
    """A frame of a dissolve, up to its last one, which shows the new shot alone."""
    CUT = auto()


class CutDetector:
    """Detects frames that begin another shot, and dissolves.

    The novelty of a frame is 1 - r, where r is the correlation of its middle with the best-fitting part of
    the last frame, or the other way round: panning and changes of exposure are not novel. A cut is one frame
    that is far more novel than those just before it, while fast motion is novel in frame after frame. Blank
    frames and flashes are skipped: the frame after them is compared with the one before.

    Args:
        config: the limits.

    Attributes:
        scene: number of the newest frame's scene. A shot that begins as an earlier one ended, as when an
            edit goes back to it, has that one's number.
    """

    def __init__(self, config: CutConfig | None = None) -> None:
        self.config = config or CutConfig()
        self._dissolves = DissolveDetector(self.config)
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        self._before: Thumbnail | None = None
        self._last: Thumbnail | None = None
        self._ends: dict[int, Thumbnail] = {}
        self.scene = self._scenes = 0
        self._flash_frames = 0
        self.begin_shot()

    def begin_shot(self) -> None:
        """Forget the changes before the last frame, which begins a shot, and find its scene."""
        self._recent: deque[float] = deque(maxlen=self.config.window)
        self._dissolves.reset()
        if self._before is None or self._last is None:
            return
        self._ends.pop(self.scene, None)  # so that the order is that of the ends
        self._ends[self.scene] = self._before
        if len(self._ends) > self.config.scenes:
            del self._ends[next(iter(self._ends))]
        novelty, nearest = min(
            (_novelty(end, self._last, self.config), scene) for scene, end in self._ends.items()
        )
        is_new = novelty > self.config.same_scene
        self._scenes += is_new
        self.scene = self._scenes if is_new else nearest

    def step(self, frame: Picture) -> Transition:
        """Classify the change from the last frame; the first frame brings none.

        Args:
            frame: of any size; it may change.
        """
        config, now = self.config, self._thumbnail(frame)
        if _deviation(now) < config.flat_deviation or self._is_flash(now):
            return Transition.NONE
        last, self._last = self._last, now
        self._before = last
        if last is None:
            return Transition.NONE
        novelty = _novelty(last, now, config)
        recent = max(self._recent, default=config.initial_novelty)
        if novelty > config.min_novelty and novelty > config.ratio * (config.base_novelty + recent):
            self.begin_shot()
            return Transition.CUT
        self._recent.append(novelty)
        if self._dissolves.step(now):
            return Transition.DISSOLVE
        sudden = novelty > config.possible_novelty and novelty > config.ratio * recent
        return Transition.POSSIBLE_CUT if sudden else Transition.NONE

    def _is_flash(self, now: Thumbnail) -> bool:
        growth = 0.0 if self._last is None else self._saturated(now) - self._saturated(self._last)
        self._flash_frames = self._flash_frames + 1 if growth > self.config.flash_fraction else 0
        return 0 < self._flash_frames <= self.config.max_flash_frames

    def _saturated(self, thumbnail: Thumbnail) -> float:
        """Fraction of saturated pixels."""
        return float(np.count_nonzero(thumbnail >= self.config.white_level)) / thumbnail.size

    def _thumbnail(self, frame: Picture) -> Thumbnail:
        """Average evenly spaced pixels of a frame; reading only these keeps 4K as cheap as 360p."""
        config = self.config
        grey = frame.grey_samples(config.width * config.samples, config.height * config.samples)
        small = cv2.resize(grey, (config.width, config.height), interpolation=cv2.INTER_AREA)
        return cv2.GaussianBlur(small.astype(np.float32), (0, 0), config.blur)


class DissolveDetector:
    """Detects dissolves: pictures that change much, and all the time in one direction.

    A blend (1 - a)·A + a·B of two shots moves along a straight line from A to B as a grows. The pictures of a
    moving camera or object follow a curve: once they have moved by the size of their details, their further
    change has another direction. A window of frames is a dissolve if its two ends differ, the polyline
    through its quarters is hardly longer than the line between the ends, and no quarter stands still, as it
    does beside a cut. A slow object too changes the picture along a line, until it has moved by the size of a
    detail; but then each pixel takes the grey of a neighbour, which that of a dissolve need not. A dissolve
    lasts while the pictures go on along that line.

    Args:
        config: the limits.
    """

    def __init__(self, config: CutConfig) -> None:
        self.config = config
        self.reset()

    def reset(self) -> None:
        """Forget all pictures."""
        self._pictures: deque[Thumbnail] = deque(maxlen=_WINDOWS[-1] + 1)
        self._count = self._pauses = 0
        self._step: Thumbnail | None = None

    def step(self, now: Thumbnail) -> bool:
        """Test whether the next picture belongs to a dissolve."""
        self._pictures.append(now)
        self._count += 1
        if self._step is None:
            due = (window for window in _WINDOWS if self._count % max(1, window // 8) == 0)
            self._step = next((step for window in due if (step := self._dissolve(window)) is not None), None)
            return self._step is not None
        progress = float(((now - self._pictures[-2]) * self._step).sum()) / cv2.norm(self._step) ** 2
        self._pauses = self._pauses + 1 if progress < self.config.min_progress else 0
        if self._pauses > _MOST_PAUSES:
            self.reset()
        return self._step is not None

    def _dissolve(self, window: int) -> Thumbnail | None:
        """Mean step per frame of a dissolve over the last `window` frames; None if there is none."""
        if len(self._pictures) <= window:
            return None
        corners = [self._pictures[-1 - window + i * window // 4] for i in range(5)]
        quarters = [cv2.norm(after, before) for before, after in pairwise(corners)]
        if cv2.norm(corners[-1], corners[0]) < self.config.straightness * sum(quarters):
            return None
        if min(quarters) < self.config.min_quarter * sum(quarters):
            return None
        if _beyond_motion(corners[0], corners[-1]) < self.config.beyond_motion:
            return None
        novel = _novelty(corners[0], corners[-1], self.config) > self.config.dissolve_novelty
        return (corners[-1] - corners[0]) / window if novel else None


def _beyond_motion(first: Thumbnail, last: Thumbnail) -> float:
    """Fraction of the change that no motion by up to `_SLOW` px explains, in either direction of time.

    Of each pixel that is how far its grey level lies outside the range of its surroundings in the other one.
    """
    change = cv2.norm(last, first)
    return min(_outside(first, last), _outside(last, first)) / max(change, 1e-9)


def _outside(within: Thumbnail, picture: Thumbnail) -> float:
    """Norm of the parts of a picture outside the range of another one's surroundings."""
    return float(cv2.norm(picture, np.clip(picture, cv2.erode(within, _AROUND), cv2.dilate(within, _AROUND))))


def _novelty(last: Thumbnail, now: Thumbnail, config: CutConfig) -> float:
    """1 - the best correlation of one thumbnail's middle within the other."""
    correlation = _correlation(last, now, config)
    if correlation <= 1.0 - config.base_novelty:
        correlation = max(correlation, _correlation(now, last, config))
    return 1.0 - correlation


def _correlation(template: Thumbnail, within: Thumbnail, config: CutConfig) -> float:
    height, width = template.shape
    rows, columns = round(height * config.template), round(width * config.template)
    y, x = (height - rows) // 2, (width - columns) // 2
    middle = np.ascontiguousarray(template[y : y + rows, x : x + columns])
    if _deviation(middle) < 1.0:
        return 0.0  # the correlation of a flat picture is undefined
    return float(cv2.matchTemplate(within, middle, cv2.TM_CCOEFF_NORMED).max())


def _deviation(picture: Thumbnail) -> float:
    """Standard deviation of the grey levels."""
    return float(cv2.meanStdDev(picture)[1][0, 0])
