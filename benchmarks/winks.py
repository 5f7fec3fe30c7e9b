"""Winks: how far the eye that stays open moves with the one that closes.

    python benchmarks/winks.py DATA [WEIGHTS]

DATA holds 300w/helen/testset; WEIGHTS is a network, left out: compact. Eight faces look ahead and close the
right eye, with exactly known motion, and go through the tracker. Figures are openness (height over width).
`wink`: of the closing eye at its narrowest. `other`: largest deviation of the other eye, which does not move,
from its median at rest, while the first one closes and opens; `at rest` the same in as many frames of rest.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from steadyface.datasets.three_hundred_w import find_samples
from steadyface.fitting.sequences import follow_known
from steadyface.landmarker import Landmarker
from steadyface.measures import eye_aspect_ratio
from steadyface.stabilizer import load_stabilizer
from steadyface.synthetic.talking_still import TalkingStill

FACES, FIRST_SEED = 8, 1000
SCENE: dict[str, Any] = {
    **{"mouth": 0.0, "brows": 0.0, "yaw": 0.0, "pitch": 0.0, "eyes": ("right_eye",)},
    **{"width": 960, "height": 540, "seconds": 4.0},
}
CLOSING = 0.8  # of its usual openness, below which the eye counts as closing
AROUND = 4  # frames before and after


def main(data: str, weights: str = "compact") -> None:
    landmarker = Landmarker(weights, device="cpu", threads=1)
    sta = load_stabilizer("sta", landmarker.name)
    samples = find_samples(Path(data) / "300w", ["helen-test"])
    rows: dict[str, list[list[float]]] = {}
    for i, sample in enumerate(samples[:: len(samples) // FACES][:FACES]):
        scene = TalkingStill(*sample.load(), seed=FIRST_SEED + i, **SCENE)
        seconds = np.arange(len(scene)) / scene.fps
        truth = np.stack([scene.truth(float(time)) for time in seconds])
        raw, scores, motion = follow_known(scene, truth[0], landmarker)
        outputs = {
            "truth": truth,
            "raw": raw,
            "sta, points alone": sta.filter(raw, seconds, scores),
            "sta": sta.filter(raw, seconds, scores, motion.unpack()),
        }
        winking = eye_aspect_ratio(truth, "right_eye")
        closing = np.asarray(winking) < CLOSING * np.median(winking)
        near = np.convolve(closing, np.ones(2 * AROUND + 1), "same") > 0
        for name, points in outputs.items():
            rows.setdefault(name, []).append(figures(points, near))
    print(f"{weights}, {FACES} faces\n{'':<20} {'wink':>7} {'other':>7} {'at rest':>8}")
    for name, values in rows.items():
        wink, other, rest = np.mean(values, axis=0)
        print(f"{name:<20} {wink:7.3f} {other:7.3f} {rest:8.3f}")


def figures(points: np.ndarray, near: np.ndarray) -> list[float]:
    """Columns of the table for one clip; `near` are the frames of winks."""
    wink, other = (np.asarray(eye_aspect_ratio(points, eye)) for eye in ("right_eye", "left_eye"))
    away = np.abs(other - np.median(other[~near]))
    return [wink.min(), away[near].max(), away[~near][: near.sum()].max()]


if __name__ == "__main__":
    main(*sys.argv[1:])
