"""Prefetched landmarks are used where they fit the frame; elsewhere the network runs again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import scenes

from steadyface.errors import ConfigError
from steadyface.geometry import Region, face_size
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.pipeline import follow
from steadyface.tracking import RoiConfig, Tracker
from steadyface.tracking.prefetch import LandmarkPrefetcher


class Recorder(Landmarker):
    """Landmarker that records the regions of each call."""

    def __init__(self) -> None:
        super().__init__("tiny", device="cpu")
        self.calls: list[tuple[Region, ...]] = []

    def predict_regions(self, image: np.ndarray, regions: Sequence[Region]) -> Landmarks:
        self.calls.append(tuple(regions))
        return super().predict_regions(image, regions)


FIRST, SECOND = scenes.frames(2)
HERE = Region(240.0, 135.0, 160.0)
TOLERANCE = RoiConfig.prefetch_tolerance


def moved(region: Region, sides: float) -> Region:
    return Region(region.x + sides * region.side, region.y, region.side, region.roll)


def test_fitting_landmarks_are_used() -> None:
    landmarker = Recorder()
    prefetcher = LandmarkPrefetcher(landmarker, TOLERANCE)
    prefetcher.predict(FIRST, {0: HERE}, (SECOND, {0: moved(HERE, 0.02)}))
    landmarks = prefetcher.predict(SECOND, {0: HERE}, None)
    assert sorted(landmarker.calls, key=lambda regions: regions[0].x) == [(HERE,), (moved(HERE, 0.02),)]
    expected = Landmarker.predict_regions(landmarker, SECOND, [moved(HERE, 0.02)])
    np.testing.assert_array_equal(landmarks.points, expected.points)


@pytest.mark.parametrize(
    "now",
    [
        (SECOND, {0: moved(HERE, 0.12)}),  # the face has moved too far
        (SECOND, {0: Region(HERE.x, HERE.y, HERE.side, 0.12)}),  # or turned
        (SECOND, {1: HERE}),  # it is another face
        (SECOND, {0: HERE, 1: HERE}),  # or there is one more
        (SECOND.copy(), {0: HERE}),  # it is another frame
    ],
)
def test_the_network_runs_again_where_they_do_not_fit(now: tuple[np.ndarray, dict[int, Region]]) -> None:
    landmarker = Recorder()
    prefetcher = LandmarkPrefetcher(landmarker, TOLERANCE)
    prefetcher.predict(FIRST, {0: HERE}, (SECOND, {0: HERE}))
    frame, regions = now
    landmarks = prefetcher.predict(frame, regions, None)
    assert landmarker.calls[-1] == tuple(regions.values())
    expected = Landmarker.predict_regions(landmarker, frame, list(regions.values()))
    np.testing.assert_array_equal(landmarks.points, expected.points)


def test_an_error_ahead_is_raised_with_its_frame() -> None:
    class Refusing(Recorder):
        def predict_regions(self, image: np.ndarray, regions: Sequence[Region]) -> Landmarks:
            if image is SECOND:
                raise ConfigError("no such frame")
            return super().predict_regions(image, regions)

    prefetcher = LandmarkPrefetcher(Refusing(), TOLERANCE)
    prefetcher.predict(FIRST, {0: HERE}, (SECOND, {0: HERE}))
    prefetcher.predict(FIRST, {0: HERE}, (SECOND, {0: HERE}))  # the second frame never came
    with pytest.raises(ConfigError, match="no such frame"):
        prefetcher.predict(SECOND, {0: HERE}, None)


def test_prefetching_gives_nearly_the_points_of_stepping() -> None:
    frames = scenes.timed(scenes.frames())
    landmarker = Landmarker("tiny", device="cpu", threads=1)
    stepping = Tracker(landmarker, stabilizer="none")
    for frame, faces in follow(iter(frames), Tracker(landmarker, stabilizer="none")):
        [ahead], [alone] = faces, stepping.step(frame.image, frame.seconds)
        assert ahead.face_id == alone.face_id == 0
        # The prefetched region is a frame older; a slightly shifted crop moves points by a part of their
        # error, which is 2 to 3 % of the face's size.
        gap = np.linalg.norm(ahead.points - alone.points, axis=1)
        assert gap.mean() < 0.01 * face_size(alone.points)


def test_one_thread_gives_the_same_points() -> None:
    frames = scenes.timed(scenes.frames())
    beside, alone = (
        [faces[0].points for _, faces in follow(iter(frames), Tracker(Landmarker("tiny", threads=threads)))]
        for threads in (None, 1)
    )
    np.testing.assert_array_equal(beside, alone)


def test_the_network_runs_once_per_frame() -> None:
    landmarker = Recorder()
    list(follow(iter(scenes.timed(scenes.frames())), Tracker(landmarker, stabilizer="none")))
    # Twice in the first frame, where the detector found the face; once in each frame after it.
    assert len(landmarker.calls) == 2 + len(scenes.frames()) - 1
