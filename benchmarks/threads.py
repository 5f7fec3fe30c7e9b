"""Several crops in one run of the network, and several videos beside each other: what either would save.

    python benchmarks/threads.py CLIP [--weights compact tiny nano] [--rounds 5]

- Crops: processor time of the network on one thread, ms a crop, with 1, 2, 4 and 8 crops in a run; between
  two runs, memory is written as the rest of a frame's work does. The least of the rounds' medians.
- Videos: frames/s over the number of cores, of `steadyface.track` on all cores, and of one process per core
  with one thread each, all on the same clip; medians over the rounds, which take both in turns.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections import defaultdict
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from steadyface.landmarker import Landmarker
from steadyface.pipeline import TrackingOptions, TrackingRun, build

CROPS = (1, 2, 4, 8)
WRITTEN = 24_000_000  # bytes between two runs
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--weights", nargs="+", default=["compact", "tiny", "nano"])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print("ms a crop" + "".join(f"{f'{count} a run':>12}" for count in CROPS))
    for weights in options.weights:
        cells = time_crops(weights, options.rounds)
        print(f"{weights:<9}" + "".join(f"{cell:12.2f}" for cell in cells), flush=True)
    print(f"\nframes/s a core      one on {CORES} cores   {CORES} of one thread")
    for weights in options.weights:
        rates: dict[tuple[int, int | None], list[float]] = defaultdict(list)
        for _ in range(options.rounds):
            for how in ((1, None), (CORES, 1)):
                rates[how].append(track_beside(options.clip, weights, *how))
        print(f"{weights:<9}" + "".join(f"{median(each):20.1f}" for each in rates.values()), flush=True)


def time_crops(weights: str, rounds: int) -> list[float]:
    landmarker = Landmarker(weights, device="cpu", threads=1)
    rng, written = np.random.default_rng(0), np.zeros(WRITTEN, np.uint8)
    times: dict[int, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for count in CROPS:
            side = landmarker.input_size
            crops = rng.integers(0, 256, (count, side, side, 3), np.uint8)
            landmarker.predict_crops(crops)
            runs = []
            for _ in range(2 * max(CROPS) // count):
                written += 1
                began = time.thread_time()
                landmarker.predict_crops(crops)
                runs.append(1e3 * (time.thread_time() - began) / count)
            times[count].append(median(runs))
    return [min(times[count]) for count in CROPS]


def track_beside(clip: Path, weights: str, processes: int, threads: int | None) -> float:
    """Frames/s a core of processes that begin together; the networks are loaded before."""
    context = multiprocessing.get_context("spawn")
    together, rates = context.Barrier(processes), context.SimpleQueue()
    running = [
        context.Process(target=track_clip, args=(clip, weights, threads, together, rates))
        for _ in range(processes)
    ]
    for process in running:
        process.start()
    for process in running:
        process.join()
    return sum(rates.get() for _ in running) / CORES


def track_clip(clip: Path, weights: str, threads: int | None, together: Barrier, rates: object) -> None:
    if threads is not None:
        cv2.setNumThreads(threads)
    pipeline = build(TrackingOptions(weights=weights, threads=threads, max_faces=1))
    with pipeline.open(clip) as frames:
        steps = TrackingRun(pipeline, frames).steps()
        next(steps)
        together.wait()
        began = time.perf_counter()
        count = sum(1 for _ in steps)
        rates.put(count / (time.perf_counter() - began))  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
