"""Ablations of the stabiliser: fit it without each of its parts, on the same sequences, and compare.

    steadyface predict talking-face --data DATA --out PREDICTIONS
    python benchmarks/ablations.py SEQUENCES PREDICTIONS

SEQUENCES is a folder made by `steadyface make-sequences`. Every variant is fitted anew, by 150 evaluations
and 4 polishing iterations, on a third of the sequences that are not held out. NRMSE and stability are in % of
the inter-ocular distance and delay in frames, on the sequences held out (68 points) and on Talking Face (7
points). After Table 3 and Figure 6 of Tai et al. 2019.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from steadyface import metrics
from steadyface.evaluation.predictions import PredictionFolder, Reading
from steadyface.fitting.fit import WEIGHTS, LossWeights, Pair, fit
from steadyface.fitting.form import Form
from steadyface.fitting.sequences import held_out, load_pair
from steadyface.markup import SEVEN, SEVEN_TALKING_FACE
from steadyface.stabilizer import CausalFilter

SMOOTH = WEIGHTS.smooth
VARIANTS: dict[str, dict[str, Any]] = {
    "sta": {},
    "no delay term, λ2 = 0": {"weights": LossWeights(SMOOTH, 0.0, 1.0)},
    "midpoint, λ3 = ∞ (Cao 2014)": {"weights": LossWeights(SMOOTH, 10.0, np.inf)},
    "both": {"weights": LossWeights(SMOOTH, 0.0, np.inf)},
    "K = 1": {"form": Form(components=1)},
    "U of the motion alone": {"form": Form(basis="motion")},
    "U = identity": {"form": Form(basis="identity")},
    "sta-paper": {"form": Form("sta-paper")},
    "sta-paper, K = 1": {"form": Form("sta-paper", components=1)},
    "sta-paper, U = identity": {"form": Form("sta-paper", basis="identity")},
}


def main(sequences: str, predictions: str) -> None:
    paths = sorted(Path(sequences).glob("*.npz"))
    kept = [load_pair(path) for path in paths if not held_out(path)][::3]
    others = [load_pair(path) for path in paths if held_out(path)]
    talking = PredictionFolder(Path(predictions)).read("talking_face")
    raw, scores = talking.points_by(Reading.DARK), talking.scores_by(Reading.DARK)
    truth = talking.truth[:, SEVEN_TALKING_FACE]
    eyes = np.linalg.norm(truth[:, 3] - truth[:, 0], axis=-1)
    heads = f"{'NRMSE':>7} {'stab.':>7} {'delay':>7}"
    print(f"{'':<30} {'held out:':>9} {heads}   {'Talking Face:':>13} {heads}")

    def show(name: str, stabilizer: CausalFilter | None) -> None:
        ours = np.mean([of_pair(stabilizer, pair) for pair in others], axis=0)
        points = raw if stabilizer is None else stabilizer.filter(raw, talking.seconds, scores)
        theirs = figures(points[:, SEVEN], truth, eyes)
        print(f"{name:<30} {'':>9} {row(ours)}   {'':>13} {row(theirs)}", flush=True)

    show("raw", None)
    for name, options in VARIANTS.items():
        options = {"form": Form(), **options}
        show(name, fit(pairs=kept, evaluations=150, polish=4, report=lambda line: None, **options))


def of_pair(stabilizer: CausalFilter | None, pair: Pair) -> tuple[float, float, float]:
    """NRMSE, stability and delay over all 68 points."""
    seconds = np.arange(len(pair.raw)) / pair.fps
    points = pair.raw if stabilizer is None else stabilizer.filter(pair.raw, seconds, pair.scores)
    return figures(points, pair.truth, np.asarray(metrics.interocular(pair.truth)))


def figures(points: np.ndarray, truth: np.ndarray, eyes: np.ndarray) -> tuple[float, float, float]:
    """NRMSE, stability and delay."""
    nrmse = 100 * float((np.linalg.norm(points - truth, axis=-1).mean(axis=-1) / eyes).mean())
    return nrmse, metrics.stability(points, truth, eyes), metrics.delay(points, truth, eyes)


def row(values: tuple[float, ...] | np.ndarray) -> str:
    return " ".join(f"{value:7.3f}" for value in values)


if __name__ == "__main__":
    main(*sys.argv[1:])
