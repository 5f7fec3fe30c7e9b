"""The trajectories of a video's points that are compared, and what pictures show of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from steadyface import markup, metrics
from steadyface.evaluation.predictions import Prediction
from steadyface.evaluation.protocols import CHR, FHR, OWN_BOX_GROUP
from steadyface.evaluation.results import RAW, RAW_CHR, RAW_FHR
from steadyface.stabilizer import DEFAULT_STABILIZER, KINDS, load_stabilizer

Points = Float[np.ndarray, "frames 68 2"]

_LAGS = (2, 5)
_EXCERPT = 150  # frames of the trajectories kept for pictures
_TIP = 30  # the landmark whose trajectory is kept
_DRAWN = (RAW_FHR, RAW, "second-order", "one-euro", "sta")


def trajectories(prediction: Prediction, decoder: str) -> Iterator[tuple[str, Points]]:
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


def curves(loaded: Mapping[str, Prediction], outputs: Mapping[str, Mapping[str, Points]]) -> dict[str, Any]:
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
