"""Points that stick to the skin: a filter of displacements measured in the picture and the network's points.

The network's points are unbiased but noisy; displacements have little noise, but their errors add up to a
drift. The belief about each landmark's position is a Gaussian of its own. All functions take one face or,
with an axis before that of the landmarks, several.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from steadyface import markup
from steadyface.arrays import PointBatch
from steadyface.errors import ConfigError
from steadyface.motion import Displacements
from steadyface.motion.matrices import (
    Symmetric,
    Vectors,
    apply,
    coordinates,
    determinant,
    inverse,
    isotropic,
    outer,
    pack,
)
from steadyface.stabilizer.base import Measurement
from steadyface.stabilizer.covered import Uncovered, take_back_covered

_RIGID = slice(markup.GROUPS["right_brow"][0], markup.GROUPS["nose_base"][-1] + 1)
"""Brows and nose."""

Each = Float[np.ndarray, "*#faces landmarks"]
PerFace = float | Float[np.ndarray, "*#faces 1"]


@dataclass(frozen=True)
class PictureModel:
    """Parameters of the filter; lengths are standard deviations in percent of face size.

    Args:
        slip: distance by which a point slips on the skin in a frame. Increasing it pulls points to the
            network's sooner, but lets more of their noise through.
        anchor: error of the network's points. Increasing it holds on to the skin longer, also where
            points have come off it.
        step: error of the step between frames of the points filtered without a picture. Increasing it relies
            on the picture alone, also where the face is covered.
        step_lips, step_lids, step_jaw: the same for lips, lids and jaw.
        wrong: probability that a measured displacement is wrong beyond its covariance. Increasing it follows
            sudden steps of the points sooner, among them wrong ones.
        wrong_brows, wrong_lips, wrong_lids, wrong_jaw: the same for brows, lips, lids and jaw. The jaw is the
            head's outline: it slides on the skin as the head turns.
        wrong_by: error of a wrong displacement. Increasing it gives wrong displacements less weight.
        loose: probability that a point has come off the skin. Increasing it brings points that were dragged
            along back sooner, and lets the network drag them along sooner.
        loose_by: distance of such a point from the skin. Increasing it brings points back faster.
        covered: ratio to its usual score below which a landmark counts as covered, if the mean ratio of its
            part of the face is below it too (`covered`). Increasing it takes points back sooner that a hand
            pushes along, but also lips that the network is merely unsure of.
        recall: ratio by which the remembered position of a landmark follows it in a frame, while nothing
            covers it. Increasing it takes a covered landmark back by less.
        hidden: growth of the variance of the network's error where all of the face is covered, in units of
            the usual variance: a network that sees half a face shifts that half too. The covered part is the
            fraction of brows and nose without flow; an opening mouth and a closing lid lose theirs anyway.
            Increasing it relies more on the picture where the face is covered.
    """

    slip: float = 0.01
    anchor: float = 1.4
    step: float = 0.2
    step_lips: float = 0.25
    step_lids: float = 0.13
    step_jaw: float = 0.2
    wrong: float = 1e-4
    wrong_brows: float = 0.05
    wrong_lips: float = 0.3
    wrong_lids: float = 0.5
    wrong_jaw: float = 0.45
    wrong_by: float = 1.2
    loose: float = 5e-3
    loose_by: float = 1.5
    covered: float = 0.7
    recall: float = 0.15
    hidden: float = 15.0

    def __post_init__(self) -> None:
        steps = self.step, self.step_lips, self.step_lids, self.step_jaw
        lengths = self.anchor, *steps, self.wrong_by, self.loose_by
        wrong = self.wrong, self.wrong_brows, self.wrong_lips, self.wrong_lids, self.wrong_jaw
        chances = *wrong, self.loose, self.covered, self.recall
        in_range = min(lengths) > 0 and min(self.slip, self.hidden) >= 0
        if not (in_range and min(chances) > 0 and max(chances) < 1):
            raise ConfigError(
                "picture: lengths must be positive, and probabilities and ratios above 0 and below 1"
            )


class Skin(NamedTuple):
    """Belief about the position of each landmark; vectors and matrices as in `motion.matrices`.

    Args:
        points: image px.
        covariance: image px².
        coasted: whether the newest frame had no usable points, so the picture alone moved the belief.
        carried: motion by the picture alone since the last frame with points, image px; 0 if a frame since
            then had unusable points.
        off: probability that the point came off the skin in the newest frame.
        uncovered: memory of the landmarks while nothing covered them.
    """

    points: Float[np.ndarray, "2 *faces landmarks"]
    covariance: Float[np.ndarray, "3 *faces landmarks"]
    coasted: bool
    carried: Float[np.ndarray, "2 *faces landmarks"]
    off: Float[np.ndarray, "*faces landmarks"]
    uncovered: Uncovered

    def shifted(self, offset: Vectors) -> Skin:
        """The same belief about points elsewhere, by (2, …, landmarks) px."""
        uncovered = self.uncovered._replace(points=self.uncovered.points + offset)
        return self._replace(points=self.points + offset, uncovered=uncovered)


def _resting(points: Vectors, covariance: Symmetric, uncovered: Uncovered, coasted: bool = False) -> Skin:
    """Skin that the picture alone has not moved, and that no point has come off."""
    return Skin(points, covariance, coasted, np.zeros(points.shape), np.zeros(points.shape[1:]), uncovered)


def begin_skin(model: PictureModel, points: PointBatch, noise: Each, unit: PerFace) -> Skin:
    """Begin at points with the uncertainty of the network's points.

    Args:
        model: parameters.
        points: (…, landmarks, 2) image px.
        noise: each landmark's variance over the usual one.
        unit: px per percent of face size.
    """
    at = coordinates(points)
    covariance = isotropic(noise * (model.anchor * unit) ** 2)
    return _resting(at, covariance, Uncovered(at, usual_scores=np.zeros(at.shape[1:])))


def move_skin(
    model: PictureModel,
    skin: Skin,
    displacements: Displacements | None,
    step: Vectors | None,
    noise: Each,
    unit: PerFace,
    frames: float,
) -> Skin:
    """Move the points on to the next frame.

    Equation: the displacement d has a prior from the picture, N(m, E), or with probability ε, N(m, E + w²),
    since folding skin, such as that of lids, shows a wrong displacement. The points' own step s = d + N(0, D)
    is the measurement that decides between both. The posterior mixture is replaced by a Gaussian of the same
    mean and covariance, which are added to those of the point. Otherwise exact if the errors of the step and
    of the points are independent; both come from the network, so the step's error is set large.

    Args:
        model: parameters.
        skin: belief after the last frame.
        displacements: as measured in the picture; None without a picture, when the step alone moves points.
        step: (2, …, landmarks) step of the points filtered without a picture, px; None if not known.
        noise: each landmark's variance over the usual one.
        unit: px per percent of face size.
        frames: time since the last frame, in frames.
    """
    groups = _groups(model, skin.points.shape[-1])
    own = noise * (groups.step * unit) ** 2
    if displacements is None:
        carried = moved = np.zeros(skin.points.shape) if step is None else step
        spread = isotropic(own)
    else:
        carried = moved = coordinates(displacements.displacement)
        spread = pack(displacements.covariance)
        if step is not None:
            own = own * _hidden(model, displacements.valid)
            change, spread, _ = _mixture(spread, own, step - moved, groups.wrong, model.wrong_by * unit)
            moved = moved + change
    covariance = skin.covariance + spread
    covariance[::2] += frames * (model.slip * unit) ** 2
    uncovered = skin.uncovered._replace(points=skin.uncovered.points + carried)
    return _resting(skin.points + moved, covariance, uncovered, coasted=step is None)


def anchor_skin(model: PictureModel, skin: Skin, measurement: Measurement, noise: Each) -> Skin:
    """Condition on the network's points, but for those of covered landmarks (`covered`).

    Equation: z = x + N(0, R); with probability ε the point has come off the skin and its prior is wider.
    The mean and the covariance of the posterior mixture are kept.

    Args:
        model: parameters.
        skin: belief before these points.
        measurement: of the frame; its points are z.
        noise: each landmark's variance over the usual one.
    """
    points, unit, frames, scores, displacements = measurement
    error = noise * (model.anchor * unit) ** 2
    if displacements is not None:
        error = error * _hidden(model, displacements.valid)
    surprise = coordinates(points) - skin.points
    change, covariance, off = _mixture(skin.covariance, error, surprise, model.loose, model.loose_by * unit)
    recall = 1 - (1 - model.recall) ** frames
    moved = skin.points + change
    uncovered, at = take_back_covered(skin.uncovered, moved, scores, model.covered, recall)
    return _resting(at, covariance, uncovered)._replace(off=off)


def _mixture(
    prior: Symmetric, noise: Each, surprise: Vectors, chance: Each | float, wider: PerFace
) -> tuple[Vectors, Symmetric, Each]:
    """Condition a mixture of N(0, P) and N(0, P + w²) on a measurement.

    Equation: with G = (P + R)⁻¹, P that of the component, each component has the mean s - R·G·s, the
    covariance R - R²·G and the log-evidence -½(ln|P + R| + sᵀGs).

    Args:
        prior: P.
        noise: variance R of the measurement along both axes.
        surprise: s, the measurement.
        chance: prior probability of the wider component.
        wider: w.

    Returns:
        Mean and covariance of the posterior mixture, and the wider component's posterior probability.
    """
    total = prior[:, None].repeat(2, axis=1)
    total[::2, 1] += wider**2
    total[::2] += noise
    precision = inverse(total)
    x, y = pull = apply(precision, surprise[:, None])
    misfit = surprise[0] * x + surprise[1] * y + np.log(determinant(total))
    odds = (1 - chance) / chance * np.exp(np.minimum((misfit[1] - misfit[0]) / 2, 50.0))
    weight = 1 / (1 + odds)
    apart = pull[:, 1] - pull[:, 0]
    mean = surprise - noise * (pull[:, 0] + weight * apart)
    within = precision[:, 0] + weight * (precision[:, 1] - precision[:, 0])
    covariance = noise**2 * (weight * (1 - weight) * outer(apart) - within)
    covariance[::2] += noise
    return mean, covariance, weight


class _Groups(NamedTuple):
    step: Each
    wrong: Each


@lru_cache(maxsize=8)
def _groups(model: PictureModel, count: int) -> _Groups:
    """Parameters of each landmark; with another number than 68, all have those of the nose."""
    step, wrong = np.full(count, model.step), np.full(count, model.wrong)
    if count == markup.COUNT:
        lids = [i for eye in ("right_eye", "left_eye") for side in markup.facing(eye) for i in side]
        lips = [*markup.GROUPS["outer_lips"], *markup.GROUPS["inner_lips"]]
        step[lips], wrong[lips] = model.step_lips, model.wrong_lips
        step[lids], wrong[lids] = model.step_lids, model.wrong_lids
        jaw = markup.GROUPS["jaw"]
        step[jaw], wrong[jaw] = model.step_jaw, model.wrong_jaw
        wrong[[*markup.GROUPS["right_brow"], *markup.GROUPS["left_brow"]]] = model.wrong_brows
    return _Groups(step, wrong)


def _hidden(model: PictureModel, valid: Bool[np.ndarray, "*faces landmarks"]) -> PerFace:
    """Factor of the network's variance, which grows with the fraction of the face that is not seen."""
    rigid = valid[..., _RIGID] if valid.shape[-1] == markup.COUNT else valid
    seen = np.add.reduce(rigid, axis=-1, keepdims=True, dtype=float)
    return 1 + model.hidden * (1 - seen / rigid.shape[-1])
