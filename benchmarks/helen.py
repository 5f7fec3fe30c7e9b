"""Accuracy of a bundled network on HELEN test, per decoder: NRMSE, failure rate and mean score.

    python benchmarks/helen.py DATA [WEIGHTS]

DATA holds 300w/helen/testset. Crops by the ground-truth landmark box × 1.3; no flip; no test-time averaging.
"""

from __future__ import annotations

import sys

import numpy as np

from steadyface import heatmap, metrics
from steadyface.datasets.three_hundred_w import find_samples
from steadyface.geometry import bounding_box
from steadyface.landmarker import Landmarker


def main(data: str, weights: str = "compact") -> None:
    faces = [sample.load() for sample in find_samples(f"{data}/300w", ["helen-test"])]
    print(f"HELEN test, {len(faces)} faces, {weights}: % of inter-ocular distance")
    print(f"{'decoder':<15} {'NRMSE':>6} {'over 8 %':>9} {'score':>6}")
    for method in heatmap.METHODS:
        landmarker = Landmarker(weights, decoder=method)
        found = [landmarker.predict(image, bounding_box(truth)) for image, truth in faces]
        pairs = zip(found, faces, strict=True)
        errors = np.array([float(metrics.nrmse_interocular(f.points, truth)) for f, (_, truth) in pairs])
        score = np.mean([f.scores.mean() for f in found])
        print(f"{method:<15} {errors.mean():6.3f} {metrics.failure_rate(errors):9.2f} {score:6.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
