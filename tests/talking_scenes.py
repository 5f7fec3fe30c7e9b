"""Talking stills of the bundled portrait, for the tests."""

from __future__ import annotations

from functools import cache

import numpy as np

from steadyface.demo import portrait
from steadyface.landmarker import Landmarker
from steadyface.metrics import interocular
from steadyface.synthetic.talking_still import TalkingStill

BLANK = np.zeros((8, 8, 3), np.uint8)
SMALL = {"eyes_px": 95.0, "width": 480, "height": 360, "noise": 0.0}
STIFF = {"blinks": 0.0, "mouth": 0.0, "brows": 0.0, "yaw": 0.0, "pitch": 0.0}
SEEDS = range(5)


@cache
def landmarker() -> Landmarker:
    return Landmarker(threads=1)


@cache
def shut_face() -> np.ndarray:
    """The portrait's 68 points, px; its lips are shut."""
    return landmarker().predict(portrait().still, [172.0, 75.0, 274.0, 165.0]).points.astype(float)


@cache
def face() -> np.ndarray:
    """The same with a lower lip that is a fifth of the mouth's width further down."""
    points = shut_face().copy()
    points[[55, 56, 57, 58, 59, 65, 66, 67], 1] += 0.2 * np.linalg.norm(points[54] - points[48])
    return points


def scene(seed: int = 0, **changes: object) -> TalkingStill:
    return TalkingStill(BLANK, face(), seed=seed, **{**SMALL, **changes})  # type: ignore[arg-type]


def pressed() -> np.ndarray:
    """Lips annotated on each other."""
    points = shut_face().copy()
    points[[65, 66, 67]] = points[[63, 62, 61]]
    return points


def in_still(eyes_px: float) -> np.ndarray:
    """The face with its eyes that far apart, a seventh of that from the still's top and left."""
    scaled = face() * eyes_px / float(interocular(face()))
    return scaled - scaled.min(axis=0) + eyes_px / 7


def path(life: TalkingStill, per_second: float = 30.0) -> np.ndarray:
    times = np.arange(int(life.seconds * per_second)) / per_second
    return np.stack([life.truth(float(time)) for time in times])


def moments(life: TalkingStill) -> dict[str, float]:
    """Return the time at which each expression is strongest."""
    times = np.arange(150) / 30
    weights = np.stack([life._script.weights(float(time), 0.0) for time in times])
    blink, mouth, yaw, pitch, _ = np.abs(weights).T
    calm = np.abs(weights).sum(axis=1)
    found = {"blinks": blink, "talks": mouth, "turns": yaw, "nods": pitch, "rests": -calm}
    return {name: float(times[strength.argmax()]) for name, strength in found.items()}
