"""The pictures of docs/stabilizer.md.

    python tools/stabilizer_figures.py        writes docs/stabilizer_{loss,landmarks,trace}.png

After Figures 2, 3 and 7 of Tai et al. 2019. The bundled portrait, whose points are the network's own, turns,
blinks and talks before a noisy camera; every point's path is known exactly.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from steadyface import Landmarker, load_stabilizer, metrics
from steadyface.demo import portrait
from steadyface.detector import FaceFinder
from steadyface.fitting.loss import delay_loss, smooth_loss
from steadyface.fitting.sequences import follow_known, with_constant_bias
from steadyface.markup import GROUPS
from steadyface.synthetic.talking_still import TalkingStill

DOCS = Path(__file__).parents[1] / "docs"
LOWER_LIP = 57
TRACED = 90  # frames
COLOURS = {"raw": "C1", "second-order": "C3", "one-euro": "C4", "sta": "C2"}


def main() -> None:
    plot_loss()
    scene = talking_portrait()
    seconds = np.arange(len(scene)) / scene.fps
    truth = np.stack([scene.truth(float(time)) for time in seconds])
    raw, scores, motion = follow_known(scene, truth[0], Landmarker())
    truth = with_constant_bias(truth, raw)
    outputs = {"raw": raw}
    for name in ("second-order", "one-euro"):
        outputs[name] = load_stabilizer(name).filter(raw, seconds, scores)
    outputs["sta"] = load_stabilizer("sta").filter(raw, seconds, scores, motion.unpack())
    plot_landmarks({name: outputs[name] for name in ("raw", "sta")}, truth)
    plot_trace(outputs, truth, seconds)


def talking_portrait() -> TalkingStill:
    still = portrait().still
    points = Landmarker().predict(still, FaceFinder()(still)[0]).points
    return TalkingStill(still, points, width=1280, height=720, eyes_px=160, seconds=10.0, seed=4, noise=6.0)


def plot_loss() -> None:
    """Figure 2: where the losses of one landmark are low, all else given."""
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.6), layout="constrained", sharey=True)
    x, y = np.meshgrid(np.linspace(-1, 3, 161), np.linspace(-2, 2, 161))
    here = np.stack([x, y], axis=-1)
    before, after = np.array([0.0, 0.0]), np.array([2.0, 0.0])
    now = here.reshape(-1, 1, 2)
    shape = np.ones((len(now), 1, 1))
    triple = np.stack([before * shape, now, after * shape])
    for axis, midpoint in zip(axes, (0.0, 1.0, np.inf), strict=False):
        values = smooth_loss(triple, midpoint).reshape(x.shape)
        axis.contour(x, y, values, levels=np.geomspace(0.02, 4, 9), cmap="viridis")
        axis.plot(*np.stack([before, after]).T, "k.", ms=9)
        axis.set_title(f"smoothness, λ3 = {midpoint:g}")
    path = np.stack([before * shape, (before + after) / 2 * shape])
    values = delay_loss(np.stack([before * shape, now]), path).reshape(x.shape)
    axes[3].contour(x, y, values, levels=np.geomspace(0.02, 4, 9), cmap="viridis")
    axes[3].annotate("", xy=(1, 0), xytext=before, arrowprops={"arrowstyle": "->"})
    axes[3].set_title("delay: only along the motion")
    for axis in axes:
        axis.set_aspect("equal")
        axis.set_xlabel("% of face size")
    figure.savefig(DOCS / "stabilizer_loss.png", dpi=100)


def plot_landmarks(outputs: dict[str, np.ndarray], truth: np.ndarray) -> None:
    """Figure 3: delay over time, and each landmark's motion error, before and after."""
    eyes = np.asarray(metrics.interocular(truth))
    figure, axes = plt.subplots(3, 1, figsize=(10, 7), layout="constrained")
    velocity = np.diff(truth, axis=0)
    energy = (velocity**2).sum(axis=(-1, -2)) + 68 * (0.002 * eyes[1:]) ** 2
    for name, points in outputs.items():
        late = -(velocity * (points - truth)[1:]).sum(axis=(-1, -2)) / energy
        label = f"{name}: {metrics.delay(points, truth, eyes):.2f} frames"
        axes[0].plot(late, color=COLOURS[name], lw=1, label=label)
        error, turn = metrics.motion_error(points, truth, eyes), metrics.turn_error(points, truth, eyes)
        axes[1].plot(error, color=COLOURS[name], marker=".", label=f"{name}: {error.mean():.3f} %")
        axes[2].plot(turn, color=COLOURS[name], marker=".", label=f"{name}: {np.nanmean(turn):.1f}°")
    axes[0].set(ylabel="delay, frames", xlabel="frame")
    axes[1].set_ylabel("motion error, % of\ninter-ocular distance")
    axes[2].set(ylabel="direction error, degrees", xlabel="landmark")
    for axis in axes[1:]:
        for points in GROUPS.values():
            axis.axvline(points[0] - 0.5, color="0.85", lw=1)
    for axis in axes:
        axis.legend(frameon=False, ncols=2, loc="upper right")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(DOCS / "stabilizer_landmarks.png", dpi=100)


def plot_trace(outputs: dict[str, np.ndarray], truth: np.ndarray, seconds: np.ndarray) -> None:
    """Figure 7: the lower lip while it speaks, beside the usual filters."""
    eyes = np.asarray(metrics.interocular(truth))
    lip = truth[:, LOWER_LIP, 1] - truth[:, 33, 1]
    start = int(np.argmax([np.ptp(lip[t : t + TRACED]) for t in range(len(lip) - TRACED)]))
    part = slice(start, start + TRACED)
    figure, (path, away) = plt.subplots(2, 1, figsize=(10, 6), layout="constrained", sharex=True)
    path.axhline(0, color="0.7", lw=4, label="truth")
    for name, points in outputs.items():
        lip = (points - truth)[part, LOWER_LIP, 1]
        path.plot(seconds[part], lip, color=COLOURS[name], lw=1.2, label=name)
        error = np.linalg.norm(points - truth, axis=-1).mean(axis=-1)
        delay = metrics.delay(points, truth, eyes)
        label = f"{name}: {metrics.stability(points, truth, eyes):.2f} %, {delay:.2f} frames late"
        away.plot(seconds[part], error[part], color=COLOURS[name], lw=1.2, label=label)
    path.set_ylabel("lower lip, px below\nits true place")
    away.set(ylabel="mean distance of\n68 points, px", xlabel="seconds")
    for axis in (path, away):
        axis.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(DOCS / "stabilizer_trace.png", dpi=100)


if __name__ == "__main__":
    main()
