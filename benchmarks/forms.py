"""Size, accuracy and speed of one network in several forms, side by side in one run.

    python benchmarks/forms.py tiny tiny16.onnx tiny8.onnx --data DATA

The first is what the others are measured against. Each file gets one face at a time on one thread, in turns;
a form's time is the least processor time of all rounds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from steadyface.datasets.three_hundred_w import find_samples, load_each
from steadyface.images import crop_region
from steadyface.landmarker import Landmarker
from steadyface.metrics import nrmse_interocular
from steadyface.models import model_path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("weights", nargs="+", help="bundled model's name or exported file")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds 300w/")
    parser.add_argument("--every", type=int, default=1, help="of HELEN test, only each n-th face")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    forms = [Landmarker(weights, device="cpu", threads=1) for weights in arguments.weights]
    crops, truth = read_crops(arguments.data, arguments.every, forms[0].input_size)
    points = [predict(form, crops) for form in forms]
    times = least_times(forms, crops[:1], arguments.rounds)
    print("weights                   MB  moved, px  NRMSE, %  time, ms  of the first's")
    for weights, found, took in zip(arguments.weights, points, times, strict=True):
        megabytes = model_path(weights).stat().st_size / 1e6
        moved = np.linalg.norm(found - points[0], axis=-1).mean()
        error = np.asarray(nrmse_interocular(found, truth)).mean()
        figures = (
            f"{megabytes:>6.1f} {moved:>10.3f} {error:>9.3f} {1e3 * took:>9.1f} {took / times[0]:>15.2f}"
        )
        print(f"{Path(weights).name:<20} {figures}")


def read_crops(data: Path, every: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Plain crops of HELEN test, and their true points, crop px."""
    crops, truth = [], []
    for sample, image, points in load_each(find_samples(data / "300w", ("helen-test",))[::every]):
        crop, to_crop = crop_region(image, sample.region(points), size)
        crops.append(crop)
        truth.append(to_crop(points))
    return np.stack(crops), np.stack(truth)


def predict(form: Landmarker, crops: np.ndarray) -> np.ndarray:
    return np.concatenate([form.predict_crops(crop[None]).points for crop in crops]).astype(float)


def least_times(forms: list[Landmarker], crop: np.ndarray, rounds: int) -> list[float]:
    """Seconds of each form, measured in turns."""
    taken: list[list[float]] = [[] for _ in forms]
    for _ in range(rounds):
        for form, times in zip(forms, taken, strict=True):
            start = time.process_time()
            form.predict_crops(crop)
            times.append(time.process_time() - start)
    return [min(times) for times in taken]


if __name__ == "__main__":
    main()
