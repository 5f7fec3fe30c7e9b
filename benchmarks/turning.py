"""Faces that turn to the side and back: are they tracked throughout, under one number, and how well?

    python benchmarks/turning.py DATA [WEIGHTS [FINDER.onnx]]

Clips of faces of 300-W that training holds out, turned in three dimensions up to 75° and back in three
seconds (DATA holds `300w` and `extra/ict_facekit`). One line a face: the share of its frames
in which it is shown and not merely held, the numbers that it was given, and the mean error of the visible
points in % of the inter-ocular distance of its photograph, up to 30° and beyond.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import cv2
import numpy as np

from steadyface import Tracker
from steadyface.datasets.three_hundred_w import TRAIN_PARTS, find_samples, hold_out
from steadyface.detector import FaceFinder
from steadyface.geometry import Region
from steadyface.images import crop_region
from steadyface.landmarker import Landmarker
from steadyface.metrics import interocular
from steadyface.models import DEFAULT_MODEL, FINDER
from steadyface.synthetic.heads.model import HeadModel
from steadyface.synthetic.heads.turned import HeadPhoto
from steadyface.training.turned import HEAD_MODEL

FACES, SIDE, MARGIN = 6, 320, 2.2
FPS, SECONDS, MOST = 15.0, 3.0, math.radians(75)
LEVEL, NEAR = math.radians(12), math.radians(30)


def main(data: str, weights: str = DEFAULT_MODEL, finder: str = FINDER) -> None:
    model = HeadModel.load(Path(data) / "extra" / HEAD_MODEL)
    _, held_out = hold_out(find_samples(Path(data) / "300w", TRAIN_PARTS))
    print(f"{'face':<34} {'shown %':>8} {'numbers':>8} {'to 30°':>8} {'beyond':>8}")
    shown = 0
    for sample in held_out:
        image, points = sample.load()
        region = Region.around_points(points, margin=MARGIN)
        picture, to_picture = crop_region(image, region, SIDE, cv2.BORDER_REFLECT_101)
        head = HeadPhoto(picture, to_picture(points), model)
        if abs(head.fit.yaw) < LEVEL:
            print(f"{sample.points_path.stem:<34} {line(head, weights, finder)}", flush=True)
            shown += 1
        if shown == FACES:
            return


def line(head: HeadPhoto, weights: str, finder: str) -> str:
    """The row of one face."""
    landmarker = Landmarker(weights, device="cpu", threads=1)
    tracker = Tracker(landmarker, detector=FaceFinder(finder, device="cpu", threads=1))
    size, count = float(interocular(head.points)), round(FPS * SECONDS)
    errors: dict[bool, list[float]] = {True: [], False: []}
    numbers, seen = set(), 0
    for index in range(count):
        yaw = MOST * math.sin(math.pi * index / (count - 1))
        turned = head.turned(yaw)
        faces = tracker.step(turned.image, index / FPS)
        numbers |= {face.face_id for face in faces}
        for face in faces[:1]:
            seen += not face.held
            apart = np.linalg.norm(face.points - turned.points, axis=1)[turned.visible]
            errors[abs(yaw) <= NEAR].append(100 * float(apart.mean()) / size)
    near, far = (np.mean(errors[kind]) if errors[kind] else math.nan for kind in (True, False))
    return f"{100 * seen / count:8.1f} {len(numbers):8} {near:8.2f} {far:8.2f}"


if __name__ == "__main__":
    main(*sys.argv[1:])
