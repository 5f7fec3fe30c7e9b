"""Trajectories of a video's points: the raw ones of each decoder, and those of each stabiliser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from steadyface import metrics
from steadyface.arrays import FaceSequence
from steadyface.evaluation.compensation import MotionCompensated
from steadyface.evaluation.inputs import CHR, FHR
from steadyface.evaluation.predictions import Prediction, Reading, Run
from steadyface.evaluation.results import Results
from steadyface.stabilizer import DEFAULT_STABILIZER, KINDS, CausalFilter, Smoother, load_stabilizer


@dataclass(frozen=True)
class Method:
    """A row of a video's table: raw points of a decoder, or the network's own decoder with a stabiliser.

    Args:
        decoder: of the paper, where it is compared; None for the network's own.
        stabilizer: name; None for raw points.
        lag: how many later frames each point depends on.
        offline: whether each point depends on all frames.
        motion: whether it takes displacements measured in the picture.
    """

    decoder: Reading | None = None
    stabilizer: str | None = None
    lag: int = 0
    offline: bool = False
    motion: bool = False

    @property
    def label(self) -> str:
        """Name for people.

        >>> Method(stabilizer="sta", lag=2).label, Method(stabilizer="sta", offline=True).label
        ('sta, 2 frames later', 'sta-offline')
        >>> Method(stabilizer="sta", motion=True).label
        'sta, measured motion'
        """
        if self.stabilizer is None:
            return {None: "raw", CHR: "raw, CHR decoder", FHR: "raw, FHR decoder"}[self.decoder]
        mode = "-offline" if self.stabilizer == DEFAULT_STABILIZER else " (offline)"
        parts = [f"{self.stabilizer}{mode if self.offline else ''}"]
        parts += [f"{self.lag} frames later"] if self.lag else []
        return ", ".join([*parts, "measured motion"] if self.motion else parts)


RAW, RAW_CHR, RAW_FHR = Method(), Method(CHR), Method(FHR)
STA, STA_PAPER = Method(stabilizer=DEFAULT_STABILIZER), Method(stabilizer="sta-paper")
STA_MOTION = Method(stabilizer=DEFAULT_STABILIZER, motion=True)
SECOND_ORDER, ONE_EURO = Method(stabilizer="second-order"), Method(stabilizer="one-euro")

_LAGS = (2, 5)
_COMPENSATED: tuple[Literal["sta-paper", "one-euro"], ...] = ("sta-paper", "one-euro")
_BY_LANDMARK = (RAW_FHR, RAW, STA)
_DRAWN = (RAW_FHR, RAW, SECOND_ORDER, ONE_EURO, STA)
_EXCERPT = 150  # frames
_FASTEST = 15  # frames over which speed is averaged to choose the excerpt


@dataclass(frozen=True)
class LandmarkErrors:
    """Errors of motion of one method by landmark, in the markup's order.

    Args:
        method: the points' own.
        motion: `metrics.motion_error`, % of the inter-ocular distance a frame.
        turn: `metrics.turn_error`, degrees.
    """

    method: Method
    motion: list[float]
    turn: list[float]


@dataclass(frozen=True)
class Path:
    """Path of one landmark by one method, (frames, 2) image px."""

    method: Method
    points: list[list[float]]


@dataclass(frozen=True)
class Excerpt:
    """Part of a video for pictures: the tip of the nose where it moves fastest.

    Args:
        item: name of the video.
        first_frame: index.
        seconds: of each frame.
        truth: (frames, 2) image px.
        paths: by several methods.
    """

    item: str
    first_frame: int
    seconds: list[float]
    truth: list[list[float]]
    paths: list[Path]

    def path_by(self, method: Method) -> list[list[float]] | None:
        """Path by one method, if it is here."""
        return next((each.points for each in self.paths if each.method == method), None)


@dataclass(frozen=True, kw_only=True)
class MovingResults(Results):
    """Results on videos.

    Args:
        by_landmark: errors of motion; empty where the truth is in another markup.
        trajectory: part of the first video.
    """

    by_landmark: list[LandmarkErrors]
    trajectory: Excerpt | None = None


def trajectories(prediction: Prediction, run: Run) -> Iterator[tuple[Method, FaceSequence]]:
    """Yield raw points by each decoder, then those of the network's own decoder by each stabiliser.

    Where displacements were measured, stabilisers that use them follow: the default, and those of
    `_COMPENSATED` by `MotionCompensated`.
    """
    for method, reading in ((RAW_CHR, CHR), (RAW_FHR, FHR), (RAW, run.decoder)):
        if reading in prediction.rows:
            yield method, prediction.points_by(reading)
    stabilised = partial(
        _where_found,
        points=prediction.points_by(run.decoder),
        seconds=prediction.seconds,
        scores=prediction.scores_by(run.decoder),
    )
    for name in KINDS:
        stabilizer = load_stabilizer(name, run.weights)
        if isinstance(stabilizer, CausalFilter):
            yield Method(stabilizer=name), stabilised(stabilizer.filter)
    default = load_stabilizer(DEFAULT_STABILIZER, run.weights)
    for lag in _LAGS:
        yield Method(stabilizer=DEFAULT_STABILIZER, lag=lag), stabilised(partial(default.smooth, lag=lag))
    smoothers: tuple[Smoother, ...] = (default, load_stabilizer("savitzky-golay", run.weights))
    for smoother in smoothers:
        yield Method(stabilizer=smoother.kind, offline=True), stabilised(smoother.smooth)
    if prediction.motion is not None:
        motion = prediction.motion.unpack()
        yield STA_MOTION, stabilised(default.filter, motion=motion)
        for lag in _LAGS:
            later = partial(default.smooth, lag=lag)
            yield replace(STA_MOTION, lag=lag), stabilised(later, motion=motion)
        yield replace(STA_MOTION, offline=True), stabilised(default.smooth, motion=motion)
        for name in _COMPENSATED:
            plain = load_stabilizer(name, run.weights)
            compensated = MotionCompensated(plain, picture=default.picture, fps=plain.fps)
            yield Method(stabilizer=name, motion=True), stabilised(compensated.filter, motion=motion)


def _where_found(stabilise: Any, **sequences: Any) -> FaceSequence:
    """Stabilise each run of frames with a face; after a loss it starts anew.

    Args:
        stabilise: a stabiliser's `filter` or `smooth`.
        sequences: its arguments, of all frames.
    """
    points = sequences["points"]
    found = ~np.isnan(points).any(axis=(1, 2))
    out = np.full_like(points, np.nan)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], found, [False]]).astype(int)))
    for start, stop in edges.reshape(-1, 2):
        run = slice(start, stop)
        out[run] = stabilise(**{name: each[run] for name, each in sequences.items()})
    return out


def landmark_errors(truth: FaceSequence, outputs: Mapping[Method, FaceSequence]) -> dict[Method, np.ndarray]:
    """`metrics.motion_error` and `turn_error` of each landmark, (2, 68), by method; NaN without a step."""
    eyes = np.asarray(metrics.interocular(truth))
    return {
        method: np.stack(
            [metric(outputs[method], truth, eyes) for metric in (metrics.motion_error, metrics.turn_error)]
        )
        for method in _BY_LANDMARK
        if method in outputs
    }


def mean_landmark_errors(videos: Sequence[Mapping[Method, np.ndarray]]) -> list[LandmarkErrors]:
    """Mean of `landmark_errors` over videos, each with equal weight; a video without a step has none."""
    means = {
        method: np.asarray(metrics.mean_known(np.array([video[method] for video in videos])))
        for method in (videos[0] if videos else ())
    }
    return [
        LandmarkErrors(method, motion.tolist(), turn.tolist()) for method, (motion, turn) in means.items()
    ]


def excerpt(
    name: str, prediction: Prediction, outputs: Mapping[Method, FaceSequence], tip: int, truth_tip: int
) -> Excerpt:
    """Cut out the frames in which the tip of the nose moves fastest.

    Args:
        name: of the video.
        prediction: of the video.
        outputs: points by method.
        tip: index of the tip of the nose in `outputs`.
        truth_tip: its index in the truth, whose markup may be another one.
    """
    truth = prediction.truth[:, truth_tip]
    speed = np.nan_to_num(np.linalg.norm(np.diff(truth, axis=0, prepend=truth[:1]), axis=-1))
    middle = int(np.argmax(np.convolve(speed, np.ones(_FASTEST), mode="same")))
    start = max(0, min(middle - _EXCERPT // 2, len(truth) - _EXCERPT))
    part = slice(start, start + _EXCERPT)
    paths = [Path(method, outputs[method][part, tip].tolist()) for method in _DRAWN if method in outputs]
    return Excerpt(name, start, prediction.seconds[part].tolist(), truth[part].tolist(), paths)
