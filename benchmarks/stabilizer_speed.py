"""Speed of the stabilisers, and what becomes of points that are thrown off.

    python benchmarks/stabilizer_speed.py DATA

DATA holds fhr_reference/300vw_test_predictions.npz: what the authors of the paper's network predicted on the
64 test videos of 300-VW, 123,405 frames, in px of each frame's own crop. All of it is filtered on one thread
by each causal stabiliser, by `filter_all` and one sequence after the other; then live steps of one face are
timed, median of 2,000. Times are of the processor; ratios are to One-Euro.

Thrown off is a landmark farther than half a face from its own median over 31 frames. `jump` is how far, in %
of the face's size, a filtered landmark moves in those frames relative to the frame before, beyond the median
of all 68: the largest, and the share of them above 5 %.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from time import process_time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from scipy.ndimage import median_filter

from steadyface.geometry import face_size
from steadyface.stabilizer import KINDS, CausalFilter, load_stabilizer

STEPS, ROUNDS = 2000, 3


def main(data: str) -> None:
    with np.load(Path(data) / "fhr_reference" / "300vw_test_predictions.npz") as values:
        sequences = [values[name].astype(float) / 32 for name in values.files]
    frames = sum(map(len, sequences))
    thrown = [thrown_off(points) for points in sequences]
    print(
        f"{len(sequences)} sequences, {frames} frames, {sum(map(np.count_nonzero, thrown))} points thrown off"
    )
    heads = f"{'all, s':>8} {'× One-Euro':>11} {'singly, s':>10} {'step, µs':>9} {'× One-Euro':>11}"
    print(f"{'':<20} {heads} {'jump, %':>8} {'> 5 %':>8}")
    causal = {name: each for name in KINDS if isinstance(each := load_stabilizer(name), CausalFilter)}
    steps = {name: step_time(each, sequences[0]) for name, each in causal.items()}
    times, singly, outputs = {}, {}, {}
    for name, stabilizer in causal.items():
        began = process_time()
        outputs[name] = stabilizer.filter_all(sequences)
        times[name] = process_time() - began
        began = process_time()
        for points in sequences:
            stabilizer.filter(points)
        singly[name] = process_time() - began
    for name in causal:
        jumps = [
            jump[where[1:]] for jump, where in zip(map(relative_moves, outputs[name]), thrown, strict=True)
        ]
        jump = np.concatenate(jumps)
        speed = f"{times[name]:8.2f} {times[name] / times['one-euro']:11.2f} {singly[name]:10.2f}"
        step = f"{steps[name]:9.1f} {steps[name] / steps['one-euro']:11.2f}"
        print(f"{name:<20} {speed} {step} {jump.max():8.2f} {100 * np.mean(jump > 5):7.3f}%")


def step_time(stabilizer: CausalFilter, points: np.ndarray) -> float:
    """Median time of a step, µs, the best of some rounds."""
    scores, rounds = np.full(points.shape[1], 0.99), []
    for _ in range(ROUNDS):
        state, times = None, []
        for raw in points[:STEPS]:
            began = process_time()
            state, _ = stabilizer.step(state, raw, 1 / 30, scores)
            times.append(process_time() - began)
        rounds.append(float(np.median(times)))
    return 1e6 * min(rounds)


def thrown_off(points: np.ndarray) -> np.ndarray:
    """(frames, 68) whether each point is off its own median by more than half a face."""
    middle = median_filter(points, size=(31, 1, 1))
    return np.linalg.norm(points - middle, axis=-1) > 0.5 * np.median(face_size(points))


def relative_moves(points: np.ndarray) -> np.ndarray:
    """(frames - 1, 68) how far each point moves beyond the median of all, % of the face's size."""
    moves = np.diff(points, axis=0)
    alone = moves - np.median(moves, axis=1, keepdims=True)
    return 100 * np.linalg.norm(alone, axis=-1) / np.median(face_size(points))


if __name__ == "__main__":
    main(*sys.argv[1:])
