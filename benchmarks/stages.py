"""Where the time of `steadyface track` goes: median ms per frame of each stage, one face.

    python benchmarks/stages.py [CLIP]

Without a clip it renders the bundled portrait at 1280 × 720. Stages run one after another on one frame after
another, so that the noise of the machine falls on all of them; the last column compares each with `decode`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from steadyface import heatmap
from steadyface.demo import portrait
from steadyface.detector import FaceFinder
from steadyface.drawing import draw_faces
from steadyface.geometry import Region
from steadyface.images import crop_region
from steadyface.landmarker import Landmarker
from steadyface.stabilizer import load_stabilizer
from steadyface.tracker import Tracker
from steadyface.video import VideoReader, VideoWriter

FRAMES = 100


class Stopwatch:
    """Collects the wall time of named calls."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)

    def __call__(self, stage: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        result = call(*arguments, **options)
        self.times[stage].append(time.perf_counter() - began)
        return result


def main(clip: str | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(clip) if clip else render(Path(folder) / "portrait.mp4")
        table = measure(path, Path(folder) / "overlay.mp4")
    base = np.median(table["decode"])
    print(f"\n{path.name}: median ms per frame")
    for stage, values in table.items():
        middle = np.median(values)
        print(f"{stage:<40} {1e3 * middle:8.3f} {middle / base:8.2f} × decode")


def render(path: Path) -> Path:
    scene = portrait()
    with VideoWriter(path, scene.width, scene.height, scene.fps) as writer:
        for frame in scene:
            writer.write(frame.image, frame.seconds)
    return path


def measure(clip: Path, overlay: Path) -> dict[str, list[float]]:
    watch = Stopwatch()
    landmarker, detector, stabilizer = Landmarker(device="cpu"), FaceFinder(device="cpu"), load_stabilizer()
    tracker, state = Tracker(landmarker), None
    with VideoReader(clip) as reader, VideoWriter(overlay, reader.width, reader.height, reader.fps) as writer:
        frames = iter(reader)
        for _ in range(min(FRAMES, reader.frame_count or FRAMES) - 1):
            frame = watch("decode", next, frames)
            watch("detect (only when needed)", detector, frame.image)
            faces = tracker.step(frame.image, frame.seconds)
            if not faces:
                continue
            region = Region.around_points(faces[0].raw_points)
            crop, _ = watch("warp", crop_region, frame.image, region, landmarker.input_size)
            watch("network, decoding inside", landmarker.predict_crops, crop[None])
            logits = landmarker.predict_logits(crop[None])
            watch("heatmap decode alone (numpy)", heatmap.decode_logits, logits, sigma=landmarker.sigma)
            state, _ = watch("stabilise", stabilizer.step, state, faces[0].raw_points)
            drawn = watch("draw", draw_faces, frame.image, faces)
            watch("encode", writer.write, drawn, frame.seconds)
    return watch.times


if __name__ == "__main__":
    main(*sys.argv[1:])
