"""Other landmark trackers beside steadyface on profiles and closed eyes that training held out, in one run.

    python benchmarks/extra.py DATA [--mediapipe PYTHON]

DATA holds `extra` (docs/training.md says what that is). PYTHON is that of an environment with MediaPipe, as
of benchmarks/peers.py; without it only steadyface runs. Each contender finds the face itself in the picture
as it is, and works in a process of its own. `MediaPipe landmarker` is MediaPipe's Task with the file that
lies under `extra/teacher`; it is left out where there is none. ‡ MediaPipe's mesh is another markup, mapped
to 51 points.

- profiles: faces found, and their mean error in % of the distance from ear to nose, over the annotated points
  that all have: no jaw, no brow ends. *common*: on the faces that everybody finds.
- closed eyes: faces found, and the median openness of both eyes in % of their width, ideally 0.

`steadyface evaluate profiles` and `closed-eyes` say more of steadyface alone.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from peers import INNER, LEAST_OVERLAP, OURS, STILL_FACES, Running, cell, print_row, print_title, started

from steadyface import markup
from steadyface.datasets.extra import HELD_OUT_ONE_IN, ExtraSample, find_extra, normaliser
from steadyface.datasets.three_hundred_w import hold_out
from steadyface.geometry import bounding_box, iou
from steadyface.measures import eye_openness

MEDIAPIPE = ("MediaPipe still", "MediaPipe still, refined")
LANDMARKER = "MediaPipe landmarker"
TASK = "extra/teacher/face_landmarker_v2_with_blendshapes.task"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--mediapipe", metavar="PYTHON")
    options = parser.parse_args()
    names = [*OURS, *(MEDIAPIPE if options.mediapipe else ())]
    task = options.data / TASK
    if options.mediapipe and task.is_file():
        os.environ["MEDIAPIPE_TASK"] = str(task)
        names.append(LANDMARKER)
    for part, title in (("profiles", "profiles"), ("closed_eyes", "closed eyes")):
        _, samples = hold_out(find_extra(options.data / "extra", part), HELD_OUT_ONE_IN)
        with started(names, STILL_FACES, options.mediapipe) as running:
            points, truth = read_all(running, samples)
        print_errors(part, f"{title}, {len(samples)} faces", points, truth)


def read_all(running: Running, samples: Iterable[ExtraSample]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Points by each contender, (faces, 68, 2) px, NaN where none was found; and the truth."""
    points: dict[str, list[np.ndarray]] = {name: [] for name in running}
    truths = []
    for sample in samples:
        image, truth = sample.load()
        truths.append(truth)
        for name, contender in running.items():
            contender.start()
            contender.send(image, 0.0)
            points[name].append(annotated_face(contender.receive(), truth))
    return {name: np.stack(found) for name, found in points.items()}, np.stack(truths)


def annotated_face(faces: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Of the faces found the annotated one, or the largest where no point is; NaN if it is not there.

    Args:
        faces: (N, 68, 2) px, the jaw may be NaN.
        truth: (68, 2) px, NaN where not annotated.
    """
    if not len(faces):
        return np.full((markup.COUNT, 2), np.nan)
    known = inner(truth)
    boxes = bounding_box(faces[:, known if known.any() else INNER])
    if not known.any():
        return faces[(boxes[:, 2:] - boxes[:, :2]).prod(axis=1).argmax()]
    overlaps = iou(boxes, bounding_box(truth[known])[None])[:, 0]
    found = overlaps.max() >= LEAST_OVERLAP
    return faces[overlaps.argmax()] if found else np.full((markup.COUNT, 2), np.nan)


def inner(truth: np.ndarray) -> np.ndarray:
    """Mask of the annotated points, (…, 68), without the jaw."""
    known = ~np.isnan(truth).any(axis=-1)
    known[..., : INNER[0]] = False
    return known


def errors_of(part: str, points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Error of each face, %, NaN where it was not found: of the points that all contenders have."""
    if part == "closed_eyes":
        return 100 * np.asarray(eye_openness(points))
    known = inner(truth)
    distances = np.where(known, np.linalg.norm(points - truth, axis=-1), 0.0).sum(axis=1)
    return 100 * distances / known.sum(axis=1) / normaliser(part, truth)


def print_errors(part: str, title: str, points: dict[str, np.ndarray], truth: np.ndarray) -> None:
    errors = {name: errors_of(part, found, truth) for name, found in points.items()}
    common = ~np.isnan(list(errors.values())).any(axis=0)
    middle = np.median if part == "closed_eyes" else np.mean
    print_title(f"{title}, %", f"{'found':>6} {'error':>7} {'common':>7}")
    for name, error in errors.items():
        seen = error[~np.isnan(error)]
        figures = [middle(seen) if len(seen) else np.nan, middle(error[common]) if common.any() else np.nan]
        print_row(name, f"{len(seen):6d} {' '.join(cell(value, 7) for value in figures)}")


if __name__ == "__main__":
    main()
