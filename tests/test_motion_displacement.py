"""Measured displacements against motion that is known exactly: a texture of sine waves, drawn where it is."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from jaxtyping import Float

from steadyface import markup
from steadyface.geometry import Affine, face_size
from steadyface.measures import MEAN_FACE
from steadyface.motion import (
    CoherenceConfig,
    Displacements,
    FaceCrop,
    FlowConfig,
    combine,
    face_region,
    follow_region,
    follow_regions,
    measure_displacements,
    measure_faces,
    measure_flow,
    robust_similarities,
    robust_similarity,
)

SIZE, WIDTH, HEIGHT = 224, 420, 420
FACE = 1.6 * MEAN_FACE[:, :2] + [210.0, 200.0]
STAY = Affine.translation(0.0, 0.0)
UNIT = float(face_size(FACE)) / 100
LIPS_AND_LIDS = list(range(36, 68))
OTHERS = list(range(36))


def turned(degrees: float, zoom: float, shift: tuple[float, float]) -> Affine:
    """Roll and zoom about the middle of the face, then a shift, px."""
    scale, angle = zoom, math.radians(degrees)
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    middle = FACE.mean(axis=0)
    return Affine(np.column_stack([linear, middle + shift - linear @ middle]))


def draw(motion: Affine, seed: int = 0, shortest: float = 9.0) -> Float[np.ndarray, "rows columns"]:
    """Grey levels of a texture that has moved; each pixel is the waves' value at its place, exactly."""
    rng = np.random.default_rng(seed)
    lengths = np.exp(rng.uniform(math.log(shortest), math.log(80), 60))
    angles, phases = rng.uniform(0, 2 * np.pi, (2, 60))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    place = motion.inverse(np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(float))
    waves = 2 * np.pi / lengths * np.stack([np.cos(angles), np.sin(angles)])
    return 128 + 11 * np.sin(place @ waves + phases).sum(axis=-1).reshape(HEIGHT, WIDTH)


def seen(levels: Float[np.ndarray, "rows columns"], noise: float = 0.0, seed: int = 1) -> np.ndarray:
    """As a camera stores it."""
    drawn = np.random.default_rng(seed).normal(0, noise, levels.shape) if noise else 0.0
    return np.clip(np.round(levels + drawn), 0, 255).astype(np.uint8)


def crop(image: np.ndarray, region: object) -> FaceCrop:
    to_crop = region.to_crop(SIZE)  # type: ignore[attr-defined]
    return FaceCrop(cv2.warpAffine(image, to_crop.matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR), to_crop)


def measure(
    first: np.ndarray, second: np.ndarray, motion: Affine, hint: Affine | None = None
) -> Displacements:
    """Measure with crops as tracking chooses them; `hint` is what the network says of the motion."""
    region = face_region(FACE)
    after, expected = follow_region(region, FACE, hint or motion)
    return measure_displacements(crop(first, region), crop(second, after), FACE, expected)


def errors(found: Displacements, motion: Affine) -> Float[np.ndarray, "68"]:
    """Distance of each displacement from the true one, % of face size."""
    return np.linalg.norm(found.displacement - (motion(FACE) - FACE), axis=-1) / UNIT


def normalised(found: Displacements, motion: Affine) -> Float[np.ndarray, "68"]:
    """Squared error in units of the covariance, over its mean of 2."""
    error = found.displacement - (motion(FACE) - FACE)
    return np.einsum("li,lij,lj->l", error, np.linalg.inv(found.covariance), error) / 2


MOTIONS = {
    "rest": STAY,
    "sub-pixel shift": turned(0.0, 1.0, (0.37, -0.21)),
    "shift": turned(0.0, 1.0, (7.3, -4.6)),
    "roll": turned(4.0, 1.0, (0.0, 0.0)),
    "zoom": turned(0.0, 1.05, (0.0, 0.0)),
    "all": turned(-3.0, 0.96, (5.2, 6.1)),
}


@pytest.mark.parametrize("name", MOTIONS)
class TestKnownMotion:
    def test_error(self, name: str) -> None:
        motion = MOTIONS[name]
        found = measure(seen(draw(STAY)), seen(draw(motion)), motion)
        assert found.valid.all()
        # A crop px is 0.6 % of this face: a few hundredths of it on average.
        assert errors(found, motion).mean() < 0.03
        assert errors(found, motion).max() < 0.12

    def test_error_under_noise_is_as_large_as_it_says(self, name: str) -> None:
        motion, alone, together = MOTIONS[name], [], []
        region = face_region(FACE)
        after, expected = follow_region(region, FACE, motion)
        for seed in range(3):
            first = crop(seen(draw(STAY, seed), noise=6.0, seed=2 * seed), region)
            second = crop(seen(draw(motion, seed), noise=6.0, seed=2 * seed + 1), after)
            found = measure_displacements(first, second, FACE, expected)
            assert errors(found, motion).mean() < 0.06
            together.append(normalised(found, motion))
            flow = measure_flow(first, second, FACE, expected, FlowConfig(slip=0.0))
            alone.append(normalised(Displacements(*flow), motion))
        # The noise alone, over 408 displacements: 1 were exact, and the gain is one for all resamplings.
        assert 0.3 < np.mean(alone) < 1.5
        # With room for skin that bends and turns, which this texture does not do.
        assert np.mean(together) < 1.2


class TestLight:
    @pytest.mark.parametrize(("gain", "offset"), [(1.0, 25.0), (0.8, 0.0), (1.15, -20.0)])
    def test_another_exposure(self, gain: float, offset: float) -> None:
        motion = MOTIONS["all"]
        second = gain * (0.8 * draw(motion) + 20) + offset
        found = measure(seen(0.8 * draw(STAY) + 20), seen(second), motion)
        assert errors(found, motion).mean() < 0.05

    def test_motion_blur(self) -> None:
        motion = MOTIONS["shift"]
        middles = [turned(0.0, 1.0, (7.3 * s, -4.6 * s)) for s in np.linspace(0.5, 1.5, 9)]
        blurred = np.mean([draw(middle) for middle in middles], axis=0)
        found = measure(seen(draw(STAY)), seen(blurred), motion)
        assert errors(found, motion).mean() < 0.15

    def test_a_crop_is_left_as_it_was_for_the_next_comparison(self) -> None:
        """The exposure that a comparison adapts is that of one pair; a crop is compared with two others."""
        region = face_region(FACE)
        pictures = [
            seen(gain * draw(turned(0.0, 1.0, (shift, 0.0))))
            for gain, shift in ((1.0, 0.0), (0.7, 2.0), (0.8, 4.0))
        ]
        first, second, third = (crop(picture, region) for picture in pictures)
        measure_flow(first, second, FACE, FACE)
        again = measure_flow(second, third, FACE, FACE)
        alone = measure_flow(crop(pictures[1], region), crop(pictures[2], region), FACE, FACE)
        for found, wanted in zip(again, alone, strict=True):
            np.testing.assert_array_equal(found, wanted)

    def test_flat_pictures_say_nothing(self) -> None:
        grey = np.full((HEIGHT, WIDTH), 90, np.uint8)
        region = face_region(FACE)
        flow = measure_flow(crop(grey, region), crop(grey, region), FACE, FACE)
        assert not flow.found.any()


class TestStart:
    """The network's idea of the motion is a start, and no more than that."""

    def test_wrong_shift(self) -> None:
        motion = MOTIONS["all"]
        hint = motion.then(Affine.translation(4.0, -3.0))
        found = measure(seen(draw(STAY)), seen(draw(motion)), motion, hint)
        assert errors(found, motion).mean() < 0.05

    def test_points_need_not_be_on_anything(self) -> None:
        motion = MOTIONS["shift"]
        region = face_region(FACE)
        after, expected = follow_region(region, FACE + 2.5, motion)
        found = measure_displacements(
            crop(seen(draw(STAY)), region), crop(seen(draw(motion)), after), FACE + 2.5, expected
        )
        assert errors(found, motion).mean() < 0.03


class TestAperture:
    def test_an_edge_is_certain_across_and_uncertain_along_itself(self) -> None:
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        x = columns - FACE[33, 0]
        pictures = [
            seen(128 + 80 * np.tanh((x - shift) / 3) + 0 * rows, noise=2.0, seed=seed)
            for seed, shift in enumerate((0.0, 1.3))
        ]
        region = face_region(FACE)
        flow = measure_flow(crop(pictures[0], region), crop(pictures[1], region), FACE, FACE)
        across, along = flow.covariance[33, 0, 0], flow.covariance[33, 1, 1]
        assert along > 30 * across
        assert flow.displacement[33, 0] == pytest.approx(1.3, abs=0.1)

    def test_what_an_edge_leaves_open_comes_from_the_other_landmarks(self) -> None:
        motion = turned(0.0, 1.0, (1.2, 2.4))
        pictures = []
        for seed, moved in enumerate((STAY, motion)):
            levels = draw(moved)
            place = moved.inverse(
                np.stack(np.mgrid[:HEIGHT, :WIDTH][::-1], axis=-1).reshape(-1, 2).astype(float)
            )
            x, y = (place - FACE[8]).T.reshape(2, HEIGHT, WIDTH)
            edge = 128 + 80 * np.tanh(y / 3)
            pictures.append(seen(np.where(np.hypot(x, y) < 40, edge, levels), noise=2.0, seed=seed))
        region = face_region(FACE)
        crops = crop(pictures[0], region), crop(pictures[1], region)
        alone = measure_flow(*crops, FACE, FACE)
        found = measure_displacements(*crops, FACE, FACE)
        assert alone.covariance[8, 0, 0] > 4 * found.covariance[8, 0, 0]
        assert found.displacement[8] == pytest.approx([1.2, 2.4], abs=0.15)


class TestOcclusion:
    def pictures(self, motion: Affine, box: tuple[int, int, int, int], passed: int) -> list[np.ndarray]:
        """Two frames in which a textured rectangle passes before the face, `passed` px to the right."""
        patch = seen(draw(STAY, seed=9))
        pictures = [seen(draw(STAY)), seen(draw(motion))]
        x0, y0, x1, y1 = box
        for image, moved in zip(pictures, (0, passed), strict=True):
            image[y0:y1, x0 + moved : x1 + moved] = patch[y0:y1, x0:x1]
        return pictures

    @pytest.mark.parametrize("passed", [9, -9])
    @pytest.mark.parametrize("motion", [STAY, MOTIONS["all"]], ids=["rest", "motion"])
    def test_what_passes_takes_no_landmark_along(self, motion: Affine, passed: int) -> None:
        x0, y0, x1, y1 = box = (232, 60, 400, 345)
        found = measure(*self.pictures(motion, box, passed), motion)
        x, y = FACE.T
        inside = (x > x0 + 20) & (x < x1 - 20) & (y > y0 + 20) & (y < y1 - 20)
        outside = x < x0 - 30  # where no window meets it in either frame
        assert inside.sum() > 12
        assert outside.sum() > 24
        assert found.valid[inside].mean() < 0.4
        assert found.valid[outside].mean() > 0.9
        assert errors(found, motion)[outside].max() < 0.25
        # The rectangle moves by 5.1 % of the face.
        assert errors(found, motion)[inside].max() < 1.0

    def test_what_covers_most_of_the_face_cannot_outvote_it(self) -> None:
        """Two thirds of the landmarks are covered by something slow; only past agreement tells which."""
        covered, found = self.mostly_covered(passed=4, trusted=True)
        assert np.median(errors(found, STAY)[~covered]) < 0.1
        covered, found = self.mostly_covered(passed=4, trusted=False)
        assert np.median(errors(found, STAY)[~covered]) > 0.5

    def test_what_moves_otherwise_than_the_network_says_is_no_skin(self) -> None:
        covered, found = self.mostly_covered(passed=7, trusted=False)
        assert np.median(errors(found, STAY)[~covered]) < 0.1
        covered, found = self.mostly_covered(passed=7, trusted=False, gate=100.0)
        assert np.median(errors(found, STAY)[~covered]) > 0.5

    def mostly_covered(
        self, passed: int, trusted: bool, gate: float = CoherenceConfig().gate
    ) -> tuple[np.ndarray, Displacements]:
        """Most landmarks of a resting face covered; `trusted` says that only the others agreed before."""
        box = (176, 40, 400, 400)
        covered = FACE[:, 0] > box[0] - 15
        assert covered.mean() > 0.6
        first, second = self.pictures(STAY, box, passed)
        region = face_region(FACE)
        trust = np.where(covered, 0.02, 1.0) if trusted else None
        config = CoherenceConfig(gate=gate)
        crops = crop(first, region), crop(second, region)
        return covered, measure_displacements(*crops, FACE, FACE, coherence=config, trust=trust)

    def test_covered_landmarks_are_less_certain(self) -> None:
        found = measure(*self.pictures(STAY, (232, 60, 400, 345), 9), STAY)
        deviation = np.sqrt(np.trace(found.covariance, axis1=1, axis2=2))
        assert deviation[~found.valid].min() > 2 * np.median(deviation[found.valid])

    def test_another_picture_is_no_motion(self) -> None:
        found = measure(seen(draw(STAY)), seen(draw(STAY, seed=5)), STAY)
        assert found.valid.mean() < 0.7 or np.median(np.trace(found.covariance, axis1=1, axis2=2)) > UNIT**2


class TestWindows:
    def test_a_lid_moves_for_itself(self) -> None:
        """A small part that moves is seen by the small windows at the eyes."""
        lid = [37, 38]
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        x, y = FACE[lid].mean(axis=0)
        near = (np.abs(columns - x) < 17) & (np.abs(rows - y) < 13)
        second = np.where(near, draw(Affine.translation(0.0, 1.0)), draw(STAY))
        found = measure(seen(draw(STAY)), seen(second), STAY)
        assert found.displacement[lid, 1] == pytest.approx(1.0, abs=0.3)
        assert np.abs(found.displacement[42:48]).max() < 0.1

    def test_larger_windows_are_calmer(self) -> None:
        first, second = (seen(draw(STAY), noise=6.0, seed=seed) for seed in (1, 2))
        region = face_region(FACE)
        crops = crop(first, region), crop(second, region)
        spread = [
            np.abs(measure_flow(*crops, FACE, FACE, FlowConfig(window=window)).displacement[OTHERS]).mean()
            for window in (9, 15, 25)
        ]
        assert spread[0] > spread[1] > spread[2]


class TestRegion:
    def test_stays_exactly_while_the_face_rests(self) -> None:
        region = face_region(FACE)
        after, expected = follow_region(region, FACE, turned(0.05, 1.001, (0.2, 0.1)))
        assert after == region
        np.testing.assert_array_equal(expected, FACE)

    def test_moves_with_the_face(self) -> None:
        motion = MOTIONS["all"]
        region = face_region(FACE)
        after, expected = follow_region(region, FACE, motion)
        # The crop shows the face where it was: to rounding.
        np.testing.assert_allclose(after.to_crop(SIZE)(expected), region.to_crop(SIZE)(FACE), atol=1e-9)

    def test_comes_back_where_it_has_strayed(self) -> None:
        region = face_region(FACE + 40)
        after, _ = follow_region(region, FACE, STAY)
        assert after == face_region(FACE)

    def test_similarity_is_that_of_most_landmarks(self) -> None:
        motion = MOTIONS["all"]
        moved = motion(FACE)
        moved[LIPS_AND_LIDS[:20]] += [9.0, 3.0]
        np.testing.assert_allclose(robust_similarity(FACE, moved)(FACE), motion(FACE), atol=0.3)

    def test_similarity_is_exact_without_noise(self) -> None:
        motion = MOTIONS["all"]
        np.testing.assert_allclose(robust_similarity(FACE, motion(FACE)).matrix, motion.matrix, atol=1e-9)


class TestSeveralFaces:
    """Faces that are measured at once come out as each alone, to the rounding of sums in another order."""

    motions = (STAY, MOTIONS["all"], MOTIONS["shift"], MOTIONS["zoom"])

    def test_regions(self) -> None:
        moved = np.array([motion(FACE) for motion in self.motions])
        moved[2, :9] += 20.0
        faces, regions = np.array([FACE] * 4), [face_region(FACE)] * 3 + [face_region(FACE + 40)]
        motions = robust_similarities(faces, moved)
        together, expected = follow_regions(regions, faces, motions)
        for i, motion in enumerate(motions):
            np.testing.assert_allclose(motion.matrix, robust_similarity(FACE, moved[i]).matrix, atol=1e-9)
            alone = follow_region(regions[i], FACE, motion)
            assert together[i] == alone[0]
            np.testing.assert_allclose(expected[i], alone[1], atol=1e-9)

    def test_displacements(self) -> None:
        """One rests, one moves, one is half covered by what passes, and one is another picture."""
        region, faces = face_region(FACE), np.array([FACE] * 4)
        after, expected = follow_regions([region] * 4, faces, self.motions)
        seconds = [seen(draw(motion, seed)) for motion, seed in zip(self.motions, (0, 0, 0, 5), strict=True)]
        seconds[2][60:345, 232:400] = seen(draw(STAY, seed=9))[60:345, 223:391]
        before = [crop(seen(draw(STAY)), region)] * 4
        crops = [crop(image, place) for image, place in zip(seconds, after, strict=True)]
        step, trust = expected - FACE + 0.3, np.linspace(0.2, 1.0, 4 * 68).reshape(4, 68)
        together = measure_faces(before, crops, faces, expected, step=step, trust=trust)
        assert together[0].valid.all()
        assert not together[2].valid.all()
        for i, found in enumerate(together):
            alone = measure_displacements(
                before[i], crops[i], FACE, expected[i], step=step[i], trust=trust[i]
            )
            flow = measure_flow(before[i], crops[i], FACE, expected[i])
            combined = combine(FACE, expected[i], flow, step=step[i], trust=trust[i])
            for other in (alone, Displacements(*combined)):
                np.testing.assert_allclose(found.displacement, other.displacement, atol=1e-9)
                np.testing.assert_allclose(found.covariance, other.covariance, atol=1e-9)
                np.testing.assert_array_equal(found.valid, other.valid)


def test_markup_of_the_windows() -> None:
    """Landmarks 36 to 67 are those of eyes and lips, which the tests above take for granted."""
    groups = ("right_eye", "left_eye", "outer_lips", "inner_lips")
    assert sorted(i for group in groups for i in markup.GROUPS[group]) == LIPS_AND_LIDS
