"""Tracking the Talking Face video: error, stability and delay of raw and of stabilised points.

    python benchmarks/talking_face.py DATA [WEIGHTS ...]

DATA holds talking_face (its first 1,000 frames, 720 × 576, 25 frames/s); WEIGHTS are bundled models or .onnx
files, by default all bundled models. The tracker runs as `steadyface track` does: its own detector, its own
regions. Seven points count: eye corners (4), tip of the nose, mouth corners (2). NRMSE and stability are in %
of the truth's distance between the outer eye corners, delay is in frames.

The truth is in FGNET's markup, whose points do not mean quite what iBUG's do. `without offsets` is the NRMSE
after the mean error of each of the seven points, in a frame that moves, turns and scales with the true eyes,
was taken from it: it uses the truth, so it is a measure of what varies, and no result of the tracker.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from steadyface import metrics
from steadyface.datasets.annotated_videos import talking_face
from steadyface.landmarker import Landmarker
from steadyface.markup import SEVEN, SEVEN_TALKING_FACE
from steadyface.models import bundled_models
from steadyface.tracker import TrackedFace, Tracker, TrackerConfig, follow
from steadyface.video import ImageSequence

FRAMES = 1000
RIGHT_EYE, LEFT_EYE = 0, 3  # the outer corners among the seven points


def main(data: str, *weights: str) -> None:
    folder = Path(data) / "talking_face"
    annotated = islice(talking_face(folder).points().values(), FRAMES)
    truth = np.stack([points[SEVEN_TALKING_FACE] for points in annotated])
    eyes = truth[:, LEFT_EYE] - truth[:, RIGHT_EYE]
    heads = f"{'NRMSE':>7} {'without offsets':>16} {'stability':>10} {'delay':>7}"
    print(f"{'Talking Face, 7 points':<32} {heads}")
    for name in weights or bundled_models():
        faces = list(track(folder / "images", name))[: len(truth)]
        seen = np.array([face is not None for face in faces])
        if not seen.all():
            print(f"{name}: no face in {(~seen).sum()} of {len(seen)} frames, which are left out")
        for kind in ("raw_points", "points"):
            points = np.stack([getattr(face, kind)[SEVEN] for face in faces if face is not None])
            label = f"{name}, {'raw' if kind == 'raw_points' else 'stabilised'}"
            print(f"{label:<32} {figures(points, truth[seen], eyes[seen])}", flush=True)


def track(images: Path, weights: str) -> Iterator[TrackedFace | None]:
    """The face of each frame, if there is one."""
    tracker = Tracker(Landmarker(weights), config=TrackerConfig(max_faces=1))
    for _, faces in follow(islice(ImageSequence(images), FRAMES), tracker):
        yield faces[0] if faces else None


def figures(points: np.ndarray, truth: np.ndarray, eyes: np.ndarray) -> str:
    """One row of the table.

    Args:
        points, truth: (frames, 7, 2) image px.
        eyes: (frames, 2) from the right to the left outer eye corner in the truth, image px.
    """
    size = np.linalg.norm(eyes, axis=-1)
    error = in_face(points - truth, eyes)
    nrmse = 100 * np.linalg.norm(error, axis=-1).mean()
    varying = 100 * np.linalg.norm(error - error.mean(axis=0), axis=-1).mean()
    stability, delay = metrics.stability(points, truth, size), metrics.delay(points, truth, size)
    return f"{nrmse:7.3f} {varying:16.3f} {stability:10.3f} {delay:7.3f}"


def in_face(vectors: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """Image vectors in a frame whose x axis, of length 1, runs from eye corner to eye corner."""
    along = eyes / np.square(eyes).sum(axis=-1, keepdims=True)
    across = np.stack([-along[:, 1], along[:, 0]], axis=-1)
    return np.stack([(vectors * axis[:, None]).sum(axis=-1) for axis in (along, across)], axis=-1)


if __name__ == "__main__":
    main(*sys.argv[1:])
