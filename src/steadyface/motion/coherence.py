"""Displacements of a face's landmarks checked against each other; any number of faces at once.

A face is nearly rigid: most of what its landmarks do between two frames is a shift, a turn, a change of size,
the parallax of a turning head, a falling jaw and rising brows. An object in front of the face moves in
another way, however certain its own flow is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float

from steadyface import markup
from steadyface.geometry import face_size
from steadyface.motion.flow import Flow
from steadyface.motion.matrices import (
    apply,
    congruent,
    coordinates,
    entries_first,
    entries_inside,
    inverse,
    isotropic,
    outer,
    pack,
    points_of,
    squared_distance,
    squared_length,
    unpack,
)
from steadyface.motion.region import as_complex

FaceBatch = Float[np.ndarray, "*faces landmarks 2"]
FaceVectors = Float[np.ndarray, "2 *faces landmarks"]
FaceMatrices = Float[np.ndarray, "3 *faces landmarks"]
Each = Float[np.ndarray, "*faces landmarks"]
Whether = Bool[np.ndarray, "*faces landmarks"]
PerFace = Float[np.ndarray, "*faces 1"]

_FREEDOM = 4.0  # of Student's distribution of a landmark's deviation from the others
_ROUNDS = 2  # of reweighting
_AGREED = 0.9  # fraction of the landmarks that move as expected, from which on no other motion is looked for
_PAIRS = (
    *((0, 16), (2, 30), (4, 12), (8, 27), (36, 45), (39, 42), (17, 26), (48, 54), (31, 35), (33, 27)),
    *((1, 45), (15, 36), (5, 26), (11, 17), (8, 19), (8, 24), (0, 30), (16, 30), (3, 42), (13, 39)),
    *((36, 54), (45, 48), (6, 21), (10, 22)),
)
"""Landmarks far apart and all over the face; the motion of each pair gives a similarity to begin with."""

_FIRST, _SECOND = map(np.array, zip(*_PAIRS, strict=True))
_NOTHING = np.zeros(markup.COUNT)
_BROWS = np.isin(np.arange(markup.COUNT), [*markup.GROUPS["right_brow"], *markup.GROUPS["left_brow"]])
_PATTERNS = np.array([_NOTHING + 1, *[_NOTHING] * 5, markup.JAW_DROP, markup.NOSE_DEPTH, _BROWS])
"""Patterns of the common motion; `_patterns` fills those of zeros with powers of the position in the face."""

_BLOCKS = np.array([0, 1, 1, 2])  # of xx, xy and yy in a matrix of x and y


@dataclass(frozen=True)
class CoherenceConfig:
    """Model of how alike the landmarks of a face move; percent of face size between two frames.

    Args:
        own: standard deviation of a landmark's motion beyond the common one, for the jaw and nose.
            Increasing it lets landmarks move apart, but an object in front of the face takes them along.
        own_brows, own_lips, own_lids: the same there.
        limit: squared deviation, in variances, from which on a measurement counts as another object's.
            Increasing it keeps more measurements, but more of them from objects in front of the face.
        gate: distance from the motion of the network's points from which on a measurement counts as another
            object's. Increasing it takes more slow objects for skin.
        shift, linear, curved, jaw, nose, brows: standard deviations of the common motion beyond the expected
            one: of a shift; of patterns linear and quadratic in the position in the face (in face sizes); of
            `markup.JAW_DROP`; of `markup.NOSE_DEPTH`; and of the brows. Increasing one lets the common motion
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
    """Displacements of landmarks, each estimated from all measurements of its face.

    Args:
        displacement: image px.
        covariance: image px².
        agrees: whether the landmark's own measurement fits the others; if not, its displacement is estimated
            from the others alone.
    """

    displacement: FaceBatch
    covariance: Float[np.ndarray, "*faces landmarks 2 2"]
    agrees: Whether


def combine(
    points: FaceBatch,
    expected: FaceBatch,
    flow: Flow,
    config: CoherenceConfig | None = None,
    step: FaceBatch | None = None,
    trust: Each | None = None,
) -> Coherent:
    """Estimate each landmark's displacement from its own measurement and those of all others of its face.

    Equation: m_i = u_i + B_i·c + η_i + e_i with u_i the expected displacement, B_i·c the common motion, a
    linear combination of nine patterns in x and in y with a Gaussian prior, η_i ~ N(0, τ_i²) the landmark's
    own motion and e_i ~ N(0, E_i) the error of the measurement. The result is the posterior mean and
    covariance of u_i + B_i·c + η_i, with weights of Student's distribution on S_i = E_i + τ_i², and without
    a measurement whose deviation r has rᵀ(S_i + B_i·cov(c)·B_iᵀ)⁻¹r beyond the limit.
    Exact given the weights; these are iterated from the expected displacement or, if few landmarks agree
    with it, from the best of 26 similarities.
    Source: Lange, Little and Taylor 1989 (weights).

    Args:
        points: (…, 68, 2) landmarks in the first frame, image px.
        expected: (…, 68, 2) where they are expected in the second, image px.
        flow: as measured.
        config: None takes the defaults.
        step: (…, 68, 2) change of the network's points between the frames, image px; None if not known. A
            displacement far from both it and the expected one counts as another object's.
        trust: (…, 68) weight of each landmark in the common motion, 0 to 1; None weighs all alike.
    """
    config = config or _CONFIG
    size = np.asarray(face_size(points))[..., None]
    unit = size / 100
    own, prior = _own_variance(config) * unit**2, _prior_precision(config) / unit[..., None] ** 2
    expected_motion = expected - points
    beyond = coordinates(flow.displacement - expected_motion)  # all below is beyond the expected motion
    usable = flow.found & _near(beyond, expected_motion, step, config.gate * unit)
    total = pack(flow.covariance)
    total[::2] += own
    precision = inverse(total) * usable
    trusted = precision if trust is None else precision * trust
    spread = isotropic((config.curved * unit) ** 2)
    weights, agrees = _weights(beyond, total, precision, spread, config.limit)
    astray = np.count_nonzero(agrees, axis=-1) < _AGREED * agrees.shape[-1]
    if astray.any():
        trusts = np.ones(agrees.shape) if trust is None else trust
        start = _best_similarities(
            points[astray],
            beyond[:, astray],
            precision[:, astray],
            trusts[astray],
            config.shift * unit[astray],
        )
        weights[astray], agrees[astray] = _weights(
            beyond[:, astray] - start,
            total[:, astray],
            precision[:, astray],
            spread[:, astray],
            config.limit,
        )
    patterns = _patterns(points, size)
    for _ in range(_ROUNDS):
        common, spread = _fit(patterns, prior, beyond, trusted * weights)
        weights, agrees = _weights(beyond - common, total, precision, spread, config.limit)
    # The posterior of the landmark's own motion: mean own·W·(total)⁻¹·deviation, W the weights.
    gain = own * weights * precision
    displacement = expected_motion + points_of(common + apply(gain, beyond - common))
    remaining = -gain
    remaining[::2] += 1
    covariance = congruent(remaining, spread) + own * remaining
    return Coherent(displacement, unpack(covariance), agrees & usable)


def _near(beyond: FaceVectors, expected_motion: FaceBatch, step: FaceBatch | None, gate: PerFace) -> Whether:
    """Whether each displacement is near the expected one, or near the step of the network's point."""
    (x, y), squared_gate = beyond, gate**2
    near: Whether = x * x + y * y < squared_gate
    if step is None:
        return near
    x, y = beyond - coordinates(step - expected_motion)
    return near | (x * x + y * y < squared_gate)


def _weights(
    deviation: FaceVectors,
    total: FaceMatrices,
    precision: FaceMatrices,
    spread: Float[np.ndarray, "3 *faces _"],
    limit: float,
) -> tuple[Each, Whether]:
    """Weights of a two-dimensional Student distribution, at most 1, and whether each is within the limit.

    The limit allows for the common motion's own uncertainty: where no measurement agrees, that is large. A
    plain Student distribution would let the common motion bend until half a covered face fits.
    """
    agrees = squared_distance(deviation, total + spread) < limit
    student = (_FREEDOM + 2) / (_FREEDOM + squared_length(deviation, precision))
    return agrees * np.minimum(student, 1.0), agrees


def _best_similarities(
    points: Float[np.ndarray, "faces landmarks 2"],
    beyond: Float[np.ndarray, "2 faces landmarks"],
    precision: Float[np.ndarray, "3 faces landmarks"],
    trust: Float[np.ndarray, "faces landmarks"],
    usual_shift: Float[np.ndarray, "faces 1"],
) -> Float[np.ndarray, "2 faces landmarks"]:
    """Motion of the landmarks by the similarity that fits most of each face.

    Candidates are the similarities of `_PAIRS`, no motion, and the median shift. The misfit is twice the
    negative logarithm of Student's density, times trust, and of a Gaussian prior on the mean motion.
    """
    position, moved = as_complex(points), as_complex(points_of(beyond))
    first, second = position[:, _FIRST], position[:, _SECOND]
    turn = (moved[:, _FIRST] - moved[:, _SECOND]) / (first - second)
    shift = (moved[:, _FIRST] + moved[:, _SECOND] - turn * (first + second)) / 2
    middle = np.median(beyond, axis=-1)
    none = np.zeros((len(points), 1))
    turn = np.hstack([turn, none, none])
    shift = np.hstack([shift, none, middle[0, :, None] + 1j * middle[1, :, None]])
    fields = turn[..., None] * position[:, None] + shift[..., None]
    residual = moved[:, None] - fields
    squared = squared_length(np.array([residual.real, residual.imag]), precision[:, :, None])
    misfit = (_FREEDOM + 2) * (np.log1p(squared / _FREEDOM) @ trust[..., None])[..., 0]
    misfit += (np.abs(fields.mean(axis=-1)) / usual_shift) ** 2
    best = fields[np.arange(len(fields)), misfit.argmin(axis=-1)]
    return np.array([best.real, best.imag])


def _fit(
    patterns: Float[np.ndarray, "*faces patterns landmarks"],
    prior: Float[np.ndarray, "*faces 2*patterns 2*patterns"],
    beyond: FaceVectors,
    precision: FaceMatrices,
) -> tuple[FaceVectors, FaceMatrices]:
    """Common motion at each landmark, and its covariance, by weighted least squares."""
    faces, count = patterns.shape[:-2], patterns.shape[-2]
    weighted = entries_inside(precision)[..., None, :] * patterns[..., None, :, :]
    blocks = weighted.reshape(*faces, 3 * count, -1) @ patterns.mT
    blocks = blocks.reshape(*faces, 3, count, count).take(_BLOCKS, axis=-3)
    normal = blocks.reshape(*faces, 2, 2, count, count).swapaxes(-3, -2)
    normal = normal.reshape(*faces, 2 * count, 2 * count) + prior
    # One after the other takes less time than `np.linalg.inv` of all at once.
    matrices = normal.reshape(-1, 2 * count, 2 * count)
    inverses = np.array([cv2.invert(matrix, flags=cv2.DECOMP_CHOLESKY)[1] for matrix in matrices])
    covariance = inverses.reshape(normal.shape)
    moment = entries_inside(apply(precision, beyond)) @ patterns.mT
    common = (covariance @ moment.reshape(*faces, -1, 1)).reshape(*faces, 2, count) @ patterns
    blocks = np.concatenate([covariance[..., :count], covariance[..., count:, count:]], axis=-2)
    spread = (blocks @ patterns).reshape(*faces, 3, count, -1) * patterns[..., None, :, :]
    return entries_first(common), entries_first(np.add.reduce(spread, axis=-2))


def _patterns(points: FaceBatch, size: PerFace) -> Float[np.ndarray, "*faces 9 landmarks"]:
    """Return the displacement of each landmark per unit of each common motion."""
    position = coordinates(points)
    position = (position - np.add.reduce(position, axis=-1, keepdims=True) / points.shape[-2]) / size
    patterns = np.empty((*points.shape[:-2], *_PATTERNS.shape))
    patterns[:] = _PATTERNS
    patterns[..., 1:3, :] = entries_inside(position)
    patterns[..., 3:6, :] = entries_inside(outer(position))
    return patterns


@lru_cache(maxsize=8)
def _prior_precision(config: CoherenceConfig) -> Float[np.ndarray, "18 18"]:
    """Precision of the common motion's coefficients, those of x before those of y, at a face size of 100."""
    linear, curved = [config.linear] * 2, [config.curved] * 3
    deviations = [config.shift, *linear, *curved, config.jaw, config.nose, config.brows]
    return np.diag(np.tile(deviations, 2) ** -2.0)


@lru_cache(maxsize=8)
def _own_variance(config: CoherenceConfig) -> Float[np.ndarray, "68"]:
    """Variance of each landmark's own motion, at a face size of 100."""
    own = np.full(markup.COUNT, config.own)
    for groups, deviation in (
        (("right_brow", "left_brow"), config.own_brows),
        (("outer_lips", "inner_lips"), config.own_lips),
        (("right_eye", "left_eye"), config.own_lids),
    ):
        own[[landmark for group in groups for landmark in markup.GROUPS[group]]] = deviation
    return own**2
