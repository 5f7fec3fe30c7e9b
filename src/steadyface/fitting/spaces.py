"""Search spaces of a stabiliser's parameters: free numbers → stabiliser, and starting points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh
from scipy.special import expit, logit, softmax

from steadyface.errors import ConfigError
from steadyface.fitting.form import Form
from steadyface.fitting.statistics import Clips, Statistics, statistics
from steadyface.stabilizer.base import Stabilizer
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

_LIMIT = 14.0  # of logits and logarithms: beyond it the loss is flat
_LEAST_MOTION = 1e-6  # of the largest eigenvalue: a direction without motion in the sequences may still move

Vector = Float[np.ndarray, "N"]


@dataclass(frozen=True)
class Space:
    """Search space: a map from free numbers to a stabiliser with starting points, or a list of candidates."""

    build: Callable[[Vector], Stabilizer] | None = None
    starts: tuple[Vector, ...] = ()
    candidates: tuple[Stabilizer, ...] = ()


def space(form: Form, clips: list[Clips], fps: float, fitted: str) -> Space:
    """Return the search space of a form of stabiliser; see `fit.fit` for the other arguments.

    Raises:
        ConfigError: an unknown kind.
    """
    known: dict[str, Any] = {"fps": fps, "fitted": fitted}
    if form.kind == STA.kind:
        return _velocity_space(statistics(clips), known, form.components, form.basis)
    if form.kind == PaperSTA.kind:
        found = statistics(clips)
        if form.raw_numbers:
            return _raw_space(found, known)
        return _paper_space(found, known, form.components, form.basis)
    noise = float(np.median(np.concatenate([np.abs(c.raw - c.truth).ravel() for c in clips])) / 0.6745) ** 2
    logs = np.log
    spaces = {
        "moving-average": Space(candidates=tuple(MovingAverage(n, **known) for n in range(1, 16))),
        "first-order": Space(
            lambda free: FirstOrder(float(expit(free[0])), **known),
            (logit([0.3]), logit([0.8])),
        ),
        "second-order": Space(
            lambda free: SecondOrder(*map(float, expit(free)), **known),
            (logit([0.3, 0.1]), logit([0.8, 0.5])),
        ),
        "constant-velocity": Space(
            lambda free: ConstantVelocity(float(np.exp(free[0])), noise, float(expit(free[1])), **known),
            tuple(np.array([logs(q * noise), logit(0.9)]) for q in (0.01, 1.0)),
        ),
        "one-euro": Space(
            lambda free: OneEuro(*map(float, np.exp(free)), **known),
            (logs([0.1, 50.0, 1.0]), logs([2.0, 10.0, 1.0])),
        ),
        "savitzky-golay": Space(
            candidates=tuple(
                SavitzkyGolay(n, order, **known) for n in range(3, 32, 2) for order in range(min(n, 6))
            )
        ),
    }
    if form.kind not in spaces:
        raise ConfigError.choice("kind of stabiliser", form.kind, ["sta", "sta-paper", *spaces])
    return spaces[form.kind]


def _directions(found: Statistics, basis: str) -> tuple[np.ndarray, np.ndarray]:
    """A basis, and the logarithm of the face's motion along each direction less its mean."""
    size = len(found.motion)
    if basis == "identity":
        return np.eye(size), np.zeros(size)
    values, vectors = eigh(found.motion, found.noise if basis == "joint" else None)
    values, vectors = values[::-1], vectors[:, ::-1]
    logs = np.log(np.maximum(values, _LEAST_MOTION * values[0]))
    return vectors, logs - logs.mean()


def _velocity_space(found: Statistics, known: dict[str, Any], components: int, basis: str) -> Space:
    """Space of `STA`: damping, noise and pushes are lines over the logarithms of `_directions`.

    Free numbers: height and slope of the damping, the logits of all alphas but the first, height and slope of
    the noise, and height and slope of each component's pushes.
    """
    vectors, slopes = _directions(found, basis)
    level = 1.0 if basis == "joint" else float(np.diag(found.noise).mean())

    def build(free: Vector) -> STA:
        free = np.clip(free, -_LIMIT, _LIMIT)
        heights = free[1 + components :].reshape(-1, 2)
        curves = np.clip([a + b * slopes for a, b in heights], -3 * _LIMIT, 3 * _LIMIT)
        return STA(
            damping=np.clip(expit(free[0] + free[1] * slopes), 1e-6, 0.9995),
            alphas=softmax(np.append(0.0, free[2 : 1 + components])),
            noise=level * np.exp(curves[0]),
            pushes=level * np.exp(curves[1:]),
            basis=vectors,
            doubts=found.doubts,
            trust=found.trust,
            **known,
        )

    damping, alphas, noise = [0.0, 0.5], [-2.0] * (components - 1), [0.0, 0.0]
    starts = [[*damping, *alphas, *noise, *_lines(components, low)] for low in (-5.0, -3.0)]
    return Space(build, tuple(np.array(start) for start in starts))


def _lines(components: int, low: float) -> list[float]:
    """Heights from `low` on, 4 apart, and slopes of 1, of the components."""
    return [number for k in range(components) for number in (low + 4.0 * k, 1.0)]


def _paper_space(found: Statistics, known: dict[str, Any], components: int, basis: str) -> Space:
    """Space of `PaperSTA`: noise and walks are lines over the logarithms of `_directions`.

    Free numbers: the logits of γ, of all α but the first, and of β; height and slope of the noise, and height
    and slope of each component's walk.
    """
    vectors, slopes = _directions(found, "identity" if basis == "identity" else "motion")
    level = float(np.diag(found.noise).mean())

    def build(free: Vector) -> PaperSTA:
        free = np.clip(free, -_LIMIT, _LIMIT)
        mixing, heights = free[1 : 1 + 2 * components - 1], free[2 * components :].reshape(-1, 2)
        curves = [level * np.exp(np.clip(a + b * slopes, -3 * _LIMIT, 3 * _LIMIT)) for a, b in heights]
        return PaperSTA(
            gamma=float(expit(free[0])),
            alphas=softmax(np.append(0.0, mixing[: components - 1])),
            betas=expit(mixing[components - 1 :]),
            noise=curves[0],
            walks=np.stack(curves[1:]),
            basis=vectors,
            **known,
        )

    mixing = [0.0] * (2 * components - 1)
    starts = [
        [gamma, *mixing, 0.0, 0.0, *_lines(components, low)] for gamma, low in ((0.0, -2.0), (-3.0, 0.0))
    ]
    return Space(build, tuple(np.array(start) for start in starts))


def _raw_space(found: Statistics, known: dict[str, Any]) -> Space:
    """Space of the paper's 412 numbers, from its start: γ = α = β = ½, Γ_n = ρI, Γ_1 = 0, Γ_2 = 10ρI."""
    vectors, _ = _directions(found, "motion")
    size, level = len(vectors), float(np.diag(found.noise).mean())

    def build(free: Vector) -> PaperSTA:
        gamma, alpha, *betas = expit(free[:4])
        noise, *walks = level * free[4:].reshape(3, size) ** 2
        return PaperSTA(
            gamma=float(gamma),
            alphas=np.array([alpha, 1 - alpha]),
            betas=np.array(betas),
            noise=np.maximum(noise, 1e-9 * level),
            walks=np.stack(walks),
            basis=vectors,
            **known,
        )

    ones = np.ones(size)
    return Space(build, (np.concatenate([np.zeros(4), ones, 0 * ones, np.sqrt(10.0) * ones]),))
