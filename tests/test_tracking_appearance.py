"""How a face is told from others: laws of looks and paths; the region that runs ahead; the witness."""

from __future__ import annotations

import numpy as np
import people
import pytest

from steadyface.detector import FaceFinder
from steadyface.landmarker import Landmarker
from steadyface.tracking.appearance import Identity, look_at
from steadyface.tracking.roi import ahead, approach, face_region
from steadyface.tracking.verifier import Witness


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """Of the face at (240, 135) in `frame()`."""
    box = np.array([200.0, 105.0, 280.0, 180.0])
    return Landmarker("tiny", threads=1).predict(frame(), box).points.astype(float)


def frame(*places: tuple[float, float] | None) -> np.ndarray:
    return people.picture(places or [(240, 135)])


def identity(points: np.ndarray) -> Identity:
    return Identity.of(0, points, look_at(frame(), points), 0.0)


class TestLook:
    def test_it_is_of_unit_length_and_free_of_exposure(self, points: np.ndarray) -> None:
        look = look_at(frame(), points)
        darker = look_at((frame() * 0.6 + 20).astype(np.uint8), points)
        assert np.linalg.norm(look) == pytest.approx(1)
        # Half a grey level of rounding on a face of some fifty levels' contrast.
        np.testing.assert_allclose(darker, look, atol=0.01)

    def test_it_follows_the_face(self, points: np.ndarray) -> None:
        moved = look_at(frame((290, 150)), points + np.array([50, 15]))
        assert float(moved @ look_at(frame(), points)) > 0.999

    def test_another_face_looks_different(self, points: np.ndarray) -> None:
        other = look_at(frame(None, (240, 135)), points)
        assert not identity(points).known_as(other)
        known = identity(points)
        assert known.seen_as(other) is known

    def test_the_first_clear_look_takes_the_place_of_one_that_was_not(self, points: np.ndarray) -> None:
        cut, look = look_at(frame(None, (240, 135)), points), look_at(frame(), points)
        entering = Identity.of(0, points, cut, 0.0, clear=False)
        assert entering.known_as(look)
        np.testing.assert_array_equal(entering.seen_as(look).look, look)
        assert not entering.seen_as(look).known_as(cut)

    def test_a_flat_face_looks_like_nothing(self, points: np.ndarray) -> None:
        assert np.abs(look_at(np.full((270, 480, 3), 90, np.uint8), points)).max() == 0


class TestDistance:
    def test_it_grows_with_the_way_and_shrinks_with_time(self, points: np.ndarray) -> None:
        known, look = identity(points), look_at(frame(), points)
        now = known.seconds + 0.04
        away = [known.distance(points + np.array([shift, 0]), look, now) for shift in (0, 10, 40, 160)]
        assert away == sorted(away)
        assert away[0] < 0.1
        later = [known.distance(points + np.array([40, 0]), look, now + wait) for wait in (0, 0.5, 1, 2)]
        assert later == sorted(later, reverse=True)

    def test_anywhere_on_its_way_is_no_distance(self, points: np.ndarray) -> None:
        known = identity(points).moved(points + np.array([8, 0]), 0.04)
        assert known.velocity[0] == pytest.approx(100)  # half of the 200 px/s that it moved at first
        on_the_way = [known.displacement(points + np.array([8 + shift, 0]), 0.54) for shift in (0, 15, 35)]
        assert max(on_the_way) < 1e-6
        assert known.displacement(points - np.array([32, 0]), 0.54) > 0.3
        assert known.displacement(points + np.array([8, 40]), 0.54) > 0.3

    def test_another_size_counts(self, points: np.ndarray) -> None:
        known, look = identity(points), look_at(frame(), points)
        larger = 2 * (points - points.mean(axis=0)) + points.mean(axis=0)
        assert known.distance(larger, look, known.seconds + 0.04) > 2

    def test_a_look_that_is_not_clear_says_little(self, points: np.ndarray) -> None:
        known, other = identity(points), look_at(frame(None, (240, 135)), points)
        now = known.seconds + 0.04
        assert known.distance(points, other, now) > 3 > known.distance(points, other, now, clear=False)


class TestRegion:
    def test_it_runs_ahead_of_a_fast_face_only(self, points: np.ndarray) -> None:
        region = face_region(points)
        assert ahead(region, np.array([0.02 * region.side, 0.0])) == region
        assert ahead(region, np.zeros(2)) == region
        fast = ahead(region, np.array([0.24 * region.side, 0.0]))
        assert fast.x - region.x == pytest.approx(0.2 * region.side)
        assert (fast.y, fast.side, fast.roll) == (region.y, region.side, region.roll)

    def test_it_follows_large_changes_at_once_and_small_ones_slowly(self, points: np.ndarray) -> None:
        region = face_region(points)
        far = face_region(points + np.array([60, 0]))
        near = face_region(points + np.array([0.5, 0]))
        assert approach(region, far).x == pytest.approx(far.x)
        assert 0.1 < (approach(region, near).x - region.x) / 0.5 < 0.25


def test_the_witness_tells_a_face_from_a_wall(points: np.ndarray) -> None:
    witness = Witness(FaceFinder(threads=1))
    assert witness.confidence(frame(), points) > 0.8
    assert witness.confidence(people.wall(), points) < 0.2
    assert witness.confidence(frame(), points + np.array([90, 0])) < 0.2
