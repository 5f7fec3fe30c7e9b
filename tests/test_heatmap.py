"""Encoding loses nothing, decoding finds it again, and no map whatever throws a point away."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from steadyface.errors import ConfigError
from steadyface.heatmap import METHODS, decode, decode_logits, encode

EXACT_METHODS = ("fhr", "fhr_symmetric", "least_squares")
EXACT = 1e-6
"""px: ln h is known to some 1e-15 of its value, up to 1e3 where σ is small; σ² and the fit multiply that."""

sigmas = st.floats(0.6, 5)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def gaussians(draw: st.DrawFn, border: float = -0.5, least: int = 3) -> tuple[np.ndarray, tuple[int, int]]:
    """A point in a map of any size, at least `border` px from the outermost pixel centres."""
    sides = st.integers(max(least, math.ceil(2 * border) + 2), max(40, math.ceil(2 * border) + 20))
    height, width = draw(sides), draw(sides)
    x, y = (draw(st.floats(border, side - 1 - border)) for side in (width, height))
    return np.array([x, y]), (height, width)


def brightest(clean: np.ndarray) -> np.ndarray:
    """(x, y) of the first largest value."""
    row, column = np.unravel_index(np.argmax(clean), clean.shape)
    return np.array([column, row])


def noisy_maps(
    seed: int, count: int = 5, size: tuple[int, int] = (24, 20), noise: float = 0.05
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-0.5, np.array(size[::-1]) - 0.5, (count, 2))
    return encode(centres, size, 2.0) + rng.normal(0, noise, (count, *size))


class TestEncode:
    @given(gaussians(), sigmas)
    def test_is_a_gaussian(self, gaussian: tuple[np.ndarray, tuple[int, int]], sigma: float) -> None:
        (x, y), (height, width) = gaussian
        expected = [
            [math.exp(-((i - x) ** 2 + (j - y) ** 2) / (2 * sigma**2)) for i in range(width)]
            for j in range(height)
        ]
        np.testing.assert_allclose(encode(*gaussian, sigma), expected, rtol=1e-9, atol=1e-300)

    @given(gaussians(border=0.0), sigmas)
    def test_rounded_is_the_conventional_map(
        self, gaussian: tuple[np.ndarray, tuple[int, int]], sigma: float
    ) -> None:
        point, size = gaussian
        maps = encode(point, size, sigma, rounded=True)
        np.testing.assert_array_equal(maps, encode(np.floor(point + 0.5), size, sigma))
        assert maps.max() == 1
        for method in EXACT_METHODS:
            found = decode(maps, sigma=sigma, method=method).points
            np.testing.assert_allclose(found, np.floor(point + 0.5), rtol=0, atol=EXACT)


class TestRoundTrip:
    @pytest.mark.parametrize("method", EXACT_METHODS)
    @given(gaussians(), sigmas, st.integers(1, 3))
    def test_exact_methods_are_exact_up_to_the_border(
        self, method: str, gaussian: tuple[np.ndarray, tuple[int, int]], sigma: float, reach: int
    ) -> None:
        point, size = gaussian
        found = decode(encode(point, size, sigma), sigma=sigma, method=method, reach=reach)
        np.testing.assert_allclose(found.points, point, rtol=0, atol=EXACT)

    @pytest.mark.parametrize("sigma", [1.0, 1.5, 3.0])
    @given(gaussians())
    def test_dark_is_as_good_up_to_the_border(
        self, sigma: float, gaussian: tuple[np.ndarray, tuple[int, int]]
    ) -> None:
        point, size = gaussian
        found = decode(encode(point, size, sigma), sigma=sigma, method="dark").points
        # Its blur ends at 3σ, which pulls the point towards the middle of its cell a little.
        np.testing.assert_allclose(found, point, rtol=0, atol=0.01)

    @pytest.mark.parametrize("sigma", [1.0, 1.5, 3.0])
    @given(st.data())
    def test_dark_of_graphs_away_from_the_border(self, sigma: float, data: st.DataObject) -> None:
        point, size = data.draw(gaussians(border=math.ceil(3 * sigma) + 3))
        logits = np.log(encode(point, size, sigma) + 1e-300)
        found = decode_logits(logits, sigma=sigma, method="dark", finite=True).points
        np.testing.assert_allclose(found, point, rtol=0, atol=0.01)

    @given(gaussians(), sigmas)
    def test_argmax_rounds(self, gaussian: tuple[np.ndarray, tuple[int, int]], sigma: float) -> None:
        point, size = gaussian
        found = decode(encode(point, size, sigma), sigma=sigma, method="argmax").points
        np.testing.assert_array_equal(found, np.round(found))
        # Two cells at almost the same distance hold the same number.
        assert (np.abs(found - point) <= 0.5 + 1e-9).all()

    @given(gaussians(border=1.0, least=5), sigmas)
    def test_quarter_is_at_most_a_quarter_off(
        self, gaussian: tuple[np.ndarray, tuple[int, int]], sigma: float
    ) -> None:
        point, size = gaussian
        found = decode(encode(point, size, sigma), sigma=sigma, method="quarter").points
        assert (np.abs(found - point) <= 0.25 + 1e-9).all()

    @pytest.mark.parametrize("method", EXACT_METHODS)
    def test_peak_in_the_last_row_and_column(self, method: str) -> None:
        point, sigma = np.array([31.3, 31.2]), 3.0
        maps = encode(point, (32, 32), sigma)
        # Eq. (4) as printed, sampled "in the opposite direction" without turning its sign.
        printed = sigma**2 * (np.log(maps[31, 30]) - np.log(maps[31, 31])) + (30**2 - 31**2) / 2
        assert printed == pytest.approx(-point[0])
        np.testing.assert_allclose(decode(maps, sigma=sigma, method=method).points, point, rtol=0, atol=EXACT)

    @given(st.floats(1.0, 3.0), st.floats(0.75, 3.0))
    def test_wrong_sigma_biases_the_three_point_form_only(self, sigma: float, ratio: float) -> None:
        centre = np.array([20.0, 20.0])
        maps = encode(centre, (41, 41), ratio * sigma)
        three = decode(maps, sigma=sigma, method="fhr").points - centre
        pair = decode(maps, sigma=sigma, method="fhr_symmetric").points - centre
        np.testing.assert_allclose(three, (1 - ratio**-2) / 2, rtol=0, atol=EXACT)
        np.testing.assert_allclose(pair, 0, rtol=0, atol=EXACT)


class TestEvidence:
    @given(gaussians(border=1.0, least=5), st.floats(0.6, 5))
    def test_covariance_of_a_gaussian_is_its_own(
        self, gaussian: tuple[np.ndarray, tuple[int, int]], sigma: float
    ) -> None:
        found = decode(encode(*gaussian, sigma), sigma=sigma)
        np.testing.assert_allclose(found.covariances, sigma**2 * np.eye(2), rtol=1e-6, atol=1e-6)

    def test_score_is_the_height_of_the_peak(self) -> None:
        maps = 0.7 * encode(np.array([8.0, 9.0]), (16, 16), 1.5)
        assert decode(maps, sigma=1.5).scores == pytest.approx(0.7)

    def test_score_of_logits_is_the_mass_near_the_peak(self) -> None:
        logits = np.full((32, 32), -np.inf)
        logits[5, 5], logits[25, 25] = math.log(0.8), math.log(0.2)
        assert decode_logits(logits, sigma=1.0).scores == pytest.approx(0.8)


hostile = st.one_of(
    st.floats(width=64),
    st.floats(-2, 2),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, math.nan, math.inf, -math.inf, 5e-324, 1e-300, 1.7e308]),
)
shapes = st.tuples(st.integers(1, 9), st.integers(1, 9))
hostile_maps = st.one_of(
    arrays(np.float64, shapes, elements=hostile),
    arrays(np.float64, shapes, elements=hostile, fill=st.sampled_from([0.0, 0.5, -1.0, math.nan])),
    arrays(np.float32, shapes, elements=st.floats(width=32)),
)


def assert_sane(found: object, clean: np.ndarray, method: str) -> None:
    points, scores, covariances = found.points, found.scores, found.covariances
    bound = {"argmax": 0.0, "quarter": 0.25, "fhr": 0.5}.get(method, 1.5)
    assert np.isfinite(points).all()
    assert (np.abs(points - brightest(clean)) <= bound).all()
    assert 0 <= scores <= 1
    if clean.max() == clean.min():
        assert scores == 0
        np.testing.assert_array_equal(points, brightest(clean))
    assert np.isfinite(covariances).all()
    np.testing.assert_array_equal(covariances, covariances.T)
    assert (np.linalg.eigvalsh(covariances) > 0).all()


@pytest.mark.parametrize("method", METHODS)
class TestHostileMaps:
    @given(maps=hostile_maps, sigma=st.sampled_from([0.7, 1.5, 3.0]), reach=st.integers(1, 3))
    def test_heatmaps(self, method: str, maps: np.ndarray, sigma: float, reach: int) -> None:
        clean = np.where(np.isfinite(maps) & (maps > 0), maps, 0)
        assert_sane(decode(maps, sigma=sigma, method=method, reach=reach), clean, method)

    @given(maps=hostile_maps, sigma=st.sampled_from([0.7, 1.5, 3.0]), reach=st.integers(1, 3))
    def test_logits(self, method: str, maps: np.ndarray, sigma: float, reach: int) -> None:
        clean = np.where(np.isfinite(maps), np.clip(maps, -1e30, 1e30), maps.dtype.type(-1e30))
        found = decode_logits(maps, sigma=sigma, method=method, reach=reach)
        assert_sane(found, clean, method)

    @pytest.mark.parametrize("value", [0.0, -1.0, 0.3, math.nan, math.inf, -math.inf])
    def test_flat_map_scores_nothing(self, method: str, value: float) -> None:
        for decoder in (decode, decode_logits):
            found = decoder(np.full((2, 8, 8), value), sigma=3.0, method=method)
            assert not found.scores.any()
            assert not found.points.any()

    def test_saturated_corner(self, method: str) -> None:
        maps = np.zeros((6, 6))
        maps[0, 5] = 1
        found = decode(maps, sigma=3.0, method=method)
        assert_sane(found, maps, method)
        assert found.scores == 1


@pytest.mark.parametrize("method", METHODS)
class TestSameAnswer:
    @given(seed=seeds)
    def test_batch_equals_singles(self, method: str, seed: int) -> None:
        maps = noisy_maps(seed, 6).reshape(2, 3, 24, 20)
        batch = decode(maps, sigma=2.0, method=method)
        for i, j in np.ndindex(2, 3):
            single = decode(maps[i, j], sigma=2.0, method=method)
            # Sums over a batch may be added in another order.
            np.testing.assert_allclose(batch.points[i, j], single.points, rtol=0, atol=1e-12)
            np.testing.assert_allclose(batch.scores[i, j], single.scores, rtol=0, atol=1e-12)
            np.testing.assert_allclose(batch.covariances[i, j], single.covariances, rtol=1e-12, atol=0)

    @given(seed=seeds, exponent=st.integers(-200, 200))
    def test_brightness_does_not_matter(self, method: str, seed: int, exponent: int) -> None:
        maps = noisy_maps(seed)
        bright = decode(maps * 10.0**exponent, sigma=2.0, method=method)
        plain = decode(maps, sigma=2.0, method=method)
        # ln h grows to 460, which leaves it 1e-13; a nearly flat Hessian magnifies that.
        np.testing.assert_allclose(bright.points, plain.points, rtol=0, atol=1e-7)

    @pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("float64", 1e-9)])
    def test_torch_equals_numpy(self, method: str, dtype: str, tolerance: float) -> None:
        """px: a logarithm is known to 1e-7 (1e-16); noisy curvatures magnify that up to 1e3 times."""
        torch = pytest.importorskip("torch")
        maps = noisy_maps(1, 40).astype(dtype)
        for decoder in (decode, decode_logits):
            ours = decoder(maps, sigma=2.0, method=method)
            theirs = decoder(torch.from_numpy(maps), sigma=2.0, method=method)
            assert str(theirs.points.dtype) == f"torch.{dtype}"
            assert str(ours.points.dtype) == dtype
            for name in ("points", "scores", "covariances"):
                np.testing.assert_allclose(
                    getattr(theirs, name).numpy(), getattr(ours, name), rtol=tolerance, atol=tolerance
                )

    @given(seed=seeds, constant=st.floats(-1000, 1000))
    def test_logits_are_the_logarithm_of_heatmaps(self, method: str, seed: int, constant: float) -> None:
        logits = np.log(np.abs(noisy_maps(seed)) + 1e-3)
        plain = decode(np.exp(logits), sigma=2.0, method=method)
        shifted = decode_logits(logits + constant, sigma=2.0, method=method)
        # Adding 1000 leaves 1e-13 of a logit; a nearly flat Hessian magnifies that.
        np.testing.assert_allclose(shifted.points, plain.points, rtol=0, atol=1e-7)
        np.testing.assert_allclose(shifted.covariances, plain.covariances, rtol=1e-7, atol=1e-7)
        unshifted = decode_logits(logits, sigma=2.0, method=method)
        np.testing.assert_allclose(shifted.points, unshifted.points, rtol=0, atol=1e-7)
        np.testing.assert_allclose(shifted.scores, unshifted.scores, rtol=1e-9)

    def test_half_precision(self, method: str) -> None:
        point = np.array([9.3, 12.6])
        maps = encode(point, (24, 24), 2.0)
        expected = decode(maps, sigma=2.0, method=method).points
        half = decode(maps.astype(np.float16), sigma=2.0, method=method)
        assert half.points.dtype == np.float32
        # Half floats hold 5e-4 of a value, hence of ln h; σ² makes 2e-3 of it, twice.
        np.testing.assert_allclose(half.points, expected, rtol=0, atol=4e-3)


NOISE_TABLE = {
    ("argmax", 1): 0.368,
    ("quarter", 1): 0.237,
    ("fhr", 1): 0.241,
    ("fhr_symmetric", 1): 0.137,
    ("fhr_symmetric", 3): 0.073,
    ("least_squares", 1): 0.022,
    ("dark", 1): 0.016,
}
"""RMSE, px per axis, σ = 3 on 128 × 128, white noise of std .02: `docs/method.md`, 1,500 centres."""


@pytest.fixture(scope="module")
def noisy() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2019)
    centres = rng.uniform(20, 108, (400, 2))
    maps = encode(centres.astype(np.float32), (128, 128), 3.0)
    return centres, maps + rng.normal(0, 0.02, maps.shape).astype(np.float32)


@pytest.mark.parametrize(("method", "reach"), NOISE_TABLE)
def test_noise_table(noisy: tuple[np.ndarray, np.ndarray], method: str, reach: int) -> None:
    centres, maps = noisy
    error = decode(maps, sigma=3.0, method=method, reach=reach).points - centres
    # The RMSE of 800 draws has a deviation of 1/√1600 = 2.5 %; the table's own is 1.3 %, its rounding 3 %.
    assert math.sqrt((error**2).mean()) == pytest.approx(NOISE_TABLE[method, reach], rel=0.10)


class TestBadArguments:
    maps = np.zeros((4, 4))

    @pytest.mark.parametrize("decoder", [decode, decode_logits])
    def test_unknown_method_lists_the_known(self, decoder: object) -> None:
        with pytest.raises(ConfigError, match="median.*" + ".*".join(METHODS)):
            decoder(self.maps, sigma=3.0, method="median")

    @pytest.mark.usefixtures("unannotated")
    @pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, "2"])
    def test_sigma_must_be_positive(self, sigma: float) -> None:
        with pytest.raises(ConfigError, match="sigma must be positive, got"):
            decode(self.maps, sigma=sigma)
        with pytest.raises(ConfigError, match="sigma must be positive, got"):
            encode(np.zeros(2), (4, 4), sigma)

    @pytest.mark.usefixtures("unannotated")
    @pytest.mark.parametrize("reach", [0, 1.5])
    def test_reach_must_be_positive_and_whole(self, reach: float) -> None:
        with pytest.raises(ConfigError, match=f"reach must be a whole number of cells from 1, got {reach}"):
            decode(self.maps, sigma=3.0, method="fhr_symmetric", reach=reach)

    @pytest.mark.usefixtures("unannotated")
    @pytest.mark.parametrize(
        "maps", [[[0.0, 1.0]], None, "maps", np.ones((4, 4), complex), np.full((4, 4), "a")]
    )
    def test_maps_must_be_arrays_of_real_numbers(self, maps: object) -> None:
        with pytest.raises(ConfigError, match=r"must be (an array of numpy or torch|real numbers)"):
            decode(maps, sigma=3.0)
        with pytest.raises(ConfigError, match=r"must be (an array of numpy or torch|real numbers)"):
            encode(maps, (4, 4), sigma=3.0)

    @pytest.mark.parametrize("shape", [(4,), (0, 4), (3, 4, 0)])
    def test_shape_must_be_maps(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ConfigError, match="heatmaps must be"):
            decode(np.zeros(shape), sigma=3.0)

    @pytest.mark.usefixtures("unannotated")
    @pytest.mark.parametrize("shape", [(), (68,), (68, 3), (5, 136)])
    def test_points_must_be_pairs(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ConfigError, match=r"points must be \(…, 2\), got shape"):
            encode(np.zeros(shape), (64, 64), 1.0)

    @pytest.mark.usefixtures("unannotated")
    @pytest.mark.parametrize("size", [(0, 64), (64, -1), (6.5, 64)])
    def test_size_must_be_whole(self, size: tuple[int, int]) -> None:
        with pytest.raises(ConfigError, match="size must be two whole numbers from 1, got"):
            encode(np.zeros((68, 2)), size, 1.0)


@pytest.mark.parametrize("method", METHODS)
def test_the_promise_of_finite_maps_changes_nothing(method: str) -> None:
    """But with `dark` at the border, beyond which it then looks for nothing."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1, (3, 5, 16, 16)).astype(np.float32)
    logits[..., 7, 8] = 9.0
    if method != "dark":
        logits[0, 0, 0, 0] = logits[0, 1, 15, 7] = 10.0  # peaks on the border
    promised = decode_logits(logits, sigma=0.75, method=method, finite=True)
    checked = decode_logits(logits, sigma=0.75, method=method)
    for name in ("points", "scores", "covariances"):
        np.testing.assert_array_equal(getattr(promised, name), getattr(checked, name))
