"""Fit a stabiliser's parameters to sequences of raw points with their truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from steadyface.arrays import PointSequence, ScoreSequence
from steadyface.errors import ConfigError
from steadyface.files import read_json, reading, write_text
from steadyface.fitting.form import Form
from steadyface.fitting.loss import LossWeights, loss
from steadyface.fitting.spaces import Vector, space
from steadyface.fitting.statistics import Clips
from steadyface.geometry import face_size
from steadyface.motion import MotionSequence
from steadyface.stabilizer.base import Stabilizer

__all__ = ["WEIGHTS", "Clips", "LossWeights", "Pair", "cut", "fit", "score"]

WEIGHTS = LossWeights(smooth=8.0)
"""Loss to which all bundled stabilisers are fitted: λ1 = 8, λ2 = 10, λ3 = 1."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Pair:
    """A sequence of raw points and its truth.

    Args:
        raw, truth: (frames, 68, 2) image px.
        scores: (frames, 68) in [0, 1], the network's own; None where they are not known.
        fps: frames per second.
        motion: displacements measured in the picture; None where there was none.
        network: name of the network whose points they are; empty where it is not known.
    """

    raw: PointSequence
    truth: PointSequence
    scores: ScoreSequence | None = None
    fps: float = 30.0
    motion: MotionSequence | None = None
    network: str = ""


def fit(
    form: Form,
    pairs: Iterable[Pair],
    *,
    fps: float = 30.0,
    weights: LossWeights = WEIGHTS,
    clip: int = 100,
    evaluations: int = 400,
    polish: int = 10,
    checkpoint: Path | None = None,
    report: Report = print,
    fitted: str = "",
) -> Stabilizer:
    """Find the parameters with the least loss.

    About ten numbers are searched by Nelder-Mead (Lagarias et al. 1998) from several starts, and the best
    result is refined along the gradient (L-BFGS). The mean of log L over the clips is minimised, so that a
    fast clip, or one on which the network errs, counts as much as any other.

    Args:
        form: of the stabiliser.
        pairs: sequences; each is scaled to percent of its own mean face size and cut into clips.
        fps: frame rate at which parameters per frame hold.
        weights: of the loss.
        clip: frames per clip; a shorter rest is left out.
        evaluations: of the loss by Nelder-Mead, over all starts.
        polish: iterations of L-BFGS.
        checkpoint: file to which the search saves its state, and from which it goes on if the file is there;
            removed at the end.
        report: gets a line of progress now and then.
        fitted: note for people, kept with the parameters.

    Raises:
        ConfigError: an unknown kind, or no sequence is as long as a clip.
    """
    clips = cut(pairs, fps, clip)
    searched = space(form, clips, fps, fitted)

    def objective(stabilizer: Stabilizer) -> float:
        return score(stabilizer, clips, weights)

    build = searched.build
    if build is None:
        best = min(searched.candidates, key=objective)
    else:
        search = Search(lambda free: objective(build(free)), checkpoint, report)
        best = build(search.run(searched.starts, evaluations, polish))
    raw, stabilised = _raw_score(clips, weights), np.exp(objective(best))
    report(f"{form.kind}: loss {raw:.4f} raw, {stabilised:.4f} stabilised")
    return best


def score(stabilizer: Stabilizer, clips: Iterable[Clips], weights: LossWeights = WEIGHTS) -> float:
    """Mean of log L over all clips."""
    losses = [loss(stabilizer.run(each.raw, each.scores, each.frames), each.truth, weights) for each in clips]
    return float(np.log(np.concatenate(losses)).mean())


def cut(pairs: Iterable[Pair], fps: float, length: int) -> list[Clips]:
    """Cut sequences into clips of one length, scaled to percent of each sequence's mean face size.

    Returns:
        Clips grouped by frame rate, and by whether they have scores.

    Raises:
        ConfigError: no sequence is as long as a clip.
    """
    groups: dict[tuple[float, bool], list[tuple[np.ndarray, ...]]] = {}
    for pair in pairs:
        unit = float(face_size(pair.truth).mean()) / 100
        for start in range(0, len(pair.raw) - length + 1, length):
            part = slice(start, start + length)
            arrays = [pair.raw[part] / unit, pair.truth[part] / unit]
            arrays += [] if pair.scores is None else [pair.scores[part]]
            key = round(fps / pair.fps, 3), pair.scores is not None
            groups.setdefault(key, []).append(tuple(np.asarray(array, float) for array in arrays))
    if not groups:
        raise ConfigError(f"no sequence has the {length} frames of a clip")
    stacked = {
        key: [np.stack(column, axis=1) for column in zip(*rows, strict=True)] for key, rows in groups.items()
    }
    return [
        Clips(arrays[0], arrays[1], arrays[2] if scored else None, frames)
        for (frames, scored), arrays in sorted(stacked.items())
    ]


class Search:
    """Search by Nelder-Mead from each start, then by L-BFGS from the best.

    Args:
        objective: function to be minimised.
        checkpoint: file to which the best numbers are saved meanwhile, and from which a search goes on; None
            saves nothing.
        report: gets a line of progress now and then.
    """

    def __init__(
        self,
        objective: Callable[[Vector], float],
        checkpoint: Path | None,
        report: Report,
    ) -> None:
        self._objective = objective
        self._checkpoint, self._report = checkpoint, report
        self._count, self._best, self._value = 0, np.zeros(0), np.inf

    def run(self, starts: tuple[Vector, ...], evaluations: int, polish: int) -> Vector:
        """Return the best numbers found; arguments as of `fit`."""
        resumed = self._resumed(len(starts[0]))
        starts = starts if resumed is None else (resumed,)
        for start in starts:
            simplex = np.vstack([start, start + np.eye(len(start))])  # the usual one hardly leaves zeros
            budget = max(evaluations // len(starts), 1)
            options = {"maxfev": budget, "adaptive": True, "initial_simplex": simplex, "fatol": 1e-5}
            minimize(self._evaluate, start, method="Nelder-Mead", options=options)
        if polish:
            options = {"maxiter": polish, "eps": 1e-4}
            minimize(self._evaluate, self._best, method="L-BFGS-B", options=options)
        if self._checkpoint is not None:
            self._checkpoint.unlink(missing_ok=True)
        return self._best

    def _evaluate(self, free: Vector) -> float:
        value = self._objective(free)
        if value < self._value:
            self._best, self._value = free.copy(), value
        self._count += 1
        if self._count % 25 == 0:
            if self._checkpoint is not None:
                write_text(self._checkpoint, json.dumps({"best": self._best.tolist()}))
            self._report(f"{self._count} evaluations: loss {np.exp(self._value):.4f}")
        return value

    def _resumed(self, length: int) -> Vector | None:
        if self._checkpoint is None or not self._checkpoint.exists():
            return None
        saved = read_json(self._checkpoint, kind := "this fit's checkpoint", _start_again)
        with reading(self._checkpoint, kind, _start_again):
            best = np.array(saved["best"], float)
            if best.shape != (length,):
                raise ValueError(f"{best.size} numbers, not {length}")
        self._report(f"going on from {self._checkpoint}")
        return best


def _start_again(path: Path, problem: str) -> ConfigError:
    return ConfigError(f"{path}: {problem}; remove it to start again")


def _raw_score(clips: list[Clips], weights: LossWeights) -> float:
    return float(np.exp(np.log(np.concatenate([loss(c.raw, c.truth, weights) for c in clips])).mean()))
