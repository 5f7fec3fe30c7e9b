"""The README's picture: one landmark's path, raw and stabilised, under a known camera motion.

    python docs/trajectories.py        writes docs/trajectories.png

The bundled portrait moves before a noisy camera at 30 frames/s. Above: where a mouth corner goes. Below: how
far the raw and the stabilised point are from the known motion.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from steadyface import metrics, track
from steadyface.demo import portrait

LANDMARK = 48  # the subject's right mouth corner


def main() -> None:
    scene = replace(portrait(), noise=8.0, seconds=5.0)
    tracks = track(scene)
    raw, steady = tracks.raw_points.astype(float), tracks.points.astype(float)
    truth = scene.mean_face(raw, tracks.seconds)
    eyes = metrics.interocular(truth)
    figure, (path, error) = plt.subplots(2, 1, figsize=(9, 4.6), sharex=True, layout="constrained")
    path.plot(tracks.seconds, truth[:, LANDMARK, 0], color="0.7", lw=5, label="known motion")
    path.plot(tracks.seconds, steady[:, LANDMARK, 0], color="C2", lw=1.5, label="stabilised")
    path.set_ylabel("x of a mouth corner, px")
    path.legend(frameon=False)
    for points, colour, name in ((raw, "C1", "raw"), (steady, "C2", "stabilised")):
        stability = metrics.stability(points, truth, np.asarray(eyes))
        delay = metrics.delay(points, truth, np.asarray(eyes))
        label = f"{name}: stability {stability:.2f} %, delay {delay:.2f} frames"
        error.plot(tracks.seconds, (points - truth)[:, LANDMARK, 0], color=colour, lw=1.3, label=label)
    error.set_ylabel("distance from it, px")
    error.set_xlabel("seconds")
    error.legend(frameon=False, ncols=2)
    for axes in (path, error):
        axes.spines[["top", "right"]].set_visible(False)
    out = Path(__file__).with_name("trajectories.png")
    figure.savefig(out, dpi=110)
    print(out.name)


if __name__ == "__main__":
    main()
