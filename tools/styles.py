"""The ways to draw a face, side by side: points, contours, mesh, and contours of a face that is held.

python tools/styles.py        writes docs/styles.jpg
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from steadyface import Tracker
from steadyface.demo import portrait
from steadyface.drawing import draw_faces
from steadyface.geometry import Region, bounding_box
from steadyface.images import crop_region, write_image

SIDE = 420  # px of each picture


def main() -> None:
    scene = replace(portrait(), noise=0.0)
    frame = next(iter(scene))
    (face,) = Tracker().step(frame.image)
    crop, to_crop = crop_region(frame.image, Region.around_points(face.points, margin=1.35), SIDE)
    points = to_crop(face.points)
    shown = replace(face, points=points, box=bounding_box(points))
    drawn = [draw_faces(crop, [shown], style) for style in ("points", "contours", "mesh")]
    drawn.append(draw_faces(crop, [replace(shown, held=True)]))
    out = Path(__file__).parents[1] / "docs" / "styles.jpg"
    write_image(out, np.hstack(drawn))
    print(out.name)


if __name__ == "__main__":
    main()
