"""The trajectories of a video's points that are compared, and what pictures show of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
Curves = dict[str, dict[str, Float[np.ndarray, "68"]]]

_LAGS = (2, 5)
_EXCERPT = 150  # frames of the trajectories kept for pictures
_TIP = 30  # the landmark whose trajectory is kept
_BY_LANDMARK = (RAW_FHR, RAW, "sta")
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


def by_landmark(truth: Points, outputs: Mapping[str, Points]) -> Curves:
    """The size and the direction of wrong motion of each landmark, by trajectory."""
    eyes = np.asarray(metrics.interocular(truth))
    shown = {way: outputs[way] for way in _BY_LANDMARK if way in outputs}
    return {
        "motion error by landmark": {way: metrics.motion_error(shown[way], truth, eyes) for way in shown},
        "turn error by landmark": {way: metrics.turn_error(shown[way], truth, eyes) for way in shown},
    }


def mean_curves(parts: Sequence[Curves]) -> dict[str, Any]:
    """The mean over videos, each with equal weight; a video without a step has no part in it."""
    return {
        key: {way: metrics.mean_known(np.array([part[key][way] for part in parts])).tolist() for way in ways}
        for key, ways in (parts[0].items() if parts else ())
    }


def excerpt(name: str, prediction: Prediction, outputs: Mapping[str, Points]) -> dict[str, Any]:
    """The path of the tip of the nose where it moves fastest; px."""
    theirs = int(markup.SEVEN_TALKING_FACE[4]) if prediction.group == OWN_BOX_GROUP else _TIP
    truth = prediction.truth[:, theirs]
    speed = np.nan_to_num(np.linalg.norm(np.diff(truth, axis=0, prepend=truth[:1]), axis=-1))
    middle = int(np.argmax(np.convolve(speed, np.ones(15), mode="same")))
    start = max(0, min(middle - _EXCERPT // 2, len(truth) - _EXCERPT))
    part = slice(start, start + _EXCERPT)
    return {
        "item": name,
        "first frame": start,
        "seconds": prediction.seconds[part].tolist(),
        "truth": truth[part].tolist(),
        "paths": {way: outputs[way][part, _TIP].tolist() for way in _DRAWN if way in outputs},
    }
