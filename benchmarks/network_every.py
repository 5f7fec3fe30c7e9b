"""Fewer runs of the landmark network: accuracy, steadiness and time where it runs in every n-th frame.

    python benchmarks/network_every.py DATA [--weights compact] [--parts PART ...] [--clips 24]

PART is known, talking, occlusion or time; by default all. Whole trackers see the same frames side by side,
one for each schedule: every = 1, auto, 2 and 3.

- known: exactly known motion in full HD (`evaluate known-motion`): still, moving, delay, NRMSE and depth of
  blinks; raw points are those of every = 1.
- talking: Talking Face, 1,000 frames: stability, NRMSE and delay of seven points.
- occlusion: an object crosses a moving face (`evaluate occlusion`), 24 clips: distance of uncovered points
  during the crossing, of covered ones, and of all afterwards.
- time: the first scenes of known motion, rendered at 720p: processor time of one thread for all that is done
  with a frame, ms, the mean of the frames from the tenth on.

*Runs* is the share of frames in which the network ran. Lengths are in % of the inter-ocular distance, the
delay in frames.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import process_time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import cv2
import numpy as np

from steadyface import metrics
from steadyface.arrays import FacePoints, FaceSequence
from steadyface.evaluation.evaluate import find_benchmark
from steadyface.evaluation.known_motion import clip_figures
from steadyface.evaluation.occlusion import ClipDistances, clip_distances
from steadyface.evaluation.trajectories import RAW, STA_MOTION
from steadyface.fitting.sequences import with_constant_bias
from steadyface.geometry import bounding_box
from steadyface.landmarker import Landmarker
from steadyface.markup import SEVEN, SEVEN_TALKING_FACE
from steadyface.tracking import Tracker, TrackerConfig
from steadyface.video import VideoFrame

SCHEDULES = (1, "auto", 2, 3)
PARTS = {
    "known": ("still", "moving", "delay", "NRMSE", "blinks", "runs"),
    "talking": ("stab.", "NRMSE", "delay", "runs"),
    "occlusion": ("uncov.", "covered", "after", "runs"),
    "time": ("ms", "runs"),
}
TIMED, WARM = 3, 10
"""Scenes that are timed, and frames at the beginning of each that are not."""


@dataclass
class Follower:
    """The tracker of one schedule on one clip."""

    tracker: Tracker
    points: list[FacePoints] = field(default_factory=list)
    raw: list[FacePoints] = field(default_factory=list)
    carried: list[bool] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def step(self, frame: VideoFrame) -> None:
        began = process_time()
        (face,) = self.tracker.step(frame.image, frame.seconds)
        self.times.append(process_time() - began)
        self.points.append(face.points)
        self.raw.append(face.raw_points)
        self.carried.append(face.carried)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", default="compact")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--clips", type=int, default=24, help="of known motion")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    landmarker = Landmarker(options.weights, threads=1)
    table: dict[object, list[str]] = {schedule: [] for schedule in SCHEDULES}
    for part in options.parts:
        for schedule, cells in FIGURES[part](landmarker, options.data, options.clips).items():
            table[schedule] += [f"{value:.3f}" for value in cells]
    heads = [head for part in options.parts for head in PARTS[part]]
    print(f"{'every':<8}" + "".join(f"{head:>8}" for head in heads))
    for schedule, cells in table.items():
        print(f"{schedule:<8}" + "".join(f"{cell:>8}" for cell in cells))


def follow(frames: Iterable[VideoFrame], first: FacePoints, landmarker: Landmarker) -> dict[object, Follower]:
    """Track a face by every schedule, from its true box in the first frame."""
    box, config = bounding_box(first)[None], TrackerConfig(max_faces=1, accept=0.0, keep=0.0, confirm=0.0)
    followers: dict[object, Follower] = {
        schedule: Follower(Tracker(landmarker, lambda image: box, config=config, network_every=schedule))
        for schedule in SCHEDULES
    }
    for t, frame in enumerate(frames):
        each = list(followers.values())
        first_one = t % len(each)  # in turn: the first one has to fetch the picture into the cache
        for follower in (*each[first_one:], *each[:first_one]):
            follower.step(frame)
    return followers


def of_known_motion(landmarker: Landmarker, data: Path, clips: int) -> dict[object, list[float]]:
    """Still, moving, delay, NRMSE, blinks, runs."""
    figures: dict[object, list[object]] = {schedule: [] for schedule in SCHEDULES}
    carried: dict[object, list[bool]] = {schedule: [] for schedule in SCHEDULES}
    for item in find_benchmark("known-motion").find(data).items[:clips]:
        scene = item.source.render()
        truth = np.stack([scene.truth(t / scene.fps) for t in range(len(scene))])
        followers = follow(scene, truth[0], landmarker)
        biased = with_constant_bias(truth, np.array(followers[1].raw, float))
        for schedule, follower in followers.items():
            figures[schedule].append(clip_figures(np.array(follower.points, float), truth, biased))
            carried[schedule] += follower.carried
        print(f"{item.name}: {1 - np.mean(followers['auto'].carried):.2f} of the frames", flush=True)
    rows: dict[object, list[float]] = {}
    for schedule, each in figures.items():
        jitter, still = (
            np.concatenate([getattr(clip, part) for clip in each]) for part in ("jitter", "still")
        )
        delay, error = (
            float(np.mean([getattr(clip, part) for clip in each]))
            for part in ("delay_frames", "nrmse_interocular")
        )
        blinks = float(np.mean([depth for clip in each for depth in clip.blink_depths]))
        runs = 1 - float(np.mean(carried[schedule]))
        rows[schedule] = [jitter[still].mean(), jitter[~still].mean(), delay, error, blinks, runs]
    return rows


def of_talking_face(landmarker: Landmarker, data: Path, clips: int) -> dict[object, list[float]]:
    """Stability, NRMSE and delay of seven points, runs."""
    (item,) = find_benchmark("talking-face").find(data).items
    frames, truth = zip(*item.source, strict=True)
    seven: FaceSequence = np.stack(truth)[:, SEVEN_TALKING_FACE]
    eyes = np.linalg.norm(seven[:, 3] - seven[:, 0], axis=-1)
    rows = {}
    for schedule, follower in follow(frames, truth[0], landmarker).items():
        points = np.array(follower.points, float)[:, SEVEN]
        error = 100 * np.mean(np.linalg.norm(points - seven, axis=-1).mean(axis=-1) / eyes)
        runs = 1 - float(np.mean(follower.carried))
        delay = metrics.delay(points, seven, eyes)
        rows[schedule] = [float(metrics.stability(points, seven, eyes)), float(error), delay, runs]
    return rows


def of_occlusion(landmarker: Landmarker, data: Path, clips: int) -> dict[object, list[float]]:
    """Distances of uncovered, of covered and, later, of all points; runs."""
    distances: dict[object, list[ClipDistances]] = {schedule: [] for schedule in SCHEDULES}
    carried: dict[object, list[bool]] = {schedule: [] for schedule in SCHEDULES}
    for item in find_benchmark("occlusion").find(data).items[:clips]:
        scene = item.source.render()
        seconds = np.arange(len(scene)) / scene.fps
        truth = np.stack([scene.truth(float(time)) for time in seconds])
        covered = np.stack([scene.covered(float(time)) for time in seconds])
        followers = follow(scene, truth[0], landmarker)
        raw = np.array(followers[1].raw, float)
        for schedule, follower in followers.items():
            found = {RAW: raw, STA_MOTION: np.array(follower.points, float)}
            distances[schedule].append(clip_distances(covered, truth, found)[STA_MOTION])
            carried[schedule] += follower.carried
    return {
        schedule: [
            *(
                float(np.concatenate([getattr(clip, part) for clip in each]).mean())
                for part in ("uncovered", "covered", "after")
            ),
            1 - float(np.mean(carried[schedule])),
        ]
        for schedule, each in distances.items()
    }


def of_time(landmarker: Landmarker, data: Path, clips: int) -> dict[object, list[float]]:
    """Milliseconds a frame, runs."""
    times: dict[object, list[float]] = {schedule: [] for schedule in SCHEDULES}
    carried: dict[object, list[bool]] = {schedule: [] for schedule in SCHEDULES}
    for item in find_benchmark("known-motion").find(data).items[:TIMED]:
        scene = replace(item.source.render(), width=1280, height=720, eyes_px=147.0)
        for schedule, follower in follow(scene, scene.truth(0.0), landmarker).items():
            times[schedule] += follower.times[WARM:]
            carried[schedule] += follower.carried[WARM:]
    return {
        schedule: [1e3 * float(np.mean(times[schedule])), 1 - float(np.mean(carried[schedule]))]
        for schedule in SCHEDULES
    }


FIGURES = {"known": of_known_motion, "talking": of_talking_face, "occlusion": of_occlusion, "time": of_time}


if __name__ == "__main__":
    main()
