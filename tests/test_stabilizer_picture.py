"""The default stabiliser with displacements measured in the picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float

from steadyface import markup
from steadyface.errors import ConfigError, WeightsError
from steadyface.geometry import face_size
from steadyface.measures import MEAN_FACE
from steadyface.motion import Displacements
from steadyface.motion.matrices import pack, unpack
from steadyface.stabilizer import load_stabilizer, save_stabilizer
from steadyface.stabilizer.picture import PictureModel, _mixture

FACE = 2.0 * MEAN_FACE[:, :2] + [300.0, 300.0]
UNIT = float(face_size(FACE)) / 100
STA = load_stabilizer("sta")
LIDS = [i for eye in ("right_eye", "left_eye") for side in markup.facing(eye) for i in side]
NOSE = markup.GROUPS["nose_bridge"]

Sequence = Float[np.ndarray, "frames 68 2"]


def moving(frames: int) -> Sequence:
    """A face that rests for a third of the time, then sways."""
    time = np.arange(frames)
    sway = np.where(time > frames / 3, np.sin((time - frames / 3) / 9), 0.0)
    return FACE + 12 * UNIT * sway[:, None, None] * np.array([1.0, 0.3])


def shaken(truth: Sequence, seed: int = 0, deviation: float = 0.4) -> Sequence:
    return truth + np.random.default_rng(seed).normal(0, deviation * UNIT, truth.shape)


def measured(
    truth: Sequence, error: float = 0.02, seed: int = 1, deviation: float | None = None
) -> list[Displacements | None]:
    """The true displacements with an error, percent of face size, and a covariance that says so."""
    rng = np.random.default_rng(seed)
    steps = np.diff(truth, axis=0) + rng.normal(0, error * UNIT, truth[1:].shape)
    covariance = np.broadcast_to(((deviation or error) * UNIT) ** 2 * np.eye(2), (len(truth[0]), 2, 2))
    return [None, *(Displacements(step, covariance.copy(), np.ones(68, bool)) for step in steps)]


def shaking(points: Sequence, truth: Sequence) -> float:
    """Mean wrong motion a frame, percent of face size."""
    return float(np.linalg.norm(np.diff(points - truth, axis=0), axis=-1).mean()) / UNIT


def distance(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Percent of face size."""
    return np.linalg.norm(points - truth, axis=-1) / UNIT


class TestWithoutAPicture:
    @given(seed=st.integers(0, 2**32 - 1))
    def test_is_the_filter_of_points(self, seed: int) -> None:
        points = shaken(moving(12), seed)
        seconds = np.arange(12) / 25
        scores = np.random.default_rng(seed).uniform(0.5, 1, (12, 68))
        expected = STA.filter(points, seconds, scores)
        # One product for all frames may round otherwise than one for each.
        frame_by_frame = STA.filter(points, seconds, scores, [None] * 12)
        np.testing.assert_allclose(frame_by_frame, expected, rtol=0, atol=1e-9)
        other = replace(STA, picture=PictureModel(slip=1.0, anchor=0.1))
        np.testing.assert_array_equal(other.filter(points, seconds, scores), expected)

    def test_other_filters_take_no_notice(self) -> None:
        points = shaken(moving(12))
        for kind in ("one-euro", "sta-paper"):
            stabilizer = load_stabilizer(kind)
            expected = stabilizer.filter(points)
            np.testing.assert_array_equal(stabilizer.filter(points, motion=measured(points)), expected)


class TestWithAPicture:
    def test_shakes_hardly_more_than_the_picture(self) -> None:
        truth = moving(120)
        points = shaken(truth, deviation=0.1)
        steady, alone = STA.filter(points, motion=measured(truth)), STA.filter(points)
        # The picture's own errors shake by 0.02·√(π/2) = 0.025.
        assert shaking(steady[10:], truth[10:]) < 0.035
        assert shaking(steady, truth) < 0.7 * shaking(alone, truth)
        assert shaking(alone, truth) < shaking(points, truth)

    def test_follows_at_once(self) -> None:
        before, after = np.repeat(FACE[None], 20, axis=0), np.repeat(FACE[None] + 5 * UNIT, 5, axis=0)
        truth = np.concatenate([before, after])
        steady = STA.filter(shaken(truth, deviation=0.1), motion=measured(truth))
        assert np.abs((steady[20] - steady[19]) / UNIT - 5).max() < 0.7

    def test_the_jaw_slides_on_the_skin(self) -> None:
        """The outline of a turning head leaves the skin that it was on, and keeps to the network's points."""
        rest, jaw = np.repeat(FACE[None], 60, axis=0), markup.GROUPS["jaw"]
        path = rest.copy()
        path[20:, jaw] += (np.minimum(np.arange(40), 20) * 0.4 * UNIT)[:, None, None] * [1.0, 0.0]
        steady = STA.filter(shaken(path, deviation=0.1), motion=measured(rest))
        behind = distance(steady, path)[:, jaw].mean(axis=1)
        assert behind.max() < 4.2  # of the 8 % by which it slides
        assert behind[-1] < 1.5

    @pytest.mark.parametrize("network", ["compact", "tiny", "nano"])
    def test_a_mouth_opens_at_once_though_the_flow_is_lost(self, network: str) -> None:
        """Lips without flow are taken to move with the face; the network's points tell that they do not."""
        lower = [*markup.facing("inner_lips")[1], *range(54, 60), *range(5, 12)]
        path = np.repeat(FACE[None], 60, axis=0)
        for start, stop in ((20, 30), (40, 41)):
            path[start:stop, lower] += [0.0, 10 * UNIT]
        motion = measured(np.repeat(FACE[None], 60, axis=0))
        for frame in (20, 30, 40, 41):
            flow = motion[frame]
            assert flow is not None
            flow.valid[[*lower, *markup.GROUPS["outer_lips"], *markup.GROUPS["inner_lips"]]] = False
        stabilizer = load_stabilizer("sta", network)
        steady = stabilizer.filter(shaken(path, deviation=0.1), motion=motion)
        lips = markup.facing("inner_lips")[1]
        opening = (steady[:, lips] - FACE[lips])[..., 1].mean(axis=1) / UNIT
        assert opening[20] > 7.5
        assert opening[29] > 9
        assert opening[30] < 2.5
        assert opening[40] > 7.5
        assert abs(opening[39]) < 1
        assert abs(opening[59]) < 1

    @pytest.mark.parametrize("network", ["compact", "tiny", "nano"])
    def test_brows_rise_though_the_picture_shows_nothing(self, network: str) -> None:
        rest, brows = np.repeat(FACE[None], 50, axis=0), range(17, 27)
        path = rest.copy()
        path[20:, brows] -= (np.minimum(np.arange(30), 9) * 0.7 * UNIT)[:, None, None] * [0.0, 1.0]
        stabilizer = load_stabilizer("sta", network)
        steady = stabilizer.filter(shaken(path, deviation=0.1), motion=measured(rest))
        behind = distance(steady, path)[:, brows].mean(axis=1)
        assert behind.max() < 3.5  # of the 6 % by which they rise
        assert behind[-1] < 1.2

    def test_only_brows_and_nose_tell_that_a_face_is_covered(self) -> None:
        """A network that sees half a face shifts the other half too; one that sees an open mouth does not."""
        truth = np.repeat(FACE[None], 30, axis=0)
        points = truth.copy()
        points[15:, 36] += [3 * UNIT, 0.0]  # the corner of an eye

        def pulled(lost: range) -> float:
            motion = measured(truth)
            for flow in motion[1:]:
                assert flow is not None
                flow.valid[list(lost)] = False
            return float(np.linalg.norm(STA.filter(points, motion=motion)[-1, 36] - FACE[36]))

        open_mouth, covered = pulled(range(48, 68)), pulled(range(22, 36))
        assert covered < 0.9 * open_mouth
        assert open_mouth == pytest.approx(pulled(range(0)), rel=1e-6)

    def test_no_drift(self) -> None:
        """The picture's errors add up; the network's points hold them."""
        truth = np.repeat(FACE[None], 600, axis=0)
        steady = STA.filter(shaken(truth), motion=measured(truth, error=0.05))
        assert distance(steady[300:], truth[300:]).mean() < 0.6
        biased = [
            None if m is None else m._replace(displacement=m.displacement + 0.03 * UNIT)
            for m in measured(truth, error=0.05)
        ]
        # 600 such steps were 18 % a coordinate.
        assert distance(STA.filter(shaken(truth), motion=biased)[-1], FACE).mean() < 3.0

    def test_an_uncertain_picture_counts_little(self) -> None:
        truth = moving(60)
        wrong = measured(truth, error=0.5, deviation=3.0)
        points = shaken(truth)
        assert shaking(STA.filter(points, motion=wrong), truth) < 1.3 * shaking(STA.filter(points), truth)

    def test_gaps_between_pictures(self) -> None:
        truth = moving(90)
        motion = measured(truth)
        motion[40:50] = [None] * 10
        steady = STA.filter(shaken(truth), motion=motion)
        assert distance(steady, truth).max() < 2.0
        assert np.isfinite(steady).all()

    def test_a_cut_starts_anew(self) -> None:
        truth = np.concatenate(
            [np.repeat(FACE[None], 10, axis=0), np.repeat(FACE[None] + 200 * UNIT, 3, axis=0)]
        )
        motion = measured(np.repeat(FACE[None], 13, axis=0))
        steady = STA.filter(shaken(truth), motion=motion)
        np.testing.assert_array_equal(steady[10], shaken(truth)[10])

    def test_any_frame_rate(self) -> None:
        truth = moving(120)
        for fps in (15.0, 60.0):
            steady = STA.filter(shaken(truth, deviation=0.1), np.arange(120) / fps, motion=measured(truth))
            assert shaking(steady[10:], truth[10:]) < 0.04


class TestBlinks:
    def test_keep_their_depth_where_the_picture_shows_none(self) -> None:
        """The skin of a lid folds: its flow is that of the brow above."""
        still = np.repeat(FACE[None], 60, axis=0)
        truth = still.copy()
        closing = 4 * UNIT * np.interp(np.arange(60), [30, 33, 35, 39], [0, 1, 1, 0])
        upper = [i for eye in ("right_eye", "left_eye") for i in markup.facing(eye)[0]]
        truth[:, upper, 1] += closing[:, None]
        steady = STA.filter(shaken(truth, deviation=0.1), motion=measured(still))
        lids = (steady - still)[:, upper, 1].mean(axis=1) / UNIT
        assert lids[34] > 3.8
        assert np.abs(lids[45:]).max() < 0.4
        # Onset: half way down within half a frame of the truth, 31.5.
        assert np.interp(2.0, lids[30:34], np.arange(30, 34)) == pytest.approx(31.5, abs=0.5)


class TestOcclusion:
    def test_points_are_not_dragged_along(self) -> None:
        """The network shifts the whole face bit by bit for a second; the picture shows none of it."""
        truth = np.repeat(FACE[None], 80, axis=0)
        points = shaken(truth, deviation=0.1)
        points[30:55] += np.linspace(0, 4 * UNIT, 25)[:, None, None] * [1.0, 0.0]
        motion = measured(truth)
        covered = np.arange(68) < 20
        for t in range(30, 55):
            now = motion[t]
            assert now is not None
            motion[t] = now._replace(valid=~covered)
        steady, alone = STA.filter(points, motion=motion), STA.filter(points)
        rigid = [*markup.GROUPS["jaw"], *NOSE]
        assert distance(steady[54], truth[54])[rigid].mean() < 2.0
        assert distance(alone[54], truth[54])[rigid].mean() > 3.0

    def test_covered_points_come_back(self) -> None:
        """They were off by 6 %, and said that they might be."""
        truth = np.repeat(FACE[None], 60, axis=0)
        motion = measured(truth)
        astray = np.zeros(68, bool)
        astray[:20] = True
        for t in range(30, 40):
            now = motion[t]
            assert now is not None
            moved, covariance = now.displacement.copy(), now.covariance.copy()
            moved[astray] += 0.6 * UNIT / np.sqrt(2)
            covariance[astray] = (0.6 * UNIT) ** 2 * np.eye(2)
            motion[t] = Displacements(moved, covariance, ~astray)
        # The points with the occluder before them are nowhere: in these frames they go along.
        points = shaken(truth, deviation=0.2)
        points[30:40, astray] += np.linspace(0.6, 6, 10)[:, None, None] * UNIT / np.sqrt(2)
        steady = STA.filter(points, motion=motion)
        assert distance(steady[39], truth[39])[astray].mean() > 3
        assert distance(steady[45], truth[45])[astray].mean() < 1.0

    def test_lips_that_a_hand_pushes_along_are_taken_back(self) -> None:
        """For four frames the network is as sure of them as ever; the skin moves on below the hand."""
        truth = FACE + np.outer(np.arange(60), [0.2 * UNIT, 0.0])[:, None]
        lips = [*markup.GROUPS["outer_lips"], *markup.GROUPS["inner_lips"]]
        points, scores, motion = shaken(truth, deviation=0.1), np.full((60, 68), 0.98), measured(truth)
        for t in range(30, 50):
            now = motion[t]
            assert now is not None
            now.valid[lips] = False
            points[t, lips] += np.array([-0.5, 1.0]) * min(t - 29, 6) * UNIT
        scores[34:50, lips] = 0.4
        pushed, taken_back = (STA.filter(points, None, s, motion) for s in (np.full((60, 68), 0.98), scores))
        assert distance(pushed, truth)[33:50, lips].mean() > 4
        assert distance(taken_back, truth)[33, lips].mean() > 2
        assert distance(taken_back, truth)[34:50, lips].mean() < 1.5
        assert distance(taken_back, truth)[53:, lips].mean() < 1

    def test_lips_that_come_late_are_not_taken_back_to_where_they_were_not(self) -> None:
        truth, lips = np.repeat(FACE[None], 40, axis=0), range(48, 68)
        points, scores = truth.copy(), np.full((40, 68), 0.98)
        points[:20, lips] = np.nan
        scores[22:, lips] = 0.3
        steady = STA.filter(points, None, scores, measured(truth))
        assert distance(steady[20:], truth[20:])[:, lips].max() < 1

    def test_lips_of_low_scores_follow_the_network(self) -> None:
        """Only some of them low, as in a wide mouth; or all of them, but low for long."""
        path = np.repeat(FACE[None], 90, axis=0)
        lower = [*markup.facing("inner_lips")[1], *range(55, 60)]
        path[60:70, lower] += [0.0, 8 * UNIT]
        motion = measured(np.repeat(FACE[None], 90, axis=0))
        few, long = np.full((90, 68), 0.98), np.full((90, 68), 0.98)
        few[60:70, lower[:4]] = 0.4
        long[:, 48:] = 0.5
        never = replace(STA, picture=replace(STA.picture, covered=1e-6))
        for scores in (few, long):
            steady, expected = (each.filter(path, None, scores, motion) for each in (STA, never))
            np.testing.assert_array_equal(steady, expected)

    def test_a_frame_without_points_moves_with_the_picture(self) -> None:
        truth = moving(60)
        points = shaken(truth, deviation=0.1)
        points[40:43] = np.nan
        steady = STA.filter(points, motion=measured(truth))
        assert distance(steady[40:46], truth[40:46]).max() < 0.8
        frozen = STA.filter(points)
        np.testing.assert_array_equal(frozen[42], frozen[39])


def brute_mixture(
    prior: np.ndarray, noise: np.ndarray, surprise: np.ndarray, share: float, wider: float
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance by sums over a grid of 1,000² points."""
    reach = 8 * wider + 8 * np.sqrt(prior.max())
    axis = np.linspace(-reach, reach, 1001)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)

    def density(at: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        squared = np.einsum("ni,ij,nj->n", at, np.linalg.inv(covariance), at)
        return np.exp(-0.5 * squared) / np.sqrt(np.linalg.det(covariance))

    weights = (1 - share) * density(grid, prior) + share * density(grid, prior + wider**2 * np.eye(2))
    weights *= density(surprise - grid, noise)
    weights /= weights.sum()
    mean = weights @ grid
    away = grid - mean
    return mean, (weights[:, None] * away).T @ away


@pytest.mark.parametrize("surprise", [(0.1, -0.2), (1.0, 0.5), (4.0, -1.0)])
def test_moments_are_the_mixtures(surprise: tuple[float, float]) -> None:
    prior = np.array([[0.3, 0.1], [0.1, 0.5]])
    arguments = pack(prior[None]), np.array([0.35]), np.array([surprise]).T, np.array([0.1])
    mean, covariance, _ = _mixture(*arguments, wider=2.0)
    expected, spread = brute_mixture(prior, 0.35 * np.eye(2), np.array(surprise), 0.1, 2.0)
    np.testing.assert_allclose(mean[:, 0], expected, atol=1e-6)
    np.testing.assert_allclose(unpack(covariance)[0], spread, atol=1e-6)


class TestParameters:
    def test_are_stored(self, tmp_path: Path) -> None:
        stored = replace(STA, picture=PictureModel(anchor=0.7))
        save_stabilizer(stored, tmp_path / "sta.json")
        loaded = load_stabilizer(tmp_path / "sta.json")
        assert loaded.picture == stored.picture  # type: ignore[attr-defined]

    def test_unknown_ones_are_refused(self, tmp_path: Path) -> None:
        save_stabilizer(STA, tmp_path / "sta.json")
        text = (tmp_path / "sta.json").read_text()
        (tmp_path / "sta.json").write_text(text.replace('"slip"', '"slap"'))
        with pytest.raises(WeightsError):
            load_stabilizer(tmp_path / "sta.json")

    @pytest.mark.parametrize("wrong", [{"anchor": 0.0}, {"wrong": 0.0}, {"loose": 1.0}, {"slip": -1.0}])
    def test_out_of_range(self, wrong: dict[str, float]) -> None:
        with pytest.raises(ConfigError, match="picture"):
            PictureModel(**wrong)


def test_frames_without_points_are_carried_by_the_picture() -> None:
    """Points of every third frame only: as steady, and as near to the truth."""
    truth = moving(90)
    raw, motion = shaken(truth), measured(truth)
    sparse = raw.copy()
    sparse[[t for t in range(6, 90) if t % 3]] = np.nan
    each, third = (STA.filter(points, motion=motion) for points in (raw, sparse))
    assert shaking(third, truth) < 1.1 * shaking(each, truth)
    assert distance(third, truth)[10:].mean() < distance(raw, truth).mean()


@pytest.mark.parametrize("between", [1, 2, 3])
def test_lids_that_closed_between_two_frames_with_points_are_shut_in_the_second(between: int) -> None:
    """The picture shows no motion of lids that fold; the points' step since the last frame with any does."""
    truth = np.repeat(FACE[None], 30, axis=0)
    truth[15:, LIDS, 1] += 4 * UNIT
    still = np.repeat(FACE[None], 30, axis=0)
    motion, raw = measured(still), shaken(truth, deviation=0.02)
    raw[15 : 15 + between] = np.nan
    seen = STA.filter(raw, motion=motion)
    assert distance(seen, still)[14 + between, LIDS].max() < 0.5
    assert distance(seen, truth)[15 + between, LIDS].mean() < 1.0
