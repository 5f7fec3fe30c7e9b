"""Gain of reading and drawing beside the tracker: frames/s of `steadyface track`.

    python benchmarks/pipeline.py CLIP ... [--rounds 3] [--frames 120]

Each round tracks each clip's first frames twice, these stages in the tracker's thread and in threads of
their own, so that the noise of the machine falls on both; medians over the rounds, and of their ratio. The
last column is the number of cores that are busy in the latter: processor time over time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

from steadyface import pipeline
from steadyface.clips import overlay_file, track_clip
from steadyface.pipeline import Pipeline, build
from steadyface.video import VideoReader


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=120)
    options = parser.parse_args()
    print(f"{'clip':<20} {'size':>10} {'overlay':>8} {'before':>8} {'after':>8}  ratio  cores")
    built = build()
    for clip in options.clips:
        with VideoReader(clip) as reader:
            size = f"{reader.width}×{reader.height}"
            part = replace(built, options=replace(built.options, end=options.frames / reader.fps))
        for overlay in (False, True):
            before, after, busy = [], [], []
            for _ in range(options.rounds):
                with (
                    mock.patch.object(pipeline, "read_ahead", one_by_one),
                    mock.patch.object(overlay_file, "write_behind", at_once),
                ):
                    before.append(speed(clip, part, overlay)[0])
                rate, cores = speed(clip, part, overlay)
                after.append(rate)
                busy.append(cores)
            ratio = median(new / old for old, new in zip(before, after, strict=True))
            rates = f"{median(before):8.1f} {median(after):8.1f}"
            drawn = "yes" if overlay else "no"
            print(
                f"{clip.name:<20} {size:>10} {drawn:>8} {rates}  {ratio:.2f}  {median(busy):5.2f}", flush=True
            )


def speed(clip: Path, part: Pipeline, overlay: bool) -> tuple[float, float]:
    """Frames per second, and cores that are busy."""
    began, worked = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        summary = track_clip(clip, Path(folder), part, overlay=overlay)
    return summary.frames_per_second, (time.process_time() - worked) / (time.perf_counter() - began)


def one_by_one(items: Iterable[Any], size: int = 0, stop: object = None) -> Iterator[Any]:
    """In place of `read_ahead`: no thread."""
    yield from items


@contextmanager
def at_once(call: Callable[..., object]) -> Iterator[Callable[..., object]]:
    """In place of `write_behind`: no thread."""
    yield call


if __name__ == "__main__":
    main()
