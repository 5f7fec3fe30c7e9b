"""Latency of one face, beside dlib's 68-point predictor: median ms of 15 rounds of up to 20 calls.

    python benchmarks/latency.py [WEIGHTS ...] [--hourglasses]

WEIGHTS are bundled models or .onnx files, by default all bundled models. `--hourglasses` adds two networks of
untrained weights, for what a network of that size costs: the paper's (34 M parameters, 256 px, maps of
128 × 128) and one of the size of FAN-4, the network of the package face-alignment (24 M, maps of 64 × 64).
They need the extra `train`, and minutes to be exported.

Timed is everything from a frame (the bundled portrait at 1280 × 720) and a face's place in it to its points:
crop, network (batch 1, two threads, CPU) and decoding; of dlib, `predictor(image, rectangle)`, which uses one
thread. Neither includes finding the face. Each round runs all of them, one after the other, each frame after
frame as in a video for 20 calls or a second, so that the noise of the machine falls on all. dlib and its
model, trained on 300-W too, are no dependency:

    pip install dlib-bin face-recognition-models
"""

from __future__ import annotations

import argparse
import importlib.metadata
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from steadyface.arrays import Frame
from steadyface.demo import portrait
from steadyface.geometry import Region, bounding_box
from steadyface.landmarker import Landmarker
from steadyface.models import bundled_models
from steadyface.tracking import Tracker

ROUNDS, WARM_UP, CALLS, LONGEST, THREADS = 15, 3, 20, 1.0, 2
DLIB_PACKAGES = "pip install dlib-bin face-recognition-models"
DLIB_WEIGHTS = "shape_predictor_68_face_landmarks.dat"

Call = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("weights", nargs="*", default=bundled_models())
    parser.add_argument("--hourglasses", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        weights = {name: name for name in options.weights}
        if options.hourglasses:
            weights |= export_hourglasses(Path(folder))
        compare(weights)


def compare(weights: dict[str, str]) -> None:
    frame = next(iter(portrait())).image
    points = Tracker(stabilizer="none").step(frame)[0].points
    calls: dict[str, Call] = {
        name: predict_with(each, frame, Region.around_points(points)) for name, each in weights.items()
    }
    dlib_call = predict_with_dlib(frame, bounding_box(points))
    if dlib_call:
        calls["dlib"] = dlib_call
    else:
        print(f"dlib is left out: {DLIB_PACKAGES}")
    medians = {name: 1e3 * float(np.median(times)) for name, times in measure(calls).items()}
    size = f"{frame.shape[1]} × {frame.shape[0]}"
    print(f"{size}, one face, {THREADS} threads: median of {ROUNDS} rounds of up to {CALLS} calls")
    for name, middle in medians.items():
        ratio = f"{middle / medians['dlib']:8.2f} × dlib" if dlib_call else ""
        print(f"{name:<22} {middle:8.3f} ms {ratio}")


def export_hourglasses(folder: Path) -> dict[str, str]:
    """Networks of untrained weights, as large as those that others run; the second takes 128 px at once."""
    from steadyface.export.network import export_onnx
    from steadyface.nets.hourglass import HourglassConfig, HourglassNet

    configs = {
        "the paper's, untrained": HourglassConfig(unit="wide"),
        "of FAN-4's size": HourglassConfig(input_size=128, features=152, modules=1, unit="wide"),
    }
    paths = {name: str(folder / f"{i}.onnx") for i, name in enumerate(configs)}
    for name, config in configs.items():
        export_onnx(HourglassNet(config), paths[name], name=name)
    return paths


def predict_with(weights: str, frame: Frame, region: Region) -> Call:
    landmarker = Landmarker(weights, device="cpu", threads=THREADS)
    return lambda: landmarker.predict_regions(frame, [region])


def predict_with_dlib(frame: Frame, box: np.ndarray) -> Call | None:
    """dlib's predictor on the same face, if it and its model are installed."""
    try:
        import dlib

        files = importlib.metadata.files("face_recognition_models") or []
    except ImportError:  # PackageNotFoundError is one
        return None
    weights = [str(file.locate()) for file in files if file.name == DLIB_WEIGHTS]
    predictor = dlib.shape_predictor(weights[0])
    rectangle = dlib.rectangle(*(round(float(value)) for value in box))
    return lambda: predictor(frame, rectangle)


def measure(calls: dict[str, Call]) -> dict[str, list[float]]:
    """Seconds of each call in each round; the first call of a round, or the first few, warm the caches."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            times[name] += time_calls(call)
    return times


def time_calls(call: Call) -> Sequence[float]:
    seconds: list[float] = []
    while len(seconds) < WARM_UP + CALLS and (len(seconds) < 2 or sum(seconds) < LONGEST):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return seconds[min(WARM_UP, len(seconds) // 2) :]


if __name__ == "__main__":
    main()
