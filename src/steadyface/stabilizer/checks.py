"""Checks of a stabiliser's input, and scores lowered for it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from steadyface.arrays import PointBatch, PointSequence, Times
from steadyface.errors import ConfigError
from steadyface.shapes import as_numbers

_FARTHEST, _LONGEST = 1e10, 1e9  # px, s: no picture and no stream is as large, and nothing overflows below
_SHORTEST = 1e-6  # frames: less counts as none, since what is divided by it would overflow
_ROUNDING = 1e-4  # of a score, which the network computes in float32


def frames_of(dt: float | None, fps: float) -> float:
    """Time since the last frame, in frames at `fps`; 0 if negative, 1 for None.

    Raises:
        ConfigError: no number, a time that is not finite, or more than 1e9 s.
    """
    if dt is None:
        return 1.0
    try:
        dt = float(dt)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"seconds since the last frame must be a number, got {dt!r}") from error
    if not dt <= _LONGEST:
        raise ConfigError(f"seconds since the last frame must be at most {_LONGEST:g}, got {dt}")
    return dt * fps if dt * fps >= _SHORTEST else 0.0


def frames_between(
    points: PointSequence, seconds: Times | None, fps: float
) -> float | Float[np.ndarray, "frames"]:
    """Time from each frame's predecessor to it, in frames at `fps`; 0 where time runs backwards.

    Raises:
        ConfigError: points that are no sequence, another number of times, a time that is not finite, or more
            than 1e9 s between two.
    """
    shape = as_numbers(points, "points").shape
    if len(shape) != 3:
        raise ConfigError(f"points must be of shape (frames, landmarks, 2), got {shape}")
    if seconds is None:
        return 1.0
    seconds = as_numbers(seconds, "seconds").astype(float)
    if seconds.shape != shape[:1]:
        raise ConfigError(f"seconds must be of shape ({shape[0]},), one a frame, got {seconds.shape}")
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.diff(seconds, prepend=seconds[:1])
    if not (steps <= _LONGEST).all():
        raise ConfigError(f"seconds must be finite, and at most {_LONGEST:g} between two frames")
    frames = steps * fps
    return np.where(frames >= _SHORTEST, frames, 0.0)


def checked_points(points: PointBatch, scores: np.ndarray | None, landmarks: int | None = None) -> PointBatch:
    """Return points as floats.

    Args:
        points: (…, landmarks, 2) image px.
        scores: (…, landmarks), or None.
        landmarks: required number; None takes any number.

    Raises:
        ConfigError: another shape, points further out than any image is large, or scores outside [0, 1].
    """
    points = as_numbers(points, "points").astype(float, copy=False)
    shape = points.shape
    if len(shape) < 2 or shape[-1] != 2:
        wanted = "landmarks" if landmarks is None else landmarks
        raise ConfigError(f"points must be of shape (…, {wanted}, 2), got {shape}")
    if landmarks not in (None, shape[-2]):
        others = "usual filters, such as one-euro, take any number of landmarks"
        raise ConfigError(f"points must be of shape (…, {landmarks}, 2), got {shape}; {others}")
    if scores is not None and np.shape(scores) != shape[:-1]:
        raise ConfigError(f"scores must be of shape {shape[:-1]}, one a landmark, got {np.shape(scores)}")
    far = np.maximum.reduce(np.abs(points), axis=None, initial=0.0)
    if not far <= _FARTHEST and (np.abs(points[np.isfinite(points)]) > _FARTHEST).any():
        raise ConfigError(f"points must lie within {_FARTHEST:g} px of the image's corner")
    if scores is not None:
        low, high = np.minimum.reduce(scores, axis=None), np.maximum.reduce(scores, axis=None)
        if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
            raise ConfigError(f"scores must be from 0 to 1, got {low:g} to {high:g}")
    return points


def lowered_where_hidden(
    scores: Float[np.ndarray, "*batch landmarks"], visible: Float[np.ndarray, "*batch landmarks"]
) -> Float[np.ndarray, "*batch landmarks"]:
    """Lower the scores of landmarks that are more likely hidden than not, for a stabiliser.

    Equation: s·min(2v, 1), v the probability that the landmark is visible. The network guesses hidden
    landmarks, at times with a high score.

    Args:
        scores: in [0, 1].
        visible: in [0, 1]; NaN where unknown, which changes nothing.

    >>> lowered_where_hidden(np.full(3, 0.8), np.array([0.9, 0.25, np.nan]))
    array([0.8, 0.4, 0.8])
    """
    return scores * np.fmin(2 * visible, 1.0)
