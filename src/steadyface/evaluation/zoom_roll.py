"""Benchmark of zoom and roll: large turns and changes of size, with exactly known motion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from jaxtyping import Float

from steadyface import metrics
from steadyface.evaluation.predictions import Prediction
from steadyface.evaluation.results import Column, Headline, NrmseRow, Results, Scope, percent
from steadyface.evaluation.scenes import SceneBenchmark
from steadyface.evaluation.text import number
from steadyface.evaluation.trajectories import RAW, STA, STA_MOTION, Method, trajectories
from steadyface.fitting.sequences import with_constant_bias

ROLL, ZOOM = 25.0, 0.35
"""Largest roll to each side, degrees, and largest change of size."""

_STILLS = 4


@dataclass(frozen=True, kw_only=True)
class ZoomRollRow(NrmseRow):
    """Figures of one method; distances leave out each raw landmark's constant error in the clip.

    Args:
        method: decoder and stabiliser.
        rms: root mean square distance of a landmark over all frames, mean over the landmarks.
        rms_worst: the same, of the landmark that is furthest off.
        rms_of_raw: largest ratio, over the landmarks, of the rms distance to the raw one; up to 1, no
            landmark is further off its path than the raw one.
        stability_interocular: jitter.
        delay_frames: lag behind the true motion.
    """

    head: ClassVar[str] = "stabiliser"

    method: Method
    rms: Annotated[float, Column("rms")]
    rms_worst: Annotated[float, Column("worst landmark")]
    rms_of_raw: Annotated[float, Column("at most of raw", 2)]
    stability_interocular: Annotated[float, Column("stability")]
    delay_frames: Annotated[float, Column("delay")]

    @property
    def label(self) -> str:
        """The method's name."""
        return self.method.label


@dataclass(frozen=True, kw_only=True)
class ZoomRollResults(Results):
    """Results on zoom and roll."""

    benchmark: ZoomRollBenchmark
    rows: Sequence[ZoomRollRow]

    def row(self, method: Method) -> ZoomRollRow | None:
        """Row of a method."""
        return next((row for row in self.rows if row.method == method), None)

    def headlines(self) -> list[Headline]:
        """Distance of the worst landmark from its path by the default stabiliser."""
        sta, raw = self.row(STA_MOTION) or self.row(STA), self.row(RAW)
        if sta is None or raw is None:
            return []
        text = f"raw {number(raw.rms_worst, 2)}; {self.amount}"
        return [Headline("Worst landmark under zoom and roll", percent(sta.rms_worst, 2), text)]


@dataclass(frozen=True, kw_only=True)
class ZoomRollBenchmark(SceneBenchmark):
    """The benchmark of zoom and roll."""

    results: ClassVar[type[Results]] = ZoomRollResults

    def score(self, predictions: Iterable[tuple[str, Prediction]], scope: Scope) -> ZoomRollResults:
        """Compute a row per method."""
        clips: dict[Method, list[_Clip]] = {}
        errors: dict[str, dict[str, float]] = {}
        for name, prediction in predictions:
            truth = prediction.truth
            outputs = dict(trajectories(prediction, scope.run))
            biased, eyes = with_constant_bias(truth, outputs[RAW]), np.asarray(metrics.interocular(truth))
            errors[name] = {}
            for method, points in outputs.items():
                clip = _Clip(
                    distance=100 * np.linalg.norm(points - biased, axis=-1) / eyes[:, None],
                    stability=metrics.stability(points, truth, eyes),
                    delay=metrics.delay(points, biased, eyes),
                )
                clips.setdefault(method, []).append(clip)
                errors[name][method.label] = float(clip.distance.mean())
        raw = _rms(clips[RAW])
        return ZoomRollResults(
            **vars(scope),
            benchmark=self,
            rows=[_row(method, parts, raw) for method, parts in clips.items()],
            errors=errors,
        )


ZOOM_ROLL = ZoomRollBenchmark(
    name="zoom-roll",
    title=f"roll up to {ROLL:.0f}° and zoom up to {100 * ZOOM:.0f} %, full HD, {_STILLS} HELEN test faces",
    stills=_STILLS,
    changes={"roll": ROLL, "zoom": ZOOM},
)


@dataclass(frozen=True)
class _Clip:
    """Figures of one method on one clip.

    Args:
        distance: of each landmark in each frame, % of the inter-ocular distance.
        stability: jitter.
        delay: frames.
    """

    distance: Float[np.ndarray, "frames 68"]
    stability: float
    delay: float


def _rms(clips: Sequence[_Clip]) -> Float[np.ndarray, "68"]:
    """Root mean square distance of each landmark over all frames."""
    return np.asarray(np.sqrt((np.concatenate([clip.distance for clip in clips]) ** 2).mean(axis=0)))


def _row(method: Method, clips: Sequence[_Clip], raw: Float[np.ndarray, "68"]) -> ZoomRollRow:
    rms, frames = _rms(clips), sum(len(clip.distance) for clip in clips)
    ratios = rms[raw > 0] / raw[raw > 0]
    return ZoomRollRow(
        items=len(clips),
        found=frames,
        of=frames,
        nrmse_interocular=float(np.mean([clip.distance.mean() for clip in clips])),
        method=method,
        rms=float(rms.mean()),
        rms_worst=float(rms.max()),
        rms_of_raw=float(ratios.max()) if len(ratios) else float("nan"),
        stability_interocular=float(metrics.mean_known(np.array([clip.stability for clip in clips]))),
        delay_frames=float(metrics.mean_known(np.array([clip.delay for clip in clips]))),
    )
