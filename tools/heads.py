"""Faces of 300-W turned in three dimensions, to be looked at: photograph, then turned ones.

    python tools/heads.py DATA OUT.png

Green points can be seen, red ones are hidden by the face, blue ones by something before it. The first columns
are fixed turns; the others are drawn as training draws them.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import cv2
import numpy as np

from steadyface.arrays import Frame
from steadyface.datasets.three_hundred_w import find_samples, hold_out
from steadyface.geometry import Region
from steadyface.images import crop_region, write_image
from steadyface.synthetic.heads.model import HeadModel
from steadyface.synthetic.heads.turned import HeadPhoto, TurnedFace
from steadyface.training.turned import HEAD_MODEL, Turns

FACES, SIDE, ZOOM, MARGIN = 8, 256, 2, 2.2
FIXED = (
    {"yaw": 0.5},
    {"yaw": 1.1},
    {"yaw": -1.1},
    {"closed": 1.0},
    {"opened": 0.7},
    {"yaw": -0.5, "pitch": 0.3, "closed": 1.0, "opened": 0.5},
)
DRAWN = 3
LEVEL = math.radians(20)


def main(data: str, out: str) -> None:
    model = HeadModel.load(Path(data) / "extra" / HEAD_MODEL)
    training, _ = hold_out(find_samples(Path(data) / "300w", ("lfpw-train",)))
    rows: list[Frame] = []
    for sample in training[:: len(training) // (4 * FACES)]:
        image, points = sample.load()
        region = Region.around_points(points, margin=MARGIN)
        picture, to_picture = crop_region(image, region, SIDE, cv2.BORDER_REFLECT_101)
        points = to_picture(points)
        head = HeadPhoto(picture, points, model)
        if abs(head.fit.yaw) > LEVEL:
            continue
        rng = np.random.default_rng(len(rows))
        turned = [head.turned(**turn) for turn in FIXED]
        turned += [Turns().turn(picture, points, model, rng) for _ in range(DRAWN)]
        shown = cv2.resize(picture, None, fx=ZOOM, fy=ZOOM)
        rows.append(np.hstack([shown, *(marked(face) for face in turned)]))
        if len(rows) == FACES:
            break
    write_image(out, np.vstack(rows))


def marked(face: TurnedFace) -> Frame:
    """A turned face, enlarged, with its points."""
    image = cv2.resize(face.image, None, fx=ZOOM, fy=ZOOM)
    for (x, y), hidden, covered in zip(face.points, face.hidden, face.covered, strict=True):
        colour = (255, 0, 0) if hidden else (0, 90, 255) if covered else (0, 255, 0)
        place = round(ZOOM * (x + 0.5) - 0.5), round(ZOOM * (y + 0.5) - 0.5)
        cv2.circle(image, place, 2, colour, -1)
    return np.asarray(image)


if __name__ == "__main__":
    main(*sys.argv[1:])
