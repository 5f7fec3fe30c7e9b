"""The figures of exactly known motion: rest and movement apart, and how far blinks come through."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.signal import find_peaks

from steadyface import markup, metrics
from steadyface.evaluation.predictions import Prediction
from steadyface.evaluation.results import ALL, RAW, Figures, Row, Scored
from steadyface.evaluation.score.trajectories import by_landmark, excerpt, mean_curves, trajectories
from steadyface.fitting.sequences import with_constant_bias

Points = Float[np.ndarray, "frames 68 2"]

STILL = 0.1
"""Speed below which a face rests, % of the inter-ocular distance a frame."""

_BLINK = 10  # frames to each side of the moment when the eyes are most closed


@dataclass(frozen=True)
class _Clip:
    """What one trajectory makes of one face in motion; steps in % of the inter-ocular distance a frame."""

    nrmse: float
    shake: Float[np.ndarray, "steps"]
    still: Bool[np.ndarray, "steps"]
    delay: float
    blinks: list[float]


def score_motion(loaded: Iterable[tuple[str, Prediction]], decoder: str) -> Scored:
    """A row per trajectory; errors and delays are less what each raw landmark is always off by."""
    clips: dict[str, list[_Clip]] = {}
    items: dict[str, Figures] = {}
    curves = []
    path: dict[str, Any] = {}
    for name, prediction in loaded:
        outputs = dict(trajectories(prediction, decoder))
        biased = with_constant_bias(prediction.truth, outputs[RAW])
        items[name] = {}
        for way, points in outputs.items():
            clip = _clip(points, prediction.truth, biased)
            clips.setdefault(way, []).append(clip)
            items[name][way] = clip.nrmse
        curves.append(by_landmark(prediction.truth, outputs))
        path = path or excerpt(name, prediction, outputs)
    raw_blinks = _mean([depth for clip in clips[RAW] for depth in clip.blinks])
    rows = [_row(way, parts, raw_blinks) for way, parts in clips.items()]
    return Scored(rows, items, mean_curves(curves) | {"trajectory": path})


def _clip(points: Points, truth: Points, biased: Points) -> _Clip:
    eyes = np.asarray(metrics.interocular(truth))
    shake, speed = (
        100 * np.linalg.norm(np.diff(path, axis=0), axis=-1).mean(axis=-1) / eyes[1:]
        for path in (points - truth, truth)
    )
    return _Clip(
        float(np.mean(metrics.nrmse_interocular(points, biased))),
        shake,
        speed < STILL,
        metrics.delay(points, biased, eyes),
        _blink_depths(points, truth),
    )


def _row(way: str, clips: Sequence[_Clip], raw_blinks: float) -> Row:
    shake, still = (np.concatenate([getattr(clip, key) for clip in clips]) for key in ("shake", "still"))
    blinks = _mean([depth for clip in clips for depth in clip.blinks])
    figures = {
        "nrmse": _mean([clip.nrmse for clip in clips]),
        "still": _mean(shake[still]),
        "moving": _mean(shake[~still]),
        "delay_frames": _mean([clip.delay for clip in clips]),
        "blinks": blinks,
        "blinks_of_raw": blinks / raw_blinks if raw_blinks else float("nan"),
    }
    frames = len(shake) + len(clips)
    return Row(way, ALL, "68", len(clips), frames, frames, figures)


def _mean(values: Sequence[float] | Float[np.ndarray, "n"]) -> float:
    return float(metrics.mean_known(np.array(values, float)))


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
