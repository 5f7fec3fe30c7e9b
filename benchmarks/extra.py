"""Faces that 300-W lacks, as far as training held them out: how many are found, and how good the points are.

    python benchmarks/extra.py DATA [--finder=FINDER.onnx] [WEIGHTS …]

DATA holds `extra` (docs/training.md says what that is) and `300w`. WEIGHTS are names of bundled networks or
`.onnx` files; left out: compact. The error of each set is the one that training prints: in % of the distance
from ear to nose (profiles), of the eyes' width (closed_eyes: the median openness), of the inter-ocular
distance (fgnet, helen256) or of √(width · height) of the face (aflw80). The last line, of 300-W's held-out
faces, is the mean absolute error of the eyes' openness.

- found: faces that a box of the finder, if not another then the bundled one, overlaps by half (IoU ≥ 0.5).
- tracked: those of them that a tracker would take as new faces, by the scores of their points.
- true box: points in the box of the annotated points. Faces with closed eyes have none: the network's own
  third look counts, the first being at the whole picture.
- finder's box: points in the finder's box, of the faces found.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from steadyface.datasets.extra import PARTS, find_extra
from steadyface.datasets.three_hundred_w import TRAIN_PARTS, find_samples, hold_out
from steadyface.detector import FaceFinder
from steadyface.geometry import bounding_box, iou
from steadyface.images import read_image
from steadyface.landmarker import Landmarker
from steadyface.tracking.config import TrackerConfig
from steadyface.tracking.verifier import is_face
from steadyface.training.extra import HELD_OUT_ONE_IN, MEASURES, eye_openness
from steadyface.training.photos import box_of

LEAST_OVERLAP = 0.5
TRACKER = TrackerConfig()


def main(data: str, weights: Sequence[str], finder: FaceFinder) -> None:
    for name in weights:
        landmarker = Landmarker(name, device="cpu", threads=1)
        counts = f"{'set':<12} {'faces':>6} {'found %':>9} {'tracked %':>11}"
        print(f"\n{name}\n{counts}   error in the true box   in the finder's box")
        for part in PARTS:
            print(line(Path(data) / "extra", part, landmarker, finder))
        print(open_eyes(Path(data) / "300w", landmarker))


def line(root: Path, part: str, landmarker: Landmarker, finder: FaceFinder) -> str:
    """The row of one set."""
    _, samples = hold_out(find_extra(root, part), HELD_OUT_ONE_IN)
    in_true, in_found, truths, found, tracked = [], [], [], [], 0
    for sample in samples:
        image = read_image(sample.image_path)
        boxes = finder(image)
        box = box_of(sample, image, landmarker)
        overlaps = iou(box[None], boxes)[0]
        in_true.append(landmarker.predict(image, box).points)
        truths.append(sample.points)
        found.append(overlaps.max(initial=0.0) >= LEAST_OVERLAP)
        if found[-1]:
            seen = landmarker.predict(image, boxes[overlaps.argmax()])
            in_found.append(seen.points)
            again = landmarker.predict(image, bounding_box(seen.points.astype(float)))
            tracked += is_face(image, again, TRACKER.accept, TRACKER.verifier.min_size)
    truth, hits = np.array(truths), np.array(found)
    error = MEASURES[part](np.array(in_true), truth)
    of_found = MEASURES[part](np.array(in_found), truth[hits])
    shares = f"{100 * hits.mean():>9.1f} {100 * tracked / len(samples):>11.1f}"
    return f"{part:<12} {len(samples):>6} {shares} {error:>23.3f} {of_found:>21.3f}"


def open_eyes(root: Path, landmarker: Landmarker) -> str:
    """The row of the eyes of 300-W's held-out faces."""
    _, samples = hold_out(find_samples(root, TRAIN_PARTS))
    loaded = [sample.load() for sample in samples]
    points = [landmarker.predict(image, bounding_box(truth)).points for image, truth in loaded]
    truth = np.array([truth for _, truth in loaded])
    error = 100 * np.abs(eye_openness(np.array(points, float)) - eye_openness(truth)).mean()
    return f"{'openness':<12} {len(samples):>6} {'':>21} {error:>23.3f}"


if __name__ == "__main__":
    arguments = sys.argv[1:]
    chosen = [
        argument.removeprefix("--finder=") for argument in arguments if argument.startswith("--finder=")
    ]
    data, *names = [argument for argument in arguments if not argument.startswith("--finder=")]
    main(data, names or ["compact"], FaceFinder(*chosen, device="cpu", threads=1))
