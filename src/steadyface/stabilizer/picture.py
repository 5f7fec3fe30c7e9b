"""Points that stick to the skin: displacements measured in the picture, filtered with the network's points.

The network's points are right on average and shake; the picture's displacements hardly shake and add up to a
drift. Each landmark has a Gaussian belief of its own about where it is. All functions take one face or, with
an axis before that of the landmarks, several.
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

Each = Float[np.ndarray, "*#faces landmarks"]
PerFace = float | Float[np.ndarray, "*#faces 1"]


@dataclass(frozen=True)
class PictureModel:
    """Parameters of the filter; lengths are standard deviations in percent of face size.

    Args:
        slip: how far a point comes off the skin in a frame. Increasing it pulls points to the network's
            sooner, which shakes more.
        anchor: error of the network's points. Increasing it holds on to the skin longer, also where
            points have come off it.
        step: error of the change of the points as filtered without a picture. Increasing it relies on the
            picture alone, also where that is covered.
        step_lips, step_lids: the same there.
        wrong: probability that a displacement that the picture gives is wrong all the same. Increasing it
            follows sudden steps of the points sooner, among them wrong ones.
        wrong_lips, wrong_lids: the same there.
        wrong_by: how far it is off then.
        loose: probability that a point has come off the skin. Increasing it brings points back sooner
            that were dragged along, and lets the network drag them along sooner.
        loose_by: how far it is off then.
        hidden: by how many anchors' variances the network's error grows as the face is covered: a network
            that sees half a face shifts the other half too. Increasing it follows the picture alone then.
    """

    slip: float = 0.01
    anchor: float = 1.4
    step: float = 0.2
    step_lips: float = 0.3
    step_lids: float = 0.13
    wrong: float = 1e-4
    wrong_lips: float = 0.01
    wrong_lids: float = 0.5
    wrong_by: float = 0.6
    loose: float = 5e-3
    loose_by: float = 1.5
    hidden: float = 5.0

    def __post_init__(self) -> None:
        lengths = self.anchor, self.step, self.step_lips, self.step_lids, self.wrong_by, self.loose_by
        shares = self.wrong, self.wrong_lips, self.wrong_lids, self.loose
        fits = min(lengths) > 0 and min(shares) > 0 and max(shares) < 1 and min(self.slip, self.hidden) >= 0
        if not fits:
            raise ConfigError("picture: lengths must be positive, and probabilities above 0 and below 1")


class Skin(NamedTuple):
    """Belief about where each landmark is; vectors and matrices as in `motion.matrices`.

    Args:
        points: image px.
        covariance: image px².
        coasted: whether the newest frame had no usable points, and the picture alone moved these.
        carried: how far the picture alone moved the points since the last frame that had any, if no frame
            between had unusable ones; image px.
        off: probability that the point came off the skin in the newest frame.
    """

    points: Float[np.ndarray, "2 *faces landmarks"]
    covariance: Float[np.ndarray, "3 *faces landmarks"]
    coasted: bool
    carried: Float[np.ndarray, "2 *faces landmarks"]
    off: Float[np.ndarray, "*faces landmarks"]


def _resting(points: Vectors, covariance: Symmetric, coasted: bool = False) -> Skin:
    """Skin to which nothing has been carried, and from which nothing has come off."""
    return Skin(points, covariance, coasted, np.zeros(points.shape), np.zeros(points.shape[1:]))


def begin_skin(model: PictureModel, points: PointBatch, noise: Each, unit: PerFace) -> Skin:
    """Begin at points that are as uncertain as the network's.

    Args:
        model: parameters.
        points: (…, landmarks, 2) image px.
        noise: each landmark's variance over the usual one.
        unit: px per percent of face size.
    """
    return _resting(coordinates(points), isotropic(noise * (model.anchor * unit) ** 2))


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

    Equation: the displacement d has a prior from the picture, N(m, E), or with probability ε, N(m, E + w²):
    skin that folds, as lids do, shows no displacement. The points' own step s = d + N(0, D) decides. The
    mean and the covariance of that mixture are taken for a Gaussian, and are added to the point's.
    Exact but for this; the step's error is taken to be independent of that of the points (it is not:
    both are the network's, so the step counts little).

    Args:
        model: parameters.
        skin: belief after the last frame.
        displacements: as measured in the picture; None where there is none, and the step is all.
        step: (2, …, landmarks) change of the points as filtered without a picture, px; None if not known.
        noise: each landmark's variance over the usual one.
        unit: px per percent of face size.
        frames: time since the last frame, in frames.
    """
    groups = _groups(model, skin.points.shape[-1])
    own = noise * (groups.step * unit) ** 2
    if displacements is None:
        moved = np.zeros(skin.points.shape) if step is None else step
        spread = isotropic(own)
    else:
        moved, spread = coordinates(displacements.displacement), pack(displacements.covariance)
        if step is not None:
            own = own * _hidden(model, displacements.valid)
            change, spread, _ = _mixture(spread, own, step - moved, groups.wrong, model.wrong_by * unit)
            moved = moved + change
    covariance = skin.covariance + spread
    covariance[::2] += frames * (model.slip * unit) ** 2
    return _resting(skin.points + moved, covariance, coasted=step is None)


def anchor_skin(
    model: PictureModel,
    skin: Skin,
    points: PointBatch,
    valid: Bool[np.ndarray, "*faces landmarks"] | None,
    noise: Each,
    unit: PerFace,
) -> Skin:
    """Condition on the network's points.

    Equation: z = x + N(0, R); with probability ε the point has come off the skin and its prior is wider.
    The mean and the covariance of the mixture are kept.

    Args:
        model: parameters.
        skin: belief before they are known.
        points: (…, landmarks, 2) z, image px.
        valid: of the displacements.
        noise: each landmark's variance over the usual one.
        unit: px per percent of face size.
    """
    error = noise * (model.anchor * unit) ** 2
    if valid is not None:
        error = error * _hidden(model, valid)
    surprise = coordinates(points) - skin.points
    change, covariance, off = _mixture(skin.covariance, error, surprise, model.loose, model.loose_by * unit)
    return _resting(skin.points + change, covariance)._replace(off=off)


def _mixture(
    prior: Symmetric, noise: Each, surprise: Vectors, share: Each | float, wider: PerFace
) -> tuple[Vectors, Symmetric, Each]:
    """Mean and covariance, given a measurement, of a zero-mean mixture of N(0, P) and N(0, P + w²).

    The third value is the wider component's weight.

    Equation: with G = (P + R)⁻¹, each component has the mean s - R·G·s, the covariance R - R²·G and the
    evidence -½(ln|P + R| + sᵀGs).

    Args:
        prior: P.
        noise: variance R of the measurement along both axes.
        surprise: s, the measurement.
        share: probability of the wider component.
        wider: w.
    """
    total = prior[:, None].repeat(2, axis=1)
    total[::2, 1] += wider**2
    total[::2] += noise
    precision = inverse(total)
    x, y = pull = apply(precision, surprise[:, None])
    misfit = surprise[0] * x + surprise[1] * y + np.log(determinant(total))
    odds = (1 - share) / share * np.exp(np.minimum((misfit[1] - misfit[0]) / 2, 50.0))
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
    """Each landmark's parameters; those of the jaw for all in another markup than that of 68."""
    step, wrong = np.full(count, model.step), np.full(count, model.wrong)
    if count == markup.COUNT:
        lids = [i for eye in ("right_eye", "left_eye") for side in markup.facing(eye) for i in side]
        lips = [*markup.GROUPS["outer_lips"], *markup.GROUPS["inner_lips"]]
        step[lips], wrong[lips] = model.step_lips, model.wrong_lips
        step[lids], wrong[lids] = model.step_lids, model.wrong_lids
    return _Groups(step, wrong)


def _hidden(model: PictureModel, valid: Bool[np.ndarray, "*faces landmarks"]) -> PerFace:
    seen = np.add.reduce(valid, axis=-1, keepdims=True, dtype=float)
    return 1 + model.hidden * (1 - seen / valid.shape[-1])
