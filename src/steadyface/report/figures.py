"""Tracks → all that their report shows of each face, as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from steadyface import markup, metrics
from steadyface.blinks import Blink, find_blinks
from steadyface.measures import eye_aspect_ratio, mouth_aspect_ratio
from steadyface.tracks import Tracks

_WEIGHTS = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16  # a path's own past and future alike: no delay


@dataclass(frozen=True)
class FaceFigures:
    """One identity; what is (frames, …) has a row for each of its frames, in order of time.

    Args:
        face: the identity.
        tracks: its rows.
    """

    face: int
    tracks: Tracks

    @cached_property
    def runs(self) -> list[Int[np.ndarray, "run"]]:
        """The rows of each stretch of frames that follow on each other."""
        return np.split(np.arange(len(self.tracks)), np.flatnonzero(np.diff(self.tracks.frame) != 1) + 1)

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
        """By how many frames the stabilised points lag behind the raw path where the face moves.

        The raw path's own noise would look like a lag of what follows it less; so the path is first smoothed
        over five frames, past and future alike. NaN where the face never moves.
        """
        pairs = [self._smoothed(run) for run in self.runs if len(run) >= len(_WEIGHTS)]
        if not pairs:
            return float("nan")
        points, path = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        still = np.asarray(metrics.interocular(path))
        moved = np.linalg.norm(np.diff(path, axis=0), axis=-1).mean(axis=-1)
        if not (moved > 0.002 * still[1:]).any():
            return float("nan")
        return metrics.delay(points, path, still)

    @cached_property
    def scores(self) -> Float[np.ndarray, "frames"]:
        """Mean score of the 68 points."""
        return self.tracks.scores.mean(axis=1, dtype=float)

    @cached_property
    def eyes(self) -> Float[np.ndarray, "frames 2"]:
        """`measures.eye_aspect_ratio`, right and left."""
        return eye_aspect_ratio(self.tracks.points.astype(float))

    @cached_property
    def mouth(self) -> Float[np.ndarray, "frames"]:
        """`measures.mouth_aspect_ratio`."""
        return mouth_aspect_ratio(self.tracks.points.astype(float))

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

    def _smoothed(
        self, run: Int[np.ndarray, "run"]
    ) -> tuple[Float[np.ndarray, "rows 68 2"], Float[np.ndarray, "rows 68 2"]]:
        """A run's stabilised points and its smoothed raw path, ending in a row of NaN that parts it."""
        raw, reach = self.tracks.raw_points[run].astype(float), len(_WEIGHTS) // 2
        count = len(run) - 2 * reach
        path = sum(weight * raw[k : k + count] for k, weight in enumerate(_WEIGHTS))
        gap = np.full((1, markup.COUNT, 2), np.nan)
        points = self.tracks.points[run[reach : reach + count]].astype(float)
        return np.concatenate([points, gap]), np.concatenate([path, gap])


def figures_of(tracks: Tracks) -> list[FaceFigures]:
    """Every identity's figures, the one that is there longest first."""
    counts = {face: int((tracks.face == face).sum()) for face in tracks.faces}
    return [FaceFigures(face, tracks.of_face(face)) for face in sorted(counts, key=lambda f: -counts[f])]


def by_landmark(shaking: Float[np.ndarray, "frames 68"]) -> Float[np.ndarray, "68"]:
    """Each landmark's jitter: the median of its shaking, %; NaN where there is none."""
    known = shaking[~np.isnan(shaking).any(axis=1)]
    return np.median(known, axis=0) if len(known) else np.full(markup.COUNT, np.nan)
