"""Average heatmaps around their peaks, on easy and on hard faces.

    python tools/peaks.py DATA CHECKPOINT        writes docs/peaks.png

DATA holds 300w/helen/testset, CHECKPOINT is a `.safetensors` file of `steadyface train`. The heatmaps of the
quarter of HELEN test with the smallest NRMSE and of that with the largest, as shares of the softmax, are laid
upon each other at their decoded, sub-pixel places and averaged; beside them stands the Gaussian that the
network was trained for. Printed: each one's height, and its width: the standard deviation along x and y in
the window shown, ± 5 σ of that Gaussian. After Fig. 4 of Tai et al. 2019.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import torch
from scipy.ndimage import map_coordinates

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from steadyface import heatmap, metrics
from steadyface.checkpoint import load_network
from steadyface.datasets.three_hundred_w import find_samples
from steadyface.geometry import change_grid
from steadyface.nets import LandmarkNet
from steadyface.training.crops import FaceCrops

FINE = 4  # samples per cell
COLOURS = {"Gaussian": "0.45", "easy": "C2", "hard": "C3"}
TITLES = {"Gaussian": "trained for", "easy": "easiest quarter", "hard": "hardest quarter"}


@dataclass(frozen=True)
class Peaks:
    """One face's NRMSE in % and its landmarks' mean peak: shares per cell, on a grid of `FINE` per cell."""

    error: float
    mean: np.ndarray


def main(data: str, checkpoint: str) -> None:
    net = load_network(checkpoint)
    sigma = net.config.sigma
    reach = round(5 * sigma * FINE)
    steps = np.arange(-reach, reach + 1) / FINE
    faces = FaceCrops(find_samples(f"{data}/300w", ["helen-test"]), net.config.input_size)
    peaks = sorted(measure(net, faces, steps), key=lambda face: face.error)
    quarter = len(peaks) // 4
    means = {
        "Gaussian": np.exp(-(steps**2 + steps[:, None] ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2),
        "easy": np.mean([face.mean for face in peaks[:quarter]], axis=0),
        "hard": np.mean([face.mean for face in peaks[-quarter:]], axis=0),
    }
    for name, part in (("easy", peaks[:quarter]), ("hard", peaks[-quarter:])):
        print(f"{name}: {quarter} faces, NRMSE {np.mean([face.error for face in part]):.2f} %")
    for name, mean in means.items():
        x, y = spread(mean, steps)
        print(f"{name:<9} height {mean.max():.3f} of the map, width {x:.2f} × {y:.2f} cells")
    out = Path(__file__).parents[1] / "docs" / "peaks.png"
    plot(means, steps, out)
    print(out.name)


@torch.inference_mode()
def measure(net: LandmarkNet, faces: FaceCrops, steps: np.ndarray) -> Iterator[Peaks]:
    for i in range(len(faces)):
        crop, truth, _ = faces[0, i]
        maps = net.log_heatmaps(torch.from_numpy(crop).permute(2, 0, 1)[None].float())[0]
        logs = maps.flatten(1).log_softmax(-1).view_as(maps).double().numpy()
        places = heatmap.decode_logits(logs, sigma=net.config.sigma).points
        points = change_grid(places, faces.size / logs.shape[-1])
        around = [resample(one, place, steps) for one, place in zip(logs, places, strict=True)]
        yield Peaks(float(metrics.nrmse_interocular(points, truth)), np.nanmean(around, axis=0))


def resample(logs: np.ndarray, place: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The map around a sub-pixel place; NaN outside it.

    Splines on the logarithm, which is smooth (of a Gaussian it is a parabola), so that nothing is blurred.
    """
    rows, columns = np.meshgrid(place[1] + steps, place[0] + steps, indexing="ij")
    found = map_coordinates(logs, [rows, columns], order=3, mode="nearest")
    height, width = logs.shape
    inside = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
    return np.where(inside, np.exp(found), np.nan)


def spread(mean: np.ndarray, steps: np.ndarray) -> tuple[float, float]:
    """Standard deviations along x and y around the middle, cells."""
    x, y = (np.sqrt((mean.sum(axis=axis) * steps**2).sum() / mean.sum()) for axis in (0, 1))
    return float(x), float(y)


def plot(means: dict[str, np.ndarray], steps: np.ndarray, path: Path) -> None:
    figure, axes = plt.subplots(1, 4, figsize=(10, 2.7), layout="constrained", width_ratios=(1, 1, 1, 1.6))
    *pictures, profile = axes
    ticks = np.round(steps[-1] * np.array([-0.8, 0, 0.8]), 1)
    brightest = max(mean.max() for mean in means.values())
    extent = steps[[0, -1, -1, 0]] + np.array([-1, 1, 1, -1]) / (2 * FINE)
    for picture, (name, mean) in zip(pictures, means.items(), strict=True):
        picture.imshow(mean, vmin=0, vmax=brightest, cmap="magma", extent=extent, interpolation="bilinear")
        picture.set_title(TITLES[name], fontsize=10)
        picture.set(xlabel="cells", xticks=ticks, yticks=ticks)
        x, _ = spread(mean, steps)
        style = {"ls": "--"} if name == "Gaussian" else {}
        profile.plot(steps, mean[len(steps) // 2], label=f"{name} {x:.2f}", color=COLOURS[name], **style)
    profile.set_xlabel("cells from the decoded point, along x")
    profile.set_ylabel("share of the map per cell")
    profile.set_ylim(0)
    profile.legend(frameon=False, fontsize=8, title="width, cells", loc="upper left", handlelength=1.2)
    profile.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
