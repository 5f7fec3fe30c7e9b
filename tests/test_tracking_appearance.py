"""Laws of the appearance descriptor, of matching costs and of the region; verification by the finder."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import people
import pytest

from steadyface.detector import FaceFinder
from steadyface.geometry import bounding_box
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.motion import Displacements, face_region
from steadyface.picture import RgbPicture
from steadyface.tracking import TrackerConfig
from steadyface.tracking.appearance import Appearance, Estimate, Observation, describe, observe
from steadyface.tracking.network_thread import NetworkThread
from steadyface.tracking.roi import predict_region, smooth_region
from steadyface.tracking.schedule import Plan
from steadyface.tracking.skin import Followed
from steadyface.tracking.track import Track
from steadyface.tracking.verifier import FaceVerifier, is_face

CONFIG = TrackerConfig()


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """Landmarks of the face at (240, 135) in `frame()`."""
    box = np.array([200.0, 105.0, 280.0, 180.0])
    return Landmarker("tiny", threads=1).predict(frame(), box).points.astype(float)


def frame(*positions: tuple[float, float] | None) -> np.ndarray:
    return people.picture(positions or [(240, 135)])


def appearance_at(points: np.ndarray, image: np.ndarray) -> Appearance:
    return describe(RgbPicture(image), points, CONFIG.appearance)


def observation(points: np.ndarray, appearance: Appearance, unoccluded: bool = True) -> Observation:
    landmarks = Landmarks(points, np.ones(68), np.zeros((68, 2, 2)), np.ones(68))
    return Observation(landmarks, appearance, unoccluded)


def track_at(points: np.ndarray) -> Track:
    return Track.start(0, observation(points, appearance_at(points, frame())), 0.0)


class TestAppearance:
    def test_it_is_of_unit_length_and_free_of_exposure(self, points: np.ndarray) -> None:
        appearance = appearance_at(points, frame())
        darker = appearance_at(points, (frame() * 0.6 + 20).astype(np.uint8))
        assert np.linalg.norm(appearance) == pytest.approx(1)
        # Half a grey level of rounding on a face of some fifty levels' contrast.
        np.testing.assert_allclose(darker, appearance, atol=0.01)

    def test_it_moves_with_the_face(self, points: np.ndarray) -> None:
        moved = appearance_at(points + np.array([50, 15]), frame((290, 150)))
        assert float(moved @ appearance_at(points, frame())) > 0.999

    def test_another_face_differs(self, points: np.ndarray) -> None:
        track, other = track_at(points), appearance_at(points, frame(None, (240, 135)))
        assert not track.accepts(other, CONFIG.appearance)
        assert track.learn_appearance(other, CONFIG.appearance) is track

    def test_the_first_unoccluded_one_replaces_an_occluded_one(self, points: np.ndarray) -> None:
        cut_off, whole = appearance_at(points, frame(None, (240, 135))), appearance_at(points, frame())
        entering = Track.start(0, observation(points, cut_off, unoccluded=False), 0.0)
        assert entering.accepts(whole, CONFIG.appearance)
        learnt = entering.learn_appearance(whole, CONFIG.appearance)
        np.testing.assert_array_equal(learnt.appearance, whole)
        assert not learnt.accepts(cut_off, CONFIG.appearance)

    def test_a_flat_face_gives_zeros(self, points: np.ndarray) -> None:
        assert np.abs(appearance_at(points, np.full((270, 480, 3), 90, np.uint8))).max() == 0


class TestCost:
    def test_it_grows_with_distance_and_shrinks_with_time(self, points: np.ndarray) -> None:
        track, appearance = track_at(points), appearance_at(points, frame())
        shifted = {
            shift: observation(points + np.array([shift, 0]), appearance) for shift in (0, 10, 40, 160)
        }
        costs = [track.cost(each, 0.04, CONFIG) for each in shifted.values()]
        assert costs == sorted(costs)
        assert costs[0] < 0.1
        later = [track.cost(shifted[40], 0.04 + wait, CONFIG) for wait in (0, 0.5, 1, 2)]
        assert later == sorted(later, reverse=True)

    def test_it_is_nothing_anywhere_on_the_path(self, points: np.ndarray) -> None:
        motion = CONFIG.motion
        track = track_at(points).move(bounding_box(points + np.array([8, 0])), 0.04, motion)
        assert track.centre_velocity[0] == pytest.approx(100)  # half of the 200 px/s of its first move
        on_path = [
            track.motion_cost(bounding_box(points + np.array([8 + shift, 0])), 0.54, motion)
            for shift in (0, 15, 35)
        ]
        assert max(on_path) < 1e-6
        assert track.motion_cost(bounding_box(points - np.array([32, 0])), 0.54, motion) > 0.3
        assert track.motion_cost(bounding_box(points + np.array([8, 40])), 0.54, motion) > 0.3

    def test_another_size_costs(self, points: np.ndarray) -> None:
        larger = 2 * (points - points.mean(axis=0)) + points.mean(axis=0)
        seen = observation(larger, appearance_at(points, frame()))
        assert track_at(points).cost(seen, 0.04, CONFIG) > 2

    def test_an_occluded_appearance_costs_little(self, points: np.ndarray) -> None:
        track, other = track_at(points), appearance_at(points, frame(None, (240, 135)))
        whole, occluded = (observation(points, other, unoccluded) for unoccluded in (True, False))
        assert track.cost(whole, 0.04, CONFIG) > 3 > track.cost(occluded, 0.04, CONFIG)


class TestLearning:
    def test_a_stranger_is_learnt_only_after_the_memory(self, points: np.ndarray) -> None:
        track, other = track_at(points), appearance_at(points, frame(None, (240, 135)))
        stranger = observation(points, other)
        assert track.learn(stranger, CONFIG.memory_seconds, CONFIG) is track
        changed = track.learn(stranger, CONFIG.memory_seconds + 0.04, CONFIG)
        np.testing.assert_array_equal(changed.appearance, other)

    def test_a_carried_face_looks_as_it_did(self, points: np.ndarray) -> None:
        track, elsewhere = track_at(points), RgbPicture(frame(None, (240, 135)))
        landmarks = observation(points, track.appearance).landmarks
        [carried] = observe(elsewhere, [Estimate(landmarks, None, True, track.appearance)], CONFIG)
        [seen] = observe(elsewhere, [Estimate(landmarks)], CONFIG)
        np.testing.assert_array_equal(carried.appearance, track.appearance)
        assert not track.accepts(seen.appearance, CONFIG.appearance)
        learnt = replace(track, appearance_known=False).learn(carried, 0.04, CONFIG)
        assert not learnt.appearance_known
        assert learnt.located_seconds == 0.04

    def test_a_returned_face_keeps_id_and_appearance_only(self, points: np.ndarray) -> None:
        other = appearance_at(points, frame(None, (240, 135)))
        moving = track_at(points).move(bounding_box(points + np.array([8, 0])), 0.04, CONFIG.motion)
        returned = replace(moving, face_id=3).resume(observation(points, other), 1.0)
        assert returned.face_id == 3
        np.testing.assert_array_equal(returned.appearance, moving.appearance)
        assert not returned.centre_velocity.any()
        assert returned.located_seconds == 1.0


class TestRegion:
    def test_it_is_moved_ahead_of_a_fast_face_only(self, points: np.ndarray) -> None:
        region = face_region(points)
        assert predict_region(region, np.array([0.02 * region.side, 0.0]), CONFIG.roi) == region
        assert predict_region(region, np.zeros(2), CONFIG.roi) == region
        fast = predict_region(region, np.array([0.24 * region.side, 0.0]), CONFIG.roi)
        assert fast.x - region.x == pytest.approx(0.2 * region.side)
        assert (fast.y, fast.side, fast.roll) == (region.y, region.side, region.roll)

    def test_it_follows_large_changes_at_once_and_small_ones_slowly(self, points: np.ndarray) -> None:
        region = face_region(points)
        far = face_region(points + np.array([60, 0]))
        near = face_region(points + np.array([0.012 * region.side, 0]))
        assert smooth_region(region, far, CONFIG.roi).x == pytest.approx(far.x)
        assert 0.1 < (smooth_region(region, near, CONFIG.roi).x - region.x) / (near.x - region.x) < 0.3

    def test_it_rests_below_the_hold(self, points: np.ndarray) -> None:
        region = face_region(points)
        for shift in (0.0, 0.004, -0.009):
            near = face_region(points + np.array([shift * region.side, 0]))
            assert smooth_region(region, near, CONFIG.roi) == region


class TestUpdate:
    def test_displacements_of_another_face_are_dropped(self, points: np.ndarray) -> None:
        seen = observation(points, appearance_at(points, frame()))
        moved = Displacements(np.zeros((68, 2)), np.zeros((68, 2, 2)), np.ones(68, bool))
        first = track_at(points).update(seen, 0.0, points, None, Followed(), Plan(), CONFIG)
        same = first.update(seen, 0.04, points, None, Followed(None, moved), Plan(), CONFIG).last
        assert same is not None
        assert same.displacements is moved
        other = Track.start(1, seen, 0.0)
        identified = first.identified_as(other)
        swapped = identified.update(seen, 0.04, points, None, Followed(None, moved), Plan(), CONFIG).last
        assert swapped is not None
        assert (swapped.face_id, swapped.displacements) == (1, None)


class TestVerifier:
    @pytest.mark.parametrize(
        ("seen", "hidden", "is_one"), [(0.95, 0.4, True), (0.85, 0.85, False), (0.95, 0.95, True)]
    )
    def test_half_of_a_face_from_the_side_may_be_hidden(
        self, points: np.ndarray, seen: float, hidden: float, is_one: bool
    ) -> None:
        scores = np.where(np.arange(68) % 2, seen, hidden)
        assert (
            is_face(RgbPicture(frame()), Landmarks.of_points(points, scores), CONFIG.accept, 10.0) == is_one
        )

    def test_the_finder_tells_a_face_from_a_wall(self, points: np.ndarray) -> None:
        verifier = FaceVerifier(FaceFinder(threads=1))
        assert verifier.confidence(RgbPicture(frame()), points) > 0.8
        assert verifier.confidence(RgbPicture(people.wall()), points) < 0.2
        assert verifier.confidence(RgbPicture(frame()), points + np.array([90, 0])) < 0.2

    def test_a_jump_ends_a_track_at_once(self, points: np.ndarray) -> None:
        verifier = FaceVerifier(FaceFinder(threads=1))
        seen = observation(points, appearance_at(points, frame()))
        track = track_at(points).update(seen, 0.0, points, None, Followed(), Plan(), CONFIG)
        leapt = observation(points + np.array([60, 0]), seen.appearance)
        assert verifier.verify(RgbPicture(frame()), track, seen, 0.04, due=True).miss_count == 0
        assert verifier.verify(RgbPicture(frame()), track, leapt, 0.04, due=False).miss_count == 3

    def test_misses_count_in_successive_frames_only(self, points: np.ndarray) -> None:
        verifier = FaceVerifier(FaceFinder(threads=1))
        seen = observation(points, appearance_at(points, frame()))
        track = track_at(points).update(seen, 0.0, points, None, Followed(), Plan(), CONFIG)
        asked = verifier.verify(RgbPicture(people.wall()), track, seen, 0.04, due=True)
        missed = verifier.verify(RgbPicture(people.wall()), asked, seen, 0.08, due=False)
        again = verifier.verify(RgbPicture(people.wall()), missed, seen, 0.12, due=False)
        # The answer to the first question counts in the next frame, in which the finder is asked at once.
        assert (asked.miss_count, missed.miss_count, again.miss_count) == (0, 2, 3)
        assert verifier.verify(RgbPicture(frame()), again, seen, 0.16, due=False).miss_count == 0

    def test_an_answer_counts_in_the_next_frame_wherever_it_was_computed(self, points: np.ndarray) -> None:
        seen = observation(points, appearance_at(points, frame()))
        track = track_at(points).update(seen, 0.0, points, None, Followed(), Plan(), CONFIG)
        for thread in NetworkThread(threaded=True), NetworkThread(threaded=False):
            verifier = FaceVerifier(FaceFinder(threads=1), thread=thread)
            asked = verifier.verify(RgbPicture(people.wall()), track, seen, 0.04, due=True)
            for waiting in asked, pickle.loads(pickle.dumps(asked)):
                assert waiting.miss_count == 0
                # At once it is asked of this frame, where the face is back.
                back = verifier.verify(RgbPicture(frame()), waiting, seen, 0.08, due=False)
                gone = verifier.verify(RgbPicture(people.wall()), waiting, seen, 0.08, due=False)
                assert (back.check, back.miss_count, gone.miss_count) == (None, 0, 2)

    def test_without_confirmation_nothing_is_missed(self, points: np.ndarray) -> None:
        verifier = FaceVerifier(FaceFinder(threads=1), TrackerConfig(confirm=0.0))
        seen = observation(points, appearance_at(points, frame()))
        track = track_at(points).update(seen, 0.0, points, None, Followed(), Plan(), CONFIG)
        assert verifier.verify(RgbPicture(people.wall()), track, seen, 0.04, due=True).miss_count == 0
