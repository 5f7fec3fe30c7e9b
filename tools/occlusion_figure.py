"""One landmark through an occlusion: raw, stabilised from points alone, and stabilised with measured motion.

    python tools/occlusion_figure.py        writes docs/occlusion.png

The bundled portrait, whose points are the network's own, turns and talks while a hand crosses it in a second.
Distance of a landmark from its true place, less the raw landmark's constant error before the crossing: of the
corner of the mouth, which is covered for a while, and of the mean of all landmarks that are in sight.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from steadyface import metrics, track
from steadyface.demo import portrait
from steadyface.detector import FaceFinder
from steadyface.landmarker import Landmarker
from steadyface.synthetic.occluder import OccluderKind
from steadyface.synthetic.talking_still import TalkingStill

CORNER = 48  # of the mouth, on the left of the picture


def main() -> None:
    scene = crossed_portrait()
    seconds = np.arange(len(scene)) / scene.fps
    truth = np.stack([scene.truth(float(time)) for time in seconds])
    covered = np.stack([scene.covered(float(time)) for time in seconds])
    measured, alone = track(scene, max_faces=1), track(scene, max_faces=1, motion=False)
    kept = np.searchsorted(seconds, measured.seconds - 1e-6)
    truth, covered = truth[kept], covered[kept]
    before = slice(0, int(np.flatnonzero(covered.any(axis=1))[0]))
    constant = (measured.raw_points[before] - truth[before]).mean(axis=0)
    eyes = np.asarray(metrics.interocular(truth))[:, None]
    figure, axes = plt.subplots(2, 1, figsize=(9, 5.0), sharex=True, layout="constrained")
    for points, colour, name in (
        (measured.raw_points, "C1", "raw"),
        (alone.points, "C0", "sta, points alone"),
        (measured.points, "C2", "sta, measured motion"),
    ):
        away = 100 * np.linalg.norm(points - truth - constant, axis=-1) / eyes
        axes[0].plot(measured.seconds, away[:, CORNER], color=colour, lw=1.3, label=name)
        seen = np.where(covered, np.nan, away)
        axes[1].plot(measured.seconds, np.nanmean(seen, axis=1), color=colour, lw=1.3, label=name)
    for at, hidden in ((axes[0], covered[:, CORNER]), (axes[1], covered.any(axis=1))):
        at.fill_between(measured.seconds, 0, 1, where=hidden, transform=at.get_xaxis_transform(), color="0.9")
        at.set_ylim(0)
        at.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("corner of the mouth, %")
    axes[1].set_ylabel("mean of points in sight, %")
    axes[1].set_xlabel("seconds (grey: covered)")
    axes[0].legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    out = Path(__file__).parents[1] / "docs" / "occlusion.png"
    figure.savefig(out, dpi=110)
    print(out.name)


def crossed_portrait() -> TalkingStill:
    """Set the bundled portrait in motion, and let a hand cross it."""
    still = portrait().still
    points = Landmarker().predict(still, FaceFinder()(still)[0]).points
    scene = TalkingStill(still, points, width=1280, height=720, eyes_px=160, seconds=4.0, seed=4, noise=6.0)
    return scene.crossed_by(OccluderKind.HAND)


if __name__ == "__main__":
    main()
