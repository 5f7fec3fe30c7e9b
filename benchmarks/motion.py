"""Ablations of measured motion: flow without each of its parts, and in other crops, on the same raw points.

    steadyface predict known-motion --data DATA --out MOTION
    steadyface predict occlusion --data DATA --out OCCLUSION
    steadyface predict talking-face --data DATA --out TALKING
    python benchmarks/motion.py DATA MOTION OCCLUSION TALKING

No network runs: the raw points are those of the predictions, and the displacements of every variant are
measured anew in the pictures, from the points of `sta` with that variant's displacements. A few clips of each
benchmark are used; `--all` takes every clip and frame.

Columns: of known motion still, moving, delay and NRMSE; of occlusion the mean distance of uncovered points
and its 99 % quantile, and the mean of covered ones; of Talking Face stability and NRMSE; the median processor
time on one thread, ms a face and frame, of crop, flow and coherence. Lengths are in % of the inter-ocular
distance, the delay in frames. `recorded` is what the tracker measured when the predictions were made.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from time import process_time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import cv2
import numpy as np

from steadyface import metrics
from steadyface.evaluation.evaluate import find_benchmark
from steadyface.evaluation.known_motion import clip_figures
from steadyface.evaluation.occlusion import clip_distances, mean_and_quantile
from steadyface.evaluation.predictions import Prediction, PredictionFolder
from steadyface.evaluation.trajectories import RAW, STA_MOTION
from steadyface.fitting.sequences import with_constant_bias
from steadyface.geometry import Region
from steadyface.images import crop_grey
from steadyface.markup import SEVEN, SEVEN_TALKING_FACE
from steadyface.motion import (
    CoherenceConfig,
    Displacements,
    FaceCrop,
    FlowConfig,
    combine,
    face_region,
    follow_region,
    measure_flow,
    robust_similarity,
)
from steadyface.stabilizer import State, load_stabilizer
from steadyface.stabilizer.picture import PictureModel
from steadyface.video import VideoFrame

STABILIZER = load_stabilizer("sta")
CLIPS, FRAMES = {"known-motion": 3, "occlusion": 6, "talking-face": 1}, 300
FIXED_ERROR = 0.1
"""Standard deviation of every displacement in the variant without covariances, px of the crop."""

MEMORY = 0.6
"""Of a landmark's trust from frame to frame, as in `tracking.skin`."""


@dataclass(frozen=True)
class Variant:
    """How displacements are measured, and taken in.

    Args:
        size: of the crop, px.
        flow, coherence: settings; without coherence each landmark stands for itself.
        aligned: each frame has a crop that turns and grows with the face; else both have one upright crop.
        covariances: of the flow; else all are `FIXED_ERROR`.
        remembers: past agreement counts in the common motion.
        steps: displacements are held against the steps of the network's points.
        picture: parameters of the filter.
    """

    size: int = 224
    flow: FlowConfig = field(default_factory=FlowConfig)
    coherence: CoherenceConfig | None = field(default_factory=CoherenceConfig)
    aligned: bool = True
    covariances: bool = True
    remembers: bool = True
    steps: bool = True
    picture: PictureModel = STABILIZER.picture


VARIANTS = {
    "default": Variant(),
    "no backward check": Variant(flow=FlowConfig(gap_gain=0.0)),
    "no covariance": Variant(covariances=False),
    "no coherence": Variant(coherence=None),
    "no innovation test": Variant(
        coherence=CoherenceConfig(limit=np.inf, gate=np.inf), remembers=False, steps=False
    ),
    "no memory of agreement": Variant(remembers=False),
    "no step of the network": Variant(steps=False, coherence=CoherenceConfig(gate=np.inf)),
    "no wrong displacements": Variant(
        picture=replace(
            STABILIZER.picture,
            **dict.fromkeys(("wrong", "wrong_brows", "wrong_lips", "wrong_lids", "wrong_jaw"), 1e-9),
        )
    ),
    "no loose points": Variant(picture=replace(STABILIZER.picture, loose=1e-9)),
    "upright crop": Variant(aligned=False),
    "288 px": Variant(size=288),
    "160 px": Variant(size=160),
    "128 px": Variant(size=128),
    "window 31": Variant(flow=FlowConfig(window=31, fine_window=15)),
    "window 15": Variant(flow=FlowConfig(window=15, fine_window=9)),
    "160 px, window 15": Variant(size=160, flow=FlowConfig(window=15, fine_window=9)),
    "128 px, window 15": Variant(size=128, flow=FlowConfig(window=15, fine_window=9)),
}


@dataclass
class Follower:
    """One variant on one clip: state of the tracker's part that measures and filters."""

    variant: Variant
    state: State | None = None
    points: np.ndarray | None = None
    last_raw: np.ndarray | None = None
    region: Region | None = None
    crop: FaceCrop | None = None
    trust: np.ndarray = field(default_factory=lambda: np.ones(68))
    frame: np.ndarray | None = None
    outputs: list[np.ndarray] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stabilizer = replace(STABILIZER, picture=self.variant.picture)

    def step(self, frame: np.ndarray, raw: np.ndarray, dt: float, scores: np.ndarray) -> None:
        """Take the next frame; NaN points are a loss, after which all begins anew."""
        if np.isnan(raw).any():
            self.state = self.points = self.crop = None
            self.outputs.append(raw)
            return
        began = process_time()
        displacements = None if self.crop is None else self._measure(frame, raw)
        if self.crop is None:
            self.region = face_region(raw)
            self.crop = self._cut(frame, self.region)
        self.times.append(process_time() - began)
        self.frame, self.last_raw = frame, raw
        self.state, self.points = self.stabilizer.step(self.state, raw, dt, scores, displacements)
        self.outputs.append(self.points)

    def _cut(self, frame: np.ndarray, region: Region) -> FaceCrop:
        return FaceCrop(*crop_grey(frame, region, self.variant.size))

    def _measure(self, frame: np.ndarray, raw: np.ndarray) -> Displacements:
        """As `tracking.skin.next_views`, by the variant's settings."""
        assert self.region is not None
        assert self.frame is not None
        variant, points = self.variant, self.points
        motion = robust_similarity(self.last_raw, raw)
        if variant.aligned:
            before = self.crop
            self.region, expected = follow_region(self.region, points, motion)
        else:
            self.region, expected = replace(face_region(points), roll=0.0), motion(points)
            before = self._cut(self.frame, self.region)
        self.crop = self._cut(frame, self.region)
        flow = measure_flow(before, self.crop, points, expected, variant.flow)
        if not variant.covariances:
            error = FIXED_ERROR / self.crop.to_crop.scale
            flow = flow._replace(covariance=np.tile(error**2 * np.eye(2), (68, 1, 1)))
        if variant.coherence is None:
            return Displacements(*flow)
        step = raw - self.last_raw if variant.steps else None
        trust = self.trust if variant.remembers else None
        measured = Displacements(*combine(points, expected, flow, variant.coherence, step, trust))
        self.trust = MEMORY * self.trust + (1 - MEMORY) * measured.valid
        return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("data", "motion", "occlusion", "talking"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--all", action="store_true", help="all clips and frames")
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    options = parser.parse_args()
    cv2.setNumThreads(1)
    variants = {name: VARIANTS[name] for name in options.only}
    table: dict[str, list[str]] = {}
    times: dict[str, list[float]] = {name: [] for name in variants}
    for protocol, root in (
        ("known-motion", options.motion),
        ("occlusion", options.occlusion),
        ("talking-face", options.talking),
    ):
        clips = list(follow(protocol, options.data, root, variants, times, options.all))
        for name, cells in SCORES[protocol](clips).items():
            table.setdefault(name, []).extend(cells)
    heads = ("still", "moving", "delay", "NRMSE", "uncov.", "99 %", "cov.", "stab.", "NRMSE", "ms")
    print(f"{'':<24}" + "".join(f"{head:>8}" for head in heads))
    for name, cells in table.items():
        took = f"{1e3 * np.median(times[name]):.2f}" if name in times else ""
        print(f"{name:<24}" + "".join(f"{cell:>8}" for cell in (*cells, took)))


def follow(
    protocol: str,
    data: Path,
    root: Path,
    variants: Mapping[str, Variant],
    times: Mapping[str, list[float]],
    all_of_it: bool,
) -> Iterator[tuple[Prediction, dict[str, np.ndarray]]]:
    """Predictions of some clips of a benchmark, and the points of every variant."""
    folder, items = PredictionFolder(root), find_benchmark(protocol).find(data).items
    for item in items if all_of_it else items[:: max(1, len(items) // CLIPS[protocol])]:
        known = folder.read(item.name)
        count = len(known.seconds) if all_of_it else min(len(known.seconds), FRAMES)
        raw, scores = known.points[-1, :count], known.scores[-1, :count]
        followers = {name: Follower(variant) for name, variant in variants.items()}
        for t, frame in enumerate(islice(frames_of(item.source), count)):
            dt = float(known.seconds[t] - known.seconds[max(t - 1, 0)])
            first = t % len(followers)  # in turn: the first one has to fetch the picture into the cache
            for follower in (*list(followers.values())[first:], *list(followers.values())[:first]):
                follower.step(frame.image, raw[t], dt, scores[t])
        outputs = {name: np.stack(each.outputs) for name, each in followers.items()}
        assert known.motion is not None
        motion = known.motion.unpack()[:count]
        recorded = STABILIZER.filter(raw, known.seconds[:count], scores, motion)
        alone = STABILIZER.filter(raw, known.seconds[:count], scores)
        for name, follower in followers.items():
            times[name].extend(follower.times[1:])
        cut = replace(known, truth=known.truth[:count], covered=known.covered[:count])
        yield cut, {"raw": raw, "sta, points only": alone, "recorded": recorded} | outputs


def frames_of(source: object) -> Iterable[VideoFrame]:
    """Frames of a scene or of an annotated video."""
    if hasattr(source, "render"):
        return source.render()
    return (frame for frame, _ in source)  # type: ignore[attr-defined]


Clips = list[tuple[Prediction, dict[str, np.ndarray]]]


def of_known_motion(clips: Clips) -> dict[str, list[str]]:
    """Still, moving, delay, NRMSE."""
    cells = {}
    for name in clips[0][1]:
        figures = [
            clip_figures(outputs[name], known.truth, with_constant_bias(known.truth, outputs["raw"]))
            for known, outputs in clips
        ]
        jitter, still = (
            np.concatenate([getattr(each, part) for each in figures]) for part in ("jitter", "still")
        )
        delay, error = (
            np.mean([getattr(each, part) for each in figures])
            for part in ("delay_frames", "nrmse_interocular")
        )
        cells[name] = [
            f"{value:.3f}" for value in (jitter[still].mean(), jitter[~still].mean(), delay, error)
        ]
    return cells


def of_occlusion(clips: Clips) -> dict[str, list[str]]:
    """Mean and 99 % quantile of uncovered points, mean of covered ones."""
    cells = {}
    for name in clips[0][1]:
        each = [
            clip_distances(known.covered, known.truth, {RAW: outputs["raw"], STA_MOTION: outputs[name]})[
                STA_MOTION
            ]
            for known, outputs in clips
        ]
        uncovered = mean_and_quantile([clip.uncovered for clip in each])
        covered, _ = mean_and_quantile([clip.covered for clip in each])
        cells[name] = [f"{value:.2f}" for value in (*uncovered, covered)]
    return cells


def of_talking_face(clips: Clips) -> dict[str, list[str]]:
    """Stability and NRMSE of seven points."""
    ((known, outputs),) = clips
    truth = known.truth[:, SEVEN_TALKING_FACE]
    eyes = np.linalg.norm(truth[:, 3] - truth[:, 0], axis=-1)
    cells = {}
    for name, points in outputs.items():
        seven = points[:, SEVEN]
        error = 100 * np.nanmean(np.linalg.norm(seven - truth, axis=-1).mean(axis=-1) / eyes)
        cells[name] = [f"{value:.3f}" for value in (metrics.stability(seven, truth, eyes), error)]
    return cells


SCORES = {"known-motion": of_known_motion, "occlusion": of_occlusion, "talking-face": of_talking_face}


if __name__ == "__main__":
    main()
