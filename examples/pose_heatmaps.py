"""Any heatmap model can be read to a fraction of a cell: here, one of human pose.

    python examples/pose_heatmaps.py [FIGURES]

In your own code, on whatever array the model gives, torch on a GPU included:

    from steadyface import geometry, heatmap

    heatmaps = model(images)                             # (batch, joints, h, w), Gaussians of width sigma
    joints = heatmap.decode(heatmaps, sigma=2.0).points  # (batch, joints, 2) x, y in cells of the map
    joints = geometry.change_grid(joints, 4)             # px of an input four times as large

This script makes such heatmaps with a known answer: figures of 17 joints (COCO's) on 48 × 64 maps, σ = 2, a
lower peak where a joint is half hidden, a second, lower peak at its counterpart of the other side, as trained
networks give, and noise that is correlated over ℓ cells, as theirs is. It prints for every decoder the mean
distance from the truth in cells, per noise; × 4 it is in px of a 192 × 256 input. Joints whose brightest cell
is elsewhere than at the joint (`astray`) are left out, for no decoder can help there.
"""

from __future__ import annotations

import sys

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter

from steadyface import heatmap

ROWS, COLUMNS, SIGMA = 64, 48, 2.0
NOISES = ((0.0, 0.0), (0.05, 0.0), (0.05, 1.0), (0.05, 2.0), (0.05, 4.0))
"""Standard deviation of the noise, of a peak of height 1, and its correlation length in cells."""

STANDING = np.array(
    [
        *((24, 9), (25, 8), (23, 8), (27, 9), (21, 9)),  # nose, eyes, ears; the left one of a pair first
        *((29, 17), (19, 17), (32, 26), (16, 26), (33, 34), (15, 34)),  # shoulders, elbows, wrists
        *((27, 35), (21, 35), (28, 46), (20, 46), (28, 57), (20, 57)),  # hips, knees, ankles
    ],
    float,
)
OTHER_SIDE = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])
ASTRAY = 3 * SIGMA


def figures(count: int, rng: np.random.Generator) -> Float[np.ndarray, "count 17 2"]:
    """Joints of people of different build, lean and bearing, in cells."""
    middle = STANDING.mean(axis=0)
    scale = rng.uniform(0.75, 1.0, (count, 1, 2))
    lean = rng.normal(0, 0.08, count)
    turn = np.stack([[np.cos(lean), np.sin(lean)], [-np.sin(lean), np.cos(lean)]]).transpose(2, 0, 1)
    bearing = rng.normal(0, 1.2, (count, *STANDING.shape))
    return ((STANDING - middle) * scale + bearing) @ turn + middle + rng.uniform(-1, 1, (count, 1, 2))


def draw(
    joints: Float[np.ndarray, "count 17 2"], rng: np.random.Generator
) -> Float[np.ndarray, "count 17 h w"]:
    """Draw heatmaps as a network would: a peak at each joint and a lower one at its counterpart."""
    maps = heatmap.encode(joints, (ROWS, COLUMNS), SIGMA)
    height = rng.uniform(0.5, 1.0, (*joints.shape[:2], 1, 1))
    ghost = rng.uniform(0.0, 0.3, height.shape) * (np.arange(17) != OTHER_SIDE)[:, None, None]
    return height * np.maximum(maps, ghost * maps[:, OTHER_SIDE])


def correlated(
    shape: tuple[int, ...], deviation: float, length: float, rng: np.random.Generator
) -> Float[np.ndarray, "count 17 h w"]:
    """Gaussian noise of that standard deviation whose correlation falls to e^-¼ over `length` cells."""
    white = rng.standard_normal(shape)
    smooth = gaussian_filter(white, (0, 0, length, length), mode="wrap") if length else white
    return deviation * smooth / smooth.std()


def distances(
    clean: Float[np.ndarray, "count 17 h w"], joints: Float[np.ndarray, "count 17 2"], n: float, length: float
) -> dict[str, float]:
    """Mean distance from the truth by decoder, cells, and the share of joints astray, %."""
    maps = clean + correlated(clean.shape, n, length, np.random.default_rng(2))
    read = {method: heatmap.decode(maps, sigma=SIGMA, method=method).points for method in heatmap.METHODS}
    errors = {method: np.linalg.norm(points - joints, axis=-1) for method, points in read.items()}
    near = errors["argmax"] < ASTRAY
    means = {method: float(error[near].mean()) for method, error in errors.items()}
    return means | {"astray": 100 * float(np.mean(~near))}


def main(count: int = 200) -> None:
    joints = figures(count, np.random.default_rng(0))
    clean = draw(joints, np.random.default_rng(1))
    print("mean distance from the true joint, cells")
    print(f"{'noise':<15}" + "".join(f"{f'n {n:g}, ℓ {length:g}':>13}" for n, length in NOISES))
    columns = [distances(clean, joints, n, length) for n, length in NOISES]
    for method in heatmap.METHODS:
        print(f"{method:<15}" + "".join(f"{column[method]:13.4f}" for column in columns))
    print(f"{'astray, %':<15}" + "".join(f"{column['astray']:13.2f}" for column in columns))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
