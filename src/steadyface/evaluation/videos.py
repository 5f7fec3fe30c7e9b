"""Benchmarks of annotated videos: a row per decoder and per stabiliser, each video with equal weight."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from jaxtyping import Float

from steadyface import markup, metrics
from steadyface.arrays import FaceSequence, Frame
from steadyface.datasets.annotated_videos import SCENARIOS, AnnotatedVideo, find_300vw, talking_face
from steadyface.datasets.broken_frames import BROKEN_FRAMES
from steadyface.detector import Detector
from steadyface.errors import DataError
from steadyface.evaluation import published
from steadyface.evaluation.inputs import FAILURE, BoxSource, Found, Item, Network, first_root
from steadyface.evaluation.predictions import Prediction, Reading
from steadyface.evaluation.results import Benchmark, Column, Headline, NrmseRow, Results, Scope, percent
from steadyface.evaluation.text import listed, number
from steadyface.evaluation.trajectories import (
    RAW,
    RAW_FHR,
    STA,
    STA_MOTION,
    Method,
    MovingResults,
    excerpt,
    landmark_errors,
    mean_landmark_errors,
    trajectories,
)
from steadyface.geometry import bounding_box
from steadyface.motion import MotionSequence
from steadyface.pipeline import TrackingOptions, build
from steadyface.stabilizer import lowered_where_hidden
from steadyface.tracking import Tracker
from steadyface.wording import counted

NUMBERS = (1, 2, 3)
"""The scenarios of 300-VW's test set."""

ALL_POINTS, SEVEN_POINTS = 68, 7

Chosen = Float[np.ndarray, "frames chosen 2"]

_ARCHIVE = "300VW_Dataset_2015_12_14"  # the folder that 300-VW unpacks to
_NAMED = 64  # all test videos of 300-VW
_COUNTS = ("items", "found", "of")
_TIP = markup.SEVEN.tolist().index(markup.NOSE_TIP)  # index of the tip of the nose among the seven points


@dataclass(frozen=True, kw_only=True)
class VideoRow(NrmseRow):
    """Figures of one method on one scenario: means over the videos that have the figure.

    Args:
        method: decoder and stabiliser.
        scenario: of 300-VW; None for all videos.
        points: how many of the landmarks are compared, 68 or 7.
        nrmse_interocular_without_offsets: NRMSE less each point's mean difference from the truth; None for
            68 points.
        stability_interocular: jitter.
        delay_frames: lag behind the true motion.
        stability_of_raw: stability over that of the raw points by the network's own decoder.
        stability_of_fhr: over that of the raw points by the FHR decoder.
        auc: area under the cumulative error curve up to 8 %, %.
        failure: share of frames above 8 %, %.
    """

    head: ClassVar[str] = "stabiliser"

    method: Method
    scenario: int | None = None
    points: int
    nrmse_interocular_without_offsets: Annotated[float | None, Column("without offsets")] = None
    stability_interocular: Annotated[float, Column("stability")]
    delay_frames: Annotated[float, Column("delay")]
    stability_of_raw: Annotated[float | None, Column("of raw")] = None
    stability_of_fhr: Annotated[float | None, Column("of FHR")] = None
    auc: Annotated[float, Column("AUC", 2)]
    failure: Annotated[float, Column("over 8 %", 2)]

    @property
    def label(self) -> str:
        """The method's name."""
        return self.method.label

    @property
    def group_title(self) -> str:
        """The scenario."""
        return "" if self.scenario is None else f"scenario {self.scenario}"

    @property
    def points_title(self) -> str:
        """The points compared."""
        return f"{self.points} points"


@dataclass(frozen=True, kw_only=True)
class VideoResults(MovingResults):
    """Results on annotated videos.

    Args:
        unscored: videos with frames that have no truth to compare with: how many, and why.
    """

    benchmark: VideoBenchmark
    rows: Sequence[VideoRow]
    unscored: dict[str, str] = field(default_factory=dict)

    def row(self, method: Method, scenario: int | None = None, points: int | None = None) -> VideoRow | None:
        """Row of a method on a scenario; without `points` that of 68 where there are both."""
        for row in self.rows:
            if (row.method, row.scenario) == (method, scenario) and points in (None, row.points):
                return row
        return None

    @property
    def not_scored(self) -> str:
        """Frames without a truth to compare with; empty if there are none."""
        return listed([f"{name} ({reason})" for name, reason in self.unscored.items()], _NAMED)

    @property
    def incomplete(self) -> str:
        """Warning to stand beside every figure; empty for a complete result."""
        if not self.benchmark.scenarios:
            return super().incomplete
        rows = (self.row(RAW, scenario) for scenario in NUMBERS)
        there = [0 if row is None else row.items for row in rows]
        asked = [len(SCENARIOS[scenario]) for scenario in NUMBERS]
        counts = " + ".join(f"{part} of {whole}" for part, whole in zip(there, asked, strict=True))
        return "" if there == asked else f"incomplete: {counts} videos"

    def headlines(self) -> list[Headline]:
        """NRMSE on each scenario with the default stabiliser, or stability on the seven points."""
        if self.benchmark.scenarios:
            rows = [(i, self._sta(scenario)) for i, scenario in enumerate(NUMBERS)]
            return [self._headline(row, published.VIDEOS_68[published.FHR_STA][i]) for i, row in rows if row]
        raw, fhr = (self.row(method, points=SEVEN_POINTS) for method in (RAW, RAW_FHR))
        sta = self._sta(points=SEVEN_POINTS)
        if sta is None or raw is None:
            return []
        text = [f"raw {number(raw.stability_interocular, 3)}"]
        text += [f"FHR decoder {number(fhr.stability_interocular, 3)}"] if fhr else []
        theirs = number(published.TALKING_FACE[published.FHR_STA], 2)
        text.append(f"NRMSE {number(sta.nrmse_interocular, 2)}, the paper's FHR+STA {theirs}")
        value = percent(sta.stability_interocular, 3)
        return [Headline(f"Stability, {self.title}, 7 points", value, "; ".join(text))]

    def _sta(self, scenario: int | None = None, points: int | None = None) -> VideoRow | None:
        """Row of the default stabiliser, with measured motion where there is one."""
        return self.row(STA_MOTION, scenario, points) or self.row(STA, scenario, points)

    def _headline(self, row: VideoRow, theirs: published.Steadiness) -> Headline:
        text = (
            f"{counted(row.items, 'video')}; stability {number(row.stability_interocular, 2)}; "
            f"the paper's FHR+STA {number(theirs.nrmse, 2)} and {number(theirs.stability, 2)}"
        )
        title = f"NRMSE, {self.title}, {row.group_title}"
        return Headline(title, percent(row.nrmse_interocular, 2), text)


@dataclass(frozen=True, kw_only=True)
class VideoBenchmark(Benchmark):
    """A benchmark of annotated videos of one face.

    Args:
        points: the sets of points that are scored, 68 or 7.
        true_seven: indices in the truth of the points that have the indices `markup.SEVEN` in our markup.
        search: data folder → items.
        scenarios: scenario of each video of 300-VW; empty for another data set.
    """

    noun: ClassVar[str] = "video"
    results: ClassVar[type[Results]] = VideoResults
    measures_motion: ClassVar[bool] = True

    points: tuple[int, ...]
    true_seven: tuple[int, ...]
    search: Callable[[Path], Found[AnnotatedVideo]]
    scenarios: Mapping[str, int] = field(default_factory=dict)

    def find(self, data: Path) -> Found[AnnotatedVideo]:
        """Find the videos."""
        return self.search(data)

    def predict(self, item: Item[AnnotatedVideo], network: Network) -> Prediction:
        """Track the face by three decoders in one pass, with the network one frame ahead.

        The prediction holds the raw points, and the displacements measured by the tracker with the network's
        own decoder.
        """
        true_box = _GivenBoxes()
        trackers = _trackers(network, network.finder if self.box is BoxSource.FINDER else true_box)
        rows, seconds, motion = [], [], []
        for (frame, annotated), (next_frame, _) in pairwise(chain(item.source, [(None, None)])):
            assert frame is not None
            truth = np.full((markup.COUNT, 2), np.nan) if annotated is None else annotated
            true_box.boxes = np.zeros((0, 4)) if annotated is None else bounding_box(truth)[None]
            points = np.full((len(trackers), markup.COUNT, 2), np.nan)
            scores = np.full((len(trackers), markup.COUNT), np.nan)
            displacements = None
            for i, tracker in enumerate(trackers):
                for face in tracker.step(frame.picture, frame.seconds, next_frame):
                    if not face.held:
                        points[i] = face.raw_points
                        scores[i] = lowered_where_hidden(face.scores, face.visible)
                        displacements = face.displacements
            rows.append((points, scores, truth))
            motion.append(displacements)
            seconds.append(frame.seconds)
        points, scores, truth = (np.stack(parts) for parts in zip(*rows, strict=True))
        return Prediction(
            tuple(Reading(landmarker.decoder) for landmarker in network.landmarkers),
            points.swapaxes(0, 1),
            scores.swapaxes(0, 1),
            truth,
            np.array(seconds),
            item.group,
            motion=MotionSequence.pack(motion),
        )

    def score(self, predictions: Iterable[tuple[str, Prediction]], scope: Scope) -> VideoResults:
        """Compute a row per method, set of points and scenario."""
        table: dict[tuple[int, int | None], dict[Method, list[VideoRow]]] = {}
        errors: dict[str, dict[str, float]] = {}
        unscored, by_landmark, path = {}, [], None
        for name, prediction in predictions:
            outputs = dict(trajectories(prediction, scope.run))
            errors[name] = {}
            for points in self.points:
                group = points, self.scenarios.get(name)
                for method, found in outputs.items():
                    row = _row(method, *group, *self._compared(found, prediction.truth, points))
                    table.setdefault(group, {}).setdefault(method, []).append(row)
                    errors[name][f"{row.label}, {row.points_title}"] = row.nrmse_interocular
            if reason := _unscored(name, prediction):
                unscored[name] = reason
            if ALL_POINTS in self.points:
                by_landmark.append(landmark_errors(prediction.truth, outputs))
            tips = int(markup.SEVEN[_TIP]), self.true_seven[_TIP]
            path = path or excerpt(name, prediction, outputs, *tips)
        order = sorted(table, key=lambda key: (self.points.index(key[0]), key[1] or 0))
        return VideoResults(
            **vars(scope),
            benchmark=self,
            rows=[row for key in order for row in _mean_rows(table[key])],
            errors=errors,
            by_landmark=mean_landmark_errors(by_landmark),
            trajectory=path,
            unscored=unscored,
        )

    def _compared(
        self, points: FaceSequence, truth: FaceSequence, count: int
    ) -> tuple[Chosen, Chosen, Float[np.ndarray, "frames 2"]]:
        """Points and truth to compare, and the true vector from the right to the left outer eye corner."""
        if count == ALL_POINTS:
            right, left = markup.OUTER_EYE_CORNERS
            return points, truth, truth[:, left] - truth[:, right]
        seven = truth[:, list(self.true_seven)]
        return points[:, markup.SEVEN], seven, seven[:, 3] - seven[:, 0]


def _trackers(network: Network, detector: Detector) -> list[Tracker]:
    """Trackers, one per decoder; the last has the network's own, and alone measures displacements.

    The network runs in each frame, so that motion carries no raw points.
    """
    *others, own = network.landmarkers
    plain = TrackingOptions(stabilizer="none", max_faces=1)
    measuring = TrackingOptions(max_faces=1, network_every=1)
    pipelines = [build(plain, landmarker=each, detector=detector) for each in others]
    pipelines.append(build(measuring, landmarker=own, detector=detector))
    return [pipeline.tracker for pipeline in pipelines]


@dataclass
class _GivenBoxes:
    """A detector that returns the boxes it was last given, whatever the image shows."""

    boxes: Float[np.ndarray, "n 4"] = field(default_factory=lambda: np.zeros((0, 4)))

    def __call__(self, image: Frame) -> Float[np.ndarray, "n 4"]:
        return self.boxes


def _row(
    method: Method,
    count: int,
    scenario: int | None,
    points: Chosen,
    truth: Chosen,
    eyes: Float[np.ndarray, "frames 2"],
) -> VideoRow:
    """Figures of one method on one video."""
    distance = np.linalg.norm(eyes, axis=-1)
    error = 100 * np.linalg.norm(points - truth, axis=-1).mean(axis=-1) / distance
    error = error[~np.isnan(distance)]
    offsets = metrics.nrmse_without_offsets(points, truth, eyes) if count == SEVEN_POINTS else None
    return VideoRow(
        items=1,
        found=int((~np.isnan(error)).sum()),
        of=len(error),
        nrmse_interocular=float(metrics.mean_known(error)),
        method=method,
        scenario=scenario,
        points=count,
        nrmse_interocular_without_offsets=offsets,
        stability_interocular=metrics.stability(points, truth, distance),
        delay_frames=metrics.delay(points, truth, distance),
        auc=metrics.auc(error, FAILURE),
        failure=metrics.failure_rate(error, FAILURE),
    )


def _mean_rows(videos: Mapping[Method, Sequence[VideoRow]]) -> list[VideoRow]:
    """Mean of each method's rows over the videos that have the figure, each with equal weight.

    Source: Tai et al. 2019, Experimental Setup.
    """
    means = {method: _mean_row(rows) for method, rows in videos.items()}

    def ratio(row: VideoRow, to: Method) -> float | None:
        of = means[to].stability_interocular if to in means else 0.0
        return row.stability_interocular / of if of > 0 else None

    return [
        replace(row, stability_of_raw=ratio(row, RAW), stability_of_fhr=ratio(row, RAW_FHR))
        for row in means.values()
    ]


def _mean_row(rows: Sequence[VideoRow]) -> VideoRow:
    changes: dict[str, Any] = {name: sum(getattr(row, name) for row in rows) for name in _COUNTS}
    for name in VideoRow.columns():
        values = [getattr(row, name) for row in rows]
        if None not in values:
            changes[name] = float(metrics.mean_known(np.array(values, float)))
    return replace(rows[0], **changes)


def _unscored(name: str, prediction: Prediction) -> str:
    """Count the frames without a truth to compare with, by reason; empty if all have one."""
    absent = np.flatnonzero(np.isnan(prediction.truth).any(axis=(1, 2)))
    broken = len(set(absent + 1) & BROKEN_FRAMES.get(name, frozenset()))
    reasons = {"known to be annotated wrongly": broken, "without .pts": len(absent) - broken}
    named = [f"{count:,} {reason}" for reason, count in reasons.items() if count]
    return f"{' and '.join(named)}, of {len(prediction.truth):,} frames" if named else ""


def _find_300vw(data: Path) -> Found[AnnotatedVideo]:
    names = ("300vw", f"300vw/{_ARCHIVE}", _ARCHIVE)
    root = first_root(data, names, [name for scenario in NUMBERS for name in SCENARIOS[scenario]])
    items, missing = [], []
    for scenario in NUMBERS:
        try:
            videos = find_300vw(root, scenario)
        except DataError:
            missing.append(f"300-VW scenario {scenario}, all {len(SCENARIOS[scenario])} videos")
            continue
        items += [Item(video.name, video, f"scenario {scenario}") for video in videos]
        there = {video.name for video in videos}
        missing += [
            f"300-VW scenario {scenario}, video {name}" for name in SCENARIOS[scenario] if name not in there
        ]
    if not items:
        raise DataError(root, "no folder of a test video of 300-VW, such as 114/vid.avi")
    return Found(items, missing)


def _find_talking_face(data: Path) -> Found[AnnotatedVideo]:
    return Found([Item("talking_face", talking_face(first_root(data, ["talking_face"], ["images"])))], [])


VIDEOS = VideoBenchmark(
    name="300vw",
    title="300-VW test",
    box=BoxSource.TRUTH_AT_START,
    points=(ALL_POINTS, SEVEN_POINTS),
    true_seven=tuple(markup.SEVEN.tolist()),
    search=_find_300vw,
    scenarios={name: number for number in NUMBERS for name in SCENARIOS[number]},
)
TALKING = VideoBenchmark(
    name="talking-face",
    title="Talking Face",
    box=BoxSource.FINDER,
    points=(SEVEN_POINTS,),
    true_seven=tuple(markup.SEVEN_TALKING_FACE.tolist()),
    search=_find_talking_face,
)
