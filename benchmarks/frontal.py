"""Frontal points of heads that turn and do nothing else.

    python benchmarks/frontal.py DATA

DATA holds 300w/ and extra/ict_facekit. Photographs of six training faces are turned from side to side on a
head model, without perspective; the points are exact, or those of the tracker. Prints how far the frontal
points stray from their mean, % of the inter-ocular distance, and how much of the turn the head pose shows. A
face that the tracker does not follow throughout is named and left out.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import cv2
import numpy as np

import steadyface
from steadyface.arrays import FaceSequence
from steadyface.cli.terminal import print_table
from steadyface.datasets.three_hundred_w import find_samples
from steadyface.geometry import Region, bounding_box
from steadyface.images import crop_region
from steadyface.markup import GROUPS
from steadyface.measures import MEAN_FACE
from steadyface.metrics import interocular
from steadyface.synthetic.heads.model import HeadModel
from steadyface.synthetic.heads.turned import HeadPhoto
from steadyface.tracks import Tracks, TracksBuilder
from steadyface.training.turned import HEAD_MODEL

FACES, FRAMES, FPS = 6, 60, 30
TURN, LEVEL = math.radians(20), 0.2
SIDE, MARGIN = 420, 2.2
FOCAL = 1e5  # px: nearly without perspective, as the heads are drawn
LIPS = [*GROUPS["outer_lips"], *GROUPS["inner_lips"]]


def main(data: str) -> None:
    model = HeadModel.load(Path(data) / "extra" / HEAD_MODEL)
    rows, found = [], []
    for sample in find_samples(Path(data) / "300w", ("lfpw-train",))[::37]:
        image, points = sample.load()
        region = Region.around_points(points, margin=MARGIN)
        picture, to_picture = crop_region(image, region, SIDE, cv2.BORDER_REFLECT_101)
        head = HeadPhoto(picture, to_picture(points), model)
        if abs(head.fit.yaw) > LEVEL:
            continue
        yaws = TURN * np.sin(2 * np.pi * np.arange(FRAMES) / FRAMES)
        turned = [head.turned(yaw=yaw - head.fit.yaw) for yaw in yaws]
        exact = table_of(np.stack([each.points for each in turned]))
        tracked = steadyface.track([each.image for each in turned], fps=FPS, max_faces=1)
        if len(tracked) < FRAMES:
            print(f"{sample.points_path.stem}: followed in {len(tracked)} of {FRAMES} frames, left out")
            continue
        values = [*measured(exact, yaws), *measured(tracked, yaws)]
        found.append(values)
        rows.append((sample.points_path.stem, *(f"{value:.2f}" for value in values)))
        if len(rows) == FACES:
            break
    rows.append(("mean", *(f"{value:.2f}" for value in np.mean(found, axis=0))))
    heads = ("all points, %", "lips, %", "turn shown")
    print_table(("face", *(f"{each}, {of}" for of in ("exact", "tracked") for each in heads)), rows)


def table_of(points: FaceSequence) -> Tracks:
    """Table of given points."""
    builder = TracksBuilder()
    for frame, face in enumerate(points):
        builder.add_frame(frame, frame / FPS, (SIDE, SIDE))
        row = {"points": face, "raw_points": face, "scores": np.ones(len(face)), "box": bounding_box(face)}
        builder.add(frame=frame, seconds=frame / FPS, face=0, **row)
    return builder.finish({"size": [SIDE, SIDE]})


def measured(tracks: Tracks, yaws: np.ndarray) -> tuple[float, float, float]:
    """Mean distance of all frontal points and of the lips from their mean, %, and the share of the turn."""
    fitted = steadyface.add_frontal(tracks, focal=FOCAL)
    assert fitted.frontal_points is not None
    away = np.linalg.norm(fitted.frontal_points - fitted.frontal_points.mean(axis=0), axis=-1)
    away *= 100 / float(interocular(MEAN_FACE[:, :2]))
    share = -np.polyfit(yaws[tracks.frame], fitted.poses()[:, 4], 1)[0]
    return float(away.mean()), float(away[:, LIPS].mean()), float(share)


if __name__ == "__main__":
    main(*sys.argv[1:])
