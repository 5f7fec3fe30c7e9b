"""Latency of one face, beside dlib's 68-point predictor: median ms of 15 rounds of 20 calls.

    python benchmarks/latency.py [WEIGHTS ...]

WEIGHTS are bundled models or .onnx files, by default all bundled models. Timed is everything from a frame
(the bundled portrait at 1280 × 720) and a face's place in it to its points: crop, network (batch 1, two
threads, CPU) and decoding; of dlib, `predictor(image, rectangle)`, which uses one thread. Neither includes
finding the face. Each round runs all of them, one after the other, each frame after frame as in a video, so
that the noise of the machine falls on all. dlib and its model, trained on 300-W too, are no dependency:

    pip install dlib-bin face-recognition-models
"""

from __future__ import annotations

import importlib.metadata
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np

from steadyface.arrays import Frame
from steadyface.demo import portrait
from steadyface.geometry import Region, bounding_box
from steadyface.landmarker import Landmarker
from steadyface.models import bundled_models
from steadyface.tracking import Tracker

ROUNDS, WARM_UP, CALLS, THREADS = 15, 3, 20, 2
DLIB_PACKAGES = "pip install dlib-bin face-recognition-models"
DLIB_WEIGHTS = "shape_predictor_68_face_landmarks.dat"

Call = Callable[[], object]


def main(*weights: str) -> None:
    cv2.setNumThreads(THREADS)
    frame = next(iter(portrait())).image
    points = Tracker(stabilizer="none").step(frame)[0].points
    calls: dict[str, Call] = {
        name: predict_with(name, frame, Region.around_points(points)) for name in weights or bundled_models()
    }
    dlib_call = predict_with_dlib(frame, bounding_box(points))
    if dlib_call:
        calls["dlib"] = dlib_call
    else:
        print(f"dlib is left out: {DLIB_PACKAGES}")
    medians = {name: 1e3 * float(np.median(times)) for name, times in measure(calls).items()}
    size = f"{frame.shape[1]} × {frame.shape[0]}"
    print(f"{size}, one face, {THREADS} threads: median of {ROUNDS} × {CALLS} calls")
    for name, middle in medians.items():
        ratio = f"{middle / medians['dlib']:8.2f} × dlib" if dlib_call else ""
        print(f"{name:<20} {middle:8.3f} ms {ratio}")


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
    """Seconds of each call in each round; the first calls of a round warm the caches."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            for turn in range(WARM_UP + CALLS):
                began = time.perf_counter()
                call()
                if turn >= WARM_UP:
                    times[name].append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    main(*sys.argv[1:])
