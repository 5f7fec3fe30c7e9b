"""Figures of each face in a report, computed from tracks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from steadyface import markup, metrics
from steadyface.arrays import FaceSequence
from steadyface.measures import Blink, eye_aspect_ratio, mouth_aspect_ratio
from steadyface.tracks import Tracks
from steadyface.tracks.schema import UNKNOWN
from steadyface.tracks.timeline import runs_of


@dataclass(frozen=True)
class FaceFigures:
    """Figures of one identity; arrays (frames, …) have a row for each of its frames, in order of time.

    Args:
        face: the identity.
        tracks: rows in which it is detected.
        held: rows in which it is lost and its last shape is held.
    """

    face: int
    tracks: Tracks
    held: Tracks

    @cached_property
    def name(self) -> str:
        """Name of the person, if people were given and it is one of them; else `face` and its number."""
        name = self.tracks.names.get(self.face, UNKNOWN)
        return f"face {self.face}" if name == UNKNOWN else name

    @cached_property
    def pose(self) -> Float[np.ndarray, "frames 3"]:
        """Rotation of the head about the axes x (nod), y (turn) and z (tilt), degrees; NaN where unknown."""
        return np.degrees(self.tracks.poses()[:, 3:])

    @cached_property
    def runs(self) -> list[Int[np.ndarray, "_"]]:
        """Rows of each run of successive frames."""
        return runs_of(self.tracks.frame)

    @cached_property
    def shaking_raw(self) -> Float[np.ndarray, "frames 68"]:
        """`metrics.shaking` of the raw points, %; NaN at both ends of each run and beside carried frames."""
        shaking, carried = self._shaking(self.tracks.raw_points), self.tracks.carried
        beside = carried | np.append(carried[1:], False) | np.append(False, carried[:-1])
        return np.where(beside[:, None], np.nan, shaking)

    @cached_property
    def shaking(self) -> Float[np.ndarray, "frames 68"]:
        """`metrics.shaking` of the stabilised points, %; NaN at both ends of each run."""
        return self._shaking(self.tracks.points)

    @cached_property
    def jitter_raw(self) -> float:
        """`metrics.jitter` of the raw points, %."""
        return self.tracks.jitter("raw_points")

    @cached_property
    def jitter(self) -> float:
        """`metrics.jitter` of the stabilised points in the same frames, %."""
        return self.tracks.without_carried().jitter("points")

    @cached_property
    def delay(self) -> float:
        """Lag of the stabilised points behind the raw ones, frames."""
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
        """`Tracks.blinks`."""
        return self.tracks.blinks().get(self.face, [])

    @cached_property
    def seconds(self) -> float:
        """Total length of the runs, s."""
        frame = float(np.median(np.diff(self.tracks.seconds))) if len(self.tracks) > 1 else 0.0
        seconds = self.tracks.seconds
        return sum(float(seconds[run[-1]] - seconds[run[0]]) + frame for run in self.runs)

    def _shaking(self, points: FaceSequence) -> Float[np.ndarray, "frames 68"]:
        shaking = np.full((len(points), markup.COUNT), np.nan)
        for run in self.runs:
            if len(run) >= 3:
                shaking[run[1:-1]] = metrics.shaking(points[run].astype(float))
        return shaking


def figures_of(tracks: Tracks) -> list[FaceFigures]:
    """Compute the figures of every identity, the one seen longest first."""
    seen, held = tracks.without_held(), tracks.held_only()
    faces = [FaceFigures(face, seen.of_face(face), held.of_face(face)) for face in seen.face_ids]
    return sorted(faces, key=lambda face: -len(face.tracks))


def frame_count(tracks: Tracks) -> int:
    """Number of the clip's frames, as far as it is known."""
    return max(int(tracks.meta.get("frames") or 0), len(tracks.timeline))


def last_frame(tracks: Tracks) -> int:
    """Number of the clip's last frame, as far as it is known; −1 without frames."""
    last = int(tracks.timeline.frame[-1]) if len(tracks.timeline) else -1
    return max(int(tracks.meta.get("frames") or 0) - 1, last)


def by_landmark(shaking: Float[np.ndarray, "frames 68"]) -> Float[np.ndarray, "68"]:
    """Jitter of each landmark: the median of its shaking, %; NaN without three successive frames."""
    known = shaking[~np.isnan(shaking).any(axis=1)]
    return np.median(known, axis=0) if len(known) else np.full(markup.COUNT, np.nan)
