"""Benchmark of known motion: stills made to turn, blink and talk, with exact truth for every frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from jaxtyping import Bool, Float
from scipy.signal import find_peaks

from steadyface import markup, metrics
from steadyface.arrays import FaceSequence
from steadyface.evaluation.predictions import Prediction
from steadyface.evaluation.results import Column, Headline, NrmseRow, Results, Scope, percent
from steadyface.evaluation.scenes import SceneBenchmark
from steadyface.evaluation.text import number
from steadyface.evaluation.trajectories import (
    RAW,
    STA,
    STA_MOTION,
    Method,
    MovingResults,
    excerpt,
    landmark_errors,
    mean_landmark_errors,
    trajectories,
)
from steadyface.fitting.sequences import with_constant_bias

STILLS = 24
"""Faces of HELEN test that are set in motion."""

RESTING_SPEED = 0.1
"""Speed below which a face rests, % of the inter-ocular distance a frame."""

_BLINK = 10  # frames to each side of the moment when the eyes are most closed
_LEAST_CLOSING = 0.35  # of the median openness: a smaller closing of the lids is no blink


@dataclass(frozen=True, kw_only=True)
class MotionRow(NrmseRow):
    """Figures of one method; errors and delays leave out each raw landmark's constant error in the clip.

    Args:
        method: decoder and stabiliser.
        stability_interocular_still: jitter over the frames in which the face rests.
        stability_interocular_moving: jitter over the others.
        delay_frames: lag behind the true motion.
        blink_depth: closing of the eyes in blinks over their true closing.
        blink_depth_of_raw: `blink_depth` over that of the raw points.
    """

    head: ClassVar[str] = "stabiliser"

    method: Method
    stability_interocular_still: Annotated[float, Column("still")]
    stability_interocular_moving: Annotated[float, Column("moving")]
    delay_frames: Annotated[float, Column("delay")]
    blink_depth: Annotated[float, Column("blinks", 2)]
    blink_depth_of_raw: Annotated[float, Column("of raw", 2)]

    @property
    def label(self) -> str:
        """The method's name."""
        return self.method.label


@dataclass(frozen=True, kw_only=True)
class MotionResults(MovingResults):
    """Results on known motion."""

    benchmark: MotionBenchmark
    rows: Sequence[MotionRow]

    def row(self, method: Method) -> MotionRow | None:
        """Row of a method."""
        return next((row for row in self.rows if row.method == method), None)

    def headlines(self) -> list[Headline]:
        """Jitter of a resting and of a moving face with the default stabiliser."""
        sta, raw = self.row(STA_MOTION) or self.row(STA), self.row(RAW)
        if sta is None or raw is None:
            return []
        jitters = (
            ("resting", sta.stability_interocular_still, raw.stability_interocular_still),
            ("moving", sta.stability_interocular_moving, raw.stability_interocular_moving),
        )
        rest = f"{number(sta.delay_frames, 2)} frames late; {self.amount}"
        return [
            Headline(
                f"Jitter of a {face} face, known motion", percent(ours, 3), f"raw {number(of, 3)}; {rest}"
            )
            for face, ours, of in jitters
        ]


@dataclass(frozen=True, kw_only=True)
class MotionBenchmark(SceneBenchmark):
    """The benchmark of known motion, in full HD."""

    results: ClassVar[type[Results]] = MotionResults

    def score(self, predictions: Iterable[tuple[str, Prediction]], scope: Scope) -> MotionResults:
        """Compute a row per method."""
        clips: dict[Method, list[ClipFigures]] = {}
        errors: dict[str, dict[str, float]] = {}
        by_landmark, path = [], None
        for name, prediction in predictions:
            outputs = dict(trajectories(prediction, scope.run))
            biased = with_constant_bias(prediction.truth, outputs[RAW])
            errors[name] = {}
            for method, points in outputs.items():
                clip = clip_figures(points, prediction.truth, biased)
                clips.setdefault(method, []).append(clip)
                errors[name][method.label] = clip.nrmse_interocular
            by_landmark.append(landmark_errors(prediction.truth, outputs))
            path = path or excerpt(name, prediction, outputs, markup.NOSE_TIP, markup.NOSE_TIP)
        raw_depth = _mean([depth for clip in clips[RAW] for depth in clip.blink_depths])
        return MotionResults(
            **vars(scope),
            benchmark=self,
            rows=[_row(method, parts, raw_depth) for method, parts in clips.items()],
            errors=errors,
            by_landmark=mean_landmark_errors(by_landmark),
            trajectory=path,
        )


MOTION = MotionBenchmark(
    name="known-motion", title=f"exactly known motion in full HD, {STILLS} HELEN test faces", stills=STILLS
)


@dataclass(frozen=True)
class ClipFigures:
    """Figures of one method on one clip.

    Args:
        nrmse_interocular: mean over the frames.
        jitter: error of each step, % of the inter-ocular distance.
        still: steps in which the face rests.
        delay_frames: lag.
        blink_depths: of each true blink, closing of the eyes over their true closing.
    """

    nrmse_interocular: float
    jitter: Float[np.ndarray, "steps"]
    still: Bool[np.ndarray, "steps"]
    delay_frames: float
    blink_depths: list[float]


def clip_figures(points: FaceSequence, truth: FaceSequence, biased: FaceSequence) -> ClipFigures:
    """Compare points with the truth, and with `biased`, which has the raw points' constant errors."""
    eyes = np.asarray(metrics.interocular(truth))
    jitter, speed = (
        100 * np.linalg.norm(np.diff(path, axis=0), axis=-1).mean(axis=-1) / eyes[1:]
        for path in (points - truth, truth)
    )
    return ClipFigures(
        float(np.mean(metrics.nrmse_interocular(points, biased))),
        jitter,
        speed < RESTING_SPEED,
        metrics.delay(points, biased, eyes),
        _blink_depths(points, truth),
    )


def _row(method: Method, clips: Sequence[ClipFigures], raw_depth: float) -> MotionRow:
    jitter = np.concatenate([clip.jitter for clip in clips])
    still = np.concatenate([clip.still for clip in clips])
    depth = _mean([depth for clip in clips for depth in clip.blink_depths])
    frames = len(jitter) + len(clips)
    return MotionRow(
        items=len(clips),
        found=frames,
        of=frames,
        nrmse_interocular=_mean([clip.nrmse_interocular for clip in clips]),
        method=method,
        stability_interocular_still=_mean(jitter[still]),
        stability_interocular_moving=_mean(jitter[~still]),
        delay_frames=_mean([clip.delay_frames for clip in clips]),
        blink_depth=depth,
        blink_depth_of_raw=depth / raw_depth if raw_depth else float("nan"),
    )


def _mean(values: Sequence[float] | Float[np.ndarray, "n"]) -> float:
    """Mean of the values that are not NaN; NaN if there are none."""
    return float(metrics.mean_known(np.array(values, float)))


def _blink_depths(points: FaceSequence, truth: FaceSequence) -> list[float]:
    """Closing of the eyes in the points over that in the truth, for each true blink."""
    true, shown = _openness(truth), _openness(points)
    blinks, _ = find_peaks(-true, prominence=_LEAST_CLOSING * np.median(true))
    around = [slice(max(middle - _BLINK, 0), middle + _BLINK + 1) for middle in blinks]
    return [float(np.ptp(shown[near]) / np.ptp(true[near])) for near in around]


def _openness(points: FaceSequence) -> Float[np.ndarray, "frames"]:
    """Distance of the lids over the inter-ocular distance, mean of both eyes."""
    gaps = []
    for eye in markup.EYES:
        upper, lower = markup.facing(eye)
        gaps.append(np.linalg.norm(points[:, upper] - points[:, lower], axis=-1))
    return np.concatenate(gaps, axis=1).mean(axis=1) / metrics.interocular(points)
