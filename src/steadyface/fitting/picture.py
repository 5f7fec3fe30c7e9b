"""Fit a stabiliser's parameters for displacements measured in the picture; its others stay as they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
from scipy.special import expit, logit

from steadyface.errors import ConfigError
from steadyface.fitting.fit import WEIGHTS, LossWeights, Pair, Report, Search
from steadyface.fitting.loss import loss
from steadyface.fitting.spaces import Vector
from steadyface.geometry import face_size
from steadyface.stabilizer.picture import PictureModel
from steadyface.stabilizer.sta import STA

_LIMIT = 14.0  # of logits and logarithms
_LEAST = 1e-4  # a parameter of 0 has no logarithm


def fit_picture(
    stabilizer: STA,
    pairs: Iterable[Pair],
    *,
    weights: LossWeights = WEIGHTS,
    clip: int = 100,
    evaluations: int = 250,
    checkpoint: Path | None = None,
    report: Report = print,
) -> STA:
    """Find the `PictureModel` with the least loss by Nelder-Mead, starting from the stabiliser's own.

    Lengths are searched by their logarithms, probabilities and ratios by their logits. The loss is that of
    `score_picture`.

    Args:
        stabilizer: its other parameters stay as they are.
        pairs: sequences; those without displacements are left out.
        weights: of the loss.
        clip: frames per clip.
        evaluations: of the loss.
        checkpoint: as of `fit`.
        report: gets a line of progress now and then.

    Raises:
        ConfigError: no sequence with displacements is as long as a clip.
    """
    measured = with_motion(pairs, clip)

    def build(free: Vector) -> STA:
        return replace(stabilizer, picture=_model(free))

    def objective(free: Vector) -> float:
        return score_picture(build(free), measured, weights, clip)

    search = Search(objective, checkpoint, report)
    return build(search.run((_free(stabilizer.picture),), evaluations, polish=0))


def score_picture(
    stabilizer: STA, pairs: Iterable[Pair], weights: LossWeights = WEIGHTS, clip: int = 100
) -> float:
    """Mean of log L over all clips of sequences with displacements, each sequence filtered as a whole.

    The displacements stay as they are, though they were measured from the outputs of another stabiliser.
    """
    losses = []
    for pair in pairs:
        motion = None if pair.motion is None else pair.motion.unpack()
        outputs = stabilizer.filter(pair.raw, np.arange(len(pair.raw)) / pair.fps, pair.scores, motion)
        unit = float(face_size(pair.truth).mean()) / 100
        for start in range(0, len(outputs) - clip + 1, clip):
            part = slice(start, start + clip)
            losses.append(loss(outputs[part] / unit, pair.truth[part] / unit, weights))
    return float(np.log(losses).mean())


def with_motion(pairs: Iterable[Pair], clip: int) -> list[Pair]:
    """Select the sequences that have displacements and are as long as a clip.

    Raises:
        ConfigError: there is none.
    """
    measured = [pair for pair in pairs if pair.motion is not None and len(pair.raw) >= clip]
    if not measured:
        raise ConfigError(f"no sequence with measured displacements has the {clip} frames of a clip")
    return measured


def _free(model: PictureModel) -> Vector:
    values = {name: max(value, _LEAST) for name, value in asdict(model).items()}
    return np.array([logit(value) if _is_ratio(name) else np.log(value) for name, value in values.items()])


def _model(free: Vector) -> PictureModel:
    values: dict[str, float] = {}
    for field, value in zip(fields(PictureModel), np.clip(free, -_LIMIT, _LIMIT), strict=True):
        values[field.name] = float(expit(value) if _is_ratio(field.name) else np.exp(value))
    return PictureModel(**values)


def _is_ratio(name: str) -> bool:
    return name.startswith(("wrong", "loose", "covered", "recall")) and not name.endswith("_by")
