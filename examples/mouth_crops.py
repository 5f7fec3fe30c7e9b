"""Mouth crops for lip reading: 96 × 96 px, upright, of constant size, one .npz a face.

    python examples/mouth_crops.py CLIP OUT_FOLDER

Each crop is centred on the mean of the lips' points and turned and scaled by the eyes' corners, as models for
lip reading want it. Because the points are steady, so are the crops: what moves in them are the lips. The
files hold `crops` (frames, 96, 96, 3) RGB uint8, `frame`, `seconds` and `points` (frames, 20, 2), the lips in
crop px.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

import steadyface
from steadyface import markup
from steadyface.cli.terminal import run_script
from steadyface.files import make_folder, write_arrays
from steadyface.geometry import Region
from steadyface.images import crop_region
from steadyface.video import VideoReader

SIZE = 96  # px
WIDTH = 0.9  # of a crop, over the distance of the outer eye corners
LIPS = [*markup.GROUPS["outer_lips"], *markup.GROUPS["inner_lips"]]


def mouth_region(points: np.ndarray) -> Region:
    """The square around the lips, turned as the eyes are; (68, 2) px."""
    right, left = points[list(markup.OUTER_EYE_CORNERS)]
    across = left - right
    x, y = points[LIPS].mean(axis=0)
    return Region(x, y, WIDTH * float(np.hypot(*across)), math.atan2(across[1], across[0]))


def main(clip: str, out: str) -> None:
    make_folder(out)
    tracker, faces = steadyface.Tracker(), {}
    with VideoReader(clip) as frames:
        for frame in frames:
            for face in tracker.step(frame.image, frame.seconds):
                if not face.held:
                    crop, to_crop = crop_region(frame.image, mouth_region(face.points), SIZE)
                    row = (crop, frame.index, frame.seconds, to_crop(face.points[LIPS]))
                    faces.setdefault(face.face_id, []).append(row)
    for number, rows in faces.items():
        crops, index, seconds, points = map(np.array, zip(*rows, strict=True))
        path = Path(out) / f"{Path(clip).stem}_face{number}.npz"
        write_arrays(path, {"crops": crops, "frame": index, "seconds": seconds, "points": points})
        print(f"{path}: {len(rows)} crops")


if __name__ == "__main__":
    run_script(main, __doc__)
