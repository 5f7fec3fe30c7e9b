"""The figures of exactly known motion: rest and movement apart, and how far blinks come through."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from scipy.signal import find_peaks

from steadyface import markup, metrics
from steadyface.evaluation.predictions import Prediction
from steadyface.evaluation.results import ALL, RAW, Row, Scored
from steadyface.evaluation.score.trajectories import curves, trajectories
from steadyface.sequences import with_constant_bias

Points = Float[np.ndarray, "frames 68 2"]

STILL = 0.1
"""Speed below which a face rests, % of the inter-ocular distance a frame."""

_BLINK = 10  # frames to each side of the moment when the eyes are most closed


def score_motion(loaded: Mapping[str, Prediction], decoder: str) -> Scored:
    """A row per path."""
    outputs = {name: dict(trajectories(prediction, decoder)) for name, prediction in loaded.items()}
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
    return Scored(rows, items, curves(loaded, outputs))


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
