"""Tracking the Talking Face video: error, stability and delay of raw points and of every stabiliser's.

    python benchmarks/talking_face.py DATA [WEIGHTS ...]

DATA holds talking_face (its first 1,000 frames, 720 × 576, 25 frames/s); WEIGHTS are bundled models or .onnx
files, by default all bundled models. The tracker runs as `steadyface track` does: its own detector, its own
regions. Seven points count: eye corners (4), tip of the nose, mouth corners (2). NRMSE and stability are in %
of the truth's distance between the outer eye corners, delay is in frames; `of raw` and `of FHR` are the
stability over that of the raw points, as read by the model's own decoder and by the paper's three points.

The truth is in FGNET's markup, whose points do not mean quite what iBUG's do. `without offsets` is the NRMSE
after the mean error of each of the seven points, in a frame that moves, turns and scales with the true eyes,
was taken from it: it uses the truth, so it is a measure of what varies, and no result of the tracker.
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import numpy as np
from stabilised import Raw, each_stabilised

from steadyface import metrics
from steadyface.datasets.annotated_videos import talking_face
from steadyface.errors import DataError
from steadyface.landmarker import Landmarker
from steadyface.markup import SEVEN, SEVEN_TALKING_FACE
from steadyface.models import bundled_models
from steadyface.tracker import Tracker, TrackerConfig, follow
from steadyface.video import ImageSequence

FRAMES = 1000
RIGHT_EYE, LEFT_EYE = 0, 3  # the outer corners among the seven points


def main(data: str, *weights: str) -> None:
    folder = Path(data) / "talking_face"
    annotated = islice(talking_face(folder).points().values(), FRAMES)
    truth = np.stack([points[SEVEN_TALKING_FACE] for points in annotated])
    heads = f"{'NRMSE':>7} {'without offsets':>16} {'stability':>10} {'delay':>7} {'of raw':>7} {'of FHR':>7}"
    for name in weights or bundled_models():
        print(f"{'Talking Face, 7 points, ' + name:<36} {heads}")
        fhr = figures(track(folder / "images", name, "fhr").points, truth)
        raw = track(folder / "images", name)
        first = figures(raw.points, truth)
        print(f"{'raw, FHR decoder':<36} {row(fhr, first, fhr)}", flush=True)
        for kind, points in each_stabilised(raw):
            print(f"{kind:<36} {row(figures(points, truth), first, fhr)}", flush=True)


def track(images: Path, weights: str, decoder: str | None = None) -> Raw:
    """The one face of the video, before any stabiliser.

    Raises:
        DataError: a frame without a face.
    """
    tracker = Tracker(Landmarker(weights, decoder), stabilizer="none", config=TrackerConfig(max_faces=1))
    rows = []
    for frame, faces in follow(islice(ImageSequence(images), FRAMES), tracker):
        if not faces:
            raise DataError(images, f"no face in frame {frame.index}")
        rows.append((faces[0].raw_points, frame.seconds, faces[0].scores))
    return Raw(*(np.array(column, float) for column in zip(*rows, strict=True)))


def figures(points: np.ndarray, truth: np.ndarray) -> tuple[float, float, float, float]:
    """NRMSE, NRMSE without offsets, stability, delay.

    Args:
        points: (frames, 68, 2) image px.
        truth: (frames, 7, 2) image px.
    """
    seven, eyes = points[:, SEVEN], truth[:, LEFT_EYE] - truth[:, RIGHT_EYE]
    size = np.linalg.norm(eyes, axis=-1)
    error = in_face(seven - truth, eyes)
    nrmse = 100 * np.linalg.norm(error, axis=-1).mean()
    varying = 100 * np.linalg.norm(error - error.mean(axis=0), axis=-1).mean()
    return nrmse, varying, metrics.stability(seven, truth, size), metrics.delay(seven, truth, size)


def row(values: tuple[float, ...], raw: tuple[float, ...], fhr: tuple[float, ...]) -> str:
    nrmse, varying, stability, delay = values
    ratios = f"{stability / raw[2]:7.3f} {stability / fhr[2]:7.3f}"
    return f"{nrmse:7.3f} {varying:16.3f} {stability:10.3f} {delay:7.3f} {ratios}"


def in_face(vectors: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """Image vectors in a frame whose x axis, of length 1, runs from eye corner to eye corner.

    Args:
        vectors: (frames, points, 2) image px.
        eyes: (frames, 2) from the right to the left outer eye corner in the truth, image px.
    """
    along = eyes / np.square(eyes).sum(axis=-1, keepdims=True)
    across = np.stack([-along[:, 1], along[:, 0]], axis=-1)
    return np.stack([(vectors * axis[:, None]).sum(axis=-1) for axis in (along, across)], axis=-1)


if __name__ == "__main__":
    main(*sys.argv[1:])
