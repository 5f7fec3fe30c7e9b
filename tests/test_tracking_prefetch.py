"""The network one frame ahead: when what it found is used, and that nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import scenes

from steadyface.errors import ConfigError
from steadyface.geometry import Region, face_size
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.pipeline import follow
from steadyface.tracking import Tracker
from steadyface.tracking.prefetch import Foresight


class Recorder(Landmarker):
    """Keeps which regions it was asked for."""

    def __init__(self) -> None:
        super().__init__("tiny", device="cpu")
        self.asked: list[tuple[Region, ...]] = []

    def predict_regions(self, image: np.ndarray, regions: Sequence[Region]) -> Landmarks:
        self.asked.append(tuple(regions))
        return super().predict_regions(image, regions)


FIRST, SECOND = scenes.frames(2)
HERE = Region(240.0, 135.0, 160.0)


def moved(region: Region, share: float) -> Region:
    return Region(region.x + share * region.side, region.y, region.side, region.roll)


def test_what_was_begun_with_is_used() -> None:
    landmarker = Recorder()
    foresight = Foresight(landmarker)
    foresight.find(FIRST, {0: HERE}, (SECOND, {0: moved(HERE, 0.02)}))
    found = foresight.find(SECOND, {0: HERE}, None)
    assert sorted(landmarker.asked, key=lambda regions: regions[0].x) == [(HERE,), (moved(HERE, 0.02),)]
    expected = Landmarker.predict_regions(landmarker, SECOND, [moved(HERE, 0.02)])
    np.testing.assert_array_equal(found.points, expected.points)


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
def test_the_network_runs_again_where_it_was_mistaken(now: tuple[np.ndarray, dict[int, Region]]) -> None:
    landmarker = Recorder()
    foresight = Foresight(landmarker)
    foresight.find(FIRST, {0: HERE}, (SECOND, {0: HERE}))
    frame, regions = now
    found = foresight.find(frame, regions, None)
    assert landmarker.asked[-1] == tuple(regions.values())
    expected = Landmarker.predict_regions(landmarker, frame, list(regions.values()))
    np.testing.assert_array_equal(found.points, expected.points)


def test_what_goes_wrong_ahead_comes_out_where_it_belongs() -> None:
    class Refusing(Recorder):
        def predict_regions(self, image: np.ndarray, regions: Sequence[Region]) -> Landmarks:
            if image is SECOND:
                raise ConfigError("no such frame")
            return super().predict_regions(image, regions)

    foresight = Foresight(Refusing())
    foresight.find(FIRST, {0: HERE}, (SECOND, {0: HERE}))
    foresight.find(FIRST, {0: HERE}, (SECOND, {0: HERE}))  # the second frame never came
    with pytest.raises(ConfigError, match="no such frame"):
        foresight.find(SECOND, {0: HERE}, None)


def test_following_ahead_sees_what_stepping_sees() -> None:
    frames = scenes.timed(scenes.frames())
    landmarker = Landmarker("tiny", device="cpu", threads=1)
    stepping = Tracker(landmarker, stabilizer="none")
    for frame, faces in follow(iter(frames), Tracker(landmarker, stabilizer="none")):
        [ahead], [alone] = faces, stepping.step(frame.image, frame.seconds)
        assert ahead.face == alone.face == 0
        # Its region is a frame older; a crop that is shifted a little moves points by parts of their error,
        # which is 2 to 3 % of the face's size.
        gap = np.linalg.norm(ahead.points - alone.points, axis=1)
        assert gap.mean() < 0.01 * face_size(alone.points)


def test_in_one_thread_it_sees_the_same() -> None:
    frames = scenes.timed(scenes.frames())
    beside, alone = (
        [faces[0].points for _, faces in follow(iter(frames), Tracker(Landmarker("tiny", threads=threads)))]
        for threads in (None, 1)
    )
    np.testing.assert_array_equal(beside, alone)


def test_each_frame_runs_the_network_once() -> None:
    landmarker = Recorder()
    list(follow(iter(scenes.timed(scenes.frames())), Tracker(landmarker, stabilizer="none")))
    # The first frame's face is looked at twice where the finder saw it; the frames that follow once each.
    assert len(landmarker.asked) == 2 + len(scenes.frames()) - 1
