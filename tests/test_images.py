"""Images come as plain RGB or as a clear error; a crop shows each px where the map says, without aliasing."""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from steadyface.errors import ConfigError, DataError
from steadyface.geometry import Region, box_of_pixels
from steadyface.images import SUFFIXES, as_rgb, crop_grey, crop_region, read_image, resize_to, write_image

angles = st.floats(-math.pi, math.pi)


def picture(seed: int = 0, shape: tuple[int, ...] = (12, 20, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def ramp(side: int, slope: int) -> np.ndarray:
    """Red is slope·x, green slope·y, blue 255."""
    rows, columns = np.mgrid[:side, :side]
    return np.stack([slope * columns, slope * rows, np.full_like(rows, 255)], axis=-1).astype(np.uint8)


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """The same file with an EXIF block that says how the camera was held."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


class TestReadAndWrite:
    @pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff"])
    def test_round_trip(self, tmp_path: Path, suffix: str) -> None:
        assert suffix in SUFFIXES
        write_image(tmp_path / f"ümlaut{suffix}", picture())
        np.testing.assert_array_equal(read_image(tmp_path / f"ümlaut{suffix}"), picture())

    def test_grey_becomes_rgb(self, tmp_path: Path) -> None:
        grey = picture(shape=(12, 20))
        cv2.imwrite(str(tmp_path / "grey.png"), grey)
        np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.stack([grey] * 3, axis=-1))

    def test_alpha_is_dropped(self, tmp_path: Path) -> None:
        bgra = picture(shape=(12, 20, 4))
        cv2.imwrite(str(tmp_path / "alpha.png"), bgra)
        np.testing.assert_array_equal(read_image(tmp_path / "alpha.png"), bgra[..., 2::-1])

    def test_sixteen_bits_become_eight(self, tmp_path: Path) -> None:
        deep = picture(shape=(12, 20, 3)).astype(np.uint16) * 257
        cv2.imwrite(str(tmp_path / "deep.png"), deep)
        assert read_image(tmp_path / "deep.png").dtype == np.uint8

    def test_turned_as_the_camera_was(self, tmp_path: Path) -> None:
        dark, light = np.zeros((16, 24, 3), np.uint8), np.full((16, 24, 3), 255, np.uint8)
        jpeg = cv2.imencode(".jpg", np.hstack([dark, light]))[1].tobytes()
        (tmp_path / "held.jpg").write_bytes(with_orientation(jpeg, 6))
        turned = read_image(tmp_path / "held.jpg")
        assert turned.shape == (48, 16, 3)
        assert turned[:20].max() < 50
        assert turned[-20:].min() > 200

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (None, "No such file"),
            (b"", "not an image"),
            (b"version: 1", "not an image"),
            (b"\xff\xd8\xff", "not an"),
        ],
    )
    def test_no_image(self, tmp_path: Path, content: bytes | None, said: str) -> None:
        path = tmp_path / "face.jpg"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DataError, match=rf"face\.jpg: {said}"):
            read_image(path)

    def test_folder_is_no_image(self, tmp_path: Path) -> None:
        with pytest.raises(DataError):
            read_image(tmp_path)

    @pytest.mark.parametrize("name", ["face.docx", "face", "nowhere/face.png"])
    def test_cannot_be_written(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(DataError, match="face"):
            write_image(tmp_path / name, picture())


class TestAsRgb:
    def test_rgb_is_the_same_array(self) -> None:
        for image in (picture(), picture()[:, ::-1], picture()[::2, ::3]):
            assert as_rgb(image) is image

    def test_grey_is_repeated(self) -> None:
        grey = picture(shape=(12, 20))
        for image in (grey, grey[..., None], np.asfortranarray(grey)):
            np.testing.assert_array_equal(as_rgb(image), np.stack([grey] * 3, axis=-1))

    def test_alpha_is_dropped(self) -> None:
        rgba = picture(shape=(12, 20, 4))
        np.testing.assert_array_equal(as_rgb(rgba), rgba[..., :3])
        np.testing.assert_array_equal(as_rgb(rgba[:, ::-1]), rgba[:, ::-1, :3])

    @pytest.mark.parametrize(
        "image",
        [
            np.full((4, 5, 3), np.nan),
            np.zeros((4, 5, 3), np.float32),
            np.zeros((4, 5, 3), np.int16),
            np.zeros((4, 5), bool),
            np.zeros((4, 5, 2), np.uint8),
            np.zeros((4, 5, 5), np.uint8),
            np.zeros((0, 5, 3), np.uint8),
            np.zeros((4, 0), np.uint8),
            np.zeros((4, 5, 0), np.uint8),
            np.zeros(5, np.uint8),
            np.zeros((), np.uint8),
            np.zeros((1, 4, 5, 3), np.uint8),
        ],
        ids=lambda image: f"{image.dtype}{image.shape}",
    )
    def test_anything_else_is_named(self, image: np.ndarray) -> None:
        said = f"must be RGB uint8 (H, W, 3), got {image.dtype} {image.shape}"
        with pytest.raises(ConfigError, match=re.escape(said)):
            as_rgb(image)


class TestResizeTo:
    sides = st.integers(1, 400)

    @staticmethod
    def errors(
        height: int, width: int, side: int, *slope: float, dither: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Levels between a resized ramp and the ramp at the mapped places, and these places."""
        rows, columns = np.mgrid[:height, :width]
        image = np.stack([slope[0] * columns, slope[1] * rows, 0 * rows], axis=-1)
        image = image + dither * np.random.default_rng(0).uniform(-0.5, 0.5, image.shape)
        image = image.round().clip(0, 255).astype(np.uint8)
        small, to_small = resize_to(image, side)
        rows, columns = np.mgrid[: small.shape[0], : small.shape[1]]
        places = to_small.inverse(np.stack([columns, rows], axis=-1).astype(float))
        return small[..., :2] - slope * places, places

    @given(sides, sides, sides)
    def test_the_longer_side_is_what_was_asked_for(self, height: int, width: int, side: int) -> None:
        small, _ = resize_to(np.zeros((height, width, 3), np.uint8), side)
        scale = side / max(height, width)
        assert max(small.shape[:2]) == side
        # The shorter side is the nearest whole number of px, but at least one.
        assert abs(small.shape[0] - max(1, height * scale)) <= 0.5 + 1e-9
        assert abs(small.shape[1] - max(1, width * scale)) <= 0.5 + 1e-9

    @given(sides, sides, sides)
    def test_the_whole_image_becomes_the_whole_image(self, height: int, width: int, side: int) -> None:
        small, to_small = resize_to(np.zeros((height, width, 3), np.uint8), side)
        found = to_small.boxes(box_of_pixels(0, 0, width, height))
        expected = box_of_pixels(0, 0, *small.shape[1::-1])
        np.testing.assert_allclose(found[[0, 2]], expected[[0, 2]], rtol=0, atol=1e-9)
        # Where rows are left out, those that are read lie up to half a gap off the border.
        assert np.abs(found - expected).max() <= 0.5

    def test_its_own_size_is_the_same_array(self) -> None:
        image = picture()
        small, to_small = resize_to(image, 20)
        assert small is image
        np.testing.assert_array_equal(to_small.matrix, [[1, 0, 0], [0, 1, 0]])

    @given(st.integers(2, 255), st.integers(2, 255), st.integers(1, 254))
    def test_a_smaller_one_shows_each_px_where_the_map_says(self, height: int, width: int, side: int) -> None:
        side = min(side, max(height, width) - 1)
        assume(round(height * side / max(height, width)) * 6 > height)  # no row is left out
        errors, _ = self.errors(height, width, side, 1.0, 1.0)
        # Levels: ½ from rounding; a side that is kept in one direction is averaged in the other alone.
        assert np.abs(errors).max() <= 0.51

    @given(st.integers(2, 60), st.integers(2, 60), st.integers(61, 250))
    def test_a_larger_one_too(self, height: int, width: int, side: int) -> None:
        errors, places = self.errors(height, width, side, 4.0, 4.0)
        inside = (places >= 0) & (places <= [width - 1, height - 1])  # beyond, the border's px is repeated
        # Levels: OpenCV rounds twice, by row and by column; half a px of the image would be 2.
        assert np.abs(errors[inside]).max() <= 1.01

    @pytest.mark.parametrize("shape", [(8000, 100), (100, 8000), (1501, 2003), (2003, 1501), (5000, 40)])
    def test_a_huge_one_of_which_only_some_rows_are_read(self, shape: tuple[int, int]) -> None:
        slope = [min(1.0, 250 / length) for length in reversed(shape)]
        errors, places = self.errors(*shape, 320, *slope, dither=1.0)
        apart = np.multiply(slope, shape[::-1]) / places.shape[1::-1]  # levels between px of the result
        # Px of the result: its levels are whole, of 0.8 to 25 apart, which dither makes up for on average.
        assert np.abs(errors.mean(axis=(0, 1)) / apart).max() < 0.06

    def test_a_line_of_a_huge_image_is_not_lost_by_averaging(self) -> None:
        image = np.zeros((4000, 4000, 3), np.uint8)
        image[:, 2000:2100] = 255
        small, to_small = resize_to(image, 320)
        low, high = (to_small(np.array([[x, 0.0]]))[0, 0] for x in (1999.5, 2099.5))
        np.testing.assert_allclose(small[..., 0].sum(axis=1) / 255, high - low, rtol=0, atol=0.01)


class TestCropShowsWhatTheMapSays:
    @staticmethod
    def errors(image: np.ndarray, region: Region, size: int, margin: float, both: bool = False) -> np.ndarray:
        """Levels between a ramp's crop and the ramp at the mapped places, `margin` px inside the image.

        With `both`, the mean of that and of its negative's: halves are always rounded up.
        """
        slope = int(image[0, 1, 0])
        crop, to_crop = crop_region(image, region, size)
        negative, _ = crop_region(255 - image, region, size)
        crop = (crop.astype(float) + (255 - negative.astype(float))) / 2 if both else crop
        rows, columns = np.mgrid[:size, :size]
        places = to_crop.inverse(np.stack([columns, rows], axis=-1).astype(float))
        inside = ((places >= margin) & (places <= len(image) - 1 - margin)).all(axis=-1)
        return (crop[..., :2] - slope * places)[inside]

    @given(st.floats(20, 44), st.floats(20, 44), st.floats(12, 40), angles, st.integers(41, 160))
    def test_magnified(self, x: float, y: float, side: float, roll: float, size: int) -> None:
        errors = self.errors(ramp(64, 4), Region(x, y, side, roll), size, margin=0.1)
        assert len(errors) > 500
        # Levels: ½ from rounding; OpenCV's grid of 1/32 px holds a place to 1/64 px per axis, 4 levels each.
        assert np.abs(errors).max() < 0.5 + 2 * 4 / 64 + 0.01

    @pytest.mark.parametrize(("side", "slope", "size"), [(64, 4, 128), (256, 1, 30)])
    def test_no_shift_on_average(self, side: int, slope: int, size: int) -> None:
        rng, image = np.random.default_rng(0), ramp(side, slope)
        errors = []
        for _ in range(100):
            x, y = rng.uniform(0.45, 0.55, 2) * side
            region = Region(x, y, rng.uniform(0.4, 0.9) * side, rng.uniform(-3, 3))
            errors.append(self.errors(image, region, size, margin=9.0, both=True).mean(axis=0))
        # Levels; roundings nearly cancel and the warp's places are 1/64 px (0.06 levels) low, while half a px
        # of the crop would be 0.6 levels or more.
        assert np.abs(np.mean(errors, axis=0)).max() < 0.15

    @given(st.floats(80, 176), st.floats(80, 176), st.floats(150, 256), angles, st.floats(1.05, 9.5))
    def test_reduced(self, x: float, y: float, side: float, roll: float, times: float) -> None:
        size = max(8, round(side / times))
        region = Region(x, y, side, roll)
        block = int(side / size)
        errors = self.errors(ramp(256, 1), region, size, margin=1.5 * block)
        assert len(errors) > 30
        # Levels, each 1 px of the image: ½ for either of two roundings, block/64 per axis for the warp.
        assert np.abs(errors).max() < 1.0 + 2 * block / 64 + 0.01

    @pytest.mark.parametrize("side", [20.0, 60.0, 150.0])
    def test_grey(self, side: float) -> None:
        image = cv2.GaussianBlur(picture(4, (256, 320, 3)), (0, 0), 4.0)
        for x, y, roll in ((160.0, 130.0, 0.4), (140.5, 125.0, 0.0), (-300.0, 40.0, 0.1)):
            region = Region(x, y, side, roll)
            coloured, to_crop = crop_region(image, region, 32)
            crop, grey_to_crop = crop_grey(image, region, 32)
            np.testing.assert_allclose(grey_to_crop.matrix, to_crop.matrix, atol=1e-9)
            assert np.abs(crop.astype(int) - cv2.cvtColor(coloured, cv2.COLOR_RGB2GRAY)).max() <= 3

    @pytest.mark.parametrize(("times", "roundings"), [(2, 1), (3, 1), (4, 2), (6, 2), (8, 3)])
    def test_whole_blocks_are_means(self, times: int, roundings: int) -> None:
        image = picture(3, (16 * times, 16 * times, 3))
        side = float(len(image))
        crop, _ = crop_region(image, Region(side / 2 - 0.5, side / 2 - 0.5, side), 16)
        means = image.reshape(16, times, 16, times, 3).mean(axis=(1, 3))
        # Rounded to a whole level, up where it is a half: so by an eighth too high in the mean of four px.
        assert np.abs(crop - means).max() <= 0.5 * roundings + 1e-9
        assert abs((crop - means).mean()) < 0.125 * roundings + 0.03

    def test_whole_image_at_its_own_size_is_untouched(self) -> None:
        image = picture(1, (32, 32, 3))
        crop, to_crop = crop_region(image, Region(15.5, 15.5, 32.0), 32)
        np.testing.assert_array_equal(crop, image)
        assert to_crop.scale == 1

    @given(st.floats(3, 9), st.floats(-8, 8), angles)
    def test_checkerboard_turns_grey(self, times: float, shift: float, roll: float) -> None:
        board = np.full((400, 400, 3), 255, np.uint8) * (np.indices((400, 400)).sum(axis=0) % 2)[
            ..., None
        ].astype(np.uint8)
        size = round(200 / times)
        crop, _ = crop_region(board, Region(200 + shift, 200 - shift, 200.0, roll), size)
        # A block of odd side holds one cell more of one colour; two roundings come on top.
        block = int(200 / size)
        odd = 127.5 / block**2 if block % 2 else 0
        assert np.abs(crop - 127.5).max() <= odd + 1.5

    @given(st.integers(40, 120), st.integers(40, 120), st.floats(-40, 40), st.floats(-40, 40))
    def test_white_image_keeps_its_area(self, width: int, height: int, x: float, y: float) -> None:
        image = np.full((height, width, 3), 255, np.uint8)
        crop, _ = crop_region(image, Region(width / 2 + x, height / 2 + y, 256.0), 32)
        # Only px of the rim are rounded, and the warp's places on a grid of 1/32 px.
        assert crop[..., 0].sum() / 255 * 64 == pytest.approx(width * height, rel=0.01)


class TestOddRegions:
    @given(
        st.floats(-2000, 2000),
        st.floats(-2000, 2000),
        st.floats(-1, 4).map(lambda exponent: 10**exponent),
        angles,
        st.sampled_from([(1, 1), (1, 500), (500, 1), (3, 2), (40, 50)]),
    )
    def test_never_throw(self, x: float, y: float, side: float, roll: float, shape: tuple[int, int]) -> None:
        crop, _ = crop_region(np.full((*shape, 3), 200, np.uint8), Region(x, y, side, roll), 24)
        assert crop.max() <= 200

    @pytest.mark.parametrize("side", [10.0, 500.0])
    def test_outside_lies_black(self, side: float) -> None:
        image = np.full((40, 50, 3), 200, np.uint8)
        crop, _ = crop_region(image, Region(1000.0, -1000.0, side), 24)
        assert not crop.any()

    @pytest.mark.parametrize("side", [20.0, 200.0])
    def test_partly_outside(self, side: float) -> None:
        image = np.full((400, 400, 3), 200, np.uint8)
        crop, _ = crop_region(image, Region(-0.5, 200.0, side), 20)
        assert not crop[:, :9].any()
        assert (crop[:, 11:] == 200).all()

    def test_a_line_stays_a_line(self) -> None:
        crop, _ = crop_region(np.full((500, 1, 3), 255, np.uint8), Region(0.0, 250.0, 192.0), 24)
        # 1 px of 8: an eighth of the light, wherever it falls.
        assert crop[12, :, 0].sum() == pytest.approx(255 / 8, abs=2)
