"""Gain of a second worker: frames/s of `steadyface.corpus` with one worker and with two.

    python benchmarks/corpus.py [CLIP ...] [--clips 40] [--seconds 6] [--rounds 3] [--weights compact]

Without clips, the bundled portrait moves. Each clip is copied until there are enough. All runs share one Ray
session, whose start is not counted; that of the workers is. A round runs one worker with one thread, one with
a thread per core, and two that share the cores, so that the noise of the machine falls on all; medians over
the rounds, and of their ratios.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median

from steadyface.corpus import track_corpus
from steadyface.corpus.cluster import connect
from steadyface.demo import portrait
from steadyface.pipeline import TrackingOptions
from steadyface.video import VideoWriter

CORES = os.cpu_count() or 1
RUNS = {"1 × 1": (1, 1), f"1 × {CORES}": (1, CORES), f"2 × {max(1, CORES // 2)}": (2, max(1, CORES // 2))}
"""Workers × threads."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", default="compact")
    options = parser.parse_args()
    how = TrackingOptions(weights=options.weights, end=options.seconds)
    speeds: dict[str, list[float]] = {name: [] for name in RUNS}
    with tempfile.TemporaryDirectory() as folder, connect(None, 2):
        clips = Path(folder) / "clips"
        fill(clips, options.videos, options.clips, options.seconds)
        for _ in range(options.rounds):
            for name, (workers, threads) in RUNS.items():
                speeds[name].append(speed(clips, replace(how, threads=threads), workers))
                print(f"{name}: {speeds[name][-1]:.1f} frames/s", flush=True)
    print("\nworkers × threads   frames/s")
    for name, values in speeds.items():
        print(f"{name:<19} {median(values):8.1f}")
    *ones, two = speeds
    for one in ones:
        ratio = median(b / a for a, b in zip(speeds[one], speeds[two], strict=True))
        print(f"{two} over {one}: {ratio:.2f}")


def fill(folder: Path, videos: list[Path], count: int, seconds: float) -> None:
    folder.mkdir()
    if not videos:
        scene = replace(portrait(), seconds=seconds)
        videos = [folder / "0.mp4"]
        with VideoWriter(videos[0], scene.width, scene.height, scene.fps) as writer:
            for frame in scene:
                writer.write(frame.image, frame.seconds)
    for index, video in zip(range(count), itertools.cycle(videos), strict=False):
        copy = folder / f"{index}{video.suffix}"
        if copy != video:
            shutil.copy(video, copy)


def speed(clips: Path, how: TrackingOptions, workers: int) -> float:
    with tempfile.TemporaryDirectory() as out:
        summary = track_corpus([str(clips)], out, how, workers=workers)
    if summary.failed:
        raise SystemExit(f"{len(summary.failed)} failed: {summary.failed[0].error}")
    return summary.frames / summary.seconds


if __name__ == "__main__":
    main()
