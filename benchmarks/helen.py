"""Accuracy of networks on HELEN test: NRMSE, area under the error curve, failure rate and mean score.

    python benchmarks/helen.py DATA [WEIGHTS ...]

DATA holds 300w/helen/testset; WEIGHTS are bundled models or .onnx files, by default all bundled models. One
row per decoder, all of them on the same heatmaps, cropped by the ground-truth landmark box × 1.3. Then, with
the network's own decoder:

- `flipped too`: mean of the plain and the mirrored crop's points;
- `finder's box`: the face finder's, of its boxes the one with the largest overlap with the true box;
- `…, second look`: once more in the box of the points found so, as the tracker does with a new face.

A face is found where that overlap is at least 0.3. NRMSE and score are means over the faces found, which are
the easier ones; AUC and failure rate count a missing face as infinitely wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import numpy as np

from steadyface import heatmap, metrics
from steadyface.datasets.crops import FaceCrops
from steadyface.datasets.three_hundred_w import Sample, find_samples
from steadyface.detector import Detector, FaceFinder
from steadyface.geometry import bounding_box, change_grid, flip_points, overlap
from steadyface.landmarker import Landmarker
from steadyface.markup import FLIP
from steadyface.models import bundled_models

BATCH = 16
LEAST_OVERLAP = 0.3


def main(data: str, *weights: str) -> None:
    samples = find_samples(f"{data}/300w", ["helen-test"])
    detector = FaceFinder()
    boxes = [detect(detector, sample) for sample in samples]
    for name in weights or bundled_models():
        landmarker = Landmarker(name)
        faces = FaceCrops(samples, landmarker.input_size)
        crops, truth = map(np.stack, zip(*(faces[0, i] for i in range(len(faces))), strict=True))
        print(f"\nHELEN test, {len(samples)} faces, {name}: % of inter-ocular distance")
        print(f"{'decoder':<28} {'NRMSE':>6} {'AUC':>6} {'over 8 %':>9} {'score':>6}")
        decoder_rows(landmarker, crops, truth)
        flip_row(landmarker, crops, truth)
        detector_rows(landmarker, faces, boxes)


def detect(detector: Detector, sample: Sample) -> np.ndarray | None:
    """The finder's box of the annotated face, image px, if it found that face."""
    image, truth = sample.load()
    boxes = detector(image)
    shares = overlap(boxes, bounding_box(truth)[None])[:, 0]
    return boxes[shares.argmax()] if shares.max(initial=0) >= LEAST_OVERLAP else None


def decoder_rows(landmarker: Landmarker, crops: np.ndarray, truth: np.ndarray) -> None:
    """Run the network once and read its heatmaps with every decoder."""
    parts: dict[str, list[heatmap.Decoded]] = {method: [] for method in heatmap.METHODS}
    for batch in batches(crops):
        logits = landmarker.predict_logits(batch)
        for method, read in parts.items():
            read.append(heatmap.decode_logits(logits, sigma=landmarker.sigma, method=method))
    scale = landmarker.input_size / landmarker.map_size
    for method, read in parts.items():
        points = change_grid(np.concatenate([part.points for part in read]), scale)
        scores = np.concatenate([part.scores for part in read])
        print_row(method, metrics.nrmse_interocular(points, truth), scores)


def flip_row(landmarker: Landmarker, crops: np.ndarray, truth: np.ndarray) -> None:
    """Average what the network says of each crop and of its mirror image."""
    points, scores = [], []
    for batch in batches(crops):
        plain = landmarker.predict_crops(batch)
        mirrored = landmarker.predict_crops(np.ascontiguousarray(batch[:, :, ::-1]))
        points.append((plain.points + flip_points(mirrored.points, landmarker.input_size, FLIP)) / 2)
        scores.append((plain.scores + mirrored.scores[:, FLIP]) / 2)
    errors = metrics.nrmse_interocular(np.concatenate(points), truth)
    print_row(f"{landmarker.decoder}, flipped too", errors, np.concatenate(scores))


def detector_rows(landmarker: Landmarker, faces: FaceCrops, boxes: Sequence[np.ndarray | None]) -> None:
    """Start from the finder's box, as a user's photograph does."""
    errors, scores = np.full((2, len(faces)), np.inf), np.full((2, len(faces)), np.nan)
    for i, ((image, truth), box) in enumerate(zip(faces.faces, boxes, strict=True)):
        for look in range(2):
            if box is None:
                break
            found = landmarker.predict(image, box)
            errors[look, i] = metrics.nrmse_interocular(found.points, truth)
            scores[look, i] = found.scores.mean()
            box = bounding_box(found.points)
    print_row(f"{landmarker.decoder}, finder's box", errors[0], scores[0])
    print_row("…, second look", errors[1], scores[1])


def batches(crops: np.ndarray) -> Iterator[np.ndarray]:
    return (crops[start : start + BATCH] for start in range(0, len(crops), BATCH))


def print_row(label: str, errors: np.ndarray, scores: np.ndarray) -> None:
    """One line; an infinite error is a face that was not found."""
    seen = np.isfinite(errors)
    found = "" if seen.all() else f"   found {seen.sum()} of {len(errors)}"
    figures = f"{errors[seen].mean():6.3f} {metrics.auc(errors):6.2f} {metrics.failure_rate(errors):9.2f}"
    print(f"{label:<28} {figures} {np.nanmean(scores):6.3f}{found}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
