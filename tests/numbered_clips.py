"""Clips whose frame k shows the number k."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from steadyface.video import VideoFrame, VideoReader

BITS, BLOCK = 8, 16
WIDTH, HEIGHT = BITS * BLOCK, 64
NTSC = Fraction(30_000, 1001)
GREY_ERROR = 12
"""Largest error of a flat area, in levels, after lossy coding at crf 20–23 and two colour conversions."""


def picture(k: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Draw frame k: its number in binary as black and white blocks, over a black quarter and grey."""
    image = np.full((height, width, 3), 128, np.uint8)
    for bit in range(BITS):
        image[: height // 2, bit * BLOCK : (bit + 1) * BLOCK] = 255 * (k >> bit & 1)
    image[height // 2 :, : width // 4] = 0
    return image


def number(image: np.ndarray) -> int:
    """Read the k of `picture` from the middle of each block, out of reach of blur from its neighbours."""
    quarter = image.shape[0] // 4
    blocks = image[quarter - 4 : quarter + 4, : BITS * BLOCK].reshape(8, BITS, BLOCK, 3)[:, :, 4:12]
    return sum(1 << bit for bit, level in enumerate(blocks.mean(axis=(0, 2, 3))) if level > 128)


def make_clip(
    path: Path,
    times: Iterable[float] = tuple(k / 25 for k in range(50)),
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    tick: Fraction = Fraction(1, 30_000),
    rate: Fraction = Fraction(25),
    rotation: tuple[float, bool] | None = None,
    aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    noise: bool = False,
) -> Path:
    """Write `picture(k)` at each time with PyAV alone; `noise` makes the coded frames about equally large."""
    draw = np.random.default_rng(0)
    with av.open(str(path), "w", options=container or {}) as out:
        stream = out.add_stream(codec, rate=rate, options=options or {}, time_base=tick)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        if rotation is not None:
            stream.set_display_rotation(rotation[0], hflip=rotation[1])
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for k, seconds in enumerate(times):
            image = picture(k, *size)
            if noise:
                image[-size[1] // 4 :] = draw.integers(0, 256, image[-size[1] // 4 :].shape)
            frame = av.VideoFrame.from_ndarray(image)
            frame.pts, frame.time_base, frame.duration = round(seconds / tick), tick, round(1 / rate / tick)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def make_sound(
    path: Path, codec: str, seconds: float = 2.0, video_from: float | None = None, rate: int = 48_000
) -> Path:
    """Write a tone that starts at 0 s and, if `video_from` is given, a video that starts then."""
    with av.open(str(path), "w") as out:
        sound = out.add_stream(codec, rate=rate, layout="mono")
        if video_from is not None:
            stream = out.add_stream("libx264", rate=25, time_base=Fraction(1, 1000))
            stream.width, stream.height = WIDTH, HEIGHT
            for k in range(25):
                frame = av.VideoFrame.from_ndarray(picture(k))
                frame.pts, frame.time_base = round(1000 * video_from) + 40 * k, Fraction(1, 1000)
                out.mux(stream.encode(frame))
            out.mux(stream.encode())
        wave = 8000 * np.sin(np.arange(int(seconds * rate)) * (2 * np.pi * 440 / rate))
        for start in range(0, len(wave), 1000):
            frame = av.AudioFrame.from_ndarray(
                wave[None, start : start + 1000].astype(np.int16), "s16", "mono"
            )
            frame.pts, frame.rate, frame.time_base = start, rate, Fraction(1, rate)
            out.mux(sound.encode(frame))
        out.mux(sound.encode())
    return path


def cut(path: Path, fraction: float = 0.6) -> Path:
    """Truncate a file to its first part."""
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * fraction)])
    return path


def read(path: Path) -> tuple[list[VideoFrame], VideoReader]:
    """Read all frames; the closed reader tells what it found."""
    with VideoReader(path) as reader:
        return list(reader), reader


def numbers(frames: Iterable[VideoFrame]) -> list[int]:
    """Read the number in each frame."""
    return [number(frame.image) for frame in frames]
