"""The figures of annotated videos: a row per decoder and per stabiliser, each video with equal weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from steadyface import markup, metrics
from steadyface.evaluation.predictions import Prediction
from steadyface.evaluation.protocols import FAILURE, OWN_BOX_GROUP
from steadyface.evaluation.results import ALL, Figures, Row, Scored
from steadyface.evaluation.score.trajectories import curves, trajectories

Points = Float[np.ndarray, "frames 68 2"]
Chosen = Float[np.ndarray, "frames chosen 2"]


def score_videos(loaded: Mapping[str, Prediction], decoder: str, subsets: Sequence[str]) -> Scored:
    """A row per path, set of points (`68`, `7`) and group."""
    outputs = {name: dict(trajectories(prediction, decoder)) for name, prediction in loaded.items()}
    rows: list[Row] = []
    items: dict[str, Figures] = {name: {} for name in loaded}
    groups = sorted({prediction.group for prediction in loaded.values()})
    for subset in subsets:
        for way in next(iter(outputs.values())):
            figures: dict[str, Figures] = {}
            for name, prediction in loaded.items():
                points, truth, eyes = _subset(outputs[name][way], prediction, subset)
                figures[name] = _video_figures(points, truth, eyes)
                items[name][f"{way}, {subset} points"] = figures[name]["nrmse"]
            for group in groups:
                names = [name for name in loaded if loaded[name].group == group]
                title = ALL if len(groups) == 1 else group
                rows.append(_mean_row(way, title, subset, [figures[name] for name in names]))
    return Scored(rows, items, curves(loaded, outputs))


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
    annotated = ~np.isnan(truth).any(axis=(1, 2))
    error = np.linalg.norm(points - truth, axis=-1).mean(axis=-1)[annotated] / eyes[annotated] * 100
    seen = ~np.isnan(error)
    lost = np.where(seen, error, np.inf)
    return {
        "nrmse": float(error[seen].mean()) if seen.any() else float("nan"),
        "without_offsets": metrics.nrmse_without_offsets(points, truth, truth[:, 3] - truth[:, 0])
        if truth.shape[1] == len(markup.SEVEN)
        else float("nan"),
        "stability": metrics.stability(points, truth, eyes),
        "delay_frames": metrics.delay(points, truth, eyes),
        "auc": metrics.auc(lost, FAILURE),
        "failure": metrics.failure_rate(lost, FAILURE),
        "found": float(seen.sum()),
        "of": float(annotated.sum()),
    }


def _mean_row(way: str, group: str, subset: str, figures: Sequence[Figures]) -> Row:
    """The mean over videos, each with equal weight, as the paper does."""
    counts = {key: int(sum(f[key] for f in figures)) for key in ("found", "of")}
    keys = [key for key in figures[0] if key not in counts]
    means = {key: float(np.mean([f[key] for f in figures])) for key in keys}
    kept = {key: value for key, value in means.items() if not np.isnan(value) or key == "nrmse"}
    return Row(way, group, subset, len(figures), counts["found"], counts["of"], kept)
