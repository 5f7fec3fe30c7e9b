"""Motion and stabilised points of the tracked faces of a frame, all faces at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from steadyface.arrays import FacePoints
from steadyface.picture import Picture
from steadyface.stabilizer import CausalFilter, lowered_where_hidden
from steadyface.tracking.parts import FaceFilter
from steadyface.tracking.skin import Followed, first_view, next_views
from steadyface.tracking.track import Match


def follow_faces(frame: Picture, matches: Sequence[Match]) -> list[Followed]:
    """View the faces, and compare with the views before; a face that was followed already stays as it is."""
    followed = [observation.followed for _, observation in matches]
    before = [
        (i, track.view, track.last, observation.points)
        for i, (track, observation) in enumerate(matches)
        if followed[i] is None and track.view is not None and track.last is not None
    ]
    if before:
        places, views, last, raw = zip(*before, strict=True)
        points = np.array([face.points for face in last])
        last_raw = np.array([face.raw_points for face in last])
        moved = next_views(frame, views, points, last_raw, np.array(raw))
        for i, each in zip(places, moved, strict=True):
            followed[i] = Followed(*each)
    return [
        each or Followed(first_view(frame, observation.points))
        for each, (_, observation) in zip(followed, matches, strict=True)
    ]


def steady_faces(
    stabilizer: FaceFilter, matches: Sequence[Match], followed: Sequence[Followed], seconds: float
) -> list[tuple[Any, FacePoints]]:
    """State of the stabiliser and stabilised points of each face after a frame.

    Several faces go through a `CausalFilter` at once, unless it has a `step` of its own.

    Args:
        stabilizer: any causal filter.
        matches: tracks before the frame, and observations in it.
        followed: displacements since the last frame.
        seconds: time of the frame.
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
    return list(map(stabilizer.step, states, points, elapsed, scores, motions))
