"""Stabilisers of every kind, and shaking faces, for the tests of the laws that they obey."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from steadyface.stabilizer.base import CausalFilter, Smoother, Stabilizer
from steadyface.stabilizer.baselines import (
    ConstantVelocity,
    FirstOrder,
    MovingAverage,
    OneEuro,
    SavitzkyGolay,
    SecondOrder,
)
from steadyface.stabilizer.paper import PaperSTA
from steadyface.stabilizer.sta import STA

EXACT = 1e-9
"""px: coordinates of some 100 px, sums over 136 of them, and matrices of a condition below 1e4."""

seeds = st.integers(0, 2**32 - 1)


def make_face(seed: int, frames: int = 12, shake: float = 1.0) -> np.ndarray:
    """Points of a face of some 200 px that drifts and shakes by a few px."""
    rng = np.random.default_rng(seed)
    drift = np.cumsum(rng.normal(0, 1, (frames, 1, 2)), axis=0)
    return rng.uniform(0, 200, (68, 2)) + drift + rng.normal(0, shake, (frames, 68, 2))


def tilting(points: np.ndarray, turn: float, growth: float = 1.0) -> np.ndarray:
    """A face that turns about its middle by `turn` radians a frame and grows by a factor."""
    middle = points.mean(axis=-2, keepdims=True)
    factors = (growth * np.exp(1j * turn)) ** np.arange(len(points))
    turned = ((points - middle) @ [1, 1j]) * factors[:, None]
    return middle + np.stack([turned.real, turned.imag], axis=-1)


def make_times(seed: int, frames: int = 12) -> np.ndarray:
    """Seconds at irregular steps."""
    return np.cumsum(np.random.default_rng(seed).uniform(0.005, 0.1, frames))


def make_paper(seed: int = 0, components: int = 2, dimension: int = 136, **changes: object) -> PaperSTA:
    rng = np.random.default_rng(seed)
    values: dict[str, Any] = {
        "gamma": float(rng.uniform(0.1, 0.9)),
        "alphas": rng.dirichlet(np.ones(components)),
        "betas": rng.uniform(0.1, 0.9, components),
        "noise": rng.uniform(0.2, 2, dimension),
        "walks": rng.uniform(0.01, 5, (components, dimension)),
        "basis": np.linalg.qr(rng.standard_normal((dimension, dimension)))[0],
    }
    return PaperSTA(**values | changes)


def make_velocity(seed: int = 0, components: int = 2, dimension: int = 136, **changes: object) -> STA:
    """One whose directions are not orthogonal; its basis has a condition of 4."""
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.standard_normal((dimension, dimension)))[0] for _ in range(2))
    values: dict[str, Any] = {
        "damping": rng.uniform(0.3, 0.99, dimension),
        "alphas": rng.dirichlet(np.full(components, 5.0)),
        "noise": rng.uniform(0.2, 2, dimension),
        "pushes": rng.uniform(0.01, 0.5, (components, dimension)) * 4.0 ** np.arange(components)[:, None],
        "basis": left * np.geomspace(0.5, 2, dimension) @ right,
        "doubts": rng.uniform(0.02, 0.5, dimension // 2),
        "trust": 0.8,
    }
    return STA(**values | changes)


def usual_scores(stabilizer: STA) -> np.ndarray:
    """The score of each landmark that is neither good nor bad for it."""
    return 1 + 1e-3 - stabilizer.doubts


CAUSAL: list[CausalFilter] = [
    make_paper(7),
    make_paper(8, components=1, reading="heaviest"),
    make_velocity(9),
    MovingAverage(4),
    FirstOrder(0.4),
    SecondOrder(0.5, 0.3),
    ConstantVelocity(0.05, 0.4, 0.9),
    OneEuro(0.5, 5.0),
]
ALL: list[Stabilizer] = [*CAUSAL, SavitzkyGolay(5, 2)]


def steady(stabilizer: Stabilizer, points: np.ndarray, seconds: np.ndarray | None = None) -> np.ndarray:
    """Filtered, or smoothed where there is no filter."""
    if isinstance(stabilizer, CausalFilter):
        return stabilizer.filter(points, seconds)
    assert isinstance(stabilizer, Smoother)
    return stabilizer.smooth(points, seconds)
