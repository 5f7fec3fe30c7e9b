"""Displacements of a face's landmarks held against each other; any number of faces at once.

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

    Equation: m_i = u_i + B_i·c + η_i + e_i with u what was expected, B_i·c the common motion, a linear
    combination of nine patterns in x and in y with a Gaussian prior, η_i ~ N(0, τ_i²) the landmark's own
    motion and e_i ~ N(0, E_i) the error of the measurement. The result is the posterior mean and covariance
    of u_i + B_i·c + η_i, with weights of Student's distribution on S_i = E_i + τ_i², and without a
    measurement whose deviation r has rᵀ(S_i + B_i·cov(c)·B_iᵀ)⁻¹r beyond the limit.
    Exact given the weights; the weights are a fixed point, begun at what was expected or, where few
    landmarks agree with that, at the best of 26 similarities.
    Source: Lange, Little and Taylor 1989 (weights).

    Args:
        points: (…, 68, 2) landmarks in the first frame, image px.
        expected: (…, 68, 2) where they are expected in the second, image px.
        flow: as measured.
        config: None takes the defaults.
        step: (…, 68, 2) change of the network's points between the frames, image px; None if not known. A
            displacement that is far from it and from what was expected is another thing's.
        trust: (…, 68) share of each landmark in the common motion, 0 to 1; None gives all the same.
    """
    config = config or _CONFIG
    size = np.asarray(face_size(points))[..., None]
    unit = size / 100
    own, prior = _own_variance(config) * unit**2, _prior_precision(config) / unit[..., None] ** 2
    away = expected - points
    beyond = coordinates(flow.displacement - away)
    usable = flow.found & _near(beyond, away, step, config.gate * unit)
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
    # The landmark's own motion, own·W(total)⁻¹·deviation, and what is not known of it.
    share = own * weights * precision
    displacement = away + points_of(common + apply(share, beyond - common))
    rest = -share
    rest[::2] += 1
    covariance = congruent(rest, spread) + own * rest
    return Coherent(displacement, unpack(covariance), agrees & usable)


def _near(beyond: FaceVectors, away: FaceBatch, step: FaceBatch | None, gate: PerFace) -> Whether:
    """Whether each displacement is near to what was expected of the face, or to the point's own step."""
    (x, y), square = beyond, gate**2
    near: Whether = x * x + y * y < square
    if step is None:
        return near
    x, y = beyond - coordinates(step - away)
    return near | (x * x + y * y < square)


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
    usual: Float[np.ndarray, "faces 1"],
) -> Float[np.ndarray, "2 faces landmarks"]:
    """The similarity that suits most landmarks of each face: none, one shift, or that of two landmarks."""
    place, moved = as_complex(points), as_complex(points_of(beyond))
    first, second = place[:, _FIRST], place[:, _SECOND]
    turn = (moved[:, _FIRST] - moved[:, _SECOND]) / (first - second)
    shift = (moved[:, _FIRST] + moved[:, _SECOND] - turn * (first + second)) / 2
    middle = np.median(beyond, axis=-1)
    none = np.zeros((len(points), 1))
    turn = np.hstack([turn, none, none])
    shift = np.hstack([shift, none, middle[0, :, None] + 1j * middle[1, :, None]])
    fields = turn[..., None] * place[:, None] + shift[..., None]
    left = moved[:, None] - fields
    squared = squared_length(np.array([left.real, left.imag]), precision[:, :, None])
    misfit = (_FREEDOM + 2) * (np.log1p(squared / _FREEDOM) @ trust[..., None])[..., 0]
    misfit += (np.abs(fields.mean(axis=-1)) / usual) ** 2
    best = fields[np.arange(len(fields)), misfit.argmin(axis=-1)]
    return np.array([best.real, best.imag])


def _fit(
    patterns: Float[np.ndarray, "*faces patterns landmarks"],
    prior: Float[np.ndarray, "*faces 2*patterns 2*patterns"],
    beyond: FaceVectors,
    precision: FaceMatrices,
) -> tuple[FaceVectors, FaceMatrices]:
    """The common motion at each landmark, and its covariance, by weighted least squares."""
    faces, count = patterns.shape[:-2], patterns.shape[-2]
    weighted = entries_inside(precision)[..., None, :] * patterns[..., None, :, :]
    blocks = weighted.reshape(*faces, 3 * count, -1) @ patterns.mT
    blocks = blocks.reshape(*faces, 3, count, count).take(_BLOCKS, axis=-3)
    normal = blocks.reshape(*faces, 2, 2, count, count).swapaxes(-3, -2)
    normal = normal.reshape(*faces, 2 * count, 2 * count) + prior
    # One after the other in less time than `np.linalg.inv` takes for all.
    each = normal.reshape(-1, 2 * count, 2 * count)
    inverses = np.array([cv2.invert(one, flags=cv2.DECOMP_CHOLESKY)[1] for one in each])
    covariance = inverses.reshape(normal.shape)
    moment = entries_inside(apply(precision, beyond)) @ patterns.mT
    common = (covariance @ moment.reshape(*faces, -1, 1)).reshape(*faces, 2, count) @ patterns
    blocks = np.concatenate([covariance[..., :count], covariance[..., count:, count:]], axis=-2)
    spread = (blocks @ patterns).reshape(*faces, 3, count, -1) * patterns[..., None, :, :]
    return entries_first(common), entries_first(np.add.reduce(spread, axis=-2))


def _patterns(points: FaceBatch, size: PerFace) -> Float[np.ndarray, "*faces 9 landmarks"]:
    """Return the displacement of each landmark per unit of each common motion."""
    place = coordinates(points)
    place = (place - np.add.reduce(place, axis=-1, keepdims=True) / points.shape[-2]) / size
    patterns = np.empty((*points.shape[:-2], *_PATTERNS.shape))
    patterns[:] = _PATTERNS
    patterns[..., 1:3, :], patterns[..., 3:6, :] = entries_inside(place), entries_inside(outer(place))
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
