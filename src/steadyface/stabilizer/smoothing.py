"""Backward passes over a filter's beliefs, from the last frame to the first.

A belief is large, so those of a long clip are never kept at once: `rewound` gives them in blocks, the last
block first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float

from steadyface.motion.matrices import unpack
from steadyface.stabilizer.directions import Belief
from steadyface.stabilizer.picture import Skin

BLOCK = 256  # frames whose beliefs are kept at once

Pairs = Float[np.ndarray, "frames 2 n"]
Pair = Float[np.ndarray, "2 n"]

S = TypeVar("S")
T = TypeVar("T")


def rewound(step: Callable[[S | None, int], S | None], count: int) -> Iterator[tuple[int, list[S | None]]]:
    """Run a filter to the end, and yield its states in blocks of `BLOCK` frames, the last block first.

    The run keeps one state of each block; the others are computed again when the block's turn comes.

    Args:
        step: (state after frame t - 1 or None at the start, t) → state after frame t.
        count: number of frames.

    Yields:
        Number of the block's first frame, and the states after each of its frames and after the first frame
        of the next block.
    """
    state: S | None = None
    before: list[S | None] = []
    for t in range(count):
        if t % BLOCK == 0:
            before.append(state)
        if t // BLOCK < (count - 1) // BLOCK:
            state = step(state, t)
    for start in range((len(before) - 1) * BLOCK, -1, -BLOCK):
        state, states = before.pop(), []
        for t in range(start, min(start + BLOCK + 1, count)):
            states.append(state := step(state, t))
        yield start, states


def windows(items: Iterable[T], ahead: int) -> Iterator[list[T]]:
    """Yield lists of `BLOCK` successive items and the next `ahead` ones, with which the next list begins."""
    items = iter(items)
    window = list(islice(items, BLOCK + ahead))
    while window:
        yield window
        window = [*window[BLOCK:], *islice(items, BLOCK)]


class Ahead(NamedTuple):
    """Smoothed means at a frame, from which the backward passes over the frames before it begin.

    None begins a pass from the filter's own belief after that frame.

    Args:
        skin: x and y of each landmark, px.
        directions: position, px, and velocity, px per frame, along each direction.
    """

    skin: Pair | None = None
    directions: Pair | None = None


NEWEST = Ahead()
"""Nothing later is known."""


class _Passages(NamedTuple):
    """Predictions from each frame to the next, with the gains of the way back.

    Args:
        means: at each frame, two values of each direction or landmark.
        expected: prediction for the next frame.
        gains: J of `smooth_directions` or `smooth_skin`.
    """

    means: Pairs
    expected: Pairs
    gains: Float[np.ndarray, "frames 2 2 n"]


def smooth_directions(beliefs: Sequence[Belief], lag: int | None, newest: Pair | None = None) -> Pairs:
    """Position and velocity along each direction at successive frames, given later ones.

    Equation: x(t | t+n) = x(t) + J(t)(x(t+1 | t+n) - x⁻(t+1)), J(t) = C(t)Φᵀ·P(t+1)⁻¹, where x⁻ is the
    predicted mean and P the mixture's predicted covariance under the posterior weights.
    Source: Rauch, Tung and Striebel 1965; Kim 1994 for mixtures.

    Args:
        beliefs: after each frame.
        lag: how many later frames each may depend on; None means all.
        newest: smoothed mean of the last frame, given frames after it; None takes the belief's own mean.
    """
    newest = beliefs[-1].mean if newest is None else newest
    if len(beliefs) == 1:
        return newest[None]
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
    return _backward(_Passages(mean[:-1], expected[1:], gains), newest, lag)


class SkinStep(NamedTuple):
    """Step of the skin from a frame to the next.

    Args:
        before: belief after the last frame.
        moved: belief moved on to this frame, before conditioning on the network's points.
        after: belief after this frame.
        looseness: standard deviation of a point's distance from the skin that it came off, px; (1,) where the
            face was filtered among others.
    """

    before: Skin
    moved: Skin
    after: Skin
    looseness: float | Float[np.ndarray, "*faces 1"]


def smooth_skin(steps: Sequence[SkinStep], lag: int | None, newest: Pair) -> Pairs:
    """Points, as rows of x and of y, at successive frames, given later ones.

    Equation: x(t | t+n) = x(t) + J(t)(x(t+1 | t+n) - x⁻(t+1)), J(t) = C(t)·((1-ω)P⁻¹ + ω(P + w²)⁻¹), where x⁻
    and P are the predicted mean and covariance of frame t+1, ω the probability that the point came off the
    skin in it and w the looseness. So the displacement from t to t+1 counts backwards too, except over a
    frame in which the point came off.
    Source: Rauch, Tung and Striebel 1965; Kim 1994 for mixtures: J is the mean of the components' gains. The
    gain of the mixture's covariance would forget within a few frames, since w² is a thousand times P's
    growth.

    Args:
        steps: from each frame to the next; empty for a single frame.
        lag: as for `smooth_directions`.
        newest: smoothed points of the last frame.
    """
    if not steps:
        return newest[None]
    means = np.stack([step.before.points for step in steps])
    expected = np.stack([step.moved.points for step in steps])
    before = unpack(np.stack([step.before.covariance for step in steps], axis=1))
    prior = unpack(np.stack([step.moved.covariance for step in steps], axis=1))
    looseness = np.concatenate([np.ravel(step.looseness) for step in steps])[:, None, None, None]
    off = np.stack([step.after.off for step in steps])[..., None, None]
    wider = prior + looseness**2 * np.eye(2)
    gains = before @ ((1 - off) * np.linalg.inv(prior) + off * np.linalg.inv(wider))
    return _backward(_Passages(means, expected, np.moveaxis(gains, 1, -1)), newest, lag)


def _backward(passages: _Passages, newest: Pair, lag: int | None) -> Pairs:
    """Smoothed means of n pairs of values at each frame, given `lag` later ones, from those of the last."""
    means, expected, gains = passages
    means = np.concatenate([means, newest[None]])
    smoothed = means.copy()
    if lag is not None and lag < len(means) - 1:
        for _ in range(lag):
            smoothed[:-1] = means[:-1] + np.einsum("tijd,tjd->tid", gains, smoothed[1:] - expected)
        return smoothed
    for t in range(len(means) - 2, -1, -1):
        smoothed[t] += np.einsum("ijd,jd->id", gains[t], smoothed[t + 1] - expected[t])
    return smoothed
