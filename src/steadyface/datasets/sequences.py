"""Sequences for fitting the stabiliser: raw points of the real network, and what they should have been."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.ndimage import median_filter
from scipy.signal import savgol_filter

from steadyface.datasets.motion import MovingStill
from steadyface.datasets.three_hundred_w import Sample
from steadyface.geometry import Region
from steadyface.landmarker import Landmarker
from steadyface.stabilizer.fit import Pair
from steadyface.tracks import Tracks

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
        raw, seconds = [scene.to_frame(0.0)(points)], []
        for frame in scene:
            raw.append(landmarker.predict_regions(frame.image, [Region.around_points(raw[-1])])[0].points)
            seconds.append(frame.seconds)
        found = np.array(raw[1:], float)
        yield Pair(found, scene.mean_face(found, np.array(seconds)))
