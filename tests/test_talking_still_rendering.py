"""The picture of a talking still: all content is where `truth` says; blur, noise and compression."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from talking_scenes import SMALL, STIFF, face, in_still, moments, path, pressed, scene

from steadyface import markup
from steadyface.demo import portrait
from steadyface.geometry import change_grid
from steadyface.synthetic.talking_still import TalkingStill, rendering


def dots(points: np.ndarray, size: tuple[int, int], sigma: float) -> np.ndarray:
    """A dark still, (rows, columns) of it given, with a bright Gaussian dot on each point."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    squares = [(columns - x) ** 2 + (rows - y) ** 2 for x, y in points]
    light = 255 * np.exp(-np.min(squares, axis=0) / (2 * sigma**2))
    return np.repeat(np.round(light)[..., None], 3, axis=-1).astype(np.uint8)


def centroid(image: np.ndarray, near: np.ndarray, radius: int) -> np.ndarray:
    """The middle of the light in a square window, px."""
    x0, y0 = np.round(near).astype(int) - radius
    light = image[y0 : y0 + 2 * radius + 1, x0 : x0 + 2 * radius + 1, 0].astype(float)
    rows, columns = np.mgrid[: 2 * radius + 1, : 2 * radius + 1]
    return np.array([(light * columns).sum() + x0 * light.sum(), (light * rows).sum() + y0 * light.sum()]) / (
        light.sum()
    )


@pytest.mark.parametrize("finer", [1, 5])
def test_dots_of_a_stiff_face_are_where_truth_says(finer: int) -> None:
    # With eye distances of 95 and of 475 px the still is drawn as it is, or first averaged over 5 × 5 px.
    points = change_grid(in_still(95.0), finer)
    apart = [0, 4, 8, 12, 16, 19, 24, 30, 36, 45, 48, 54]
    still = dots(points[apart], (240 * finer, 240 * finer), sigma=2.5 * finer)
    life = TalkingStill(still, points, **{**SMALL, **STIFF})  # type: ignore[arg-type]
    for index in range(0, 150, 25):
        frame = life.frame(index)
        truth = life.truth(frame.seconds)[apart]
        found = [centroid(frame.image, point, radius=10) for point in truth]
        # Levels below ½ are lost alike on all sides; the warp's grid of 1/32 px moves the dot least.
        np.testing.assert_allclose(found, truth, rtol=0, atol=0.05)


@cache
def slopes() -> tuple[np.ndarray, np.ndarray]:
    """Points with eyes 500 px apart, and a still whose red and green say how far right and below of the
    nearest point a pixel is: 128 + 6 levels a px."""
    points = in_still(500.0)
    rows, columns = np.mgrid[:1100, :1100].astype(np.float32)
    still = np.full((1100, 1100, 3), 128, np.uint8)
    nearest = np.full(rows.shape, np.inf, np.float32)
    for x, y in points:
        away = np.hypot(columns - x, rows - y)
        levels = np.stack([128 + 6 * (columns - x), 128 + 6 * (rows - y)], axis=-1).clip(0, 255).round()
        still[..., :2] = np.where((away < nearest)[..., None], levels, still[..., :2])
        nearest = np.minimum(away, nearest)
    return still, points


@pytest.mark.parametrize("moment", ["rests", "blinks", "talks", "turns", "nods"])
def test_all_content_is_where_truth_says(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen in a frame 8 times as fine, for between pixels no bend of the map can be seen: at a landmark it
    bends, most at a shut lid, which is therefore seen 14 times as fine, without the lid that covers it."""
    monkeypatch.setattr(rendering, "draw_lids", lambda *args: None)
    finer = 14 if moment == "blinks" else 8
    still, points = slopes()
    size = 250 * finer
    life = TalkingStill(still, points, 95.0 * finer, width=size, height=size, noise=0.0, seed=2)
    seconds = moments(life)[moment]
    frame, truth = life.frame(round(30 * seconds)).image[..., :2].astype(float), life.truth(seconds)

    def levels(dx: float, dy: float) -> np.ndarray:
        at = truth.T[::-1] + np.array([[dy], [dx]])
        return np.stack([map_coordinates(frame[..., c], at, order=1) for c in (0, 1)], axis=-1)

    slope = np.stack([levels(1, 0) - levels(-1, 0), levels(0, 1) - levels(0, -1)], axis=-1) / 2
    off = np.linalg.solve(slope, (levels(0, 0) - 128)[..., None])[..., 0]
    # px of a frame with the eyes 95 px apart.
    assert np.linalg.norm(off, axis=-1).max() / finer < 0.05


def test_blur_is_centred_on_the_truth_and_as_long_as_the_way() -> None:
    points = in_still(95.0)
    still = dots(points[30:31], (240, 240), sigma=1.2)
    sharp = TalkingStill(still, points, **{**SMALL, **STIFF, "seed": 3})  # type: ignore[arg-type]
    blurred = replace(sharp, shutter=1.0)
    speed = np.linalg.norm(np.diff(path(sharp)[:, 30], axis=0), axis=-1)
    index = int(speed.argmax())
    truth = sharp.truth(index / 30)[30]
    lights = [life.frame(index).image[..., 0].astype(float) for life in (sharp, blurred)]
    # Rounding takes some of the faint light; a path that bends or slows has its mean a little off its middle.
    assert lights[1].sum() == pytest.approx(lights[0].sum(), rel=0.02)
    assert lights[1].max() < 0.9 * lights[0].max()
    np.testing.assert_allclose(
        centroid(blurred.frame(index).image, truth, radius=24), truth, rtol=0, atol=0.1 + 0.02 * speed.max()
    )


def test_noise_is_of_the_given_strength_and_repeatable() -> None:
    grey = np.full((120, 180, 3), 128, np.uint8)
    life = replace(scene(noise=3.0), still=grey)
    first, again = life.frame(0).image, life.frame(0).image
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, life.frame(1).image)
    # 518,400 draws, rounded to levels.
    assert first.std() == pytest.approx(3, rel=0.01)
    assert first.mean() == pytest.approx(128, abs=0.05)


def test_compression_keeps_colours_and_loses_detail() -> None:
    life = replace(scene(), still=portrait().still)
    plain, coarse = life.frame(0).image, replace(life, quality=20).frame(0).image
    difference = plain.astype(float) - coarse
    np.testing.assert_allclose(difference.mean(axis=(0, 1)), 0, rtol=0, atol=1)
    assert 1 < difference.std() < 20


def test_the_inside_of_an_opened_mouth_is_dark_only_where_lips_were_shut() -> None:
    grey = np.full((400, 400, 3), 160, np.uint8)
    for points, is_dark in ((pressed(), True), (face(), False)):
        life = replace(scene(), still=grey, points=points)
        image = life.frame(round(30 * moments(life)["talks"])).image
        assert (image.min() < 100) == is_dark
        assert (image < 158).mean() < 0.03
        assert image.max() == 160


def test_a_lid_comes_down_over_the_eye() -> None:
    """Where the eye was there is skin, with a dark line where the lids meet; the eye that stays open is as
    it was. In photographs the dark of an eye, with its lashes, reaches beyond its landmarks."""
    points = in_still(95.0)
    still = np.full((240, 240, 3), (200, 160, 140), np.uint8)
    for eye in markup.EYES:
        contour = [np.round(points[markup.GROUPS[eye]]).astype(int)]
        cv2.fillPoly(still, contour, (30, 30, 30))
        cv2.polylines(still, contour, True, (30, 30, 30), thickness=5)
    life = TalkingStill(still, points, **{**SMALL, **STIFF, "blinks": 17.0, "eyes": ("right_eye",)})  # type: ignore[arg-type]
    seconds = moments(life)["blinks"]
    image, truth = life.frame(round(30 * seconds)).image.astype(float), life.truth(seconds)
    (upper, lower), other = markup.facing("right_eye"), points[markup.GROUPS["left_eye"]].mean(axis=0)
    width = np.linalg.norm(truth[39] - truth[36])

    def level(point: np.ndarray) -> float:
        return float(image[tuple(np.round(point[::-1]).astype(int))].mean())

    slit = (truth[upper] + truth[lower]).mean(axis=0) / 2
    assert level(slit - [0, 0.1 * width]) > 120  # the skin has 167, the eye 30
    assert level(slit) < 90
    assert level(life.to_frame(seconds)(other)) == pytest.approx(30, abs=1)


def test_eyes_that_are_closed_in_the_still_have_lids_already() -> None:
    points = in_still(95.0)
    for eye in markup.EYES:
        upper, lower = markup.facing(eye)
        points[upper] = points[lower] - [0, 0.5]
    still = np.full((240, 240, 3), 160, np.uint8)
    life = TalkingStill(still, points, **{**SMALL, **STIFF, "blinks": 17.0})  # type: ignore[arg-type]
    assert life.frame(round(30 * moments(life)["blinks"])).image.min() == 160
