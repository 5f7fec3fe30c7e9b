"""The figures of images: a row per decoder and per way of placing the crop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from steadyface import metrics
from steadyface.evaluation.predictions import Prediction
from steadyface.evaluation.protocols import FAILURE
from steadyface.evaluation.results import ALL, SCALES, Figures, Row, Scored

Points = Float[np.ndarray, "faces 68 2"]


def score_images(loaded: Mapping[str, Prediction], decoder: str) -> Scored:
    """A row per way of reading, for all items and for each group; the mean heatmaps by the network's decoder.

    NRMSE is over the faces that were found; the others count as failures.
    """
    predictions = list(loaded.values())
    truth = np.concatenate([prediction.truth for prediction in predictions])
    groups = np.array([prediction.group for prediction in predictions])
    eyes = np.asarray(metrics.interocular(truth))
    scale = metrics.scale_groups(eyes)
    items: dict[str, Figures] = {name: {} for name in loaded}
    rows = []
    for name in predictions[0].rows:
        points = np.concatenate([prediction.row(name) for prediction in predictions])
        scores = np.array([np.mean(p.scores[p.rows.index(name)]) for p in predictions])
        for group, members in _memberships(groups):
            figures = _image_figures(points[members], truth[members], scores[members])
            if group == ALL:
                figures |= _by_scale(points, truth, scale)
            found = int((~np.isnan(points[members]).any(axis=(1, 2))).sum())
            rows.append(Row(name, group, "68", int(members.sum()), found, int(members.sum()), figures))
        for item, error in zip(items, _errors(points, truth), strict=True):
            items[item][name] = float(error)
    curves: dict[str, Any] = {
        "eyes by scale": {
            title: float(eyes[scale == group].mean())
            for group, title in enumerate(SCALES)
            if (scale == group).any()
        },
        "mean heatmaps": _mean_heatmaps(predictions, np.array([items[name][decoder] for name in loaded])),
    }
    return Scored(rows, items, curves)


def _mean_heatmaps(predictions: Sequence[Prediction], errors: Float[np.ndarray, "n"]) -> dict[str, Any]:
    """The mean heatmaps of the quarter of the faces with the smallest errors, and with the largest."""
    order, quarter = np.argsort(errors, kind="stable"), max(1, len(errors) // 4)
    parts = {"easy": order[:quarter], "hard": order[-quarter:]}
    return {
        title: np.mean([predictions[i].heatmap for i in part], axis=0).round(5).tolist()
        for title, part in parts.items()
    }


def _memberships(groups: np.ndarray) -> Iterator[tuple[str, Bool[np.ndarray, "n"]]]:
    yield ALL, np.ones(len(groups), bool)
    if len(names := sorted(set(groups.tolist()))) > 1:
        yield from ((name, groups == name) for name in names)


def _errors(points: Points, truth: Points) -> Float[np.ndarray, "n"]:
    """NRMSE of each face; infinite where it was not found."""
    return np.nan_to_num(metrics.nrmse_interocular(points, truth), nan=np.inf)


def _image_figures(points: Points, truth: Points, scores: Float[np.ndarray, "n"]) -> Figures:
    errors = _errors(points, truth)
    seen = np.isfinite(errors)
    if not seen.any():
        return {"auc": 0.0, "failure": 100.0}
    return {
        "nrmse": float(errors[seen].mean()),
        "auc": metrics.auc(errors, FAILURE),
        "failure": metrics.failure_rate(errors, FAILURE),
        "nrmse_interpupil": float(np.mean(metrics.nrmse_interpupil(points[seen], truth[seen]))),
        "nrmse_box": float(np.mean(metrics.nrmse_box(points[seen], truth[seen]))),
        "rmse_px": float(np.mean(metrics.rmse(points[seen], truth[seen]))),
        "score": float(scores[seen].mean()),
    }


def _by_scale(points: Points, truth: Points, scale: np.ndarray) -> Figures:
    """RMSE in px of each fifth of the faces by size."""
    values = np.asarray(metrics.rmse(points, truth))
    return {
        f"rmse_px, {title}": float(metrics.mean_known(values[scale == group]))
        for group, title in enumerate(SCALES)
        if (scale == group).any()
    }
