"""Prefetched landmarks are used where they fit the frame; elsewhere the network runs again."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import scenes

from steadyface.errors import ConfigError
from steadyface.geometry import Region
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.picture import Picture, RgbPicture
from steadyface.pipeline import follow
from steadyface.tracking import Tracker
from steadyface.tracking.network_thread import NetworkThread
from steadyface.tracking.prefetch import LandmarkPrefetcher
from steadyface.video import VideoFrame


class Crops(list[np.ndarray]):
    """Crops of each run of a landmarker's network."""

    def __init__(self, landmarker: Landmarker) -> None:
        super().__init__()
        predict = landmarker.predict_crops

        def predict_crops(crops: np.ndarray) -> Landmarks:
            self.append(crops)
            return predict(crops)

        landmarker.predict_crops = predict_crops  # type: ignore[method-assign]


def tiny() -> Landmarker:
    return Landmarker("tiny", device="cpu")


FIRST, SECOND = map(RgbPicture, scenes.frames(2))
HERE = Region(240.0, 135.0, 160.0)


def moved(region: Region, sides: float) -> Region:
    return Region(region.x + sides * region.side, region.y, region.side, region.roll)


def test_fitting_landmarks_are_used() -> None:
    landmarker = tiny()
    there = {0: moved(HERE, 0.02), 3: moved(HERE, -0.05)}
    expected = landmarker.predict_regions(SECOND, list(there.values()))
    crops = Crops(landmarker)
    prefetcher = LandmarkPrefetcher(landmarker, NetworkThread.beside(landmarker))
    prefetcher.begin(FIRST, {0: HERE})
    prefetcher.begin(SECOND, there)
    prefetcher.predict(FIRST, {0: HERE})
    landmarks = prefetcher.predict(SECOND, there)
    assert [len(run) for run in crops] == [1, 2]
    np.testing.assert_array_equal(landmarks.points, expected.points)
    np.testing.assert_array_equal(landmarks.covariances, expected.covariances)


def test_more_faces_than_the_network_takes_at_once() -> None:
    landmarker = tiny()
    regions = {face: moved(HERE, face / 100) for face in range(35)}
    prefetcher = LandmarkPrefetcher(landmarker, NetworkThread.beside(landmarker))
    prefetcher.begin(FIRST, regions)
    landmarks = prefetcher.predict(FIRST, regions)
    expected = landmarker.predict_regions(FIRST, list(regions.values()))
    np.testing.assert_array_equal(landmarks.points, expected.points)


@pytest.mark.parametrize(
    "now",
    [
        (SECOND, {0: moved(HERE, 0.001)}),  # the face has moved
        (SECOND, {0: Region(HERE.x, HERE.y, HERE.side, 0.001)}),  # or turned
        (SECOND, {1: HERE}),  # it is another face
        (SECOND, {0: HERE, 1: HERE}),  # or there is one more
        (RgbPicture(SECOND.rgb().copy()), {0: HERE}),  # it is another frame
    ],
)
def test_the_network_runs_again_where_they_do_not_fit(now: tuple[Picture, dict[int, Region]]) -> None:
    landmarker = tiny()
    crops = Crops(landmarker)
    prefetcher = LandmarkPrefetcher(landmarker, NetworkThread.beside(landmarker))
    prefetcher.begin(SECOND, {0: HERE})
    frame, regions = now
    landmarks = prefetcher.predict(frame, regions)
    assert sorted(len(run) for run in crops) == sorted([1, len(regions)])
    expected = landmarker.predict_regions(frame, list(regions.values()))
    np.testing.assert_array_equal(landmarks.points, expected.points)


def test_a_network_of_the_callers_runs_when_it_is_asked() -> None:
    """It may give other points than its crops would, and need not bear calls from two threads."""

    class Nudged(Landmarker):
        def predict_regions(self, image: np.ndarray | Picture, regions: Sequence[Region]) -> Landmarks:
            found = super().predict_regions(image, regions)
            return replace(found, points=found.points + 1)

    nudged = Nudged("tiny", device="cpu")
    prefetcher = LandmarkPrefetcher(nudged, NetworkThread.beside(nudged))
    prefetcher.begin(FIRST, {0: HERE})
    landmarks = prefetcher.predict(FIRST, {0: HERE})
    np.testing.assert_array_equal(landmarks.points, tiny().predict_regions(FIRST, [HERE]).points + 1)


def test_an_error_ahead_is_raised_with_its_frame() -> None:
    landmarker = tiny()
    refused = landmarker.cut_faces([(SECOND, HERE)]).__next__()[0]
    predict = landmarker.predict_crops

    def predict_crops(crops: np.ndarray) -> Landmarks:
        if np.array_equal(crops, refused):
            raise ConfigError("no such frame")
        return predict(crops)

    landmarker.predict_crops = predict_crops  # type: ignore[method-assign]
    prefetcher = LandmarkPrefetcher(landmarker, NetworkThread.beside(landmarker))
    for _ in range(2):  # the second frame never comes
        prefetcher.begin(SECOND, {0: HERE})
        prefetcher.predict(FIRST, {0: HERE})
    with pytest.raises(ConfigError, match="no such frame"):
        prefetcher.predict(SECOND, {0: HERE})


@cache
def fast_scene() -> list[VideoFrame]:
    """A portrait that moves by up to a fifth of its size per frame, with a cut and frames without a face."""
    images = [frame.image for frame in scenes.scene(2.0)][::4]
    return scenes.timed([*images, *scenes.empty(2), *images[::-1]])


@pytest.mark.parametrize("threads", [1, 2])
def test_stepping_gives_the_points_of_tracking(threads: int) -> None:
    """Reading ahead saves time only: the faces of each frame are the same to the last bit."""
    landmarker = Landmarker("tiny", device="cpu", threads=threads)
    stepping = Tracker(landmarker)
    for frame, ahead in follow(iter(fast_scene()), Tracker(landmarker)):
        alone = stepping.step(frame.image, frame.seconds)
        assert [face.face_id for face in ahead] == [face.face_id for face in alone]
        for one, other in zip(ahead, alone, strict=True):
            np.testing.assert_array_equal(one.raw_points, other.raw_points)
            np.testing.assert_array_equal(one.points, other.points)


def test_a_pickled_tracker_goes_on_as_if_nothing_had_happened() -> None:
    frames = fast_scene()
    tracker = Tracker(Landmarker("tiny", device="cpu"))
    for frame, upcoming in pairwise(frames[:6]):
        tracker.step(frame.image, frame.seconds, upcoming)
    copy = pickle.loads(pickle.dumps(tracker))
    for frame in frames[5:]:
        for one, other in zip(
            tracker.step(frame.image, frame.seconds), copy.step(frame.image, frame.seconds), strict=True
        ):
            np.testing.assert_array_equal(one.points, other.points)


def test_the_network_runs_once_per_frame() -> None:
    landmarker = tiny()
    crops = Crops(landmarker)
    list(follow(iter(scenes.timed(scenes.frames())), Tracker(landmarker, stabilizer="none")))
    # Twice in the first frame, where the detector found the face; once in each frame after it.
    assert len(crops) == 2 + len(scenes.frames()) - 1
