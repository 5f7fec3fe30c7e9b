"""Prefetched landmarks are used where they fit the frame; elsewhere the network runs again."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
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
from steadyface.tracking.prefetch import LandmarkPrefetcher
from steadyface.video import VideoFrame


class Recorder(Landmarker):
    """Landmarker that records the regions of each call."""

    def __init__(self) -> None:
        super().__init__("tiny", device="cpu")
        self.calls: list[tuple[Region, ...]] = []

    def predict_regions(self, image: np.ndarray | Picture, regions: Sequence[Region]) -> Landmarks:
        self.calls.append(tuple(regions))
        return super().predict_regions(image, regions)


FIRST, SECOND = map(RgbPicture, scenes.frames(2))
HERE = Region(240.0, 135.0, 160.0)


def moved(region: Region, sides: float) -> Region:
    return Region(region.x + sides * region.side, region.y, region.side, region.roll)


def test_fitting_landmarks_are_used() -> None:
    landmarker = Recorder()
    prefetcher = LandmarkPrefetcher(landmarker)
    prefetcher.predict(FIRST, {0: HERE}, (SECOND, {0: moved(HERE, 0.02)}))
    landmarks = prefetcher.predict(SECOND, {0: moved(HERE, 0.02)}, None)
    assert sorted(landmarker.calls, key=lambda regions: regions[0].x) == [(HERE,), (moved(HERE, 0.02),)]
    expected = Landmarker.predict_regions(landmarker, SECOND, [moved(HERE, 0.02)])
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
    landmarker = Recorder()
    prefetcher = LandmarkPrefetcher(landmarker)
    prefetcher.predict(FIRST, {0: HERE}, (SECOND, {0: HERE}))
    frame, regions = now
    landmarks = prefetcher.predict(frame, regions, None)
    assert landmarker.calls[-1] == tuple(regions.values())
    expected = Landmarker.predict_regions(landmarker, frame, list(regions.values()))
    np.testing.assert_array_equal(landmarks.points, expected.points)


def test_an_error_ahead_is_raised_with_its_frame() -> None:
    class Refusing(Recorder):
        def predict_regions(self, image: np.ndarray | Picture, regions: Sequence[Region]) -> Landmarks:
            if image is SECOND:
                raise ConfigError("no such frame")
            return super().predict_regions(image, regions)

    prefetcher = LandmarkPrefetcher(Refusing())
    prefetcher.predict(FIRST, {0: HERE}, (SECOND, {0: HERE}))
    prefetcher.predict(FIRST, {0: HERE}, (SECOND, {0: HERE}))  # the second frame never came
    with pytest.raises(ConfigError, match="no such frame"):
        prefetcher.predict(SECOND, {0: HERE}, None)


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
    landmarker = Recorder()
    list(follow(iter(scenes.timed(scenes.frames())), Tracker(landmarker, stabilizer="none")))
    # Twice in the first frame, where the detector found the face; once in each frame after it.
    assert len(landmarker.calls) == 2 + len(scenes.frames()) - 1
