"""The size of a picture is known before it is decoded, and one that is too large is told in a line."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import scenes
from PIL import Image

from steadyface.cli import main
from steadyface.errors import DataError, VideoError
from steadyface.image_size import MOST_PIXELS, claimed_pixels
from steadyface.images import read_image
from steadyface.video import open_frames

WIDTH, HEIGHT = 150, 100
PICTURE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def by_opencv(suffix: str, *options: int) -> bytes:
    coded, data = cv2.imencode(suffix, PICTURE, options)
    assert coded
    return data.tobytes()


def by_pillow(path: Path, **options: object) -> bytes:
    Image.fromarray(PICTURE).save(path, **options)
    return path.read_bytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif", ".webp", ".jp2", ".ppm", ".avif"])
def test_the_header_of_each_kind_is_read(suffix: str) -> None:
    assert claimed_pixels(by_opencv(suffix)) == WIDTH * HEIGHT


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.webp", {"lossless": True}),
        ("a.webp", {"exif": b"Exif\0\0MM\0*"}),
        ("a.jpg", {"progressive": True}),
        ("a.tif", {"big_tiff": True}),
        ("a.tif", {"save_all": True, "append_images": [Image.new("RGB", (20, 10))] * 2}),
    ],
    ids=["lossless", "exif", "progressive", "big", "pages"],
)
def test_other_forms_of_a_kind_too(name: str, options: dict[str, object], tmp_path: Path) -> None:
    assert claimed_pixels(by_pillow(tmp_path / name, **options)) == WIDTH * HEIGHT


def test_the_largest_page_counts(tmp_path: Path) -> None:
    pages = {"save_all": True, "append_images": [Image.new("L", (2000, 1000))]}
    assert claimed_pixels(by_pillow(tmp_path / "a.tif", **pages)) == 2_000_000


def part(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def huge_png() -> bytes:
    header = struct.pack(">IIBBBBB", 100_000, 50_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"")) + part(b"IEND", b"")
    )


def huge_jpeg() -> bytes:
    """Its true header hides behind fill bytes; the one before lies in a comment."""
    header = b"\x08" + struct.pack(">HH", 50_000, 60_000) + b"\x01\x01\x11\x00"
    comment = b"\xff\xc0\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00"
    lead = b"\xff\xd8\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment
    return lead + b"\xff\xff\xff\xc0" + struct.pack(">H", 2 + len(header)) + header


def huge_bmp() -> bytes:
    data = bytearray(by_opencv(".bmp"))
    data[18:26] = struct.pack("<ii", 100_000, -50_000)
    return bytes(data)


def huge_tiff() -> bytes:
    data = bytearray(by_opencv(".tif"))
    start = struct.unpack_from("<I", data, 4)[0]
    for entry in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        if struct.unpack_from("<H", data, entry)[0] in (256, 257):
            data[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, 60_000)
    return bytes(data)


BOMBS: dict[str, Callable[[], bytes]] = {
    "png": huge_png,
    "jpg": huge_jpeg,
    "bmp": huge_bmp,
    "tif": huge_tiff,
    "ppm": lambda: b"P6 # of nobody\n90000 80000\n255\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_of_a_huge_picture_is_told_before_it_is_decoded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"bomb.{name}"
    path.write_bytes(BOMBS[name]())
    monkeypatch.setattr(cv2, "imdecode", None)  # nobody gets as far
    for read in (read_image, open_frames):
        with pytest.raises(
            DataError,
            match=r"bomb\.\w+: a picture of \d,\d{3},\d{3},\d{3} pixels, and the most is 200,000,000:",
        ):
            read(path)


def test_the_limit_is_an_option_and_the_folder_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes(huge_png())
    (folder / "b.png").write_bytes(by_opencv(".png"))
    with open_frames(folder) as frames:
        assert [frame.index for frame in frames] == [1]
        assert "a picture of 5,000,000,000 pixels" in (frames.damage or "")
    with pytest.raises(SystemExit) as left:
        main(["track", str(folder / "b.png"), "--out", str(tmp_path), "--max-pixels", "10000", "--quiet"])
    assert left.value.code == 1
    assert capsys.readouterr().err.endswith(
        ": a picture of 15,000 pixels, and the most is 10,000: see --max-pixels\n"
    )


def test_a_video_is_limited_too(tmp_path: Path) -> None:
    clip = scenes.write_clip(tmp_path / "clip.mp4", scenes.frames(2))
    pixels = scenes.WIDTH * scenes.HEIGHT
    with open_frames(clip, max_pixels=pixels) as frames:
        assert len(list(frames)) == 2
    with pytest.raises(
        VideoError, match=rf"clip\.mp4: a picture of {pixels:,} pixels, and the most is {pixels - 1:,}"
    ):
        open_frames(clip, max_pixels=pixels - 1)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif", ".webp", ".jp2", ".ppm", ".avif"])
def test_a_header_that_is_cut_raises_nothing(suffix: str) -> None:
    data = by_opencv(suffix)
    for length in [*range(0, 64), len(data) // 2]:
        assert 0 <= claimed_pixels(data[:length]) <= MOST_PIXELS
