"""Backward passes, from the last frame to the first, over what a filter believed after each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float

from steadyface.arrays import PointSequence
from steadyface.stabilizer.directions import Belief
from steadyface.stabilizer.picture import Skin

_BLOCK = 256  # frames whose gains are computed at once; only they keep all that the filter believed

T = TypeVar("T")


class _Passages(NamedTuple):
    """Ways from each of some frames to the next.

    Args:
        means: at each frame, two values of each direction or landmark.
        expected: predicted from it for the next frame.
        gains: J.
    """

    means: Float[np.ndarray, "frames 2 n"]
    expected: Float[np.ndarray, "frames 2 n"]
    gains: Float[np.ndarray, "frames 2 2 n"]


def smooth_directions(beliefs: Iterable[Belief], lag: int) -> Float[np.ndarray, "frames D"]:
    """Position along each direction at each of some successive frames, given up to `lag` later ones.

    Equation: x(t | t+n) = x(t) + J(t)(x(t+1 | t+n) - x⁻(t+1)), J(t) = C(t)Φᵀ·P(t+1)⁻¹, where x⁻ is the
    predicted mean and P the mixture's predicted covariance under the posterior weights.
    Source: Rauch, Tung and Striebel 1965; Kim 1994 for mixtures.
    """
    parts = []
    for block in _blocks(beliefs, overlap=1):
        parts.append(_along_directions(block))
        newest = block[-1].mean
    return _backward(parts, newest, lag)[:, 0]


def _along_directions(beliefs: list[Belief]) -> _Passages:
    mean, covariance, expected, mean_map, weights, priors = (
        np.stack([getattr(belief, name) for belief in beliefs])
        for name in ("mean", "covariance", "expected", "mean_map", "weights", "prior")
    )
    prior = (weights[:, None] * priors).sum(axis=2)
    (position, both, velocity) = np.moveaxis(covariance[:-1], 1, 0)
    h, kept = mean_map[1:, 0, 1], mean_map[1:, 1, 1]
    moved = np.array([[position + h * both, kept * both], [both + h * velocity, kept * velocity]])
    a, b, c = np.moveaxis(prior[1:], 1, 0)
    inverse = np.array([[c, -b], [-b, a]]) / (a * c - b * b)
    gains = np.einsum("ijtd,jktd->tikd", moved, inverse)
    return _Passages(mean[:-1], expected[1:], gains)


class SkinStep(NamedTuple):
    """Passage of the skin from a frame to the next.

    Args:
        before: belief after the last frame.
        moved: belief before the network's points of this frame were known.
        after: belief after this frame.
        looseness: standard deviation, px, by which a point that comes off the skin is off.
    """

    before: Skin
    moved: Skin
    after: Skin
    looseness: float


def smooth_skin(steps: Iterable[SkinStep], lag: int) -> PointSequence:
    """Points at each of some successive frames, given up to `lag` later ones; `steps` lead between them.

    Equation: x(t | t+n) = x(t) + J(t)(x(t+1 | t+n) - x⁻(t+1)), J(t) = C(t)·((1-ω)P⁻¹ + ω(P + w²)⁻¹), where x⁻
    and P are the predicted mean and covariance of frame t+1, ω the probability that the point came off the
    skin in it and w the looseness. So the displacement from t to t+1 serves both ways, but not over a frame
    in which a point came off.
    Source: Rauch, Tung and Striebel 1965; Kim 1994 for mixtures: J is the mean of the components' gains. That
    of the mixture's covariance would forget within a few frames, since w² is a thousand times P's growth.
    """
    parts = []
    for block in _blocks(steps):
        parts.append(_along_skin(block))
        newest = block[-1].after.points
    return _backward(parts, newest.T, lag).mT


def _along_skin(steps: list[SkinStep]) -> _Passages:
    means = np.stack([step.before.points for step in steps])
    expected = np.stack([step.moved.points for step in steps])
    before = np.stack([step.before.covariance for step in steps])
    prior = np.stack([step.moved.covariance for step in steps])
    looseness = np.array([step.looseness for step in steps])[:, None, None, None]
    off = np.stack([np.broadcast_to(step.after.off, means.shape[1]) for step in steps])[..., None, None]
    wider = prior + looseness**2 * np.eye(2)
    gains = before @ ((1 - off) * np.linalg.inv(prior) + off * np.linalg.inv(wider))
    return _Passages(means.mT, expected.mT, np.moveaxis(gains, 1, -1))


def _blocks(items: Iterable[T], overlap: int = 0) -> Iterator[list[T]]:
    """Lists of successive items; each begins with the last ones of that before."""
    items = iter(items)
    block = list(islice(items, _BLOCK))
    while block:
        yield block
        more = list(islice(items, _BLOCK))
        block = [*block[len(block) - overlap :], *more] if more else []


def _backward(
    parts: list[_Passages], newest: Float[np.ndarray, "2 n"], lag: int
) -> Float[np.ndarray, "frames 2 n"]:
    """Means of n pairs of values, given up to `lag` later frames; `newest` is the last frame's."""
    means, expected, gains = (np.concatenate(each) for each in zip(*parts, strict=True))
    means = np.concatenate([means, newest[None]])
    smoothed = means.copy()
    if lag < len(means) - 1:
        for _ in range(lag):
            smoothed[:-1] = means[:-1] + np.einsum("tijd,tjd->tid", gains, smoothed[1:] - expected)
        return smoothed
    for t in range(len(means) - 2, -1, -1):
        smoothed[t] += np.einsum("ijd,jd->id", gains[t], smoothed[t + 1] - expected[t])
    return smoothed
