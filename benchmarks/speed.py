"""Time of each stage, by pixels, faces and length; beside a FAN-4-sized hourglass.

    python benchmarks/speed.py [CLIP] [--weights compact tiny] [--frames 60] [--rounds 3]

The clip, or else the bundled portrait before a moving camera, is written at 360p, 720p, 1080p and 4K, with
one face and with four (itself in each quarter of the frame).

- Stages: median ms per call. Every scene's tracker takes its next frame in turn, so that the noise of the
  machine falls on all; one thread, no overlap. `tracker` is all that is done with a decoded frame.
- End to end: `steadyface.track`, the file to the table, in a process of its own, which warms up on the clip
  first; frames/s, median of the rounds, each of which runs every scene; the most memory the process took;
  and that for a clip three times as long.
- Networks: one crop, one thread, ONNX Runtime; the least of the rounds' medians.

Other trackers are beside these in the part `speed` of `peers.py`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from steadyface.demo import portrait
from steadyface.detector import FaceFinder
from steadyface.export.network import export_onnx
from steadyface.landmarker import Landmarker
from steadyface.nets import HourglassConfig, HourglassNet
from steadyface.tracking import Tracker, TrackerConfig, tracker
from steadyface.tracking.shots import CutDetector
from steadyface.tracking.verifier import FaceVerifier
from steadyface.video import VideoReader, VideoWriter

SCENES = {f"{height}p": (height, 1) for height in (360, 720, 1080, 2160)} | {
    f"{height}p, 4 faces": (height, 4) for height in (720, 2160)
}
AT_ONCE = 8
"""Frames that are read before they are tracked: the decoder's threads go on for some time after a frame."""
STAGES: dict[str, tuple[Any, str]] = {
    "cut detection": (CutDetector, "step"),
    "landmarks, all faces": (Landmarker, "predict_regions"),
    "appearance, all faces": (tracker, "observe"),
    "verification, a face": (FaceVerifier, "verify"),
    "search, when due": (FaceFinder, "search"),
    "stabiliser, all faces": (tracker, "steady_faces"),
    "tracker": (Tracker, "step"),
}
FAN4 = HourglassConfig(input_size=128, stacks=4, features=152, modules=1, unit="wide")
"""As large and costly as the FAN-4 of Bulat and Tzimiropoulos, which halves 256 px twice at its start."""
TRACK = """
import sys, time
from steadyface import track
path, weights = sys.argv[1:]
track(path, weights=weights)
began = time.perf_counter()
tracks = track(path, weights=weights)
status = open("/proc/self/status").read().split("VmHWM:")[1]
print(tracks.meta["frames"] / (time.perf_counter() - began), int(status.split()[0]) / 1024)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clip", nargs="?", type=Path)
    parser.add_argument("--weights", nargs="+", default=["compact", "tiny"])
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images = source(options.clip, options.frames)
        scenes = {
            name: compose(images, *scene, Path(folder) / f"{name}.mp4") for name, scene in SCENES.items()
        }
        for weights in options.weights:
            print_stages(weights, stages(scenes, weights))
        print_end_to_end(options.weights, scenes, options.rounds)
        print_length(options.weights[0], images, Path(folder))
        print_networks(options.weights, Path(folder), options.rounds)


# Scenes


def source(clip: Path | None, frames: int) -> list[np.ndarray]:
    """The first frames of a clip or of the portrait."""
    if clip is None:
        return [frame.image for frame in islice(portrait(), frames)]
    with VideoReader(clip) as reader:
        return [frame.image for frame in islice(reader, frames)]


def compose(images: list[np.ndarray], height: int, faces: int, path: Path, times: int = 1) -> Path:
    """The images as a 16:9 video, whole or in each quarter; there and back again where it is longer."""
    width, across = round(height * 16 / 9 / 2) * 2, 1 if faces == 1 else 2
    tile = width // across, height // across
    order = [*images, *images[::-1]] * times
    with VideoWriter(path, width, height, 25.0) as writer:
        for index, image in enumerate(order[: times * len(images)]):
            small = cv2.resize(cover(image), tile, interpolation=cv2.INTER_AREA)
            writer.write(np.tile(small, (across, across, 1)), index / 25)
    return path


def cover(image: np.ndarray) -> np.ndarray:
    """The middle of an image, 16:9."""
    height, width = image.shape[:2]
    high, wide = min(height, width * 9 // 16), min(width, height * 16 // 9)
    top, left = (height - high) // 2, (width - wide) // 2
    return image[top : top + high, left : left + wide]


# Stages


def stages(scenes: dict[str, Path], weights: str) -> dict[str, dict[str, list[float]]]:
    """ms of each call, by scene and stage."""
    cv2.setNumThreads(1)
    landmarker = Landmarker(weights, device="cpu", threads=1)
    finder = FaceFinder(device="cpu", threads=1)
    times: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in scenes}
    with ExitStack() as stack:
        readers = {name: stack.enter_context(VideoReader(path)) for name, path in scenes.items()}
        trackers = {
            name: Tracker(landmarker, finder, config=TrackerConfig(max_faces=SCENES[name][1]))
            for name in scenes
        }
        frames = {name: iter(reader) for name, reader in readers.items()}
        count = min(reader.frame_count or 0 for reader in readers.values()) - 1
        for _ in range(count // AT_ONCE):
            for name in scenes:
                began = time.perf_counter()
                some = list(islice(frames[name], AT_ONCE))
                times[name]["read"].append(1e3 * (time.perf_counter() - began) / AT_ONCE)
                with timed(times[name]):
                    for frame in some:
                        trackers[name].step(frame.picture, frame.seconds)
    return times


@contextmanager
def timed(times: dict[str, list[float]]) -> Iterator[None]:
    """Collects ms of the stages' calls."""
    with ExitStack() as stack:
        for stage, (owner, name) in STAGES.items():
            stack.enter_context(patch.object(owner, name, clocked(getattr(owner, name), times[stage])))
        yield


def clocked(call: Callable[..., Any], times: list[float]) -> Callable[..., Any]:
    def run(*arguments: Any, **keywords: Any) -> Any:
        began = time.perf_counter()
        try:
            return call(*arguments, **keywords)
        finally:
            times.append(1e3 * (time.perf_counter() - began))

    return run


def print_stages(weights: str, times: dict[str, dict[str, list[float]]]) -> None:
    print(f"\n{weights}: median ms per call, one thread")
    print(f"{'':<22}" + "".join(f"{name:>17}" for name in times))
    for stage in ("read", *STAGES):
        cells = (np.median(scene[stage]) if scene[stage] else np.nan for scene in times.values())
        print(f"{stage:<22}" + "".join(f"{value:17.2f}" for value in cells), flush=True)
    base = np.median(times["720p"]["tracker"])
    ratios = (np.median(scene["tracker"]) / base for scene in times.values())
    print(f"{'tracker, over 720p':<22}" + "".join(f"{ratio:17.2f}" for ratio in ratios))


# End to end


def print_end_to_end(weights: list[str], scenes: dict[str, Path], rounds: int) -> None:
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    peaks: dict[tuple[str, str], float] = {}
    for _ in range(rounds):
        for network in weights:
            for name, path in scenes.items():
                rate, peaks[network, name] = track(path, network)
                rates[network, name].append(rate)
    print("\nend to end: frames/s (MB at most)")
    print(f"{'':<22}" + "".join(f"{name:>17}" for name in scenes))
    for network in weights:
        cells = (f"{np.median(rates[network, name]):.1f} ({peaks[network, name]:.0f})" for name in scenes)
        print(f"{network:<22}" + "".join(f"{cell:>17}" for cell in cells), flush=True)


def track(path: Path, weights: str) -> tuple[float, float]:
    """Frames per second, and MB at most."""
    command = [sys.executable, "-c", TRACK, str(path), weights]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rate, peak = map(float, done.stdout.split())
    return rate, peak


def print_length(weights: str, images: list[np.ndarray], folder: Path) -> None:
    print(f"\n{weights}, 720p, by length")
    for times in (1, 3, 9):
        rate, peak = track(compose(images, 720, 1, folder / f"long{times}.mp4", times), weights)
        print(f"{times * len(images):6d} frames: {rate:7.1f} frames/s, {peak:.0f} MB at most", flush=True)


# Networks


def print_networks(weights: list[str], folder: Path, rounds: int) -> None:
    torch.manual_seed(0)  # some random heatmaps have two peaks of nearly the same height: no export
    net, fan4 = HourglassNet(FAN4), folder / "fan4.onnx"
    parameters = sum(parameter.numel() for parameter in net.parameters()) / 1e6
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        net.eval()(torch.zeros(1, 3, FAN4.input_size, FAN4.input_size))
    export_onnx(net, fan4, name="fan4", method="fhr")
    names = {network: network for network in weights} | {"FAN-4-sized hourglass": str(fan4)}
    forms = {name: Landmarker(path, device="cpu", threads=1) for name, path in names.items()}
    medians = dict.fromkeys(forms, np.inf)
    for _ in range(rounds):
        for name, form in forms.items():
            crop = np.zeros((1, form.input_size, form.input_size, 3), np.uint8)
            form.predict_crops(crop)
            medians[name] = min(medians[name], 1e3 * np.median(list(calls(form, crop))))
    gflop = counter.get_total_flops() / 1e9
    print(
        f"\nnetwork with decoding, one crop, one thread; the hourglass: {parameters:.1f} M, {gflop:.1f} GFLOP"
    )
    slowest = medians["FAN-4-sized hourglass"]
    for name, middle in medians.items():
        print(f"{name:<22} {middle:8.2f} ms {slowest / middle:8.1f} × as fast as the hourglass")


def calls(form: Landmarker, crop: np.ndarray) -> Iterator[float]:
    for _ in range(5):
        began = time.perf_counter()
        form.predict_crops(crop)
        yield time.perf_counter() - began


if __name__ == "__main__":
    main()
