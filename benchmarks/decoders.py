"""Precision of each decoder on noisy heatmaps.

    python benchmarks/decoders.py [CENTRES]

Localisation RMSE in px per axis on 128 × 128 maps, σ = 3, additive white noise of standard deviation n,
random centres. Two references stand below the decoders of `steadyface.heatmap`: the soft-argmax around the
peak and the maximum-likelihood Gaussian, which reaches the Cramér-Rao bound of 0.80·n.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from scipy.optimize import least_squares

from steadyface import heatmap

SIZE, SIGMA = 128, 3.0
NOISES = (0.0, 0.005, 0.01, 0.02, 0.05)
DECODERS: dict[str, dict] = {
    "argmax": {"method": "argmax"},
    "quarter": {"method": "quarter"},
    "fhr": {"method": "fhr"},
    "fhr_symmetric, reach 1": {"method": "fhr_symmetric"},
    "fhr_symmetric, reach 3": {"method": "fhr_symmetric", "reach": 3},
    "least_squares": {"method": "least_squares"},
    "dark": {"method": "dark"},
}


def soft_argmax(maps: np.ndarray) -> np.ndarray:
    """Mean of softmax(10·h) over the cells within 2σ of the brightest one."""
    return np.stack([_window_mean(m) for m in maps])


def maximum_likelihood(maps: np.ndarray) -> np.ndarray:
    """The centre of the unit Gaussian that differs least; the search starts at `least_squares`."""
    starts = heatmap.decode(maps, sigma=SIGMA, method="least_squares").points
    return np.stack([_fit_gaussian(m, start) for m, start in zip(maps, starts, strict=True)])


def _window_mean(image: np.ndarray) -> np.ndarray:
    radius = round(2 * SIGMA)
    y, x = np.unravel_index(image.argmax(), image.shape)
    rows, columns = np.mgrid[y - radius : y + radius + 1, x - radius : x + radius + 1]
    weight = np.exp(10 * image[rows, columns])
    return np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


def _fit_gaussian(image: np.ndarray, start: np.ndarray) -> np.ndarray:
    x0, y0 = np.round(start).astype(int) - 12
    window = image[y0 : y0 + 25, x0 : x0 + 25]
    corner = np.array([x0, y0])

    def difference(point: np.ndarray) -> np.ndarray:
        return (heatmap.encode(point - corner, window.shape, SIGMA) - window).ravel()

    return least_squares(difference, start).x


def main(centres: int = 1500) -> None:
    decoders: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        name: lambda maps, options=options: heatmap.decode(maps, sigma=SIGMA, **options).points
        for name, options in DECODERS.items()
    }
    decoders |= {"soft-argmax (reference)": soft_argmax, "max. likelihood (reference)": maximum_likelihood}
    truth = np.random.default_rng(0).uniform(24, SIZE - 25, (centres, 2))
    squares = {name: np.zeros(len(NOISES)) for name in decoders}
    for part in np.array_split(np.arange(centres), max(1, centres // 100)):
        clean = heatmap.encode(truth[part], (SIZE, SIZE), SIGMA)
        for column, noise in enumerate(NOISES):
            rng = np.random.default_rng((1, column, int(part[0])))
            maps = clean + noise * rng.standard_normal(clean.shape)
            for name, decode in decoders.items():
                squares[name][column] += ((decode(maps) - truth[part]) ** 2).sum()
    print(f"{'decoder':<28}" + "".join(f"{f'n = {noise}':>11}" for noise in NOISES))
    for name, total in squares.items():
        print(f"{name:<28}" + "".join(f"{value:11.4f}" for value in np.sqrt(total / (2 * centres))))
    print(f"{'Cramér-Rao bound':<28}" + "".join(f"{0.80 * noise:11.4f}" for noise in NOISES))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
