"""Mouths that open and close as fast as speech and song: do the stabilised lips keep up?

    python benchmarks/talking.py DATA [WEIGHTS [STABILIZER]]

Clips of faces of 300-W that training holds out, in three dimensions (DATA holds `300w` and
`extra/ict_facekit`): the jaw drops within one to four frames at 30 a second, stays and rises again, while the
head sways. One line for the network's points, one for those stabilised without and one with measured motion:
the error of the lips (mean, and its 95th percentile) in % of the inter-ocular distance without each point's
mean error, the opening of the inner lips over the true one, and its delay in frames.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float

from steadyface import Tracker, markup
from steadyface.arrays import FaceSequence, Times
from steadyface.datasets.three_hundred_w import TRAIN_PARTS, find_samples, hold_out
from steadyface.geometry import Region
from steadyface.images import crop_region
from steadyface.landmarker import Landmarker
from steadyface.metrics import delay, interocular
from steadyface.models import DEFAULT_MODEL
from steadyface.motion.sequence import MotionSequence
from steadyface.stabilizer import CausalFilter, lowered_where_hidden
from steadyface.synthetic.heads.model import HeadModel
from steadyface.synthetic.heads.turned import HeadPhoto
from steadyface.tracking import TrackerConfig
from steadyface.training.turned import HEAD_MODEL

FACES, SIDE, MARGIN = 6, 320, 2.2
FPS, FRAMES, NOISE = 30.0, 110, 2.0
LEVEL, SHUT = math.radians(12), 0.06
LIPS = [*markup.GROUPS["outer_lips"], *markup.GROUPS["inner_lips"]]


class Clip(NamedTuple):
    """One face: the truth, the network's points and scores, and the measured motion."""

    truth: FaceSequence
    raw: FaceSequence
    scores: Float[np.ndarray, "frames 68"]
    seconds: Times
    motion: MotionSequence


def main(data: str, weights: str = DEFAULT_MODEL, name: str = "sta") -> None:
    tracker = Tracker(
        Landmarker(weights, device="cpu", threads=1),
        stabilizer=name,
        config=TrackerConfig(max_faces=1),
        network_every=1,
    )
    stabilizer = tracker.stabilizer
    assert isinstance(stabilizer, CausalFilter)
    clips = [follow(head, tracker, seed) for seed, head in enumerate(heads(Path(data)))]
    outputs = {
        "network": [clip.raw for clip in clips],
        f"{name}, no picture": [stabilizer.filter(clip.raw, clip.seconds, clip.scores) for clip in clips],
        name: [stabilizer.filter(clip.raw, clip.seconds, clip.scores, clip.motion) for clip in clips],
    }
    print(f"{len(clips)} clips\n{'':<18}{'mean':>8}{'95 %':>8}{'opening':>9}{'delay':>8}")
    for label, points in outputs.items():
        print(f"{label:<18}" + line(points, [clip.truth for clip in clips]))


def heads(data: Path) -> Iterator[HeadPhoto]:
    """Frontal faces with their mouths shut."""
    model = HeadModel.load(data / "extra" / HEAD_MODEL)
    _, held_out = hold_out(find_samples(data / "300w", TRAIN_PARTS))
    shown = 0
    for sample in held_out:
        image, points = sample.load()
        if float(opening(points[None])[0]) > SHUT:
            continue
        region = Region.around_points(points, margin=MARGIN)
        picture, to_picture = crop_region(image, region, SIDE, cv2.BORDER_REFLECT_101)
        head = HeadPhoto(picture, to_picture(points), model)
        if abs(head.fit.yaw) < LEVEL:
            yield head
            shown += 1
        if shown == FACES:
            return


def follow(head: HeadPhoto, tracker: Tracker, seed: int) -> Clip:
    """Let a face talk, and track it."""
    rng, opened = np.random.default_rng(seed), speech(np.random.default_rng(seed))
    seconds = np.arange(FRAMES) / FPS
    truth, faces = [], []
    tracker.reset()
    for time, jaw in zip(seconds.tolist(), opened.tolist(), strict=True):
        yaw = math.radians(6) * math.sin(3.4 * time)
        turned = head.turned(yaw, math.radians(2) * math.sin(5.1 * time), opened=jaw)
        noisy = turned.image + rng.normal(0, NOISE, turned.image.shape)
        faces += tracker.step(noisy.clip(0, 255).astype(np.uint8), time)
        truth.append(turned.points)
    assert len(faces) == FRAMES, "the face was lost"
    return Clip(
        np.array(truth),
        np.array([face.raw_points for face in faces], float),
        np.array([lowered_where_hidden(face.scores, face.visible) for face in faces]),
        seconds,
        MotionSequence.pack([face.displacements for face in faces]),
    )


def speech(rng: np.random.Generator) -> Float[np.ndarray, "frames"]:
    """Opening of the jaw in each frame, 0 to 1."""
    parts, length = [np.zeros(6)], 6
    while length < FRAMES:
        most, rising, falling = rng.uniform(0.25, 1.0), *rng.integers(1, 5, 2)
        rise, fall = (np.linspace(0, most, count + 1)[1:] for count in (rising, falling))
        parts += [rise, np.full(rng.integers(8), most), most - fall, np.zeros(rng.integers(2, 12))]
        length = sum(map(len, parts))
    return np.concatenate(parts)[:FRAMES]


def opening(points: FaceSequence) -> Float[np.ndarray, "frames"]:
    """Mean gap of the inner lips over the inter-ocular distance."""
    upper, lower = markup.facing("inner_lips")
    return np.linalg.norm(points[:, upper] - points[:, lower], axis=-1).mean(axis=1) / interocular(points)


def _as_points(values: np.ndarray) -> FaceSequence:
    """(frames, 1, 2): a single landmark that moves along x."""
    return np.stack([values, np.zeros(len(values))], axis=-1)[:, None]


def line(outputs: list[FaceSequence], truths: list[FaceSequence]) -> str:
    """Figures of one method: the mean over the clips."""
    rows = []
    for points, truth in zip(outputs, truths, strict=True):
        off = points - truth
        errors = (
            100 * np.linalg.norm(off - off.mean(axis=0), axis=-1) / np.asarray(interocular(truth))[:, None]
        )
        gap, true_gap = opening(points), opening(truth)
        follows = np.cov(gap, true_gap)[0, 1] / true_gap.var(ddof=1)
        late = delay(_as_points(gap), _as_points(true_gap), np.ones(len(gap)))
        rows.append((errors[:, LIPS].mean(), np.percentile(errors[:, LIPS], 95), follows, late))
    mean, high, follows, late = np.mean(rows, axis=0)
    return f"{mean:8.2f}{high:8.2f}{follows:9.2f}{late:8.2f}"


if __name__ == "__main__":
    main(*sys.argv[1:])
