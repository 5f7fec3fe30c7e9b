"""Motion and stabilised points of the tracked faces of a frame, all faces at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from steadyface.arrays import FacePoints
from steadyface.errors import ConfigError
from steadyface.picture import Picture
from steadyface.stabilizer import CausalFilter, lowered_where_hidden
from steadyface.tracking.parts import FaceFilter
from steadyface.tracking.skin import Followed, first_view, next_views
from steadyface.tracking.track import Match


def follow_faces(frame: Picture, matches: Sequence[Match]) -> list[Followed]:
    """Measure the motion of the matched faces since their last views.

    A face whose motion has been measured already keeps it; a new one gets its first view and no motion.

    Args:
        frame: the picture.
        matches: tracks before the frame, and observations in it.

    Returns:
        View and motion of each face, in the order of the matches.
    """
    followed = [observation.followed for _, observation in matches]
    unmeasured = [
        (i, track.view, track.last, observation.points)
        for i, (track, observation) in enumerate(matches)
        if followed[i] is None and track.view is not None and track.last is not None
    ]
    if unmeasured:
        indices, views, last, raw = zip(*unmeasured, strict=True)
        points = np.array([face.points for face in last])
        last_raw = np.array([face.raw_points for face in last])
        moved = next_views(frame, views, points, last_raw, np.array(raw))
        for i, each in zip(indices, moved, strict=True):
            followed[i] = Followed(*each)
    return [
        each or Followed(first_view(frame, observation.points))
        for each, (_, observation) in zip(followed, matches, strict=True)
    ]


def steady_faces(
    stabilizer: FaceFilter, matches: Sequence[Match], followed: Sequence[Followed], seconds: float
) -> list[tuple[Any, FacePoints]]:
    """Stabilise the points of the matched faces.

    Several faces go through a `CausalFilter` at once, unless it has a `step` of its own.

    Args:
        stabilizer: any causal filter.
        matches: tracks before the frame, and observations in it.
        followed: displacements since the last frame.
        seconds: time of the frame.

    Returns:
        The stabiliser's state and the stabilised points (68, 2), image px, of each face.

    Raises:
        ConfigError: a filter of the caller's own gives something else.
    """
    states = [track.stabilizer_state for track, _ in matches]
    points = [
        np.full_like(observation.points, np.nan) if observation.carried else observation.points
        for _, observation in matches
    ]
    elapsed = [
        None if state is None else seconds - track.last_seconds
        for state, (track, _) in zip(states, matches, strict=True)
    ]
    scores = [
        lowered_where_hidden(observation.landmarks.scores, observation.landmarks.visible)
        for _, observation in matches
    ]
    motions = [each.displacements for each in followed]
    if (
        len(matches) > 1
        and isinstance(stabilizer, CausalFilter)
        and type(stabilizer).step is CausalFilter.step
    ):
        return stabilizer.step_all(states, np.array(points), elapsed, np.array(scores), motions)
    return [
        _step(stabilizer, *arguments)
        for arguments in zip(states, points, elapsed, scores, motions, strict=True)
    ]


def _step(stabilizer: FaceFilter, state: Any, points: FacePoints, *rest: Any) -> tuple[Any, FacePoints]:
    """Filter one face.

    Raises:
        ConfigError: the filter, a caller's own, gives something else than a state and points.
    """
    found = stabilizer.step(state, points, *rest)
    if not isinstance(found, tuple) or len(found) != 2 or np.shape(found[1]) != points.shape:
        name = type(stabilizer).__name__
        raise ConfigError(f"{name}.step must return its state and points {points.shape}, as FaceFilter says")
    return found
