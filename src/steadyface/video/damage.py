"""Count of what cannot be read of a video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from steadyface.video.container import complaint
from steadyface.wording import counted

_NEAR = 0.25  # of a frame: a step in time that is further from whole frames means a variable frame rate
_MISSING = 0.5
"""Seconds before its announced end from which a stream that stops counts as damaged."""


class Damage:
    """Count the frames of a video that are lost or decode only in part, and say where the damage begins.

    A lost frame is a packet from which no frame was decoded or, at a constant frame rate, a gap in time. At a
    variable rate, what lacks at the end is told in seconds.

    Args:
        path: of the video.
        fps: average frame rate.
        live: whether the video is a pipe or a camera, which ends where it breaks.
        length: announced by the file, s; None if it says none.
        packets: number announced by the file; None if it says none.
    """

    def __init__(
        self, path: Path, fps: float, live: bool, length: float | None = None, packets: int | None = None
    ) -> None:
        self._path, self._fps, self._live = path, fps, live
        self._length, self._packets, self._fed = length, packets or 0, 0
        self._place: tuple[int, float] | None = None
        self._problem: object = None
        self._partial = self._errors = self._missing = self._lost = 0
        self._waiting: set[int] = set()
        self._range: tuple[int, int] | None = None
        self._gap: tuple[int, float] | None = None
        self._regular = True
        self._lost_seconds = 0.0
        self._last: float | None = None

    def note(self, problem: object, frame: int, seconds: float) -> None:
        """Keep the first place, and the first problem that has words; later ones mostly follow from it."""
        self._place = self._place or (frame, seconds)
        self._problem = self._problem or problem

    def failed(self, problem: object, frame: int, seconds: float) -> None:
        """Count a packet that cannot be decoded."""
        self._errors += 1
        self.note(problem, frame, seconds)

    def partial(self, frame: int, seconds: float) -> None:
        """Count a frame that decodes only in part."""
        self._partial += 1
        self.note(None, frame, seconds)

    def fed(self, packet: Any) -> None:
        """Expect the frame of a packet."""
        self._fed += packet.dts is not None  # the empty one at the end has no time
        if packet.pts is not None and packet.size and not packet.is_discard:
            self._waiting.add(packet.pts)

    def decoded(self, frame: Any) -> None:
        """Count a frame as come."""
        self._waiting.discard(frame.pts)
        if frame.pts is not None:
            first = frame.pts if self._range is None else self._range[0]
            self._range = first, frame.pts

    def shown(self, frame: int, seconds: float) -> None:
        """Look for a gap before a frame."""
        if self._last is not None:
            steps = (seconds - self._last) * self._fps
            self._regular &= round(steps) >= 1 and abs(steps - round(steps)) < _NEAR
            if round(steps) > 1:
                self._missing += round(steps) - 1
                self._gap = self._gap or (frame, self._last + 1 / self._fps)
        self._last = seconds

    def finish(self, whole: bool, frame: int, end: float, source: str | Path | None) -> None:
        """Count what is lost.

        Args:
            whole: whether the video was read to its end.
            frame, end: number and seconds of the frame that would have come next.
            source: file or URL, in which FFmpeg looks for damage where a gap is the only sign of it; None for
                a source that can be read only once.
        """
        tail = 0
        if whole and self._length is not None and self._length - end > _MISSING:
            if self._regular:
                tail = round((self._length - end) * self._fps)
            else:
                self._lost_seconds = self._length - end
            self.note(f"the file announces {self._length:.2f} s of video", frame, end)
        if whole and self._packets > self._fed:
            tail = max(tail, self._packets - self._fed)
            self.note(f"the file announces {counted(self._packets, 'frame')}", frame, end)
        if source is not None and self._gap and self._regular and self._place is None:
            problem = complaint(source)
            if problem is not None:
                self.note(problem, *self._gap)
        first, last = self._range or (0, 0)
        waiting = [
            pts
            for pts in self._waiting
            if pts > first and (pts < last or (whole and not tail and not self._lost_seconds))
        ]
        undecoded = len(waiting) if self._range else self._errors
        self._lost = max(undecoded, self._missing if self._regular else 0) + tail

    def line(self) -> str | None:
        """One line, or None where nothing is damaged."""
        if self._place is None:
            return None
        frame, seconds = self._place
        problem = f": {self._problem}" if self._problem else ""
        if self._live:
            return f"{self._path}: ended after {counted(frame, 'frame')} ({seconds:.2f} s){problem}"
        losses = [counted(self._lost, "frame")] * (self._lost > 0)
        losses += [f"{self._lost_seconds:.2f} s"] * (self._lost_seconds > 0)
        lost = f"{' and '.join(losses)} lost" if losses else "no frame is known to be lost"
        partial = f", {counted(self._partial, 'frame')} decoded in part" if self._partial else ""
        return f"{self._path}: damaged at frame {frame} ({seconds:.2f} s){problem}; {lost}{partial}"
