"""Sequences for fitting the stabiliser: raw points of the real network, and what they should have been."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.ndimage import median_filter
from scipy.signal import savgol_filter

from steadyface.datasets.motion import MovingStill
from steadyface.datasets.talking_still import TalkingStill
from steadyface.datasets.three_hundred_w import Sample
from steadyface.geometry import Region
from steadyface.landmarker import Landmarker
from steadyface.stabilizer.fit import Pair
from steadyface.tracks import Tracks
from steadyface.video import VideoFrame

_WINDOW = 7  # frames; longer ones flatten blinks


def pairs_of_tracks(paths: Iterable[str | Path], least: int = 30) -> Iterator[Pair]:
    """Raw points of tracked clips with pseudo-truth: the same points smoothed with sight of the future.

    Args:
        paths: files written by `Tracks.save`.
        least: frames; a shorter unbroken run is left out.
    """
    for path in paths:
        tracks = Tracks.load(path)
        for face in tracks.faces:
            rows = tracks.of_face(face)
            breaks = np.flatnonzero(np.diff(rows.frame) != 1) + 1
            for run in np.split(rows.raw_points.astype(float), breaks):
                if len(run) >= least:
                    yield Pair(run, smooth_offline(run))


def smooth_offline(points: Float[np.ndarray, "frames 68 2"]) -> Float[np.ndarray, "frames 68 2"]:
    """Without lag: a median over 3 frames against outliers, then a quadratic over 7 (Savitzky-Golay)."""
    calm = median_filter(points, size=(3, 1, 1), mode="nearest")
    return savgol_filter(calm, _WINDOW, polyorder=2, axis=0)


def pairs_of_stills(samples: Iterable[Sample], landmarker: Landmarker) -> Iterator[Pair]:
    """Raw points of training stills under exactly known camera motion.

    Args:
        samples: annotated faces; never those of a test set.
        landmarker: whose noise is to be learnt.
    """
    for seed, sample in enumerate(samples):
        still, points = sample.load()
        centre = (float(points[:, 0].mean()), float(points[:, 1].mean()))
        zoom = 200.0 / Region.around_points(points).side
        scene = MovingStill(still, centre, zoom, width=480, height=360, seed=seed)
        found = _followed(scene, scene.to_frame(0.0)(points), landmarker)
        seconds = np.arange(len(scene)) / scene.fps
        yield Pair(found, scene.mean_face(found, seconds))


def pairs_of_talking_stills(
    samples: Iterable[Sample],
    landmarker: Landmarker,
    *,
    eyes_px: float = 95.0,
    width: int = 480,
    height: int = 360,
    fps: float = 30.0,
    seconds: float = 5.0,
    noise: float = 3.0,
    seed: int = 0,
) -> Iterator[Pair]:
    """Raw points of training stills that turn, blink and talk, with their exact truth.

    The truth is that of the picture plus the network's constant bias (`with_constant_bias`): what a landmark
    is always off by in a face is no jitter, and nothing that a stabiliser could take away.

    Args:
        samples: annotated faces; never those of a test set.
        landmarker: whose noise is to be learnt; each frame's region is that of its last raw points.
        eyes_px: distance of the outer eye corners in the frame, px.
        width, height: of the frames, px.
        fps: frames per second.
        seconds: length of each sequence.
        noise: standard deviation of the sensor noise, grey levels.
        seed: of the first sample's motion; the next have the next ones.

    Yields:
        One pair per sample, (frames, 68, 2) each, px of the frames.
    """
    for count, sample in enumerate(samples, start=seed):
        still, points = sample.load()
        scene = TalkingStill(still, points, eyes_px, width, height, fps, seconds, seed=count, noise=noise)
        truth = np.stack([scene.truth(index / fps) for index in range(len(scene))])
        raw = _followed(scene, truth[0], landmarker)
        yield Pair(raw, with_constant_bias(truth, raw))


def with_constant_bias(
    truth: Float[np.ndarray, "frames 68 2"], raw: Float[np.ndarray, "frames 68 2"]
) -> Float[np.ndarray, "frames 68 2"]:
    """The truth moved by each raw landmark's own mean error, as it turns and grows with the head.

    Equation: p′(t) = p(t) + L(t)·mean_τ L(τ)⁻¹(z(τ) - p(τ)), where L(t) is the rotation and scale, without
    the shift, of the similarity that brings p(0) closest to p(t) in the sense of least squares (Procrustes).

    Args:
        truth: p, px of the frames.
        raw: z, px of the frames.
    """
    exact, error = (values[..., 0] + 1j * values[..., 1] for values in (truth, raw - truth))
    centred = exact - exact.mean(axis=1, keepdims=True)
    turn = (centred @ centred[0].conj() / (abs(centred[0]) ** 2).sum())[:, None]
    biased = exact + turn * (error / turn).mean(axis=0)
    return np.stack([biased.real, biased.imag], axis=-1)


def _followed(
    frames: Iterable[VideoFrame], first: Float[np.ndarray, "68 2"], landmarker: Landmarker
) -> Float[np.ndarray, "frames 68 2"]:
    """Raw points of one face, each frame's region around those of the frame before."""
    raw = [first]
    for frame in frames:
        raw.append(landmarker.predict_regions(frame.image, [Region.around_points(raw[-1])])[0].points)
    return np.array(raw[1:], float)
