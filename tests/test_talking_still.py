"""A living still: each landmark is exactly where `truth` says, and the life in it is of the promised kind."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from steadyface import markup
from steadyface.datasets.pts import write_pts
from steadyface.datasets.sequences import pairs_of_talking_stills, with_constant_bias
from steadyface.datasets.talking_still import TalkingStill
from steadyface.datasets.three_hundred_w import Sample
from steadyface.demo import portrait
from steadyface.geometry import change_grid, face_size
from steadyface.images import write_image
from steadyface.landmarker import Landmarker
from steadyface.metrics import interocular, nrmse_interocular

BLANK = np.zeros((8, 8, 3), np.uint8)
SMALL = {"eyes_px": 95.0, "width": 480, "height": 360, "noise": 0.0}
STIFF = {"blinks": 0.0, "mouth": 0.0, "brows": 0.0, "yaw": 0.0, "pitch": 0.0}
SEEDS = range(5)
LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))  # upper, lower


@cache
def landmarker() -> Landmarker:
    return Landmarker(threads=1)


@cache
def shut_face() -> np.ndarray:
    """The portrait's 68 points, px; its lips are shut."""
    return landmarker().predict(portrait().still, [172.0, 75.0, 274.0, 165.0]).points.astype(float)


@cache
def face() -> np.ndarray:
    """The same with a lower lip that is a fifth of the mouth's width further down."""
    points = shut_face().copy()
    points[[55, 56, 57, 58, 59, 65, 66, 67], 1] += 0.2 * np.linalg.norm(points[54] - points[48])
    return points


def scene(seed: int = 0, **changes: object) -> TalkingStill:
    return TalkingStill(BLANK, face(), seed=seed, **{**SMALL, **changes})  # type: ignore[arg-type]


def pressed() -> np.ndarray:
    """Lips annotated on each other."""
    points = shut_face().copy()
    points[[65, 66, 67]] = points[[63, 62, 61]]
    return points


def in_still(eyes_px: float) -> np.ndarray:
    """The face with its eyes that far apart, a seventh of that from the still's top and left."""
    scaled = face() * eyes_px / float(interocular(face()))
    return scaled - scaled.min(axis=0) + eyes_px / 7


def path(life: TalkingStill, per_second: float = 30.0) -> np.ndarray:
    times = np.arange(int(life.seconds * per_second)) / per_second
    return np.stack([life.truth(float(time)) for time in times])


def lid_distances(points: np.ndarray) -> np.ndarray:
    """Of each upper lid's point from the lower one that faces it, in eye widths: (…, 4)."""
    widths = np.linalg.norm(points[..., [39, 39, 45, 45], :] - points[..., [36, 36, 42, 42], :], axis=-1)
    upper, lower = np.array(LIDS).T
    return np.linalg.norm(points[..., lower, :] - points[..., upper, :], axis=-1) / widths


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


@pytest.mark.parametrize("seed", SEEDS)
def test_motion_is_continuous(seed: int) -> None:
    life = scene(seed)
    steps = np.linalg.norm(np.diff(path(life, 120.0), axis=0), axis=-1)
    # A quarter of the face's size a frame of 30 fps, twice what is seen.
    assert steps.max() < 0.25 * face_size(life.truth(0.0)) / 4
    # In a tenth of the time it makes about a tenth of the way: there is no jump in between.
    at = int(steps.max(axis=1).argmax()) / 120
    fine = np.stack([life.truth(at + k / 1200) for k in range(11)])
    assert np.linalg.norm(np.diff(fine, axis=0), axis=-1).max() < 0.2 * steps.max()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_head_rests_and_moves(seed: int) -> None:
    points = path(scene(seed))
    nose = points[:, markup.GROUPS["nose_bridge"]].mean(axis=1)
    speed = np.linalg.norm(np.diff(nose, axis=0), axis=-1) / face_size(points[0])
    assert (speed < 0.001).mean() >= 0.25
    assert (speed > 0.003).mean() >= 0.1
    assert speed.max() < 0.15


@pytest.mark.parametrize("seed", SEEDS)
def test_blinks_close_the_eyes_but_for_a_gap(seed: int) -> None:
    life = scene(seed, seconds=6.0)
    closed = lid_distances(path(life)).min(axis=0)
    assert (closed < 0.25 * lid_distances(life.rest)).all()
    # 2.5 % at right angles to the eye's line; a turned head shortens what is measured along the eye.
    assert closed.min() > 0.02
    assert lid_distances(path(replace(life, blinks=0.0))).min() > 0.8 * lid_distances(life.rest).min()


def test_blinks_are_as_frequent_and_as_long_as_promised() -> None:
    life = scene(seconds=60.0)
    distances = lid_distances(path(life))[:, 0]
    shut = distances < 0.7 * lid_distances(life.rest)[0]
    change = np.diff(shut.astype(int))
    begins, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    assert 14 <= len(begins) <= 20  # 17 a minute
    # Of 0.25 to 0.4 s, the first and the last part is not below seven tenths.
    lengths = (ends - begins) / 30
    assert lengths.min() > 0.15
    assert lengths.max() < 0.4


def test_the_mouth_talks_and_the_brows_rise() -> None:
    points = path(scene(seconds=20.0))
    lips, brows = (
        np.linalg.norm(points[:, low] - points[:, high], axis=-1) / interocular(points)
        for high, low in ((62, 66), (19, 41))
    )
    at_rest = np.linalg.norm(face()[66] - face()[62]) / interocular(face())
    assert lips.max() > at_rest + 0.05
    assert lips.min() < at_rest - 0.03
    assert (abs(lips - at_rest) < 0.01).mean() > 0.2
    assert np.ptp(brows) > 0.03


@pytest.mark.parametrize("seed", SEEDS)
def test_no_triangle_turns_over(seed: int) -> None:
    wild = {"yaw": 50.0, "pitch": 40.0, "mouth": 1.0, "brows": 0.6}
    for points, changes in product((face(), shut_face(), pressed()), ({}, wild)):
        life = replace(scene(seed, **changes), points=points)
        mesh = life._face
        weights = np.stack([life._script.weights(k / 30, mesh.closing) for k in range(150)])
        assert (mesh.areas(mesh.shape(weights)) / mesh.areas(mesh.rest)).min() > 0


def test_shut_lips_are_parted_and_all_else_is_as_annotated() -> None:
    np.testing.assert_allclose(scene().rest, face(), rtol=0, atol=1e-9)
    shut = pressed()
    rest = replace(scene(), points=shut).rest
    width = np.linalg.norm(shut[54] - shut[48])
    gaps = np.linalg.norm(rest[[65, 66, 67]] - rest[[63, 62, 61]], axis=-1)
    np.testing.assert_allclose(gaps, 0.015 * np.linalg.norm(shut[64] - shut[60]), rtol=1e-9)
    assert np.abs(rest - shut).max() < 0.01 * width


def test_points_on_one_place_stay_together() -> None:
    twins = face().copy()
    twins[60] = twins[49]  # alone, one would go down and the other up
    points = path(replace(scene(), points=twins))
    np.testing.assert_allclose(points[:, 60], points[:, 49], rtol=0, atol=1e-9)


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
def test_all_content_is_where_truth_says(moment: str) -> None:
    """Seen in a frame 8 times as fine, for between pixels no bend of the map can be seen: at a landmark it
    bends, most at a shut lid, which is therefore seen 14 times as fine."""
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


def moments(life: TalkingStill) -> dict[str, float]:
    """When each thing is at its strongest."""
    times = np.arange(150) / 30
    weights = np.stack([life._script.weights(float(time), 0.0) for time in times])
    blink, mouth, yaw, pitch, _ = np.abs(weights).T
    calm = np.abs(weights).sum(axis=1)
    found = {"blinks": blink, "talks": mouth, "turns": yaw, "nods": pitch, "rests": -calm}
    return {name: float(times[strength.argmax()]) for name, strength in found.items()}


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


def test_pairs_of_talking_stills(tmp_path: Path) -> None:
    write_image(tmp_path / "face.png", portrait().still)
    write_pts(tmp_path / "face.pts", shut_face())
    samples = [Sample(tmp_path / "face.png", tmp_path / "face.pts", "folder")] * 2
    first, second = pairs_of_talking_stills(samples, landmarker(), seconds=0.8)
    for pair in (first, second):
        assert pair.raw.shape == pair.truth.shape == (24, 68, 2)
        assert np.mean(nrmse_interocular(pair.raw, pair.truth)) < 3
        assert interocular(pair.truth).mean() == pytest.approx(95, rel=0.15)
    assert not np.allclose(first.truth, second.truth)
    (again,) = pairs_of_talking_stills(samples[1:], landmarker(), seconds=0.8, seed=1)
    np.testing.assert_array_equal(again.truth, second.truth)


def test_a_constant_bias_turns_and_grows_with_the_head() -> None:
    life = scene(**STIFF)
    truth = path(life)
    offsets = np.random.default_rng(0).normal(0, 2, (68, 2))
    turns = np.stack([life.to_frame(k / 30).matrix[:, :2] for k in range(len(truth))])
    raw = truth + offsets @ turns.mT
    # A rigid head: the bias found is the one put in.
    np.testing.assert_allclose(with_constant_bias(truth, raw), raw, rtol=0, atol=1e-9)
    noise = np.random.default_rng(1).normal(0, 1, raw.shape)
    left = with_constant_bias(truth, raw + noise) - raw
    # The mean of 150 draws of 1 px.
    assert np.sqrt((left**2).mean()) == pytest.approx(1 / np.sqrt(150), rel=0.1)
