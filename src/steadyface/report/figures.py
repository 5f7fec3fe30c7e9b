"""Tracks → all that their report shows of each face, as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from steadyface import markup, metrics
from steadyface.measures import Blink, eye_aspect_ratio, find_blinks, mouth_aspect_ratio
from steadyface.tracks import Tracks


@dataclass(frozen=True)
class FaceFigures:
    """One identity; what is (frames, …) has a row for each of its frames, in order of time.

    Args:
        face: the identity.
        tracks: the rows in which it is seen.
        held: those in which it is lost and its last shape is held.
    """

    face: int
    tracks: Tracks
    held: Tracks

    @cached_property
    def runs(self) -> list[Int[np.ndarray, "_"]]:
        """The rows of each stretch of frames that follow on each other."""
        return runs_of(self.tracks.frame)

    @cached_property
    def shaking_raw(self) -> Float[np.ndarray, "frames 68"]:
        """`metrics.shaking` of the raw points, %; NaN at both ends of each run."""
        return self._shaking(self.tracks.raw_points)

    @cached_property
    def shaking(self) -> Float[np.ndarray, "frames 68"]:
        """`metrics.shaking` of the stabilised points, %; NaN at both ends of each run."""
        return self._shaking(self.tracks.points)

    @cached_property
    def jitter_raw(self) -> float:
        return self.tracks.jitter("raw_points")

    @cached_property
    def jitter(self) -> float:
        return self.tracks.jitter("points")

    @cached_property
    def delay(self) -> float:
        return self.tracks.delay()

    @cached_property
    def scores(self) -> Float[np.ndarray, "frames"]:
        """Mean score of the 68 points."""
        return self.tracks.scores.mean(axis=1, dtype=float)

    @cached_property
    def eyes(self) -> Float[np.ndarray, "frames 2"]:
        """`measures.eye_aspect_ratio`, right and left."""
        points = self.tracks.points.astype(float)
        return np.stack([eye_aspect_ratio(points, eye) for eye in ("right_eye", "left_eye")], axis=-1)

    @cached_property
    def mouth(self) -> Float[np.ndarray, "frames"]:
        """`measures.mouth_aspect_ratio`."""
        return np.asarray(mouth_aspect_ratio(self.tracks.points.astype(float)))

    @cached_property
    def blinks(self) -> list[Blink]:
        openness, seconds = self.eyes.mean(axis=1), self.tracks.seconds
        return [blink for run in self.runs for blink in find_blinks(openness[run], seconds[run])]

    @cached_property
    def seconds(self) -> float:
        """How long the face is there, s."""
        frame = float(np.median(np.diff(self.tracks.seconds))) if len(self.tracks) > 1 else 0.0
        seconds = self.tracks.seconds
        return sum(float(seconds[run[-1]] - seconds[run[0]]) + frame for run in self.runs)

    def _shaking(self, points: Float[np.ndarray, "frames 68 2"]) -> Float[np.ndarray, "frames 68"]:
        shaking = np.full((len(points), markup.COUNT), np.nan)
        for run in self.runs:
            if len(run) >= 3:
                shaking[run[1:-1]] = metrics.shaking(points[run].astype(float))
        return shaking


def runs_of(frames: Int[np.ndarray, "rows"]) -> list[Int[np.ndarray, "_"]]:
    """The rows of each stretch of numbers that follow on each other; none of no rows.

    >>> runs_of(np.array([3, 4, 7]))
    [array([0, 1]), array([2])]
    """
    parts = np.split(np.arange(len(frames)), np.flatnonzero(np.diff(frames) != 1) + 1)
    return [part for part in parts if len(part)]


def figures_of(tracks: Tracks) -> list[FaceFigures]:
    """Every identity's figures, the one that is seen longest first."""
    seen, held = tracks.without_held(), tracks.held_only()
    faces = [FaceFigures(face, seen.of_face(face), held.of_face(face)) for face in seen.faces]
    return sorted(faces, key=lambda face: -len(face.tracks))


def frame_count(tracks: Tracks) -> int:
    """The clip's frames, as far as is known."""
    last = int(tracks.frame.max()) + 1 if len(tracks) else 0
    return max(int(tracks.meta.get("frames") or 0), last)


def by_landmark(shaking: Float[np.ndarray, "frames 68"]) -> Float[np.ndarray, "68"]:
    """Each landmark's jitter: the median of its shaking, %; NaN where there is none."""
    known = shaking[~np.isnan(shaking).any(axis=1)]
    return np.median(known, axis=0) if len(known) else np.full(markup.COUNT, np.nan)
