"""Mutated videos and images end in one of our errors or in frames, and print nothing.

`STEADYFACE_FUZZ=5000 python -m pytest tests/test_fuzz.py` tries more than `make test` does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from heif_files import grid_heic
from made_images import camera_jpeg, exif
from numbered_clips import make_clip, picture
from PIL import Image

from steadyface.errors import SteadyfaceError
from steadyface.video import open_frames

COUNT = int(os.environ.get("STEADYFACE_FUZZ", "200"))
TIMES = tuple(k / 25 for k in range(12))
MOST_FRAMES = 100

clip = partial(make_clip, times=TIMES, tick=Fraction(1, 25))


def still(path: Path, **options: object) -> None:
    Image.fromarray(picture(5)).save(path, **options)


def animation(path: Path) -> None:
    first, *others = (Image.fromarray(picture(k)) for k in range(4))
    first.save(path, save_all=True, append_images=others)


def deep(path: Path) -> None:
    cv2.imwrite(str(path), (np.arange(64 * 128).reshape(64, 128) % 4096).astype(np.uint16))


def heic(path: Path) -> None:
    path.write_bytes(grid_heic([[picture(1, 128, 64), picture(2, 128, 64)]]))


SOURCES: dict[str, Callable[[Path], object]] = {
    "h264.mp4": partial(clip, options={"bf": "2", "g": "6"}),
    "fragments.mp4": partial(clip, container={"movflags": "frag_keyframe+empty_moov"}),
    "turned.mov": partial(clip, rotation=(90, True), aspect=Fraction(4, 3)),
    "h264.mkv": partial(clip, options={"bf": "2", "g": "6"}),
    "h264.avi": partial(clip, options={"bf": "2"}),
    "mjpeg.avi": partial(clip, codec="mjpeg", pixels="yuvj420p"),
    "mpeg2.ts": partial(clip, codec="mpeg2video"),
    "mpeg4.avi": partial(clip, codec="mpeg4"),
    "vp9.webm": partial(clip, codec="libvpx-vp9", options={"cpu-used": "8"}),
    "ffv1.mkv": partial(clip, codec="ffv1", pixels="gray16le"),
    "raw.264": clip,
    "palette.gif": partial(clip, codec="gif", pixels="rgb8", tick=Fraction(1, 100)),
    "camera.jpg": lambda path: path.write_bytes(camera_jpeg(picture(5), 6)),
    "plain.png": still,
    "animated.png": animation,
    "deep.png": deep,
    "plain.webp": partial(still, exif=exif(3)),
    "animated.webp": animation,
    "pages.tif": animation,
    "deep.tiff": deep,
    "plain.bmp": still,
    "plain.jp2": still,
    "plain.ppm": still,
    "plain.avif": partial(still, exif=exif(5)),
    "animated.avif": animation,
    "tiles.heic": heic,
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("originals")
    for name, make in SOURCES.items():
        make(folder / name)
    return {name: (folder / name).read_bytes() for name in SOURCES}


def mutated(data: bytes, draw: np.random.Generator) -> bytes:
    """Change some bytes, cut the end off, or overwrite, repeat or leave out a piece."""
    changed = bytearray(data)
    # Headers are short and matter most: half of the changes go there.
    reach = len(data) if draw.random() < 0.5 else min(len(data), 400)
    start = int(draw.integers(reach))
    size = int(draw.integers(1, max(2, len(data) // 4)))
    match draw.integers(6):
        case 0 | 1:
            for place in draw.integers(reach, size=int(draw.integers(1, 20))):
                changed[place] = draw.integers(256)
        case 2:
            del changed[start:]
        case 3:
            changed[start : start + size] = draw.integers(0, 256, size).astype(np.uint8).tobytes()
        case 4:
            changed[start:start] = changed[start : start + size]
        case 5:
            del changed[start : start + size]
    return bytes(changed)


def end_of_reading(path: Path, start: float) -> str:
    """Wrong end, in words; empty after frames or an error of one line."""
    try:
        read_to_the_end(path, start)
    except SteadyfaceError as error:
        return f"lines: {error}" if "\n" in str(error) else ""
    except Exception as error:  # noqa: BLE001  any other error is what the test looks for
        return repr(error)
    return ""


def read_to_the_end(path: Path, start: float) -> None:
    with open_frames(path, start=start) as reader:
        for frame in islice(reader, MOST_FRAMES):
            assert frame.image.dtype == np.uint8
            assert frame.image.ndim == 3
            assert frame.seconds >= start - 1e-6
        reader.meta()


@pytest.mark.parametrize("part", range(4))
def test_frames_or_an_error(
    originals: dict[str, bytes], tmp_path: Path, capfd: pytest.CaptureFixture[str], part: int
) -> None:
    names = list(originals)
    for number in range(part, COUNT, 4):
        draw = np.random.default_rng(number)
        name = names[number % len(names)]
        path = tmp_path / f"{number}-{name}"
        path.write_bytes(mutated(originals[name], draw))
        outcome = end_of_reading(path, start=0.2 if draw.random() < 0.25 else 0.0)
        told = capfd.readouterr()
        assert (outcome, told.out, told.err) == ("", "", ""), path
