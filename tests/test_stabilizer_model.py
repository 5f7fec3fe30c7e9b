"""The stabiliser against the posterior written out in full, and the laws a causal filter obeys."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyface.errors import ConfigError, WeightsError
from steadyface.geometry import face_size
from steadyface.stabilizer import Parameters, Stabilizer, State, load_stabilizer
from steadyface.stabilizer.model import advance

seeds = st.integers(0, 2**32 - 1)
EXACT = 1e-9
"""px: coordinates of some 100 px, sums over 136 of them, and S_k inverted at a condition below 1e4."""


def make_parameters(
    seed: int = 0, components: int = 2, dimension: int = 136, **changes: object
) -> Parameters:
    rng = np.random.default_rng(seed)
    return replace(
        Parameters(
            gamma=float(rng.uniform(0.1, 0.9)),
            alphas=rng.dirichlet(np.ones(components)),
            betas=rng.uniform(0.1, 0.9, components),
            noise=rng.uniform(0.2, 2, dimension),
            walks=rng.uniform(0.01, 5, (components, dimension)),
            basis=np.linalg.qr(rng.standard_normal((dimension, dimension)))[0],
            fps=30.0,
        ),
        **changes,
    )


def make_face(seed: int, frames: int = 10, shake: float = 1.0) -> np.ndarray:
    """Points of a face of some 200 px that drifts and shakes."""
    rng = np.random.default_rng(seed)
    drift = np.cumsum(rng.normal(0, 1, (frames, 1, 2)), axis=0)
    return rng.uniform(0, 200, (68, 2)) + drift + rng.normal(0, shake, (frames, 68, 2))


def brute_force(
    theta: Parameters, observed: np.ndarray, unit: float, frames: np.ndarray | None = None
) -> np.ndarray:
    """Eq. (6)-(10) with dense matrices and all past outputs; the state's age is counted in frames."""
    frames = np.ones(len(observed)) if frames is None else frames
    basis, outputs = theta.basis, [observed[0]]
    times = np.cumsum(frames)
    for t in range(1, len(observed)):
        past = np.array(outputs)
        ages = theta.gamma ** (times[t - 1] - times[:t])
        shares = ages / ages.sum()
        mu = shares @ past
        scatter = sum(w * np.outer(x - mu, x - mu) for w, x in zip(shares, past, strict=True))
        spread = basis @ np.diag(np.diag(basis.T @ scatter @ basis)) @ basis.T
        noise = basis @ np.diag(theta.noise * unit**2) @ basis.T
        residual, means, logs = observed[t] - mu, [], []
        for alpha, beta, walk in zip(theta.alphas, theta.betas, theta.walks, strict=True):
            fixed = basis @ np.diag(walk * unit**2 * frames[t] ** 2) @ basis.T
            prior = beta * fixed + (1 - beta) * spread
            total = prior + noise
            means.append(mu + prior @ np.linalg.solve(total, residual))
            fit = np.linalg.slogdet(total)[1] + residual @ np.linalg.solve(total, residual)
            logs.append(np.log(alpha) - 0.5 * fit)
        weights = np.exp(np.array(logs) - max(logs))
        outputs.append((weights / weights.sum()) @ np.array(means))
    return np.array(outputs)


def stabilise(theta: Parameters, observed: np.ndarray, unit: float, frames: np.ndarray) -> np.ndarray:
    state = Stabilizer(theta).start(observed[0].reshape(-1, 2))
    outputs = [state.last]
    for z, step in zip(observed[1:], frames[1:], strict=True):
        state = advance(theta, state, z, np.float64(unit), float(step))
        outputs.append(state.last)
    return np.array(outputs)


class TestAgainstBruteForce:
    @pytest.mark.parametrize("components", [1, 2, 3])
    @given(seed=seeds, unit=st.floats(0.2, 5), frames=st.integers(1, 8))
    def test_posterior(self, components: int, seed: int, unit: float, frames: int) -> None:
        theta = make_parameters(seed, components, dimension=6)
        observed = np.random.default_rng(seed).normal(100, 3 * unit, (frames, 6))
        expected = brute_force(theta, observed, unit)
        np.testing.assert_allclose(
            stabilise(theta, observed, unit, np.ones(frames)), expected, rtol=0, atol=EXACT
        )

    @given(seeds)
    def test_past_outputs_age_with_time(self, seed: int) -> None:
        theta = make_parameters(seed, dimension=6)
        rng = np.random.default_rng(seed)
        observed, frames = rng.normal(100, 3, (8, 6)), rng.uniform(0.3, 3, 8)
        expected = brute_force(theta, observed, 1.0, frames)
        np.testing.assert_allclose(stabilise(theta, observed, 1.0, frames), expected, rtol=0, atol=EXACT)

    @pytest.mark.parametrize("gamma", [0.0, 1.0])
    def test_extreme_memories(self, gamma: float) -> None:
        theta = make_parameters(1, dimension=6, gamma=gamma)
        observed = np.random.default_rng(1).normal(100, 3, (6, 6))
        expected = brute_force(theta, observed, 1.0)
        np.testing.assert_allclose(stabilise(theta, observed, 1.0, np.ones(6)), expected, rtol=0, atol=EXACT)

    def test_several_sequences_at_once(self) -> None:
        theta = make_parameters(2, dimension=6)
        observed = np.random.default_rng(2).normal(100, 3, (5, 4, 6))
        state = Stabilizer(theta).start(observed[0].reshape(4, 3, 2))
        for z in observed[1:]:
            state = advance(theta, state, z, np.float64(1.0))
        for i in range(4):
            alone = stabilise(theta, observed[:, i], 1.0, np.ones(5))
            np.testing.assert_allclose(state.last[i], alone[-1], rtol=0, atol=EXACT)

    @given(seeds)
    def test_output_lies_between_prior_and_observation(self, seed: int) -> None:
        theta = make_parameters(seed, dimension=6)
        rng = np.random.default_rng(seed)
        state = State(rng.normal(0, 1, 6), rng.uniform(0, 4, 6), 0.5, np.zeros(6))
        observed = rng.normal(0, 5, 6)
        moved = (advance(theta, state, observed, np.float64(1.0)).last - state.mean) @ theta.basis
        asked = (observed - state.mean) @ theta.basis
        assert (moved * asked >= 0).all()
        assert (np.abs(moved) <= np.abs(asked)).all()


@pytest.fixture(scope="module")
def stabilizer() -> Stabilizer:
    return Stabilizer(make_parameters(7))


class TestLaws:
    @given(seeds, st.integers(1, 9))
    def test_the_future_never_changes_the_past(self, stabilizer: Stabilizer, seed: int, cut: int) -> None:
        points = make_face(seed)
        other = np.concatenate([points[:cut], make_face(seed + 1)[cut:]])
        np.testing.assert_array_equal(stabilizer.filter(other)[:cut], stabilizer.filter(points)[:cut])

    @given(seeds)
    def test_filter_is_step_by_step(self, stabilizer: Stabilizer, seed: int) -> None:
        points = make_face(seed)
        seconds = np.cumsum(np.random.default_rng(seed).uniform(0.01, 0.1, len(points)))
        state, outputs = None, []
        for t, raw in enumerate(points):
            state, steady = stabilizer.step(state, raw, float(seconds[t] - seconds[t - 1]) if t else None)
            outputs.append(steady)
        np.testing.assert_array_equal(stabilizer.filter(points, seconds), outputs)

    @given(seeds, st.floats(-5000, 5000))
    def test_shift(self, stabilizer: Stabilizer, seed: int, shift: float) -> None:
        points, offset = make_face(seed), np.array([shift, -shift])
        expected = stabilizer.filter(points) + offset
        np.testing.assert_allclose(stabilizer.filter(points + offset), expected, rtol=0, atol=1e-7)

    @given(seeds, st.floats(0.05, 20))
    def test_scale(self, stabilizer: Stabilizer, seed: int, scale: float) -> None:
        points = make_face(seed)
        expected = stabilizer.filter(points) * scale
        np.testing.assert_allclose(stabilizer.filter(points * scale), expected, rtol=1e-9, atol=1e-7)

    def test_leaves_its_input_alone(self, stabilizer: Stabilizer) -> None:
        points = make_face(1)
        points[3, 4] = np.nan
        before = points.copy()
        stabilizer.filter(points)
        np.testing.assert_array_equal(points, before)

    def test_a_still_face_stays(self, stabilizer: Stabilizer) -> None:
        points = np.repeat(make_face(1)[:1], 30, axis=0)
        np.testing.assert_allclose(stabilizer.filter(points), points, rtol=0, atol=EXACT)

    @pytest.mark.parametrize("fps", [1.0, 24.0, 30.0, 60.0, 1000.0])
    def test_any_rate(self, stabilizer: Stabilizer, fps: float) -> None:
        points = make_face(3, frames=60)
        steady = stabilizer.filter(points, np.arange(60) / fps)
        assert np.isfinite(steady).all()
        assert np.abs(steady - points).max() < 20

    def test_repeated_timestamp(self, stabilizer: Stabilizer) -> None:
        assert np.isfinite(stabilizer.filter(make_face(3), np.zeros(10))).all()

    def test_no_frames(self, stabilizer: Stabilizer) -> None:
        assert stabilizer.filter(np.empty((0, 68, 2))).shape == (0, 68, 2)


class TestBadFrames:
    def test_lost_frame_holds_the_last_output(self, stabilizer: Stabilizer) -> None:
        points = make_face(1)
        points[5:7] = np.nan
        steady = stabilizer.filter(points)
        np.testing.assert_array_equal(steady[5], steady[4])
        np.testing.assert_array_equal(steady[6], steady[4])
        assert np.isfinite(steady).all()

    def test_nothing_before_the_first_complete_frame(self, stabilizer: Stabilizer) -> None:
        points = make_face(1)
        points[0] = np.nan
        points[1, 8] = np.nan
        steady = stabilizer.filter(points)
        np.testing.assert_array_equal(steady[:2], points[:2])
        np.testing.assert_array_equal(steady[2:], stabilizer.filter(points[2:]))

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_lost_landmark_stays_near(self, stabilizer: Stabilizer, value: float) -> None:
        points = make_face(1)
        whole = stabilizer.filter(points)
        points[5, 8] = value
        steady = stabilizer.filter(points)
        # It keeps its last place, from which the face has drifted and shaken by a few px.
        assert np.abs(steady[5] - whole[5]).max() < 10

    def test_cut_starts_anew(self, stabilizer: Stabilizer) -> None:
        points = make_face(1)
        points[6:] += 500
        steady = stabilizer.filter(points)
        np.testing.assert_array_equal(steady[6], points[6])
        np.testing.assert_array_equal(steady[6:], stabilizer.filter(points[6:]))

    @pytest.mark.parametrize("far", [100.0, 1e4, 1e9])
    def test_a_gross_outlier_is_limited(self, stabilizer: Stabilizer, far: float) -> None:
        points = make_face(1)
        truth, size = stabilizer.filter(points), float(face_size(points[5][None])[0])
        points[5, 8] += far
        steady = stabilizer.filter(points)
        away = np.linalg.norm(steady - truth, axis=-1)
        # 15 % of the face is what is let through, and the motion of the others adds a little.
        assert away[5].max() < 0.2 * size
        assert np.delete(away[5], 8).max() < 0.2 * size

    @pytest.mark.parametrize("flat", [[0.0, 0.0], [1.0, 0.0]])
    def test_a_face_without_size_stays_finite(self, stabilizer: Stabilizer, flat: list[float]) -> None:
        points = np.repeat(make_face(1)[:1], 4, axis=0) * flat
        assert np.isfinite(stabilizer.filter(points)).all()


class TestParameters:
    @pytest.mark.parametrize("components", [1, 2, 3])
    def test_save_and_load(self, tmp_path: Path, components: int) -> None:
        theta = make_parameters(3, components, alphas=np.full(components, 1 / components), fitted="by hand")
        theta.save(tmp_path / "theta.json")
        loaded = Parameters.load(tmp_path / "theta.json")
        assert loaded.fitted == "by hand"
        for name in ("gamma", "alphas", "betas", "noise", "walks", "basis", "fps"):
            # At least six digits are kept.
            np.testing.assert_allclose(getattr(loaded, name), getattr(theta, name), rtol=1e-5, err_msg=name)

    @pytest.mark.parametrize("text", ["", "not json", "[1, 2]", "3", "{}", '{"version": 1}'])
    def test_garbage(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "theta.json"
        path.write_text(text)
        with pytest.raises(WeightsError, match=r"theta\.json"):
            Parameters.load(path)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="No such file"):
            Parameters.load(tmp_path / "theta.json")

    @pytest.mark.parametrize(
        ("key", "value", "said"),
        [
            ("version", 99, "version 99.*reads version 1"),
            ("gama", 0.5, "gama"),
            ("gamma", 7.0, "out of range"),
            ("walks", [[1.0], [1.0, 2.0]], "theta.json"),
            ("basis", "identity", "theta.json"),
        ],
    )
    def test_file_with_a_wrong_value(self, tmp_path: Path, key: str, value: object, said: str) -> None:
        path = tmp_path / "theta.json"
        make_parameters(3, dimension=6).save(path)
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
        with pytest.raises(WeightsError, match=said):
            Parameters.load(path)

    @pytest.mark.parametrize(
        "change",
        [
            {"gamma": -0.1},
            {"gamma": 1.1},
            {"gamma": float("nan")},
            {"alphas": np.array([0.5, 0.6])},
            {"alphas": np.array([-0.5, 1.5])},
            {"betas": np.array([0.5, 1.1])},
            {"noise": np.zeros(6)},
            {"walks": np.full((2, 6), -1.0)},
            {"fps": 0.0},
            {"basis": np.ones((6, 6))},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_out_of_range(self, change: dict[str, object]) -> None:
        with pytest.raises(ConfigError, match="stabiliser"):
            make_parameters(3, dimension=6, **change)

    def test_bundled_ones_calm_a_shaking_face(self) -> None:
        points = make_face(1, frames=60)
        steady = load_stabilizer().filter(points)
        assert np.diff(steady, axis=0).std() < 0.9 * np.diff(points, axis=0).std()
        assert np.abs(steady - points).mean() < 2

    def test_bundled_is_loaded_once(self) -> None:
        assert load_stabilizer() is load_stabilizer()
