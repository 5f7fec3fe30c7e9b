"""Statistics of noise and motion in sequences with known truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize_scalar

from steadyface import markup
from steadyface.stabilizer.sta import doubt

_GROSS = 4.0  # standard deviations of a clip's errors at which larger ones are clipped
_ALIKE = 1e-3  # standard deviation of the logarithm of doubts below which scores tell nothing
_LEAST_SHARE = 1e-3  # of the mean variance, added to each variance so that the noise is never singular


@dataclass(frozen=True)
class Clips:
    """Clips of one length and one frame rate, in percent of each one's mean face size.

    Args:
        raw, truth: (frames, clips, landmarks, 2).
        scores: (frames, clips, landmarks).
        frames: time between two frames, in frames at the stabiliser's own rate.
    """

    raw: Float[np.ndarray, "frames clips landmarks 2"]
    truth: Float[np.ndarray, "frames clips landmarks 2"]
    scores: Float[np.ndarray, "frames clips landmarks"] | None
    frames: float


@dataclass(frozen=True)
class Statistics:
    """Statistics of sequences; lengths in percent of face size.

    Args:
        noise: (D, D) N, covariance of the network's errors that change from frame to frame.
        motion: (D, D) S, covariance of p(t) - p(t-1), each clip counting alike: as it is, with the lids of
            one eye at rest, and with those of the other.
        doubts: (landmarks,) geometric mean of each landmark's doubt, 1 - score; 1 where no scores are known.
        trust: κ of greatest likelihood, where a landmark's error variance grows as doubt^κ; 0 where scores do
            not differ.
    """

    noise: Float[np.ndarray, "D D"]
    motion: Float[np.ndarray, "D D"]
    doubts: Float[np.ndarray, "landmarks"]
    trust: float


def statistics(clips: list[Clips]) -> Statistics:
    """Measure the noise, the motion, and the relation of the noise to the scores.

    Noise is measured by the second differences of the errors, which constant errors do not change.
    """
    known = [_log_doubts(each.scores) for each in clips if each.scores is not None]
    usual = np.concatenate(known).mean(axis=(0, 1)) if known else np.zeros(clips[0].raw.shape[-2])
    errors, excesses, moves = [], [], []
    for each in clips:
        error = np.moveaxis(each.raw - each.truth, 1, 0)
        sharp = (error[:, 2:] - 2 * error[:, 1:-1] + error[:, :-2]) / np.sqrt(6)
        limit = _GROSS * sharp.std(axis=(1, 2, 3), keepdims=True)
        errors.append(np.clip(sharp, -limit, limit))
        moves.append(np.moveaxis(np.diff(each.truth, axis=0), 1, 0))
        excesses.append(
            np.zeros(sharp.shape[:-1]) if each.scores is None else _log_doubts(each.scores) - usual
        )
    error, excess = np.concatenate(errors), np.concatenate(excesses)
    trust = _trust(error, excess)
    whitened = error / np.exp(trust / 2 * excess)[..., None]
    noise = _shape_of(whitened)
    noise += _LEAST_SHARE * np.eye(len(noise))
    level = float(np.median(np.abs(error)) / 0.6745) ** 2
    moved = np.concatenate(moves)
    winks = [_with_resting_lids(moved, eye) for eye in markup.EYES if moved.shape[-2] == markup.COUNT]
    return Statistics(level * noise, _shape_of(np.concatenate([moved, *winks])), np.exp(usual), trust)


def _log_doubts(
    scores: Float[np.ndarray, "frames clips landmarks"],
) -> Float[np.ndarray, "clips inner landmarks"]:
    """Logarithm of the doubts in all frames but the first and the last, (clips, frames - 2, landmarks)."""
    return np.log(doubt(np.moveaxis(scores, 1, 0)[:, 1:-1]))


def _trust(error: np.ndarray, excess: np.ndarray) -> float:
    """κ of greatest Gaussian likelihood, a landmark's variance being its own constant times doubt^κ."""
    if excess.std() < _ALIKE:
        return 0.0
    squared = (error**2).sum(axis=-1)

    def unlikelihood(power: float) -> float:
        means = (squared * np.exp(-power * excess)).mean(axis=(0, 1))
        return float(np.log(means + 1e-12).mean() + power * excess.mean())

    return float(minimize_scalar(unlikelihood, bounds=(0.0, 2.0), method="bounded").x)


def _with_resting_lids(
    moves: Float[np.ndarray, "clips frames landmarks 2"], eye: str
) -> Float[np.ndarray, "clips frames landmarks 2"]:
    """The same motion, but the lids of one eye move only with its corners.

    In nearly all sequences both eyes blink at once; directions learnt from these alone would let a wink of
    one eye move the lids of the other.
    """
    resting = moves.copy()
    lids = [i for side in markup.facing(eye) for i in side]
    resting[:, :, lids] = moves[:, :, list(markup.corners(eye))].mean(axis=2, keepdims=True)
    return resting


def _shape_of(vectors: Float[np.ndarray, "clips frames landmarks 2"]) -> Float[np.ndarray, "D D"]:
    """Mean of the clips' covariances about zero, each scaled to trace D, which the result has too."""
    flat = vectors.reshape(*vectors.shape[:2], -1)
    covariances = flat.mT @ flat
    traces = np.trace(covariances, axis1=1, axis2=2)[:, None, None]
    mean = (covariances / np.maximum(traces, 1e-12)).sum(axis=0)
    return mean * len(mean) / np.trace(mean)
