"""Parameters of `sta` for all networks beside those fitted to one network, on the same raw points.

    steadyface predict known-motion --data DATA --weights tiny --out MOTION
    python benchmarks/parameters.py MOTION OCCLUSION TALKING

The folders hold what one network predicted on `known-motion`, `occlusion` and `talking-face`, with the
displacements that were measured then. Columns as of `benchmarks/motion.py`; `blinks` is how deep the eyes
close over how deep they close in the raw points.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from motion import SCORES, Clips

from steadyface.evaluation.known_motion import clip_figures
from steadyface.evaluation.predictions import Prediction, PredictionFolder
from steadyface.fitting.sequences import with_constant_bias
from steadyface.stabilizer import load_stabilizer, stabilizer_path
from steadyface.stabilizer.sta import STA

HEADS = ("still", "moving", "delay", "NRMSE", "blinks", "uncov.", "99 %", "cov.", "stab.", "NRMSE")


def main(*folders: str) -> None:
    rows: dict[str, list[str]] = {}
    for root, protocol in zip(folders, SCORES, strict=True):
        folder = PredictionFolder(Path(root))
        run = folder.read_run()
        assert run is not None
        assert run.protocol == protocol
        own = stabilizer_path("sta", run.weights).stem
        stabilizers = {"sta": load_stabilizer("sta"), own: load_stabilizer("sta", run.weights)}
        read = (folder.read(name) for name in run.items)
        clips = [(known, outputs(known, stabilizers)) for known in read]
        depths = blinks(clips) if protocol == "known-motion" else {}
        for name, cells in SCORES[protocol](clips).items():
            rows.setdefault(name, []).extend([*cells, *depths.get(name, [])])
    print(f"{'':<24}" + "".join(f"{head:>8}" for head in HEADS))
    for name, cells in rows.items():
        print(f"{name:<24}" + "".join(f"{cell:>8}" for cell in cells))


def outputs(known: Prediction, stabilizers: dict[str, STA]) -> dict[str, np.ndarray]:
    """Raw points, and those of each stabiliser without and with displacements."""
    raw, scores = known.points[-1], known.scores[-1]
    assert known.motion is not None
    motion, points = known.motion.unpack(), {"raw": raw}
    for name, sta in stabilizers.items():
        points[f"{name}, points alone"] = sta.filter(raw, known.seconds, scores)
        points[name] = sta.filter(raw, known.seconds, scores, motion)
    return points


def blinks(clips: Clips) -> dict[str, list[str]]:
    """Depth of blinks over that of the raw points."""
    depths: dict[str, list[float]] = {}
    for known, points in clips:
        biased = with_constant_bias(known.truth, points["raw"])
        for name, each in points.items():
            depths.setdefault(name, []).extend(clip_figures(each, known.truth, biased).blink_depths)
    raw = np.mean(depths["raw"])
    return {name: [f"{np.mean(each) / raw:.3f}"] for name, each in depths.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
