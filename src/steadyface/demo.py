"""`steadyface demo`: track a clip of known motion and measure the deviation of the result."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from jaxtyping import Float

from steadyface import metrics
from steadyface.clips import ClipSummary, track_clip
from steadyface.files import make_folder
from steadyface.images import read_image
from steadyface.pipeline import TrackingOptions, build
from steadyface.synthetic.moving_still import MovingStill
from steadyface.tracks import Tracks
from steadyface.video import VideoWriter

_FACE_CENTRE = (224.0, 115.0)  # of the portrait, px


@dataclass(frozen=True)
class Deviation:
    """Deviation of tracked points from the known motion.

    Args:
        error: mean distance in % of the inter-ocular distance.
        stability: `metrics.stability`, same unit.
        delay: frames.
    """

    error: float
    stability: float
    delay: float


@dataclass(frozen=True)
class DemoResult:
    """Measurements of the demonstration, for raw and for stabilised points."""

    summary: ClipSummary
    raw: Deviation
    stabilised: Deviation


def portrait() -> MovingStill:
    """Bundled portrait (Eileen Collins; NASA, public domain) under a moving camera, 1280 × 720."""
    still = read_image(str(files("steadyface") / "assets" / "astronaut.jpg"))
    return MovingStill(still, centre=_FACE_CENTRE, zoom=2.6)


def run_demo(out: str | Path) -> DemoResult:
    """Render the clip, track the file like any other, and compare with the known motion.

    The motion of the portrait is known, but not its true points: these are replaced by the mean of all
    frames' raw points, mapped back to the still. A constant error of the network therefore does not show.

    Args:
        out: folder for the clip, its tracks and its overlay.

    Raises:
        DataError, VideoError: a file cannot be written.
    """
    out = make_folder(out)
    scene = portrait()
    clip = out / "portrait.mp4"
    with VideoWriter(clip, scene.width, scene.height, scene.fps) as writer:
        for frame in scene:
            writer.write(frame.image, frame.seconds)
    summary = track_clip(clip, out, build(TrackingOptions(network_every=1)), overwrite=True)
    tracks = Tracks.load(out / "portrait.npz")
    truth = scene.mean_face(tracks.raw_points.astype(float), tracks.seconds)
    return DemoResult(summary, _deviation(tracks.raw_points, truth), _deviation(tracks.points, truth))


def _deviation(points: Float[np.ndarray, "rows 68 2"], truth: Float[np.ndarray, "rows 68 2"]) -> Deviation:
    points, eyes = points.astype(float), np.asarray(metrics.interocular(truth))
    return Deviation(
        error=float(metrics.nrmse_interocular(points, truth).mean()),
        stability=metrics.stability(points, truth, eyes),
        delay=metrics.delay(points, truth, eyes),
    )
