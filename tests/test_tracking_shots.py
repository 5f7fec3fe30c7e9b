"""Cuts and dissolves are detected in their frames; motion, exposure, flashes and black are none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import scenes

from steadyface.picture import RgbPicture
from steadyface.tracking import CutConfig
from steadyface.tracking.shots import CutDetector, Transition


def landscape(seed: int, width: int = 1600, height: int = 540) -> np.ndarray:
    """Soft coloured spots of several sizes."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 110.0)
    for cells in (3, 9, 27):
        spots = rng.normal(0, 28, (cells, 3 * cells, 3))
        picture += cv2.resize(spots, (width, height), interpolation=cv2.INTER_CUBIC)
    return picture.clip(0, 245).astype(np.uint8)


def pan(seed: int, starts: list[float]) -> list[np.ndarray]:
    wide = landscape(seed)
    return [np.ascontiguousarray(wide[:, round(x) : round(x) + 640]) for x in starts]


def cuts(images: list[np.ndarray]) -> list[int]:
    detector = CutDetector()
    return [index for index, image in enumerate(images) if detector.step(RgbPicture(image)) is Transition.CUT]


def dissolves(images: list[np.ndarray]) -> list[int]:
    detector = CutDetector()
    return [
        index for index, image in enumerate(images) if detector.step(RgbPicture(image)) is Transition.DISSOLVE
    ]


def blend(first: list[np.ndarray], second: list[np.ndarray]) -> list[np.ndarray]:
    shares = np.arange(1, len(first) + 1) / (len(first) + 1)
    return [
        cv2.addWeighted(a, 1 - share, b, share, 0) for share, a, b in zip(shares, first, second, strict=True)
    ]


@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("length", [6, 14, 30, 60])
def test_a_dissolve_is_detected_up_to_its_last_frame(length: int, repeated: bool) -> None:
    """Also where every fifth frame is shown twice, as where film becomes video."""
    before, after = pan(length, [100.0] * (9 + length)), pan(length + 70, [200.0] * (9 + length))
    images = [*before[:9], *blend(before[9:], after[:length]), *after[length:]]
    shown = [i for i in range(len(images)) for _ in range(2 if repeated and i % 5 == 3 else 1)]
    found = [shown[index] for index in dissolves([images[i] for i in shown])]
    alone = 9 + length  # number of the first frame that shows the new shot alone
    assert found[0] <= alone - length / 4
    assert set(range(found[0], alone + 1)) <= set(found)
    assert found[-1] <= alone + 2


@pytest.mark.parametrize("seed", range(8))
def test_a_cut_is_detected_in_its_frame(seed: int) -> None:
    noise = np.random.default_rng(seed)
    images = [*pan(seed, [100 + 3 * i for i in range(8)]), *pan(seed + 50, [200 - 3 * i for i in range(8)])]
    noisy = [np.clip(image + noise.normal(0, 4, image.shape), 0, 255).astype(np.uint8) for image in images]
    assert cuts(noisy) == [8]


def test_every_picture_of_an_unrelated_series_is_a_cut() -> None:
    assert cuts([landscape(seed) for seed in range(6)]) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("seed", range(4))
def test_a_fast_pan_is_no_cut(seed: int) -> None:
    speed = np.minimum(np.arange(20) * 12.0, 70.0)  # up to a ninth of the width per frame
    images = pan(seed, list(np.cumsum(speed)))
    assert cuts(images) == []
    assert dissolves(images) == []


@pytest.mark.parametrize("gain", [1.3, 2.0, 4.0, 20.0])
@pytest.mark.parametrize("length", [1, 3])
def test_a_flash_is_no_cut(gain: float, length: int) -> None:
    images = pan(1, [100.0 + i for i in range(16)])
    for index in range(6, 6 + length):
        images[index] = np.clip(images[index] * gain + 20, 0, 255).astype(np.uint8)
    assert cuts(images) == []


def test_a_change_of_exposure_is_no_cut() -> None:
    image = pan(2, [100.0])[0]
    assert cuts([(image * gain).astype(np.uint8) for gain in (1, 1, 1, 0.5, 0.5, 0.9, 0.9)]) == []


def test_black_between_two_shots_does_not_hide_the_cut() -> None:
    first, second = pan(3, [100.0] * 4), pan(60, [100.0] * 4)
    black = [np.zeros_like(first[0])] * 3
    assert cuts([*first, *black, *second]) == [7]
    assert cuts([*first, *black, *first]) == []


def test_a_large_moving_face_is_no_cut() -> None:
    close = [scene.image for scene in scenes.scene(0.8, zoom=4.5)]
    assert cuts(close) == []
    assert dissolves(close) == []


@pytest.mark.parametrize("shape", [(1, 1), (2, 500), (500, 2), (2160, 3840)])
def test_frames_of_any_size(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    detector = CutDetector()
    assert [detector.step(RgbPicture(noise)) for _ in range(3)] == [Transition.NONE] * 3


def test_reset_forgets() -> None:
    detector = CutDetector()
    detector.step(RgbPicture(landscape(0)))
    detector.reset()
    assert detector.step(RgbPicture(landscape(1))) is Transition.NONE
    assert detector.step(RgbPicture(landscape(2))) is Transition.CUT


def test_a_shot_that_returns_has_its_scene_again() -> None:
    a, b = pan(1, [100.0 + 2 * i for i in range(24)]), pan(2, [100.0] * 16)
    detector, scenes_seen = CutDetector(), []
    for image in [*a[:8], *b[:8], *a[8:16], *b[8:], *landscape_frames(3), *a[16:]]:
        detector.step(RgbPicture(image))
        scenes_seen.append(detector.scene)
    assert scenes_seen[::8] == [0, 1, 0, 1, 2, 0]
    assert scenes_seen[7::8] == [0, 1, 0, 1, 2, 0]


def test_few_scenes_are_remembered() -> None:
    detector, found = CutDetector(CutConfig(scenes=2)), []
    for seed in (0, 1, 2, 1, 0):
        for image in landscape_frames(seed):
            detector.step(RgbPicture(image))
        found.append(detector.scene)
    assert found == [0, 1, 2, 1, 3]


def landscape_frames(seed: int) -> list[np.ndarray]:
    return pan(seed, [100.0] * 8)
