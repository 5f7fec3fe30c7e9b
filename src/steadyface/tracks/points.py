"""Table of points that another program found."""

from __future__ import annotations

from typing import Any

import numpy as np

from steadyface.arguments import positive, shown
from steadyface.errors import ConfigError
from steadyface.markup import as_faces
from steadyface.shapes import as_numbers
from steadyface.tracks.schema import Table, as_columns
from steadyface.tracks.timeline import ClipTimeline


def table_of_points(
    points: np.ndarray,
    seconds: np.ndarray | None,
    scores: np.ndarray | None,
    fps: float,
    size: tuple[int, int] | None,
) -> Table:
    """Make a table of one face; arguments and errors as of `Tracks.of_points`."""
    points = as_faces(points).astype(float)
    if points.ndim != 3:
        raise ConfigError(f"points must be of shape (frames, 68, 2), got {points.shape}")
    rate, (width, height) = positive("fps", fps), (0, 0) if size is None else _checked_size(size)
    frame = np.arange(len(points))
    times = frame / rate if seconds is None else as_numbers(seconds, "seconds").astype(float)
    trust = np.ones(len(frame)) if scores is None else as_numbers(scores, "scores").astype(float)
    if times.shape != frame.shape or trust.shape not in (frame.shape, points.shape[:2]):
        shapes = f"{points.shape}, {times.shape} and {trust.shape}"
        raise ConfigError(f"points, seconds and scores must be of as many frames, got shapes {shapes}")
    if not (np.isfinite(times).all() and (np.diff(times) >= 0).all()):
        raise ConfigError("seconds must be finite and not run backwards")
    if not ((trust >= 0) & (trust <= 1)).all():
        raise ConfigError("scores must be from 0 to 1")
    trust = np.broadcast_to(trust if trust.ndim == 2 else trust[:, None], points.shape[:2])
    seen = np.isfinite(points).all(axis=-1).any(axis=-1)
    shown = points[seen]
    columns = as_columns(
        {
            **{"frame": frame[seen], "seconds": times[seen], "face": np.zeros(seen.sum())},
            **{"points": shown, "raw_points": shown, "scores": trust[seen]},
            "box": np.concatenate([np.nanmin(shown, axis=1), np.nanmax(shown, axis=1)], axis=1),
        }
    )
    sizes = np.tile((width, height), (len(frame), 1))
    timeline = ClipTimeline(frame, times, sizes, np.full(len(frame), ""))
    return Table(columns, timeline, timeline.describe())


def _checked_size(size: Any) -> tuple[int, int]:
    """Return width and height of the frames.

    Raises:
        ConfigError: not two whole numbers above 0.
    """
    sides = as_numbers(size, "size")
    if sides.shape != (2,) or not ((sides >= 1) & (sides % 1 == 0)).all():
        raise ConfigError(f"size must be width and height, whole px above 0, got {shown(size)}")
    return int(sides[0]), int(sides[1])
