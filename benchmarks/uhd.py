"""Speed and peak memory of `steadyface track` on 3840 × 2160 video with two faces, with and without overlay.

    python benchmarks/uhd.py [CLIP] [--seconds 10]

The clip, or else the bundled portrait before a moving camera, is shown twice, side by side, over the whole
frame. Each run is a fresh process; its peak memory is Linux's.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from steadyface.demo import portrait
from steadyface.video import VideoReader, VideoWriter

WIDTH, HEIGHT = 3840, 2160
CODE = """
import sys, time
from pathlib import Path
from steadyface.clips import track_clip
from steadyface.pipeline import build
summary = track_clip(Path(sys.argv[1]), Path(sys.argv[2]), build(), overlay=sys.argv[3] == "True")
status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
work = 1000 * time.process_time() / summary.frames
print(int(status.split()[0]) / 1024, work, summary, sep="\\t")
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("clip", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = compose(options.clip, Path(folder) / "uhd.mp4", options.seconds)
        for overlay in (True, False):
            command = [sys.executable, "-c", CODE, str(clip), folder, str(overlay)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            peak, work, summary = done.stdout.strip().split("\t")
            cost = f"peak {float(peak):.0f} MB, {float(work):.0f} ms of processor time per frame"
            print(f"overlay {overlay}: {cost}  ({summary})", flush=True)


def compose(source: Path | None, path: Path, seconds: float) -> Path:
    """Write the source twice, side by side, upscaled into the frame; a short source is begun again."""
    fps = portrait().fps if source is None else read_fps(source)
    with VideoWriter(path, WIDTH, HEIGHT, fps) as writer:
        while writer.frame_count < round(seconds * fps):
            frames = iter(portrait()) if source is None else VideoReader(source)
            for frame in islice(frames, round(seconds * fps) - writer.frame_count):
                writer.write(twice(frame.image), writer.frame_count / fps)
    return path


def read_fps(source: Path) -> float:
    with VideoReader(source) as reader:
        return reader.fps


def twice(image: np.ndarray) -> np.ndarray:
    """The middle of an image, upscaled to half the frame, and its mirror image beside it."""
    height, width = image.shape[:2]
    side = min(width, height * WIDTH // 2 // HEIGHT)
    left = (width - side) // 2
    rows = min(height, side * HEIGHT * 2 // WIDTH)
    middle = image[:rows, left : left + side]
    half = cv2.resize(middle, (WIDTH // 2, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.hstack([half, half[:, ::-1]])


if __name__ == "__main__":
    main()
