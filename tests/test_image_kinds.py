"""Image files of every kind: whole, upright, all their frames, or one line that says what is left out."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from heif_files import grid_heic
from made_images import exif, turned
from numbered_clips import GREY_ERROR, HEIGHT, WIDTH, numbers, picture
from PIL import Image

from steadyface import images
from steadyface.cli import main
from steadyface.errors import DataError, VideoError
from steadyface.images import Levels, read_image, write_image
from steadyface.quiet import quiet_libjpeg
from steadyface.video import ImageSequence, VideoReader, open_frames, pictures

MILLISECONDS = [40, 80, 40, 120, 40, 40]
TIMES = [0.0, 0.04, 0.12, 0.16, 0.28, 0.32]


def save_frames(path: Path, **options: object) -> Path:
    """Write frames 0 to 5 of `picture` into one image file."""
    first, *others = (Image.fromarray(picture(k)) for k in range(6))
    first.save(path, save_all=True, append_images=others, **options)
    return path


def quadrants() -> np.ndarray:
    """Picture that differs from each of its turns and mirrors."""
    image = np.full((128, 256, 3), 128, np.uint8)
    image[:64, :64], image[64:, 192:], image[:64, 128:192] = 255, 0, (200, 40, 40)
    return image


class TestHeif:
    @pytest.fixture
    def tiles(self) -> list[list[np.ndarray]]:
        image = quadrants()
        return [[image[y : y + 64, x : x + 64] for x in range(0, 256, 64)] for y in (0, 64)]

    @pytest.mark.parametrize("quarter_turns", range(4))
    @pytest.mark.parametrize("name", ["a.heic", "a.HEIF", "a.mov"])
    def test_tiles_become_one_picture(
        self, tmp_path: Path, tiles: list[list[np.ndarray]], quarter_turns: int, name: str
    ) -> None:
        pytest.importorskip("pillow_heif")
        (tmp_path / name).write_bytes(grid_heic(tiles, quarter_turns))
        expected = np.rot90(quadrants(), quarter_turns)
        (frame,) = open_frames(tmp_path / name)
        assert frame.image.shape == expected.shape
        # Colour blurs at edges; a tile in a wrong place is black on white.
        assert np.abs(frame.image.astype(int) - expected).mean() < GREY_ERROR / 4

    @pytest.mark.parametrize("name", ["a.heic", "a.mov"])
    def test_without_the_extra(
        self, tmp_path: Path, tiles: list[list[np.ndarray]], monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setattr(images, "has_heif", lambda: False)
        (tmp_path / name).write_bytes(grid_heic(tiles))
        with pytest.raises(DataError, match=rf"{name}: a HEIF image; .*pip install 'steadyface\[heif\]'$"):
            open_frames(tmp_path / name)

    def test_damaged(self, tmp_path: Path, tiles: list[list[np.ndarray]]) -> None:
        pytest.importorskip("pillow_heif")
        (tmp_path / "a.heic").write_bytes(grid_heic(tiles)[:900])
        with pytest.raises(DataError, match=r"a\.heic: not a HEIF image that can be read: "):
            read_image(tmp_path / "a.heic")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".avif", ".jpg", ".png", ".webp", ".tif"])
def test_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(quadrants()).save(path, exif=exif(orientation))
    image, expected = read_image(path), turned(quadrants(), orientation)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < GREY_ERROR / 4  # lossy codes blur edges


@pytest.mark.parametrize("name", ["a.avif", "a.heif"])
def test_avif_with_the_brand_of_heif(tmp_path: Path, name: str) -> None:
    Image.fromarray(quadrants()).save(plain := tmp_path / "plain.avif", exif=exif(6))
    (tmp_path / name).write_bytes(plain.read_bytes().replace(b"ftypavif", b"ftypmif1", 1))
    (frame,) = open_frames(tmp_path / name)
    assert np.array_equal(frame.image, read_image(plain))
    assert frame.image.shape == turned(quadrants(), 6).shape


class TestAllFrames:
    @pytest.mark.parametrize("name", ["a.webp", "a.png", "a.avif", "a.gif"])
    def test_an_animation_keeps_its_times(self, tmp_path: Path, name: str) -> None:
        path = save_frames(tmp_path / name, duration=MILLISECONDS)
        with open_frames(path) as reader:
            frames = list(reader)
        assert numbers(frames) == list(range(6))
        assert [frame.seconds for frame in frames] == pytest.approx(TIMES, abs=1e-6)
        assert reader.damage is None

    @pytest.mark.parametrize("name", ["a.webp", "a.png", "a.avif", "a.gif"])
    def test_a_part_of_an_animation(self, tmp_path: Path, name: str) -> None:
        path = save_frames(tmp_path / name, duration=MILLISECONDS)
        with open_frames(path, start=0.1, end=0.3) as reader:
            frames = list(reader)
        assert numbers(frames) == [2, 3, 4]
        assert [frame.seconds for frame in frames] == pytest.approx(TIMES[2:5], abs=1e-6)

    def test_pages_of_a_tiff(self, tmp_path: Path) -> None:
        path = save_frames(tmp_path / "a.tif")
        frames = list(open_frames(path, fps=10))
        assert numbers(frames) == list(range(6))
        assert [frame.seconds for frame in frames] == [k / 10 for k in range(6)]
        part = list(open_frames(path, 10, 0.2, 0.4))
        assert (numbers(part), [frame.index for frame in part]) == ([2, 3], [2, 3])

    def test_a_tiff_that_is_cut_off(self, tmp_path: Path) -> None:
        path = save_frames(tmp_path / "a.tif")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        sequence = open_frames(path)
        assert numbers(sequence) == [0, 1, 2]
        assert sequence.damage == f"{path}: its page 3 is missing"

    def test_a_webp_that_is_cut_off(self, tmp_path: Path) -> None:
        """OpenCV decodes none of its frames then."""
        path = save_frames(tmp_path / "a.webp")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(DataError, match=r"a\.webp: "):
            list(open_frames(path))

    def test_in_a_folder_it_is_one_image_and_named(self, tmp_path: Path) -> None:
        save_frames(tmp_path / "1.webp")
        write_image(tmp_path / "2.png", picture(2))
        save_frames(tmp_path / "3.tif")
        sequence = ImageSequence(tmp_path)
        assert numbers(sequence) == [0, 2, 0]
        (note,) = sequence.notes
        assert "2 images with several frames, of which the first is read: 1.webp, 3.tif" in note
        assert sequence.meta()["notes"] == [note]


class TestFolder:
    def test_kinds_that_are_skipped_are_counted_and_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pictures, "has_heif", lambda: False)
        write_image(tmp_path / "1.png", picture(1))
        for name in ("2.heic", "3.HEIC", "4.CR2", "5.jxl", "notes.txt"):
            (tmp_path / name).write_bytes(b"x")
        sequence = ImageSequence(tmp_path)
        assert numbers(sequence) == [1]
        (note,) = sequence.notes
        assert "1 .cr2, 2 .heic, 1 .jxl; HEIF needs: pip install 'steadyface[heif]'" in note

    def test_videos_beside_images_are_named(self, tmp_path: Path) -> None:
        write_image(tmp_path / "1.png", picture(1))
        (tmp_path / "a.mp4").touch()
        sequence = ImageSequence(tmp_path)
        one = f"{tmp_path}: 1 video is left out: name each, or take steadyface corpus"
        assert (numbers(sequence), sequence.notes) == ([1], [one])
        (tmp_path / "b.MOV").touch()
        (note,) = ImageSequence(tmp_path).notes
        assert "2 videos are left out" in note

    def test_images_in_folders_of_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "first").mkdir()
        write_image(tmp_path / "first" / "1.png", picture(1))
        with pytest.raises(VideoError, match=r"no image \(.*\); its folders are not searched$"):
            ImageSequence(tmp_path)

    def test_only_skipped_kinds(self, tmp_path: Path) -> None:
        (tmp_path / "4.CR2").write_bytes(b"x")
        with pytest.raises(VideoError, match=r"the folder holds images of kinds that are not read: 1 \.cr2$"):
            ImageSequence(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n cut"])
    @pytest.mark.parametrize("damaged", [(0,), (2, 3), (5,)])
    def test_damaged_images_are_skipped_and_named(
        self, tmp_path: Path, content: bytes, damaged: tuple[int, ...]
    ) -> None:
        for k in range(6):
            write_image(tmp_path / f"{k}.png", picture(k))
        for k in damaged:
            (tmp_path / f"{k}.png").write_bytes(content)
        sequence = ImageSequence(tmp_path, fps=10)
        frames = list(sequence)
        good = [k for k in range(6) if k not in damaged]
        assert numbers(frames) == [frame.index for frame in frames] == good
        assert [frame.seconds for frame in frames] == [k / 10 for k in good]
        count = f"{len(damaged)} of 6 images cannot be read, the first is frame {damaged[0]}: "
        assert sequence.damage is not None
        assert count in sequence.damage
        assert f"{damaged[0]}.png" in sequence.damage

    def test_no_good_image(self, tmp_path: Path) -> None:
        (tmp_path / "1.png").write_bytes(b"no image")
        with pytest.raises(VideoError, match=r"none of 1 image can be read: .*1\.png"):
            ImageSequence(tmp_path)

    def test_notes_do_not_fail_but_damage_does(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "photos"
        folder.mkdir()
        write_image(folder / "1.png", picture(1))
        (folder / "2.cr2").write_bytes(b"x")
        arguments = ["track", str(folder), "--out", str(tmp_path / "out"), "--no-overlay", "--quiet"]
        with pytest.raises(SystemExit):
            main(arguments)
        told = capsys.readouterr().err.splitlines()
        assert any("not read: 1 .cr2" in line for line in told)
        (folder / "3.png").write_bytes(b"x")
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 1
        assert "1 of 2 images cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif", ".jp2", ".bmp"])
def test_damage_is_one_error_and_no_other_line(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The libraries below print nothing themselves."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    Image.fromarray(noise).save(whole := tmp_path / f"whole{suffix}")
    data = whole.read_bytes()
    for kept in (len(data) // 2, len(data) // 9, 30, 12, 1, 0):
        broken = tmp_path / f"a{suffix}"
        broken.write_bytes(data[:kept])
        with pytest.raises(DataError, match=rf"a\{suffix}: "):
            read_image(broken)
    assert capfd.readouterr().err == ""


def test_a_jpeg_that_decodes_past_damage(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """libjpeg prints its warnings; here they become a note."""
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    for k in range(3):
        Image.fromarray(image).save(tmp_path / f"{k}.jpg")
    data = bytearray((tmp_path / "1.jpg").read_bytes())
    data[3000:3002] = b"\xff\xd3"  # a marker that does not belong there
    (tmp_path / "1.jpg").write_bytes(data)
    sequence = ImageSequence(tmp_path)
    assert len(list(sequence)) == 3
    (note,) = sequence.notes
    assert "1 image of which a part may be wrong, the first is 1.jpg: Corrupt JPEG data: " in note
    assert capfd.readouterr().err == ""


def test_other_lines_pass_meanwhile(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_libjpeg() as told:
        os.write(2, b"progress\nCorrupt JPEG data: bad Huffman code\nmore\n")
    assert told == ["Corrupt JPEG data: bad Huffman code"]
    assert capfd.readouterr().err == "progress\nmore\n"


def test_damage_in_a_part_that_a_png_can_miss(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(picture(9)).save(path, dpi=(72, 72))
    data = bytearray(path.read_bytes())
    data[data.index(b"pHYs") + 5] ^= 1
    path.write_bytes(data)
    assert np.array_equal(read_image(path), picture(9))
    assert capfd.readouterr().err == ""


class TestSixteenBits:
    def ramp(self, low: int, high: int) -> np.ndarray:
        return np.linspace(low, high, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)

    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    @pytest.mark.parametrize(("low", "high"), [(0, 4095), (20_000, 24_000), (40_000, 44_000)])
    def test_a_part_of_the_levels_is_stretched(
        self, tmp_path: Path, suffix: str, low: int, high: int
    ) -> None:
        path = tmp_path / f"a{suffix}"
        cv2.imwrite(str(path), self.ramp(low, high))
        sequence = open_frames(path)
        (frame,) = sequence
        expected = np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 1)
        # Percentiles of 0.1 % at each end, and rounding.
        assert np.abs(frame.image - expected).max() <= 1.5
        assert sequence.meta()["levels"] == pytest.approx([low, high], abs=0.002 * (high - low))
        assert np.array_equal(read_image(path), frame.image)

    def test_all_levels_are_kept(self, tmp_path: Path) -> None:
        cv2.imwrite(str(tmp_path / "a.png"), self.ramp(0, 65_535))
        sequence = open_frames(tmp_path / "a.png")
        (frame,) = sequence
        assert np.abs(frame.image[..., 0] - self.ramp(0, 65_535) / 257).max() <= 0.5
        assert "levels" not in sequence.meta()

    def test_one_range_for_a_folder(self, tmp_path: Path) -> None:
        """A picture twice as bright stays twice as bright."""
        for k in range(4):
            cv2.imwrite(str(tmp_path / f"{k}.png"), np.full((HEIGHT, WIDTH), 1000 * (k + 1), np.uint16))
        means = [frame.image.mean() for frame in ImageSequence(tmp_path)]
        assert means == pytest.approx([0, 85, 170, 255], abs=0.5)

    def test_pages(self, tmp_path: Path) -> None:
        pages = [np.full((HEIGHT, WIDTH), 1000 * (k + 1), np.uint16) for k in range(4)]
        cv2.imwritemulti(str(tmp_path / "a.tif"), pages)
        means = [frame.image.mean() for frame in open_frames(tmp_path / "a.tif")]
        assert means == pytest.approx([0, 85, 170, 255], abs=0.5)

    def test_an_even_picture(self) -> None:
        levels = Levels.of(np.bincount([700] * 10, minlength=65_536))
        assert levels(np.full((2, 2), 700, np.uint16)).tolist() == [[0, 0], [0, 0]]


def test_floating_point_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif: "):
        read_image(tmp_path / "a.tif")


def test_an_animated_png_is_a_video(tmp_path: Path) -> None:
    assert isinstance(open_frames(save_frames(tmp_path / "a.png")), VideoReader)
