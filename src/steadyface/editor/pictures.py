"""Pictures of a clip's frames in any order, for a page."""

from __future__ import annotations

from pathlib import Path

import cv2

from steadyface.clips import open_clip
from steadyface.errors import VideoError
from steadyface.tracks import Tracks
from steadyface.video import Frames

_FORTH = 50  # frames that are read rather than jumped over, since a jump begins at a key frame before
_EARLY = 1e-3  # s before the time of a frame: times of tables are rounded
_QUALITY = 90  # of JPEG


class Pictures:
    """Frames of a clip as JPEG; one after the other is fastest.

    Args:
        clip: that was tracked.
        tracks: of it, which know the times of its frames.
        fps: frame rate of a folder of images.
    """

    def __init__(self, clip: str | Path, tracks: Tracks, fps: float) -> None:
        self._clip, self._tracks, self._fps = clip, tracks, fps
        self._frames: Frames | None = None
        self._next = 0

    def open(self, start: float = 0.0) -> Frames:
        """Open the part of the clip that was tracked, from a time on, s.

        Raises:
            DataError, VideoError: it cannot be read.
        """
        return open_clip(self._tracks, self._clip, self._fps, start)

    def jpeg(self, frame: int) -> bytes:
        """Read a frame by its number.

        Raises:
            DataError, VideoError: it is missing or cannot be read.
        """
        if self._frames is None or not self._next <= frame < self._next + _FORTH:
            self.close()
            timeline = self._tracks.timeline
            place = int(timeline.frame.searchsorted(frame))
            self._frames = self.open(float(timeline.seconds[place]) - _EARLY)
        for found in self._frames:
            self._next = found.index + 1
            if found.index >= frame:
                break
        if self._next != frame + 1:
            raise VideoError(self._frames.path, "ends before it or cannot be read", frame)
        bgr = cv2.cvtColor(found.image, cv2.COLOR_RGB2BGR)
        return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()

    def close(self) -> None:
        """Close the clip."""
        if self._frames is not None:
            self._frames.close()
        self._frames = None
