"""Sample clip of the live page: the bundled portrait under a moving camera."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from steadyface.demo import portrait
from steadyface.video import VideoWriter

_SECONDS = 6.0


def write_sample(path: Path) -> Path:
    """Write the clip, 640 × 360 px, 30 frames/s and 6 s long, unless it is there.

    Args:
        path: of the file, .mp4.

    Raises:
        VideoError: it cannot be written.
    """
    if not path.exists():
        scene = replace(portrait(), width=640, height=360, zoom=1.5, seconds=_SECONDS)
        with VideoWriter(path, scene.width, scene.height, scene.fps) as writer:
            for frame in scene:
                writer.write(frame.image, frame.seconds)
    return path
