"""Gain of fractional heatmaps (FHR) over conventional ones (CHR), by face scale and by map size.

    python benchmarks/chr_fhr.py DATA FHR_CHECKPOINT [CHR_CHECKPOINT]

DATA holds 300w/helen/testset and fhr_reference; the checkpoints are `.safetensors` files of `steadyface
train`, the second one of a network trained with rounded targets. HELEN test, crops by the ground-truth
landmark box × 1.3. CHR is the brightest cell; the others read the same heatmaps to a fraction of a cell,
`fhr` by the paper's three-point formula.

First table: NRMSE, AUC and failure rate in %, and the mean RMSE in px of the original photograph for each
fifth of the faces by inter-ocular distance, like Table 2 of Tai et al. 2019. Its figures (300-W private test,
another network, other faces) stand below: the trend compares, the values do not.

Second table: the first network on crops of other sizes, hence with other maps. Rounding costs CHR up to half
a cell, whatever the face's size; a network meets faces of the size it knows at its own input size only, so
compare along a row: down the table, NRMSE shows more than the maps' size.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import numpy as np
import torch

from steadyface import heatmap, metrics
from steadyface.checkpoint import load_network
from steadyface.datasets.three_hundred_w import Sample, find_samples
from steadyface.geometry import change_grid
from steadyface.nets import LandmarkNet
from steadyface.training.crops import FaceCrops

CHR, FHR, BEST = "argmax", "fhr", heatmap.DEFAULT_METHOD
METHODS = (CHR, FHR, "fhr_symmetric", "least_squares", "dark")
INPUT_SIZES = (128, 192, 224, 256)
BATCH = 8
GROUPS = ("smallest", "small", "medium", "large", "largest")
PUBLISHED = {
    "CHR": np.array([4.07, 50.9, 2.33, 2.66, 3.71, 5.06, 7.59, 11.67]),
    "FHR": np.array([3.80, 55.9, 1.33, 2.42, 3.35, 4.55, 7.11, 10.67]),
}
PUBLISHED_EYES = (61.45, 91.50, 127.68, 179.55, 296.28)


def main(data: str, fhr_checkpoint: str, chr_checkpoint: str | None = None) -> None:
    samples = find_samples(f"{data}/300w", ["helen-test"])
    eyes = original_interocular(data, samples)
    net = load_network(fhr_checkpoint)
    print(f"HELEN test, {len(samples)} faces: % of inter-ocular distance; RMSE in original px by face scale")
    print(f"{'':<42} {'NRMSE':>7} {'AUC':>7} {'> 8 %':>7}" + "".join(f"{group:>9}" for group in GROUPS))
    print_row("mean inter-ocular distance, px", by_scale(eyes, eyes))
    rows = score(net, samples, eyes, METHODS)
    print_rows("", rows)
    baselines = {"CHR": rows[CHR]}
    if chr_checkpoint:
        rounded = score(load_network(chr_checkpoint), samples, eyes, METHODS)
        print_rows("rounded targets, ", rounded)
        baselines["CHR, rounded targets"] = rounded[CHR]
    for name, baseline in baselines.items():
        for method in (FHR, BEST):
            print_row(f"gain of {method} over {name}", gain(baseline, rows[method]))
    print_published()
    print_sizes(net, samples)


def original_interocular(data: str, samples: Sequence[Sample]) -> np.ndarray:
    """Each face's inter-ocular distance in its original photograph, px."""
    with np.load(f"{data}/fhr_reference/300w_helen_test.npz") as file:
        eyes = dict(zip(file["names"], metrics.interocular(file["truth"]), strict=True))
    return np.array([eyes[sample.image_path.stem] for sample in samples])


def score(
    net: LandmarkNet, samples: Sequence[Sample], eyes: np.ndarray, methods: Iterable[str]
) -> dict[str, np.ndarray]:
    """A row of figures for each decoder: NRMSE, AUC, failure rate, RMSE of each group in original px."""
    points, truth = decode(net, samples, net.config.input_size, methods)
    to_original = eyes / metrics.interocular(truth)
    rows = {}
    for method, found in points.items():
        errors = metrics.nrmse_interocular(found, truth)
        scales = by_scale(metrics.rmse(found, truth) * to_original, eyes)
        rows[method] = np.array([errors.mean(), metrics.auc(errors), metrics.failure_rate(errors), *scales])
    return rows


@torch.inference_mode()
def decode(
    net: LandmarkNet, samples: Sequence[Sample], size: int, methods: Iterable[str]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Each decoder's points from the same heatmaps, and the truth, in px of crops of `size` px a side."""
    faces = FaceCrops(samples, size)
    crops, truth = map(np.stack, zip(*(faces[0, i][:2] for i in range(len(faces))), strict=True))
    parts: dict[str, list[np.ndarray]] = {method: [] for method in methods}
    for batch in torch.from_numpy(crops).permute(0, 3, 1, 2).split(BATCH):
        maps = net.log_heatmaps(batch.float()).numpy()
        for method, found in parts.items():
            read = heatmap.decode_logits(maps, sigma=net.config.sigma, method=method)
            found.append(change_grid(read.points, size / maps.shape[-1]))
    return {method: np.concatenate(found) for method, found in parts.items()}, truth


def gain(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the gain of each figure; all are errors, except the AUC."""
    less = before - after
    less[1] = after[1] - before[1]
    return less


def by_scale(values: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """The mean of each group of faces."""
    groups = metrics.scale_groups(eyes, len(GROUPS))
    return np.array([values[groups == group].mean() for group in range(len(GROUPS))])


def print_rows(prefix: str, rows: dict[str, np.ndarray]) -> None:
    for method, row in rows.items():
        print_row(f"{prefix}{'CHR (argmax)' if method == CHR else method}", row)


def print_row(label: str, values: Sequence[float] | np.ndarray) -> None:
    """Three shares in % and one figure per group, or the groups' alone."""
    shares, scales = values[: -len(GROUPS)], values[-len(GROUPS) :]
    left = "".join(f"{value:8.2f}" for value in shares) or " " * 24
    print(f"{label:<42}{left}" + "".join(f"{value:9.2f}" for value in scales), flush=True)


def print_published() -> None:
    print("published for 300-W private test, 600 faces, 128 × 128 maps:")
    print_row("  mean inter-ocular distance, px", PUBLISHED_EYES)
    print_rows("  ", PUBLISHED)
    print_row("  gain of FHR over CHR", gain(PUBLISHED["CHR"], PUBLISHED["FHR"]))


def print_sizes(net: LandmarkNet, samples: Sequence[Sample]) -> None:
    own = net.config.input_size
    print(f"\nNRMSE in % by map size; trained at input {own}, the others are off its training")
    print(f"{'input':>6} {'map':>10} {'CHR':>8} {'fhr':>8} {'dark':>8} {'gain fhr':>9} {'gain dark':>10}")
    for size in sorted({own, *INPUT_SIZES}):
        points, truth = decode(net, samples, size, (CHR, "fhr", "dark"))
        rounded, fhr, dark = (metrics.nrmse_interocular(found, truth).mean() for found in points.values())
        side = size * net.config.map_size // own
        gains = f"{rounded - fhr:9.3f} {rounded - dark:10.3f}"
        print(f"{size:6} {f'{side} × {side}':>10} {rounded:8.3f} {fhr:8.3f} {dark:8.3f} {gains}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
