"""The README's picture: one landmark's path, raw and stabilised, under a known camera motion.

    python tools/trajectories.py        writes docs/trajectories.png

The bundled portrait moves before a noisy camera at 30 frames/s. Above: the path of the chin, as its distance
from the known motion. Below: how much all 68 points shake, as the mean of |Δx - Δp| from frame to frame.
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

LANDMARK = 8  # the chin


def main() -> None:
    scene = replace(portrait(), noise=8.0, seconds=5.0)
    tracks = track(scene)
    raw, steady = tracks.raw_points.astype(float), tracks.points.astype(float)
    truth = scene.mean_face(raw, tracks.seconds)
    eyes = np.asarray(metrics.interocular(truth))
    figure, (path, shaking) = plt.subplots(2, 1, figsize=(9, 4.6), sharex=True, layout="constrained")
    path.axhline(0, color="0.7", lw=4, label="known motion")
    for points, colour, name in ((raw, "C1", "raw"), (steady, "C2", "stabilised")):
        path.plot(tracks.seconds, (points - truth)[:, LANDMARK, 0], color=colour, lw=1.3, label=name)
        excess = np.linalg.norm(np.diff(points - truth, axis=0), axis=-1).mean(axis=-1)
        stability = metrics.stability(points, truth, eyes)
        label = f"{name}: {stability:.2f} %, {metrics.delay(points, truth, eyes):.2f} frames late"
        shaking.plot(tracks.seconds[1:], excess, color=colour, lw=1.3, label=label)
    path.set_ylabel("chin, px from the path")
    shaking.set_ylabel("shaking, 68 points, px")
    shaking.set_xlabel("seconds")
    shaking.set_ylim(0)
    for axes in (path, shaking):
        axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
        axes.spines[["top", "right"]].set_visible(False)
    out = Path(__file__).parents[1] / "docs" / "trajectories.png"
    figure.savefig(out, dpi=110)
    print(out.name)


if __name__ == "__main__":
    main()
