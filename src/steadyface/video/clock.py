"""Times of decoded frames."""

from __future__ import annotations

from fractions import Fraction
from typing import Any


class Clock:
    """Turn timestamps of decoded frames, in the order in which they are shown, into seconds.

    A file gives presentation times, decoding times or neither, and either may be wrong. As in FFmpeg, the
    decoding time counts for a frame once it has stepped back less often so far than the presentation time.
    Where neither increases, a frame comes 1 / fps after the one before.

    Source: libavcodec's `guess_correct_pts`. Differs from it in: AVI, which has decoding times only, and of
    which FFmpeg makes presentation times in decoding order.

    Args:
        fps: average frame rate.
        origin: stream time of zero, s; None is that of the first frame.
        decoding_only: whether the file's presentation times are known to be wrong.

    Attributes:
        origin: as given, or that of the first frame.
        last: seconds of the last frame; −1 / fps before the first.
    """

    def __init__(self, fps: float, origin: Fraction | None = None, decoding_only: bool = False) -> None:
        self.origin, self.decoding_only = origin, decoding_only
        self._step = 1 / fps
        self.restart()

    def restart(self) -> None:
        """Forget the frames so far: the next one may be anywhere in the stream."""
        self.last = -self._step
        self._faults = {"pts": 0, "dts": 0}
        self._before: dict[str, int | None] = {"pts": None, "dts": None}

    def stamp(self, frame: Any) -> Fraction | None:
        """Stream time of a frame, s; None where it has none."""
        stamps = {"pts": frame.pts, "dts": frame.dts}
        for kind, value in stamps.items():
            before = self._before[kind]
            if value is not None:
                self._faults[kind] += before is not None and value <= before
                self._before[kind] = value
        pts, dts = stamps["pts"], stamps["dts"]
        if self.decoding_only:
            value = dts
        else:
            trusted = dts is None or self._faults["pts"] <= self._faults["dts"]
            value = pts if trusted and pts is not None else dts
        return None if value is None else value * frame.time_base

    def seconds(self, stamp: Fraction | None) -> float:
        """Seconds since the origin; a missing time, or one that does not increase, is replaced."""
        if stamp is not None:
            self.origin = stamp if self.origin is None else self.origin
            seconds = float(stamp - self.origin)
            if seconds > self.last:
                return seconds
        return self.last + self._step
