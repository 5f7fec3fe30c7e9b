"""A living still: a clip of frames, each the same in whatever order they are taken."""

from __future__ import annotations

import numpy as np
from talking_scenes import scene


def test_frames_and_their_times() -> None:
    life = scene(seconds=0.5, fps=12.0)
    frames = list(life)
    assert len(frames) == len(life) == 6
    assert [frame.index for frame in frames] == list(range(6))
    assert [frame.seconds for frame in frames] == [k / 12 for k in range(6)]
    assert all(frame.image.shape == (360, 480, 3) and frame.image.dtype == np.uint8 for frame in frames)


def test_truth_and_frames_do_not_depend_on_order_and_a_longer_clip_begins_alike() -> None:
    life, again = scene(seconds=0.2, noise=3.0), scene(seconds=0.2, noise=3.0)
    frames = list(life)
    np.testing.assert_array_equal(again.frame(4).image, frames[4].image)
    np.testing.assert_array_equal(again.truth(0.1), life.truth(0.1))
    np.testing.assert_array_equal(scene(seconds=9.0).truth(0.1), life.truth(0.1))
    assert not np.array_equal(scene(seed=1).truth(0.1), life.truth(0.1))
