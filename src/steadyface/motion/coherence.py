"""Displacements of one face's landmarks held against each other.

A face is nearly rigid: most of what its landmarks do between two frames is a shift, a turn, a change of size,
the parallax of a turning head, a falling jaw and rising brows. What passes before the face moves otherwise,
however certain its own flow is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float

from steadyface import markup
from steadyface.arrays import Points
from steadyface.geometry import face_size
from steadyface.motion.flow import Flow
from steadyface.motion.matrices import (
    IDENTITY,
    Symmetric,
    Vectors,
    apply,
    congruent,
    inverse,
    outer,
    pack,
    squared_length,
    unpack,
)

Covariances = Float[np.ndarray, "landmarks 2 2"]

_FREEDOM = 4.0  # of Student's distribution of a landmark's deviation from the others
_ROUNDS = 2  # of reweighting
_AGREED = 0.9  # share of the landmarks that move as expected, from which on no other motion is looked for
_FIRST, _SECOND = (
    np.array(part)
    for part in zip(
        *((0, 16), (2, 30), (4, 12), (8, 27), (36, 45), (39, 42), (17, 26), (48, 54), (31, 35), (33, 27)),
        *((1, 45), (15, 36), (5, 26), (11, 17), (8, 19), (8, 24), (0, 30), (16, 30), (3, 42), (13, 39)),
        *((36, 54), (45, 48), (6, 21), (10, 22)),
        strict=True,
    )
)  # pairs of landmarks, far apart and all over the face, each of which gives a similarity to begin with


_NOTHING = np.zeros(markup.COUNT)
_BROWS = np.isin(np.arange(markup.COUNT), [*markup.GROUPS["right_brow"], *markup.GROUPS["left_brow"]])
_PATTERNS = np.array(
    [_NOTHING + 1, *[_NOTHING] * 5, markup.JAW_DROP, markup.NOSE_DEPTH, _BROWS]
)  # of the common motion; where there is nothing, the place in the face is to be filled in
_BLOCKS = np.array([0, 1, 1, 2])  # of xx, xy and yy in a matrix of x and y


@dataclass(frozen=True)
class CoherenceConfig:
    """Model of how alike the landmarks of a face move; percent of face size between two frames.

    Args:
        own: standard deviation of a landmark's motion beyond the common one, for the jaw and nose.
            Increasing it lets landmarks go their own way, but what passes before the face takes them along.
        own_brows, own_lips, own_lids: the same there.
        limit: squared deviation, in variances, from which on a measurement is another thing's.
        gate: distance from what the network's points say from which on a measurement is another thing's.
            Increasing it lets slower things pass for skin.
        shift, linear, curved, jaw, nose, brows: standard deviations of the common motion, beyond what was
            expected: whole, linear and quadratic in the place in the face (in face sizes), and by
            `markup.JAW_DROP`, by `markup.NOSE_DEPTH` and of the brows. Increasing one lets the common motion
            bend to fit an occluder.
    """

    own: float = 0.06
    own_brows: float = 0.12
    own_lips: float = 0.12
    own_lids: float = 0.4
    limit: float = 14.0
    gate: float = 3.0
    shift: float = 1.5
    linear: float = 1.0
    curved: float = 0.4
    jaw: float = 1.0
    nose: float = 0.15
    brows: float = 0.4


_CONFIG = CoherenceConfig()


class Coherent(NamedTuple):
    """Displacements in the light of each other.

    Args:
        displacement: image px.
        covariance: image px².
        agrees: whether the landmark's own measurement fits to the others; if not, it has no part in its
            displacement.
    """

    displacement: Points
    covariance: Covariances
    agrees: Bool[np.ndarray, "landmarks"]


def combine(
    points: Points,
    expected: Points,
    flow: Flow,
    config: CoherenceConfig | None = None,
    step: Points | None = None,
    trust: Float[np.ndarray, "landmarks"] | None = None,
) -> Coherent:
    """Estimate each landmark's displacement from its own measurement and those of all the others.

    Equation: m_i = u_i + B_i·c + η_i + e_i with u what was expected, B_i·c the common motion, a linear
    combination of nine patterns in x and in y with a Gaussian prior, η_i ~ N(0, τ_i²) the landmark's own
    motion and e_i ~ N(0, E_i) the error of the measurement. The result is the posterior mean and covariance
    of u_i + B_i·c + η_i, with weights of Student's distribution on S_i = E_i + τ_i², and without a
    measurement whose deviation r has rᵀ(S_i + B_i·cov(c)·B_iᵀ)⁻¹r beyond the limit.
    Exact given the weights; the weights are a fixed point, begun at what was expected or, where few
    landmarks agree with that, at the best of 26 similarities.
    Source: Lange, Little and Taylor 1989 (weights).

    Args:
        points: (68, 2) landmarks in the first frame, image px.
        expected: (68, 2) where they are expected in the second, image px.
        flow: as measured.
        config: None takes the defaults.
        step: (68, 2) change of the network's points between the frames, image px; None if not known. A
            displacement that is far from it and from what was expected is another thing's.
        trust: (68,) share of each landmark in the common motion, 0 to 1; None gives all the same.
    """
    config = config or _CONFIG
    size = float(face_size(points))
    unit = size / 100
    own, prior = _own_variance(config) * unit**2, _prior_precision(config) / unit**2
    away = expected - points
    beyond = (flow.displacement - away).T
    usable = flow.found & _near(beyond, away, step, config.gate * unit)
    total = pack(flow.covariance)
    total[::2] += own
    precision = inverse(total) * usable
    trusted = precision if trust is None else precision * trust
    spread = (config.curved * unit) ** 2 * IDENTITY
    weights, agrees = _weights(beyond, total, precision, spread, config.limit)
    if np.count_nonzero(agrees) < _AGREED * len(agrees):
        start = _best_similarity(points, beyond, precision, trust, config.shift * unit)
        weights, agrees = _weights(beyond - start, total, precision, spread, config.limit)
    patterns = _patterns(points, size)
    for _ in range(_ROUNDS):
        common, spread = _fit(patterns, prior, beyond, trusted * weights)
        weights, agrees = _weights(beyond - common, total, precision, spread, config.limit)
    # The landmark's own motion, own·W(total)⁻¹·deviation, and what is not known of it.
    share = own * weights * precision
    displacement = away + (common + apply(share, beyond - common)).T
    rest = IDENTITY - share
    covariance = congruent(rest, spread) + own * rest
    return Coherent(displacement, unpack(covariance), agrees & usable)


def _near(beyond: Vectors, away: Points, step: Points | None, gate: float) -> Bool[np.ndarray, "landmarks"]:
    """Whether each displacement is near to what was expected of the face, or to the point's own step."""
    near: Bool[np.ndarray, "landmarks"] = np.add.reduce(beyond * beyond) < gate**2
    if step is None:
        return near
    beside = beyond - (step - away).T
    return near | (np.add.reduce(beside * beside) < gate**2)


def _weights(
    deviation: Vectors,
    total: Symmetric,
    precision: Symmetric,
    spread: Float[np.ndarray, "3 *#batch"],
    limit: float,
) -> tuple[Float[np.ndarray, "landmarks"], Bool[np.ndarray, "landmarks"]]:
    """Weights of a two-dimensional Student distribution, at most 1, and whether each is within the limit.

    The limit allows for the common motion's own uncertainty: where no measurement agrees, that is large. A
    plain Student distribution would let the common motion bend until half a covered face fits.
    """
    agrees = squared_length(deviation, inverse(total + spread)) < limit
    student = (_FREEDOM + 2) / (_FREEDOM + squared_length(deviation, precision))
    return agrees * np.minimum(student, 1.0), agrees


def _best_similarity(
    points: Points,
    beyond: Vectors,
    precision: Symmetric,
    trust: Float[np.ndarray, "landmarks"] | None,
    usual: float,
) -> Vectors:
    """The similarity that suits most landmarks: none, one shift, or that of two landmarks."""
    place, moved = points[:, 0] + 1j * points[:, 1], beyond[0] + 1j * beyond[1]
    turn = (moved[_FIRST] - moved[_SECOND]) / (place[_FIRST] - place[_SECOND])
    shift = (moved[_FIRST] + moved[_SECOND] - turn * (place[_FIRST] + place[_SECOND])) / 2
    middle = complex(np.median(beyond[0]), np.median(beyond[1]))
    turn, shift = np.array([*turn, 0, 0]), np.array([*shift, 0, middle])
    fields = turn[:, None] * place + shift[:, None]
    left = moved - fields
    squared = squared_length(np.array([left.real, left.imag]), precision[:, None])
    misfit = np.log1p(squared / _FREEDOM)
    misfit = (_FREEDOM + 2) * (misfit.sum(axis=-1) if trust is None else misfit @ trust)
    misfit += (np.abs(fields.mean(axis=-1)) / usual) ** 2
    best = fields[misfit.argmin()]
    return np.array([best.real, best.imag])


def _fit(
    patterns: Float[np.ndarray, "patterns landmarks"],
    prior: Float[np.ndarray, "2*patterns 2*patterns"],
    beyond: Vectors,
    precision: Symmetric,
) -> tuple[Vectors, Symmetric]:
    """The common motion at each landmark, and its covariance, by weighted least squares."""
    count = len(patterns)
    weighted = (patterns * precision[:, None]).reshape(3 * count, -1)
    blocks = (weighted @ patterns.T).reshape(3, count, count).take(_BLOCKS, axis=0)
    normal = blocks.reshape(2, 2, count, count).swapaxes(1, 2).reshape(2 * count, 2 * count) + prior
    covariance = cv2.invert(normal, flags=cv2.DECOMP_CHOLESKY)[1]  # in half the time of `np.linalg.inv`
    moment = (apply(precision, beyond) @ patterns.T).ravel()
    common = (covariance @ moment).reshape(2, count) @ patterns
    blocks = np.concatenate([covariance[:, :count], covariance[count:, count:]])
    return common, np.add.reduce((blocks @ patterns).reshape(3, count, -1) * patterns, axis=1)


def _patterns(points: Points, size: float) -> Float[np.ndarray, "9 landmarks"]:
    """Return the displacement of each landmark per unit of each common motion."""
    patterns = _PATTERNS.copy()
    patterns[1:3] = ((points - np.add.reduce(points) / len(points)) / size).T
    patterns[3:6] = outer(patterns[1:3])
    return patterns


@lru_cache(maxsize=8)
def _prior_precision(config: CoherenceConfig) -> Float[np.ndarray, "18 18"]:
    """Of the common motion, at a face size of 100."""
    one, curved = [config.shift, config.linear, config.linear], [config.curved] * 3
    return np.diag(np.tile([*one, *curved, config.jaw, config.nose, config.brows], 2) ** -2.0)


@lru_cache(maxsize=8)
def _own_variance(config: CoherenceConfig) -> Float[np.ndarray, "68"]:
    own = np.full(markup.COUNT, config.own)
    for groups, deviation in (
        (("right_brow", "left_brow"), config.own_brows),
        (("outer_lips", "inner_lips"), config.own_lips),
        (("right_eye", "left_eye"), config.own_lids),
    ):
        own[[landmark for group in groups for landmark in markup.GROUPS[group]]] = deviation
    return own**2
