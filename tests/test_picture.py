"""Parts of a decoded frame's planes are those of its conversion, for every matrix, range, turn and size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import scenes

from steadyface import track
from steadyface.detector import FaceFinder
from steadyface.geometry import Region, face_size
from steadyface.images import crop_region
from steadyface.picture import Picture, RgbPicture, as_picture
from steadyface.video import VideoReader, VideoWriter
from steadyface.video.pixels import upright
from steadyface.video.planes import YuvPicture, has_planes

MATRICES = {"BT.601": (5, 0.299, 0.114), "BT.709": (1, 0.2126, 0.0722), "unnamed": (2, 0.299, 0.114)}
RANGES = {"limited": 1, "full": 2, "unnamed": 0}
TURNS = {
    "upright": None,
    "to the right": [[0, 1], [-1, 0]],
    "upside down": [[-1, 0], [0, -1]],
    "to the left": [[0, -1], [1, 0]],
    "mirrored": [[-1, 0], [0, 1]],
}


def scene(width: int, height: int) -> np.ndarray:
    """A grey face under soft coloured lights: planes of half the resolution hold all of their colours."""
    grey = cv2.cvtColor(scenes.frames(1)[0], cv2.COLOR_RGB2GRAY)
    face = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)[..., None]
    lights = np.random.default_rng(0).uniform(-45, 45, (3, 5, 3))
    lights = cv2.resize(lights, (width, height), interpolation=cv2.INTER_LINEAR)
    return 70 + 0.45 * face + lights


def coded(
    image: np.ndarray, matrix: str = "BT.709", levels: str = "limited", kind: str = "yuv420p"
) -> tuple[Any, np.ndarray]:
    """Code an image by the equations, and decode it by them, in float64; colours keep one px of four.

    Returns:
        The frame, and RGB that it stands for.
    """
    number, red, blue = MATRICES[matrix]
    full = levels == "full"
    brightness = image @ np.array([red, 1 - red - blue, blue])
    colours = [(image[..., 2] - brightness) / (2 - 2 * blue), (image[..., 0] - brightness) / (2 - 2 * red)]
    down, across = {"yuv420p": (2, 2), "nv12": (2, 2), "yuv422p": (1, 2), "yuv444p": (1, 1)}[kind]
    height, width = brightness.shape
    y = np.rint(brightness if full else 16 + brightness * 219 / 255)
    padded = [np.pad(each, ((0, height % down), (0, width % across)), mode="edge") for each in colours]
    small = [
        each.reshape(-(-height // down), down, -(-width // across), across).mean(axis=(1, 3))
        for each in padded
    ]
    u, v = (np.rint(128 + each * (1 if full else 224 / 255)) for each in small)
    frame: Any = av.VideoFrame(width, height, kind)
    planes = [y, np.stack([u, v], axis=-1)] if kind == "nv12" else [y, u, v]
    for plane, values in zip(frame.planes, planes, strict=True):
        plane.update(in_lines(plane, values.astype(np.uint8)))
    frame.colorspace, frame.color_range = number, RANGES[levels]
    blues, reds = (
        np.repeat(np.repeat((each - 128) / (1 if full else 224 / 255), down, 0), across, 1)[:height, :width]
        for each in (u, v)
    )
    light = y if full else (y - 16) * 255 / 219
    r, b = light + (2 - 2 * red) * reds, light + (2 - 2 * blue) * blues
    g = (light - red * r - blue * b) / (1 - red - blue)
    return frame, np.rint(np.stack([r, g, b], axis=-1)).clip(0, 255).astype(np.uint8)


def in_lines(plane: Any, values: np.ndarray) -> bytes:
    """Bytes of a plane, whose lines are longer than its rows."""
    lines = np.zeros((plane.height, plane.line_size), np.uint8)
    lines[:, : values[0].size] = values.reshape(plane.height, -1)
    return lines.tobytes()


def picture(frame: Any, whole: np.ndarray, turn: list[list[int]] | None = None) -> tuple[Picture, Picture]:
    """A frame's picture, of which nobody asks for the whole, and that of its RGB."""

    def never(_: Any) -> np.ndarray:
        raise AssertionError("the whole frame was converted")

    assert has_planes(frame)
    matrix = None if turn is None else np.array(turn)
    of_planes = YuvPicture(frame, frame.width, frame.height, matrix, never)
    return of_planes, RgbPicture(whole if matrix is None else upright(whole, matrix))


def differ(one: np.ndarray, other: np.ndarray) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(float) - other).mean())


def regions(of: Picture) -> list[Region]:
    """Squares of a face, enlarged, reduced and turned, and one beyond the border."""
    x, y, side = of.width / 2, of.height / 2, min(of.width, of.height)
    return [
        Region(x - 8.3, y + 4.7, 0.4 * side, 0.3),
        Region(x, y, 0.9 * side),
        Region(x, y, 2.2 * side, 1.0),
        Region(10.0, of.height - 20.0, 0.7 * side, -0.2),
    ]


def check(of_planes: Picture, of_rgb: Picture, most: float = 0.75) -> None:
    """Compare all parts; levels: half of one by rounding, and colours between those of the planes."""
    assert (of_planes.width, of_planes.height) == (of_rgb.width, of_rgb.height)
    for region in regions(of_rgb):
        crop, to_crop = of_planes.crop(region, 96)
        expected, expected_map = of_rgb.crop(region, 96)
        assert differ(crop, expected) < most
        np.testing.assert_array_equal(to_crop.matrix, expected_map.matrix)
        to_picture = region.to_crop(40).inverse
        for border in (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE):
            assert (
                differ(of_planes.sample(to_picture, 40, border), of_rgb.sample(to_picture, 40, border)) < most
            )
    for side in (100, max(of_rgb.width, of_rgb.height)):
        small, to_small = of_planes.resized(side)
        expected, expected_map = of_rgb.resized(side)
        assert differ(small, expected) < most
        np.testing.assert_allclose(to_small.matrix, expected_map.matrix, rtol=0, atol=0.1)  # other rows


@pytest.mark.parametrize("levels", RANGES)
@pytest.mark.parametrize("matrix", MATRICES)
def test_parts_of_the_planes_are_those_of_the_image(matrix: str, levels: str) -> None:
    check(*picture(*coded(scene(640, 360), matrix, levels)))


@pytest.mark.parametrize("kind", ["yuv422p", "yuv444p", "nv12"])
def test_colours_of_every_resolution(kind: str) -> None:
    check(*picture(*coded(scene(480, 270 if kind != "nv12" else 272), kind=kind)))


@pytest.mark.parametrize("size", [(481, 270), (480, 271), (351, 289)])
@pytest.mark.parametrize("turn", TURNS)
def test_odd_sizes_and_turned_frames(size: tuple[int, int], turn: str) -> None:
    frame, whole = coded(scene(*size))
    check(*picture(frame, whole, TURNS[turn]), most=1.0)  # the blocks that are averaged begin elsewhere


def test_oblong_pixels_are_made_square() -> None:
    frame, whole = coded(scene(360, 288))
    convert = RgbPicture(cv2.resize(whole, (384, 288), interpolation=cv2.INTER_LINEAR))
    check(
        YuvPicture(frame, 384, 288, None, lambda _: convert.rgb()), convert, most=1.0
    )  # sharp edges blur twice


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("levels", ["limited", "full"])
def test_grey_is_the_brightness(levels: str, turn: str) -> None:
    """As coded, by its own matrix: that of RGB is always by BT.601's."""
    frame, whole = coded(scene(640, 360), "BT.601", levels)
    of_planes, of_rgb = picture(frame, whole, TURNS[turn])
    brightness = cv2.cvtColor(of_rgb.rgb(), cv2.COLOR_RGB2GRAY)
    for region in regions(of_rgb):
        grey, to_crop = of_planes.crop_grey(region, 64)
        expected, expected_map = crop_region(brightness, region, 64)
        assert differ(grey, expected) < 1.1  # as above
        np.testing.assert_array_equal(to_crop.matrix, expected_map.matrix)
    coarse, expected = (
        cv2.resize(each.grey_samples(96, 72), (12, 9), interpolation=cv2.INTER_AREA)
        for each in (of_planes, of_rgb)
    )
    assert differ(coarse, expected) < 2.0  # those of a turned frame lie a px further


def test_a_frame_of_another_size_is_scaled() -> None:
    frame, whole = coded(scene(320, 180))
    larger = RgbPicture(cv2.resize(whole, (640, 360), interpolation=cv2.INTER_LINEAR))
    check(YuvPicture(frame, 640, 360, None, lambda _: larger.rgb()), larger, most=1.5)  # colours are coarse


@pytest.mark.parametrize("turn", TURNS)
def test_the_whole_is_converted_once_and_turned(turn: str) -> None:
    frame, whole = coded(scene(64, 36))
    calls = []

    def convert(of: Any) -> np.ndarray:
        calls.append(of)
        return whole

    matrix = None if TURNS[turn] is None else np.array(TURNS[turn])
    lazy = YuvPicture(frame, 64, 36, matrix, convert)
    assert not calls
    assert lazy.rgb() is lazy.rgb()
    assert calls == [frame]
    np.testing.assert_array_equal(lazy.rgb(), whole if matrix is None else upright(whole, matrix))


@pytest.mark.parametrize("kind", ["yuv420p10le", "rgb24", "gray", "yuva420p"])
def test_other_pixels_have_no_planes_to_read(kind: str) -> None:
    assert not has_planes(av.VideoFrame(16, 16, kind))


@pytest.mark.parametrize(("attribute", "value"), [("color_trc", 16), ("colorspace", 8)])
def test_nor_have_pixels_of_pq_and_unknown_matrices(attribute: str, value: int) -> None:
    frame: Any = av.VideoFrame(16, 16, "yuv420p")
    assert has_planes(frame)
    setattr(frame, attribute, value)
    assert not has_planes(frame)


def test_images_of_one_array_are_one_picture() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    assert as_picture(image) == RgbPicture(image) != RgbPicture(image.copy())
    assert as_picture(as_picture(image)) == as_picture(image)
    assert hash(as_picture(image)) == hash(RgbPicture(image))


def test_a_video_is_tracked_without_a_whole_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with VideoWriter(tmp_path / "clip.mp4", scenes.WIDTH, scenes.HEIGHT, 25.0) as writer:
        for index, image in enumerate(scenes.frames(6)):
            writer.write(image, index / 25)
    with VideoReader(tmp_path / "clip.mp4") as reader:
        of_images = track([frame.image for frame in reader], threads=1)
    monkeypatch.setattr(YuvPicture, "rgb", lambda _: pytest.fail("the whole frame was converted"))
    of_planes = track(tmp_path / "clip.mp4", threads=1)
    assert len(of_planes) == len(of_images) == 6
    apart = np.linalg.norm(of_planes.raw_points - of_images.raw_points, axis=-1)
    size = face_size(of_images.raw_points).mean()
    assert apart.mean() < 0.005 * size  # as far as a network of 8 bits moves by a change of half a level


def test_a_model_of_another_kind_gets_images(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip.mp4", scenes.WIDTH, scenes.HEIGHT, 25.0) as writer:
        writer.write(scenes.frames(1)[0], 0.0)
    finder, seen = FaceFinder(threads=1), []

    def detector(image: np.ndarray) -> np.ndarray:
        seen.append(image.shape)
        return finder(image)

    assert len(track(tmp_path / "clip.mp4", detector=detector, threads=1)) == 1
    assert seen == [(scenes.HEIGHT, scenes.WIDTH, 3)]
