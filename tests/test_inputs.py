"""Every row of the tables in docs/inputs.md: what they name is made, read and compared."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from heif_files import grid_heic
from numbered_clips import GREY_ERROR, make_clip, numbers, picture, read

from steadyface.images import SUFFIXES
from steadyface.video import open_frames

PAGE = (Path(__file__).parents[1] / "docs" / "inputs.md").read_text(encoding="utf-8")
ENCODERS = {
    "H.264": "libx264",
    "HEVC": "libx265",
    "AV1": "libsvtav1",
    "VP9": "libvpx-vp9",
    "VP8": "libvpx",
    "MPEG-4": "mpeg4",
    "MPEG-2": "mpeg2video",
    "MPEG-1": "mpeg1video",
    "WMV": "wmv2",
    "Flash": "flv",
    "motion JPEG": "mjpeg",
    "ProRes": "prores_ks",
    "CineForm": "cfhd",
    "QuickTime animation": "qtrle",
    "FFV1": "ffv1",
    "HuffYUV": "huffyuv",
    "uncompressed": "rawvideo",
    "GIF": "gif",
}
OPTIONS = {
    "libx265": {"x265-params": "log-level=none"},
    "libsvtav1": {"preset": "12"},
    "libvpx": {"cpu-used": "8"},
    "libvpx-vp9": {"cpu-used": "8"},
}
COUNT = 8


def table(heading: str) -> list[list[str]]:
    """Cells of the table with this first head, row by row."""
    rows = re.search(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert rows is not None
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1].splitlines()]


def cases() -> list[tuple[str, str, str]]:
    """Codec, container and pixel format: each container with the first format, each format in the first."""
    found = []
    for codec, containers, pixels in table("codec"):
        first_container, first_pixels = containers.split()[0], pixels.split()[0]
        found += [(codec, container, first_pixels) for container in containers.split()]
        found += [(codec, first_container, kind) for kind in pixels.split()[1:]]
    return found


@pytest.mark.parametrize(("codec", "container", "pixels"), cases())
def test_video(tmp_path: Path, codec: str, container: str, pixels: str) -> None:
    encoder, times = ENCODERS[codec], [k / 25 for k in range(COUNT)]
    tick = Fraction(1, 100) if codec == "GIF" else Fraction(1, 25)
    options = OPTIONS.get(encoder, {})
    path = tmp_path / f"a.{container}"
    frames, reader = read(make_clip(path, times, codec=encoder, pixels=pixels, tick=tick, options=options))
    assert numbers(frames) == [frame.index for frame in frames] == list(range(COUNT))
    assert [frame.seconds for frame in frames] == pytest.approx(times, abs=1e-3)  # Flash counts milliseconds
    assert reader.damage is None


@pytest.mark.parametrize("suffix", [suffix for row in table("type") for suffix in row[1].split()])
def test_image(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    image = picture(5)
    if suffix in (".heic", ".heif", ".hif"):
        pytest.importorskip("pillow_heif")
        path.write_bytes(grid_heic([[image[:, :64], image[:, 64:]]]))
    else:
        shown = image[..., 0] if suffix == ".pgm" else image[..., ::-1]
        path.write_bytes(cv2.imencode(suffix, shown)[1].tobytes())
    (frame,) = open_frames(path)
    assert np.abs(frame.image.astype(int) - image).mean() < GREY_ERROR / 4  # lossy codes blur edges


def test_the_table_names_every_suffix() -> None:
    assert {suffix for row in table("type") for suffix in row[1].split()} == SUFFIXES
