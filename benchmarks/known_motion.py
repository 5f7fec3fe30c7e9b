"""Exactly known motion in full HD: HELEN test faces that turn, blink and talk, through the whole tracker.

    python benchmarks/known_motion.py DATA [STILLS] [WEIGHTS]

DATA holds 300w/; of its HELEN test faces every so many one is taken, 24 unless STILLS says otherwise;
WEIGHTS is a bundled model or an .onnx file. Each becomes a clip of 5 s, 1920 × 1080, 30 frames/s, with 220 px
from eye corner to eye corner and sensor noise (`TalkingStill`), and is tracked from its first frame on; the
detector is told where the face is. Stability, in % of the inter-ocular distance, over all frames in which the
true points move by less than 0.1 % of it on average (`still`) and over the others (`moving`). NRMSE, same
unit, is that to the truth plus each landmark's constant error in the clip. `blinks`: how deep the eyes close,
over how deep they truly close, as a mean over all blinks; `of raw` is that over what the raw points show.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.signal import find_peaks
from stabilised import Raw, each_stabilised

from steadyface import markup, metrics
from steadyface.datasets.talking_still import TalkingStill
from steadyface.datasets.three_hundred_w import find_samples
from steadyface.landmarker import Landmarker
from steadyface.sequences import follow_known, with_constant_bias

STILL = 0.1  # % of the inter-ocular distance a frame
BLINK = 10  # frames to each side of the moment when the eyes are most closed


class Clip(NamedTuple):
    """A tracked scene and its truth, (frames, 68, 2) image px."""

    raw: Raw
    truth: np.ndarray


def main(data: str, stills: str = "24", weights: str = "compact") -> None:
    samples = find_samples(Path(data) / "300w", ("helen-test",))
    landmarker = Landmarker(weights)
    scenes = []
    for seed, sample in enumerate(samples[:: len(samples) // int(stills)][: int(stills)]):
        still, points = sample.load()
        scenes.append(TalkingStill(still, points, seed=1000 + seed))
    clips = [tracked(scene, landmarker) for scene in scenes]
    heads = f"{'NRMSE':>7} {'still':>7} {'moving':>7} {'delay':>7} {'blinks':>7} {'of raw':>7}"
    print(f"{f'known motion, {len(clips)} faces, {weights}':<32} {heads}")
    outputs: dict[str, list[np.ndarray]] = {}
    for clip in clips:
        for kind, made in each_stabilised(clip.raw):
            outputs.setdefault(kind, []).append(made)
    first = depth(outputs["raw"], clips)
    for kind, points in outputs.items():
        blinks = depth(points, clips)
        print(f"{kind:<32} {figures(points, clips)} {blinks:7.2f} {blinks / first:7.2f}")


def tracked(scene: TalkingStill, landmarker: Landmarker) -> Clip:
    seconds = np.arange(len(scene)) / scene.fps
    truth = np.stack([scene.truth(float(time)) for time in seconds])
    points, scores = follow_known(scene, truth[0], landmarker)
    return Clip(Raw(points, seconds, scores), truth)


def figures(outputs: list[np.ndarray], clips: list[Clip]) -> str:
    """NRMSE, stability of still and of moving frames, delay."""
    errors, shaking, speed, delays = [], [], [], []
    for points, clip in zip(outputs, clips, strict=True):
        truth, eyes = clip.truth, np.asarray(metrics.interocular(clip.truth))
        biased = with_constant_bias(truth, clip.raw.points)
        errors.append(metrics.nrmse_interocular(points, biased).mean())
        excess = np.linalg.norm(np.diff(points - truth, axis=0), axis=-1).mean(axis=-1)
        shaking.append(100 * excess / eyes[1:])
        speed.append(100 * np.linalg.norm(np.diff(truth, axis=0), axis=-1).mean(axis=-1) / eyes[1:])
        delays.append(metrics.delay(points, biased, eyes))
    shakes, still = np.concatenate(shaking), np.concatenate(speed) < STILL
    values = np.mean(errors), shakes[still].mean(), shakes[~still].mean(), np.mean(delays)
    return " ".join(f"{value:7.3f}" for value in values)


def depth(outputs: list[np.ndarray], clips: list[Clip]) -> float:
    """Mean over all blinks of how far the eyes close, over how far they truly do."""
    shares = []
    for points, clip in zip(outputs, clips, strict=True):
        true, shown = openness(clip.truth), openness(points)
        blinks, _ = find_peaks(-true, prominence=0.35 * np.median(true))
        for middle in blinks:
            around = slice(max(middle - BLINK, 0), middle + BLINK + 1)
            shares.append(np.ptp(shown[around]) / np.ptp(true[around]))
    return float(np.mean(shares))


def openness(points: np.ndarray) -> np.ndarray:
    """Distance of the lids over the inter-ocular distance, mean of both eyes, of each frame."""
    gaps = []
    for group in ("right_eye", "left_eye"):
        upper, lower = markup.facing(group)
        gaps.append(np.linalg.norm(points[:, upper] - points[:, lower], axis=-1))
    return np.concatenate(gaps, axis=1).mean(axis=1) / metrics.interocular(points)


if __name__ == "__main__":
    main(*sys.argv[1:])
