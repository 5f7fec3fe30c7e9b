"""The figures of annotated videos: a row per decoder and per stabiliser, each video with equal weight."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from steadyface import markup, metrics
from steadyface.datasets.broken_frames import BROKEN_FRAMES
from steadyface.evaluation.predictions import Prediction
from steadyface.evaluation.protocols import FAILURE, OWN_BOX_GROUP
from steadyface.evaluation.results import ALL, Figures, Row, Scored
from steadyface.evaluation.score.trajectories import by_landmark, excerpt, mean_curves, trajectories

Points = Float[np.ndarray, "frames 68 2"]
Chosen = Float[np.ndarray, "frames chosen 2"]


def score_videos(loaded: Iterable[tuple[str, Prediction]], decoder: str, subsets: Sequence[str]) -> Scored:
    """A row per trajectory, set of points (`68`, `7`) and group; a scenario's rows bear its name."""
    table: dict[tuple[str, str, str], list[Figures]] = {}
    items: dict[str, Figures] = {}
    unscored, curves = {}, []
    path: dict[str, Any] = {}
    for name, prediction in loaded:
        outputs = dict(trajectories(prediction, decoder))
        own_box = prediction.group == OWN_BOX_GROUP  # a video in another markup
        group = ALL if own_box else prediction.group
        items[name] = {}
        for subset in subsets:
            for way, points in outputs.items():
                figures = _video_figures(*_subset(points, prediction, subset))
                table.setdefault((subset, way, group), []).append(figures)
                items[name][f"{way}, {subset} points"] = figures["nrmse"]
        if reason := _unscored(name, prediction):
            unscored[name] = reason
        if not own_box:
            curves.append(by_landmark(prediction.truth, outputs))
        path = path or excerpt(name, prediction, outputs)
    groups = sorted({group for _, _, group in table})
    rows = [
        _mean_row(way, group, subset, table[subset, way, group])
        for subset in subsets
        for way in outputs
        for group in groups
    ]
    return Scored(rows, items, mean_curves(curves) | {"trajectory": path}, unscored)


def _subset(
    points: Points, prediction: Prediction, subset: str
) -> tuple[Chosen, Chosen, Float[np.ndarray, "frames"]]:
    """Points and truth of a subset, and the true distance of the outer eye corners."""
    truth = prediction.truth
    if subset == "68":
        return points, truth, np.asarray(metrics.interocular(truth))
    theirs = markup.SEVEN_TALKING_FACE if prediction.group == OWN_BOX_GROUP else markup.SEVEN
    seven = truth[:, theirs]
    return points[:, markup.SEVEN], seven, np.linalg.norm(seven[:, 3] - seven[:, 0], axis=-1)


def _video_figures(points: Chosen, truth: Chosen, eyes: Float[np.ndarray, "frames"]) -> Figures:
    """NRMSE and stability over the frames with a face; AUC and failure over all annotated ones."""
    error = (np.linalg.norm(points - truth, axis=-1).mean(axis=-1) / eyes * 100)[~np.isnan(eyes)]
    figures = {
        "nrmse": float(metrics.mean_known(error)),
        "stability": metrics.stability(points, truth, eyes),
        "delay_frames": metrics.delay(points, truth, eyes),
        "auc": metrics.auc(error, FAILURE),
        "failure": metrics.failure_rate(error, FAILURE),
        "found": float((~np.isnan(error)).sum()),
        "of": float(len(error)),
    }
    if truth.shape[1] == len(markup.SEVEN):
        across = truth[:, 3] - truth[:, 0]
        figures["without_offsets"] = metrics.nrmse_without_offsets(points, truth, across)
    return figures


def _mean_row(way: str, group: str, subset: str, figures: Sequence[Figures]) -> Row:
    """The mean over videos, each with equal weight, as the paper does; over those that have the figure."""
    counts = {key: int(sum(each[key] for each in figures)) for key in ("found", "of")}
    keys = [key for key in figures[0] if key not in counts]
    means = {key: float(metrics.mean_known(np.array([each[key] for each in figures]))) for key in keys}
    return Row(way, group, subset, len(figures), counts["found"], counts["of"], means)


def _unscored(name: str, prediction: Prediction) -> str:
    """How many frames have no truth to be compared with, and why; empty if all have one."""
    absent = np.flatnonzero(np.isnan(prediction.truth).any(axis=(1, 2)))
    broken = len(set(absent + 1) & BROKEN_FRAMES.get(name, frozenset()))
    reasons = {"known to be annotated wrongly": broken, "without .pts": len(absent) - broken}
    named = [f"{count:,} {reason}" for reason, count in reasons.items() if count]
    return f"{' and '.join(named)}, of {len(prediction.truth):,} frames" if named else ""
