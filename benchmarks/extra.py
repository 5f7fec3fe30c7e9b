"""Faces that 300-W lacks, as far as training held them out: how many are found, and how good the points are.

    python benchmarks/extra.py DATA [WEIGHTS …]

DATA holds `extra` (docs/training.md says what that is) and `300w`. WEIGHTS are names of bundled networks or
`.onnx` files; left out: compact. The error of each set is the one that training prints: in % of the distance
from ear to nose (profiles), of the eyes' width (closed_eyes: the median openness), of the inter-ocular
distance (fgnet, helen256) or of √(width · height) of the face (aflw80). The last line, of 300-W's held-out
faces, is the mean absolute error of the eyes' openness.

- found: faces that a box of the bundled finder overlaps by half (IoU ≥ 0.5).
- true box: points in the box of the annotated points. Faces with closed eyes have none: the network's own
  third look counts, the first being at the whole picture.
- finder's box: points in the finder's box, of the faces found.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from steadyface.arrays import Frame
from steadyface.datasets.extra import PARTS, find_extra
from steadyface.datasets.three_hundred_w import TRAIN_PARTS, find_samples, hold_out
from steadyface.detector import FaceFinder
from steadyface.geometry import bounding_box, box_of_pixels, iou
from steadyface.images import read_image
from steadyface.landmarker import Landmarker
from steadyface.training.extra import HELD_OUT_ONE_IN, MEASURES, eye_openness

LEAST_OVERLAP = 0.5
LOOKS = 3


def main(data: str, weights: Sequence[str]) -> None:
    finder = FaceFinder(device="cpu", threads=1)
    for name in weights:
        landmarker = Landmarker(name, device="cpu", threads=1)
        print(f"\n{name}\nset           faces   found %   error in the true box   in the finder's box")
        for part in PARTS:
            print(line(Path(data) / "extra", part, landmarker, finder))
        print(open_eyes(Path(data) / "300w", landmarker))


def line(root: Path, part: str, landmarker: Landmarker, finder: FaceFinder) -> str:
    """The row of one set."""
    _, samples = hold_out(find_extra(root, part), HELD_OUT_ONE_IN)
    in_true, in_found, truths, found = [], [], [], []
    for sample in samples:
        image = read_image(sample.image_path)
        box = true_box(image, sample.points, sample.box, landmarker)
        boxes = finder(image)
        overlaps = iou(box[None], boxes)[0]
        in_true.append(landmarker.predict(image, box).points)
        truths.append(sample.points)
        found.append(overlaps.max(initial=0.0) >= LEAST_OVERLAP)
        if found[-1]:
            in_found.append(landmarker.predict(image, boxes[overlaps.argmax()]).points)
    truth, hits = np.array(truths), np.array(found)
    error = MEASURES[part](np.array(in_true), truth)
    of_found = MEASURES[part](np.array(in_found), truth[hits])
    return f"{part:<12} {len(samples):>6} {100 * hits.mean():>9.1f} {error:>23.3f} {of_found:>21.3f}"


def true_box(
    image: Frame,
    points: np.ndarray,
    box: tuple[float, float, float, float] | None,
    landmarker: Landmarker,
) -> np.ndarray:
    """The box of the annotated points, or that of the points that are found in the whole picture."""
    if box is not None:
        return np.array(box)
    known = ~np.isnan(points).any(axis=1)
    if known.any():
        return bounding_box(points[known])
    found = box_of_pixels(0, 0, image.shape[1], image.shape[0])
    for _ in range(LOOKS - 1):
        found = bounding_box(landmarker.predict(image, found).points.astype(float))
    return found


def open_eyes(root: Path, landmarker: Landmarker) -> str:
    """The row of the eyes of 300-W's held-out faces."""
    _, samples = hold_out(find_samples(root, TRAIN_PARTS))
    loaded = [sample.load() for sample in samples]
    points = [landmarker.predict(image, bounding_box(truth)).points for image, truth in loaded]
    truth = np.array([truth for _, truth in loaded])
    error = 100 * np.abs(eye_openness(np.array(points, float)) - eye_openness(truth)).mean()
    return f"{'openness':<12} {len(samples):>6} {'':>9} {error:>23.3f}"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or ["compact"])
