"""Sample clip of the live page: the bundled portrait under a moving camera."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from steadyface.demo import portrait
from steadyface.video import VideoWriter

SECONDS = 6.0


def write_sample(path: Path, seconds: float = SECONDS) -> Path:
    """Write the clip, 640 × 360 px and 30 frames/s, unless it is there.

    Args:
        path: of the file, .mp4.
        seconds: length.

    Raises:
        VideoError: it cannot be written.
    """
    if not path.exists():
        scene = replace(portrait(), width=640, height=360, zoom=1.5, seconds=seconds)
        with VideoWriter(path, scene.width, scene.height, scene.fps) as writer:
            for frame in scene:
                writer.write(frame.image, frame.seconds)
    return path
