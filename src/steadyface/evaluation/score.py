"""Predictions → figures: tables of rows, a row per way of reading or stabiliser, and what pictures need.

No network runs here; the stabilisers, which take microseconds a frame, do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.signal import find_peaks

from steadyface import markup, metrics
from steadyface.errors import DataError
from steadyface.evaluation.predict import CHR, FHR
from steadyface.evaluation.predictions import Prediction, PredictionFolder
from steadyface.evaluation.protocols import OWN_BOX_GROUP, find_protocol
from steadyface.sequences import with_constant_bias
from steadyface.stabilizer import DEFAULT_STABILIZER, KINDS, load_stabilizer

RAW = "raw"
RAW_FHR, RAW_CHR = "raw, FHR decoder", "raw, CHR decoder"
ALL = "all"
SCALES = ("very small", "small", "medium", "large", "very large")
"""Fifths of the faces by inter-ocular distance, as in Table 2 of the paper."""

FAILURE = 8.0
"""NRMSE above which a face counts as failed, %."""

_LAGS = (2, 5)
STILL = 0.1
"""Speed below which a face rests, % of the inter-ocular distance a frame."""

_BLINK = 10  # frames to each side of the moment when the eyes are most closed
_EXCERPT = 150  # frames of the trajectories kept for pictures
_TIP = 30  # the landmark whose trajectory is kept

Points = Float[np.ndarray, "frames landmarks 2"]
Chosen = Float[np.ndarray, "frames chosen 2"]
Figures = dict[str, float]


@dataclass(frozen=True)
class Row:
    """The figures of one way of reading, or of one stabiliser, on one group.

    Args:
        name: of the way.
        group: of the items, or `all`.
        points: `68` or `7`.
        items: how many images or videos.
        found: images, or frames of videos, with a face.
        of: images or annotated frames.
        figures: by name; % of the inter-ocular distance unless the name says otherwise.
    """

    name: str
    group: str
    points: str
    items: int
    found: int
    of: int
    figures: Figures


@dataclass(frozen=True)
class Results:
    """All that was measured on one protocol; `results.json`.

    Args:
        protocol, title, box: the rules.
        run: weights, their hash, decoder, version of the predictions.
        used: number of items.
        skipped: items left out, and why.
        missing: what the protocol asks for and was not there.
        rows: the tables.
        items: per item, the main figure of each row.
        curves: what pictures are drawn from, by name.
    """

    protocol: str
    title: str
    box: str
    run: dict[str, Any]
    used: int
    skipped: dict[str, str]
    missing: list[str]
    rows: list[Row]
    items: dict[str, Figures]
    curves: dict[str, Any] = field(default_factory=dict)
    normaliser: str = "distance of the outer eye corners"

    def row(self, name: str, group: str = ALL, points: str | None = None) -> Row | None:
        """The row of that name, or None."""
        for row in self.rows:
            if (row.name, row.group) == (name, group) and points in (None, row.points):
                return row
        return None

    def save(self, path: str | Path) -> None:
        """Write as JSON; NaN becomes null.

        Raises:
            DataError: it cannot be written.
        """
        try:
            Path(path).write_text(json.dumps(_plain(asdict(self)), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise DataError(path, f"cannot be written: {error.strerror or error}") from error

    @classmethod
    def load(cls, path: str | Path) -> Results:
        """Read what `save` wrote.

        Raises:
            DataError: missing, or not such a file.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
            rows = [Row(**{**row, "figures": _floats(row["figures"])}) for row in values.pop("rows")]
            items = {name: _floats(figures) for name, figures in values.pop("items").items()}
            return cls(**values, rows=rows, items=items)
        except OSError as error:
            raise DataError(path, error.strerror or "cannot be read") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(path, f"not results of steadyface score: {error}") from error


def score(predictions: str | Path) -> Results:
    """The figures of a folder that `predict` wrote.

    Raises:
        DataError: no run there, a broken prediction, or not one item.
    """
    folder = PredictionFolder(Path(predictions))
    run = folder.read_run()
    if run is None or "protocol" not in run:
        raise DataError(predictions, "no predictions of steadyface predict")
    rules = find_protocol(str(run["protocol"]))
    loaded = {name: folder.read(name) for name in folder.names()}
    skipped = folder.skipped()
    if not loaded:
        reasons = "; ".join(sorted(set(skipped.values()))[:3]) or "none was predicted"
        raise DataError(predictions, f"not one item to score: {reasons}")
    tables = {"images": _score_images, "videos": _score_videos, "motion": _score_motion}
    rows, items, curves = tables[rules.kind](loaded, str(run["decoder"]), rules.points)
    return Results(
        protocol=str(run["protocol"]),
        title=rules.title,
        box=rules.box,
        run={key: value for key, value in run.items() if key not in ("protocol", "missing")},
        used=len(loaded),
        skipped=skipped,
        missing=list(run.get("missing", [])),
        rows=rows,
        items=items,
        curves=curves,
    )


Scored = tuple[list[Row], dict[str, Figures], dict[str, Any]]
Loaded = Mapping[str, Prediction]


# --------------------------------------------------------------------------------------------- images


def _score_images(loaded: Loaded, decoder: str, _: Sequence[str]) -> Scored:
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
        "interocular by scale": [
            float(eyes[scale == group].mean()) for group in range(len(SCALES)) if (scale == group).any()
        ],
        "mean heatmaps": _mean_heatmaps(predictions, np.array([items[name][decoder] for name in loaded])),
    }
    return rows, items, curves


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
        f"rmse_px, {title}": float(np.nanmean(values[scale == group]))
        for group, title in enumerate(SCALES)
        if np.isfinite(values[scale == group]).any()
    }


# --------------------------------------------------------------------------------------------- videos


def _score_videos(loaded: Loaded, decoder: str, subsets: Sequence[str]) -> Scored:
    outputs = {name: dict(_ways(prediction, decoder)) for name, prediction in loaded.items()}
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
    return rows, items, _trajectories(loaded, outputs, decoder)


def _ways(prediction: Prediction, decoder: str) -> Iterator[tuple[str, Points]]:
    """The raw points by every decoder, then what every stabiliser makes of the default one's."""
    if CHR in prediction.rows:
        yield RAW_CHR, prediction.row(CHR)
    if FHR in prediction.rows:
        yield RAW_FHR, prediction.row(FHR)
    raw, scores = prediction.row(decoder), prediction.scores[prediction.rows.index(decoder)]
    yield RAW, raw
    for name in KINDS:
        stabilizer = load_stabilizer(name)
        if not stabilizer.offline:
            yield name, _where_found(stabilizer.filter, raw, prediction.seconds, scores)
    default = load_stabilizer(DEFAULT_STABILIZER)
    for lag in _LAGS:
        smooth = partial(default.smooth, lag=lag)
        yield f"sta, {lag} frames later", _where_found(smooth, raw, prediction.seconds, scores)
    yield "sta-offline", _where_found(default.smooth, raw, prediction.seconds, scores)
    offline = load_stabilizer("savitzky-golay").smooth
    yield "savitzky-golay (offline)", _where_found(offline, raw, prediction.seconds, scores)


def _where_found(filter: Any, raw: Points, seconds: np.ndarray, scores: np.ndarray) -> Points:
    """A stabiliser on each run of frames with a face; it begins anew after a loss."""
    found = ~np.isnan(raw).any(axis=(1, 2))
    out = np.full_like(raw, np.nan)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], found, [False]]).astype(int)))
    for start, stop in edges.reshape(-1, 2):
        run = slice(start, stop)
        out[run] = filter(raw[run], seconds[run], scores[run])
    return out


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


def _video_figures(points: Points, truth: Points, eyes: Float[np.ndarray, "frames"]) -> Figures:
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


# -------------------------------------------------------------------------------------- known motion


def _score_motion(loaded: Loaded, decoder: str, _: Sequence[str]) -> Scored:
    outputs = {name: dict(_ways(prediction, decoder)) for name, prediction in loaded.items()}
    rows, items = [], {name: dict[str, float]() for name in loaded}
    raw_depth = 0.0
    for way in next(iter(outputs.values())):
        errors, shakes, speeds, delays, depths = [], [], [], [], []
        for name, prediction in loaded.items():
            points, truth = outputs[name][way], prediction.truth
            eyes = np.asarray(metrics.interocular(truth))
            biased = with_constant_bias(truth, outputs[name][RAW])
            errors.append(float(np.mean(metrics.nrmse_interocular(points, biased))))
            items[name][way] = errors[-1]
            excess = np.linalg.norm(np.diff(points - truth, axis=0), axis=-1).mean(axis=-1)
            shakes.append(100 * excess / eyes[1:])
            speeds.append(100 * np.linalg.norm(np.diff(truth, axis=0), axis=-1).mean(axis=-1) / eyes[1:])
            delays.append(metrics.delay(points, biased, eyes))
            depths += _blink_depths(points, truth)
        shake, still = np.concatenate(shakes), np.concatenate(speeds) < STILL
        depth = float(np.mean(depths)) if depths else float("nan")
        raw_depth = depth if way == RAW else raw_depth
        figures = {
            "nrmse": float(np.mean(errors)),
            "still": float(shake[still].mean()),
            "moving": float(shake[~still].mean()),
            "delay_frames": float(np.mean(delays)),
            "blinks": depth,
            "blinks_of_raw": depth / raw_depth,
        }
        frames = len(shake) + len(loaded)
        rows.append(Row(way, ALL, "68", len(loaded), frames, frames, figures))
    return rows, items, _trajectories(loaded, outputs, decoder)


def _blink_depths(points: Points, truth: Points) -> list[float]:
    """Of each true blink, how far the eyes close over how far they truly do."""
    true, shown = _openness(truth), _openness(points)
    blinks, _ = find_peaks(-true, prominence=0.35 * np.median(true))
    around = [slice(max(middle - _BLINK, 0), middle + _BLINK + 1) for middle in blinks]
    return [float(np.ptp(shown[near]) / np.ptp(true[near])) for near in around]


def _openness(points: Points) -> Float[np.ndarray, "frames"]:
    """Distance of the lids over the inter-ocular distance, mean of both eyes."""
    gaps = []
    for group in ("right_eye", "left_eye"):
        upper, lower = markup.facing(group)
        gaps.append(np.linalg.norm(points[:, upper] - points[:, lower], axis=-1))
    return np.concatenate(gaps, axis=1).mean(axis=1) / metrics.interocular(points)


# ------------------------------------------------------------------------------------------- pictures

_DRAWN = (RAW_FHR, RAW, "second-order", "one-euro", "sta")


def _trajectories(
    loaded: Loaded, outputs: Mapping[str, Mapping[str, Points]], decoder: str
) -> dict[str, Any]:
    """Per landmark the size and direction of wrong motion, and an excerpt of one landmark's path."""
    sizes: dict[str, list[np.ndarray]] = {}
    turns: dict[str, list[np.ndarray]] = {}
    for name, prediction in loaded.items():
        if prediction.group == OWN_BOX_GROUP:  # its markup is another one
            continue
        truth = prediction.truth
        eyes = np.asarray(metrics.interocular(truth))
        for way in (RAW_FHR, RAW, "sta"):
            if way in outputs[name]:
                sizes.setdefault(way, []).append(metrics.motion_error(outputs[name][way], truth, eyes))
                turns.setdefault(way, []).append(metrics.turn_error(outputs[name][way], truth, eyes))
    first = next(iter(loaded))
    return {
        "motion error by landmark": {way: np.mean(parts, axis=0).tolist() for way, parts in sizes.items()},
        "turn error by landmark": {way: np.nanmean(parts, axis=0).tolist() for way, parts in turns.items()},
        "trajectory": _excerpt(loaded[first], outputs[first], first),
    }


def _excerpt(prediction: Prediction, outputs: Mapping[str, Points], name: str) -> dict[str, Any]:
    """The path of the tip of the nose where it moves fastest; px."""
    theirs = int(markup.SEVEN_TALKING_FACE[4]) if prediction.group == OWN_BOX_GROUP else _TIP
    truth = prediction.truth[:, theirs]
    speed = np.nan_to_num(np.linalg.norm(np.diff(truth, axis=0), axis=-1))
    middle = int(np.argmax(np.convolve(speed, np.ones(15), mode="same")))
    start = max(0, min(middle - _EXCERPT // 2, len(truth) - _EXCERPT))
    part = slice(start, start + _EXCERPT)
    paths = {way: outputs[way][part, _TIP].tolist() for way in _DRAWN if way in outputs}
    return {
        "item": name,
        "first frame": start,
        "seconds": prediction.seconds[part].tolist(),
        "truth": truth[part].tolist(),
        "paths": paths,
    }


# ----------------------------------------------------------------------------------------------- JSON


def _plain(value: Any) -> Any:
    """NaN as None, throughout."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _floats(figures: Mapping[str, float | None]) -> Figures:
    return {key: float("nan") if value is None else float(value) for key, value in figures.items()}
