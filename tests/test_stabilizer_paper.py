"""The paper's stabiliser against the posterior written out in full."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stabilizer_cases import EXACT, make_paper, seeds

from steadyface.errors import ConfigError
from steadyface.stabilizer.base import Measurement
from steadyface.stabilizer.paper import Memory, PaperSTA

Mixture = tuple[np.ndarray, np.ndarray, np.ndarray]


def posterior(
    theta: PaperSTA, outputs: np.ndarray, times: np.ndarray, z: np.ndarray, unit: float, frames: float
) -> Mixture:
    """Eq. (6)-(10) with dense matrices and all past outputs: log-weights, means, covariances, in px.

    `times` are those of the outputs; ages are counted from the newest of them.
    """
    basis = theta.basis
    ages = theta.gamma ** (times[-1] - times)
    shares = ages / ages.sum()
    mu = shares @ outputs
    scatter = sum(w * np.outer(x - mu, x - mu) for w, x in zip(shares, outputs, strict=True))
    if not theta.full:
        scatter = basis @ np.diag(np.diag(basis.T @ scatter @ basis)) @ basis.T
    noise = basis @ np.diag(theta.noise * unit**2) @ basis.T
    logs, means, covariances = [], [], []
    for alpha, beta, walk in zip(theta.alphas, theta.betas, theta.walks, strict=True):
        fixed = basis @ np.diag(walk * unit**2 * frames**2) @ basis.T
        prior = beta * fixed + (1 - beta) * scatter
        total, residual = prior + noise, z - mu
        gain = prior @ np.linalg.inv(total)
        means.append(mu + gain @ residual)
        covariances.append(prior - gain @ prior)
        fit = np.linalg.slogdet(total)[1] + residual @ np.linalg.solve(total, residual)
        logs.append(np.log(alpha) - 0.5 * fit)
    return np.array(logs) - max(logs), np.array(means), np.array(covariances)


def read(mixture: Mixture, reading: str) -> np.ndarray:
    logs, means, _ = mixture
    if reading == "heaviest":
        return means[logs.argmax()]
    weights = np.exp(logs)
    return weights / weights.sum() @ means


def brute_force(
    theta: PaperSTA, observed: np.ndarray, unit: float, frames: np.ndarray | None = None
) -> np.ndarray:
    frames = np.ones(len(observed)) if frames is None else frames
    outputs, times = [observed[0]], np.cumsum(frames)
    for t in range(1, len(observed)):
        past = np.array(outputs)
        mixture = posterior(theta, past, times[:t], observed[t], unit, frames[t])
        outputs.append(read(mixture, theta.reading))
    return np.array(outputs)


def stabilise(
    theta: PaperSTA, observed: np.ndarray, unit: float, frames: np.ndarray | None = None
) -> np.ndarray:
    frames = np.ones(len(observed)) if frames is None else frames
    faces = observed.reshape(len(observed), -1, 2)
    memory, outputs = theta.begin(faces[0]), [faces[0]]
    for z, step in zip(faces[1:], frames[1:], strict=True):
        memory, output = theta.advance(memory, Measurement(z, unit, float(step)))
        outputs.append(output)
    return np.array(outputs).reshape(observed.shape)


full = pytest.mark.parametrize("full", [False, True], ids=["diagonal", "full"])


@full
class TestAgainstBruteForce:
    @pytest.mark.parametrize("components", [1, 2, 3])
    @pytest.mark.parametrize("reading", ["mean", "heaviest"])
    @given(seed=seeds, unit=st.floats(0.2, 5), frames=st.integers(1, 8))
    @settings(max_examples=25)
    def test_posterior(
        self, full: bool, components: int, reading: str, seed: int, unit: float, frames: int
    ) -> None:
        theta = make_paper(seed, components, dimension=6, full=full, reading=reading)
        observed = np.random.default_rng(seed).normal(100, 3 * unit, (frames, 6))
        expected = brute_force(theta, observed, unit)
        np.testing.assert_allclose(stabilise(theta, observed, unit), expected, rtol=0, atol=EXACT)

    @given(seeds)
    def test_past_outputs_age_with_time(self, full: bool, seed: int) -> None:
        theta = make_paper(seed, dimension=6, full=full)
        rng = np.random.default_rng(seed)
        observed, frames = rng.normal(100, 3, (8, 6)), rng.uniform(0.3, 3, 8)
        expected = brute_force(theta, observed, 1.0, frames)
        np.testing.assert_allclose(stabilise(theta, observed, 1.0, frames), expected, rtol=0, atol=EXACT)

    @pytest.mark.parametrize("gamma", [0.0, 1.0])
    def test_extreme_memories(self, full: bool, gamma: float) -> None:
        theta = make_paper(1, dimension=6, gamma=gamma, full=full)
        observed = np.random.default_rng(1).normal(100, 3, (6, 6))
        expected = brute_force(theta, observed, 1.0)
        np.testing.assert_allclose(stabilise(theta, observed, 1.0), expected, rtol=0, atol=EXACT)

    def test_a_component_without_weight_does_not_count(self, full: bool) -> None:
        theta = make_paper(1, 1, dimension=6, full=full)
        two = make_paper(
            1,
            2,
            dimension=6,
            full=full,
            gamma=theta.gamma,
            alphas=np.array([1.0, 0.0]),
            betas=np.append(theta.betas, 0.3),
            noise=theta.noise,
            walks=np.vstack([theta.walks, np.ones(6)]),
            basis=theta.basis,
        )
        observed = np.random.default_rng(1).normal(100, 3, (6, 6))
        expected = stabilise(theta, observed, 1.0)
        np.testing.assert_allclose(stabilise(two, observed, 1.0), expected, rtol=0, atol=EXACT)

    @pytest.mark.parametrize("reading", ["mean", "heaviest", "map"])
    @pytest.mark.parametrize("clips", [(4,), (2, 3)])
    def test_several_sequences_at_once(self, full: bool, reading: str, clips: tuple[int, ...]) -> None:
        theta = make_paper(2, dimension=6, full=full, reading=reading)
        observed = np.random.default_rng(2).normal(100, 3, (5, *clips, 3, 2))
        together = theta.run(observed)
        for i in np.ndindex(clips):
            alone = theta.run(observed[:, *i])
            # The search for a mode stops together, at steps of 1e-10 px.
            np.testing.assert_allclose(together[:, *i], alone, rtol=0, atol=EXACT)

    def test_the_papers_initial_values_give_finite_outputs(self, full: bool) -> None:
        theta = make_paper(
            3,
            dimension=6,
            gamma=0.5,
            alphas=np.array([0.5, 0.5]),
            betas=np.array([0.5, 0.5]),
            noise=np.ones(6),
            walks=np.stack([np.zeros(6), np.full(6, 10.0)]),
            full=full,
        )
        observed = np.random.default_rng(3).normal(100, 1, (8, 6))
        expected = brute_force(theta, observed, 1.0)
        np.testing.assert_allclose(stabilise(theta, observed, 1.0), expected, rtol=0, atol=EXACT)


def log_density(mixture: Mixture, x: np.ndarray) -> np.ndarray:
    """Of the mixture at points (…, D)."""
    logs, means, covariances = mixture
    parts = []
    for log, mean, covariance in zip(logs, means, covariances, strict=True):
        away = x - mean
        squared = (away * np.linalg.solve(covariance, away[..., None])[..., 0]).sum(axis=-1)
        parts.append(log - 0.5 * (np.linalg.slogdet(covariance)[1] + squared))
    return np.logaddexp.reduce(parts, axis=0)


def slope(mixture: Mixture, x: np.ndarray) -> np.ndarray:
    """The gradient of the logarithm of the density at x."""
    logs, means, covariances = mixture
    each = [
        log_density((logs[k : k + 1], means[k : k + 1], covariances[k : k + 1]), x) for k in range(len(logs))
    ]
    weights = np.exp(np.array(each) - max(each))
    pulls = [np.linalg.solve(c, m - x) for m, c in zip(means, covariances, strict=True)]
    return weights / weights.sum() @ np.array(pulls)


def ridge(mixture: Mixture, count: int = 200) -> np.ndarray:
    """The line on which all modes of two components lie (Ray and Lindsay 2005)."""
    _, (a, b), (spread_a, spread_b) = mixture
    points = []
    for share in np.linspace(0, 1, count):
        left, right = (1 - share) * np.linalg.inv(spread_a), share * np.linalg.inv(spread_b)
        points.append(np.linalg.solve(left + right, left @ a + right @ b))
    return np.array(points)


@full
class TestHighestMode:
    @pytest.mark.parametrize("components", [2, 3])
    @given(seed=seeds, unit=st.floats(0.2, 5))
    @settings(max_examples=20)
    def test_no_point_of_the_ridge_is_higher(
        self, full: bool, components: int, seed: int, unit: float
    ) -> None:
        rng = np.random.default_rng(seed)
        theta = make_paper(seed, components, dimension=4, full=full, reading="map")
        observed = rng.normal(100, 3 * unit, (5, 4))
        outputs, times = stabilise(theta, observed, unit), np.arange(5.0)
        for t in range(1, 5):
            mixture = posterior(theta, outputs[:t], times[:t], observed[t], unit, 1.0)
            height = log_density(mixture, outputs[t])
            # The climb stops at steps of 1e-10 px, and where it is slow, after 200 of them.
            assert np.abs(slope(mixture, outputs[t])).max() * unit < 1e-5
            assert (log_density(mixture, mixture[1]) <= height + EXACT).all()
            if components == 2:
                assert (log_density(mixture, ridge(mixture)) <= height + EXACT).all()

    def test_between_two_far_components_it_takes_the_denser(self, full: bool) -> None:
        # μ = 0: a narrow prior keeps near it, a wide one goes with z; z is far enough for both to count.
        theta = make_paper(
            0,
            dimension=2,
            alphas=np.array([0.5, 0.5]),
            betas=np.ones(2),
            noise=np.ones(2),
            walks=np.array([[0.01, 0.01], [100.0, 100.0]]),
            basis=np.eye(2),
            reading="map",
            full=full,
        )
        memory = Memory(np.zeros(2), np.zeros((2, 2) if full else 2), 1.0)

        def moved(z: float) -> float:
            return float(theta.advance(memory, Measurement(np.array([[z, 0.0]])))[1][0, 0])

        # |S|: 1.01² and 101², |V|: .0099² and .99². Equally high where both ratios, 100 each, make up for
        # the distances of z.
        equal = math.sqrt(2 * math.log(100 * 100) / (1 / 1.01 - 1 / 101))
        assert moved(equal - 0.1) == pytest.approx((equal - 0.1) * 0.01 / 1.01, rel=1e-3)
        assert moved(equal + 0.1) == pytest.approx((equal + 0.1) * 100 / 101, rel=1e-3)


class TestReadings:
    @full
    @given(seed=seeds)
    @settings(max_examples=20)
    def test_one_component_is_read_alike(self, full: bool, seed: int) -> None:
        observed = np.random.default_rng(seed).normal(100, 3, (6, 6))
        mean, heaviest, highest = (
            stabilise(make_paper(seed, 1, dimension=6, full=full, reading=reading), observed, 1.0)
            for reading in ("mean", "heaviest", "map")
        )
        np.testing.assert_array_equal(heaviest, mean)
        np.testing.assert_array_equal(highest, mean)

    @given(seeds)
    def test_the_mean_lies_between_prior_and_observation(self, seed: int) -> None:
        theta = make_paper(seed, dimension=6)
        rng = np.random.default_rng(seed)
        memory = Memory(rng.normal(0, 1, 6), rng.uniform(0, 4, 6), 0.5)
        observed = rng.normal(0, 5, 6)
        output = theta.advance(memory, Measurement(observed.reshape(3, 2)))[1].ravel()
        moved, asked = (output - memory.mean) @ theta.basis, (observed - memory.mean) @ theta.basis
        assert (moved * asked >= 0).all()
        assert (np.abs(moved) <= np.abs(asked)).all()

    @given(seeds)
    def test_each_direction_alone_keeps_full_and_diagonal_alike(self, seed: int) -> None:
        # Along one line there is nothing off the diagonal.
        rng = np.random.default_rng(seed)
        observed = rng.normal(100, 3, (6, 1)) * np.array([1.0, 0.0]) + [0.0, 50.0]
        diagonal, whole = (
            stabilise(make_paper(seed, dimension=2, basis=np.eye(2), full=each), observed, 1.0)
            for each in (False, True)
        )
        np.testing.assert_allclose(whole, diagonal, rtol=0, atol=EXACT)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gamma": -0.1}, "range"),
        ({"gamma": 1.1}, "range"),
        ({"gamma": float("nan")}, "range"),
        ({"alphas": np.array([0.5, 0.6])}, "range"),
        ({"alphas": np.array([-0.5, 1.5])}, "range"),
        ({"betas": np.array([0.5, 1.1])}, "range"),
        ({"noise": np.zeros(6)}, "range"),
        ({"walks": np.full((2, 6), -1.0)}, "range"),
        ({"fps": 0.0}, "fps of sta-paper must be positive and finite, got 0.0"),
        ({"basis": np.ones((6, 6))}, "orthonormal"),
        ({"reading": "median"}, "unknown reading 'median'; choose one of: mean, heaviest, map"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_parameters_out_of_range(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_paper(3, dimension=6, **change)
