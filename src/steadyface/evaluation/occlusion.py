"""Benchmark of occlusion: an object crosses a face whose motion is known exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from steadyface import metrics
from steadyface.arrays import FaceSequence
from steadyface.evaluation.predictions import Prediction
from steadyface.evaluation.results import Column, Headline, NrmseRow, Results, Scope, percent
from steadyface.evaluation.scenes import SceneBenchmark
from steadyface.evaluation.text import number
from steadyface.evaluation.trajectories import RAW, STA, STA_MOTION, Method, trajectories
from steadyface.fitting.sequences import with_constant_bias
from steadyface.synthetic.occluder import OccluderKind

RECOVERY = 5
"""Frames after the crossing that are left out before points count as recovered."""

_QUANTILE = 0.99
_STILLS = 4


@dataclass(frozen=True, kw_only=True)
class OcclusionRow(NrmseRow):
    """Figures of one method on one kind of object: distances from the true positions.

    The positions are the true ones plus each raw landmark's constant error, measured over the frames before
    the crossing and from `RECOVERY` frames after it. The crossing lasts from the first to the last frame in
    which a landmark is covered. Quantiles are over all frames, landmarks and clips.

    Args:
        occluder: kind of object.
        method: decoder and stabiliser.
        uncovered, uncovered_q99: mean and 99 % quantile for uncovered landmarks during the crossing.
        covered, covered_q99: for covered landmarks.
        after, after_q99: for all landmarks from `RECOVERY` frames after the crossing.
    """

    head: ClassVar[str] = "stabiliser"

    occluder: OccluderKind
    method: Method
    uncovered: Annotated[float, Column("uncovered", 2)]
    uncovered_q99: Annotated[float, Column("its 99 %", 2)]
    covered: Annotated[float, Column("covered", 2)]
    covered_q99: Annotated[float, Column("its 99 %", 2)]
    after: Annotated[float, Column("after", 2)]
    after_q99: Annotated[float, Column("its 99 %", 2)]

    @property
    def label(self) -> str:
        """The method's name."""
        return self.method.label

    @property
    def group_title(self) -> str:
        """The kind of object."""
        return self.occluder.value


@dataclass(frozen=True, kw_only=True)
class OcclusionResults(Results):
    """Results on occlusion."""

    benchmark: OcclusionBenchmark
    rows: Sequence[OcclusionRow]

    def row(self, method: Method, occluder: OccluderKind) -> OcclusionRow | None:
        """Row of a method on a kind of object."""
        return next((row for row in self.rows if (row.method, row.occluder) == (method, occluder)), None)

    def headlines(self) -> list[Headline]:
        """Distance of the uncovered points by the default stabiliser, for each kind of object."""
        out = []
        for kind in OccluderKind:
            sta, raw = self.row(STA_MOTION, kind) or self.row(STA, kind), self.row(RAW, kind)
            if sta and raw:
                text = f"raw {number(raw.uncovered, 2)}; {sta.items} clips"
                title = f"Error of uncovered points beside a {kind.value}"
                out.append(Headline(title, percent(sta.uncovered, 2), text))
        return out


@dataclass(frozen=True, kw_only=True)
class OcclusionBenchmark(SceneBenchmark):
    """The benchmark of occlusion."""

    results: ClassVar[type[Results]] = OcclusionResults

    def score(self, predictions: Iterable[tuple[str, Prediction]], scope: Scope) -> OcclusionResults:
        """Compute a row per kind of object and method."""
        clips: dict[OccluderKind, dict[Method, list[ClipDistances]]] = {}
        errors: dict[str, dict[str, float]] = {}
        for name, prediction in predictions:
            parts = clip_distances(
                prediction.covered, prediction.truth, dict(trajectories(prediction, scope.run))
            )
            by_method = clips.setdefault(OccluderKind(prediction.group), {})
            for method, clip in parts.items():
                by_method.setdefault(method, []).append(clip)
            errors[name] = {method.label: clip.nrmse_interocular for method, clip in parts.items()}
        return OcclusionResults(
            **vars(scope),
            benchmark=self,
            rows=[_row(kind, *row) for kind, by_method in clips.items() for row in by_method.items()],
            errors=errors,
        )


OCCLUSION = OcclusionBenchmark(
    name="occlusion",
    title=f"an object crosses a moving face in one second, full HD, {_STILLS} HELEN test faces",
    stills=_STILLS,
    changes={"seconds": 4.0},
    occluders=tuple(OccluderKind),
)


@dataclass(frozen=True)
class ClipDistances:
    """Distances by one method on one clip, % of the inter-ocular distance."""

    frames: int
    nrmse_interocular: float
    uncovered: Float[np.ndarray, "a"]
    covered: Float[np.ndarray, "b"]
    after: Float[np.ndarray, "c"]


def clip_distances(
    covered: Bool[np.ndarray, "frames 68"], truth: FaceSequence, outputs: Mapping[Method, FaceSequence]
) -> dict[Method, ClipDistances]:
    """Measure distances of each method's points, `RAW` among them, from the true positions."""
    crossed = np.flatnonzero(covered.any(axis=1))
    first, last = (crossed[0], crossed[-1]) if len(crossed) else (len(truth), len(truth))
    frames = np.arange(len(truth))
    during, after = (frames >= first) & (frames <= last), frames > last + RECOVERY
    biased = with_constant_bias(truth, outputs[RAW], after | (frames < first))
    eyes = np.asarray(metrics.interocular(truth))[:, None]
    clips = {}
    for method, points in outputs.items():
        distance = 100 * np.linalg.norm(points - biased, axis=-1) / eyes
        clips[method] = ClipDistances(
            frames=len(distance),
            nrmse_interocular=float(distance.mean()),
            uncovered=distance[during[:, None] & ~covered],
            covered=distance[covered],
            after=distance[after].ravel(),
        )
    return clips


def _row(occluder: OccluderKind, method: Method, clips: Sequence[ClipDistances]) -> OcclusionRow:
    frames = sum(clip.frames for clip in clips)
    uncovered, uncovered_q99 = mean_and_quantile([clip.uncovered for clip in clips])
    covered, covered_q99 = mean_and_quantile([clip.covered for clip in clips])
    after, after_q99 = mean_and_quantile([clip.after for clip in clips])
    return OcclusionRow(
        items=len(clips),
        found=frames,
        of=frames,
        nrmse_interocular=float(np.mean([clip.nrmse_interocular for clip in clips])),
        occluder=occluder,
        method=method,
        uncovered=uncovered,
        uncovered_q99=uncovered_q99,
        covered=covered,
        covered_q99=covered_q99,
        after=after,
        after_q99=after_q99,
    )


def mean_and_quantile(parts: Sequence[Float[np.ndarray, "n"]]) -> tuple[float, float]:
    """Mean and 99 % quantile of all parts together; NaN without a value."""
    values = np.concatenate(parts)
    if not len(values):
        return float("nan"), float("nan")
    return float(values.mean()), float(np.quantile(values, _QUANTILE))
