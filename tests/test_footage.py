"""Footage as cameras and editors make it: interlaced, HDR, with alpha, fast, turned; and parts of it."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numbered_clips import GREY_ERROR, HEIGHT, NTSC, WIDTH, make_clip, make_sound, numbers, picture, read

from steadyface.errors import ConfigError, VideoError
from steadyface.images import write_image
from steadyface.video import ImageSequence, VideoFrame, VideoReader, VideoWriter, open_frames
from steadyface.video.clock import Clock
from steadyface.video.pixels import _PQ_TO_SCREEN

REORDERED = {"bf": "3", "b-adapt": "0", "g": "12"}


def make_interlaced(path: Path, frames: int = 20, codec: str = "libx264", speed: int = 4) -> Path:
    """A bright bar that moves by `speed` px from field to field, below the number of the frame."""
    coded = {
        "libx264": {"x264-params": "interlaced=1:tff=1"},
        "mpeg2video": {"flags": "+ilme+ildct", "b": "2M"},
    }
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options=coded[codec])
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for k in range(frames):
            image = picture(k)
            image[HEIGHT // 2 :] = 40
            for field in (0, 1):
                left = (2 * k + field) * speed % (WIDTH - 24)
                image[HEIGHT // 2 + field :: 2, left : left + 24] = 220
            frame = av.VideoFrame.from_ndarray(image).reformat(format="yuv420p")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def combing(image: np.ndarray) -> float:
    """Mean difference of neighbouring lines below the number, away from its own edge."""
    lines = image[HEIGHT // 2 + 4 : -4].astype(float)
    return float(np.abs(np.diff(lines, axis=0)).mean())


class TestInterlaced:
    @pytest.mark.parametrize(("name", "codec"), [("a.mkv", "libx264"), ("a.mpg", "mpeg2video")])
    def test_whole_frames_at_the_same_times(self, tmp_path: Path, name: str, codec: str) -> None:
        clip = make_interlaced(tmp_path / name, codec=codec)
        with av.open(str(clip)) as container:
            plain = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        frames, reader = read(clip)
        assert numbers(frames) == list(range(20))
        # 90 kHz and 1 kHz ticks hold a 25 Hz clip exactly.
        assert [frame.seconds for frame in frames] == pytest.approx([k / 25 for k in range(20)], abs=1e-9)
        assert reader.damage is None
        woven = np.mean([combing(image) for image in plain])
        # A bar's two ends, 4 px each, of 128 px differ by 180 levels from line to line: 11 on average.
        assert woven > 8
        assert np.mean([combing(frame.image) for frame in frames]) < woven / 4

    def test_a_part_of_it(self, tmp_path: Path) -> None:
        with VideoReader(make_interlaced(tmp_path / "a.mkv"), start=0.4, end=0.6) as reader:
            assert numbers(reader) == list(range(10, 15))

    def test_progressive_frames_are_untouched(self, tmp_path: Path) -> None:
        clip = make_clip(tmp_path / "a.mkv", codec="ffv1", pixels="bgr0")
        assert np.array_equal(read(clip)[0][9].image, picture(9))


def make_hdr(path: Path, transfer: int, level: int) -> Path:
    """A flat 10-bit HEVC clip in BT.2020 at a level of 64–940."""
    with av.open(str(path), "w") as out:
        options = {"x265-params": "log-level=none:lossless=1"}
        stream = out.add_stream("libx265", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p10le"
        stream.colorspace, stream.color_primaries, stream.color_trc, stream.color_range = 9, 9, transfer, 1
        for k in range(3):
            frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p10le")
            for plane, value in zip(frame.planes, (level, 512, 512), strict=True):
                plane.update(np.full(plane.buffer_size // 2, value, np.uint16).tobytes())
            frame.pts, frame.time_base = k, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


class TestHdr:
    # SMPTE ST 2084, Table: 10-bit limited-range codes of some luminances, cd/m².
    @pytest.mark.parametrize(
        ("luminance", "code"), [(0, 64), (100, 509), (203, 573), (1000, 723), (4000, 855)]
    )
    def test_pq_is_brought_to_the_screen(self, tmp_path: Path, luminance: float, code: int) -> None:
        frames, _ = read(make_hdr(tmp_path / "a.mkv", 16, code))
        relative, white = luminance / 203, 1000 / 203
        shown = min(relative * (1 + relative / white**2) / (1 + relative), 1.0)
        # One of 255 steps of PQ is up to 4 % of luminance, 2 % after gamma: 5 levels.
        assert np.abs(frames[1].image.astype(int) - 255 * shown ** (1 / 2.2)).max() <= 6

    def test_hlg_is_shown_as_it_is(self, tmp_path: Path) -> None:
        frames, _ = read(make_hdr(tmp_path / "a.mkv", 18, 64 + 876 // 2))
        assert np.abs(frames[1].image.astype(int) - 127.5).max() <= 2  # 10 bits to 8, and a matrix

    def test_brighter_stays_brighter(self) -> None:
        assert (np.diff(_PQ_TO_SCREEN.astype(int)) >= 0).all()
        assert (_PQ_TO_SCREEN[0], _PQ_TO_SCREEN[255]) == (0, 255)


class TestKinds:
    @pytest.mark.parametrize(
        ("name", "codec", "pixels"),
        [
            ("a.mov", "prores_ks", "yuva444p10le"),
            ("a.webm", "libvpx-vp9", "yuva420p"),
            ("a.mkv", "ffv1", "ya8"),
            ("a.mp4", "libx265", "yuv420p10le"),
        ],
    )
    def test_alpha_and_ten_bits(self, tmp_path: Path, name: str, codec: str, pixels: str) -> None:
        options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        frames, reader = read(make_clip(tmp_path / name, codec=codec, pixels=pixels, options=options))
        assert numbers(frames) == list(range(50))
        assert reader.damage is None
        flat = frames[7].image[HEIGHT // 2 + 8 :, WIDTH // 2 :]
        assert np.abs(flat.astype(int) - 128).max() <= GREY_ERROR

    @pytest.mark.parametrize("rate", [Fraction(24_000, 1001), NTSC, Fraction(60), Fraction(120)])
    def test_rates(self, tmp_path: Path, rate: Fraction) -> None:
        times = [float(k / rate) for k in range(30)]
        clip = make_clip(tmp_path / "a.mp4", times, rate=rate, tick=1 / rate)
        frames, reader = read(clip)
        assert numbers(frames) == list(range(30))
        assert reader.fps == pytest.approx(float(rate), rel=1e-6)
        assert [frame.seconds for frame in frames] == pytest.approx(
            [float(k / rate) for k in range(30)], abs=1e-4
        )


@cache
def frames_of(path: Path) -> list[VideoFrame]:
    return read(path)[0]


class TestParts:
    @pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi", "a.264"])
    @pytest.mark.parametrize(("first", "last"), [(0, 7), (11, 12), (12, 40), (25, 50)])
    def test_frames_keep_their_times(self, tmp_path: Path, name: str, first: int, last: int) -> None:
        kind: dict = {"options": REORDERED}
        if name == "a.avi":  # which has no place for times out of order
            kind = {"codec": "mjpeg", "pixels": "yuvj420p"}
        clip = make_clip(tmp_path / name, tick=Fraction(1, 25), **kind)
        with VideoReader(clip, first / 25, last / 25) as reader:
            frames = list(reader)
        assert numbers(frames) == list(range(first, last))
        assert [frame.index for frame in frames] == list(range(first, last))
        # Counting on at 1/25 s where a stream has no times, and milliseconds of Matroska.
        assert [frame.seconds for frame in frames] == pytest.approx(
            [k / 25 for k in range(first, last)], abs=1e-3
        )
        assert reader.begin == pytest.approx(first / 25, abs=1e-3)
        assert reader.frame_count == last - first
        assert reader.damage is None

    @given(st.integers(0, 1900), st.integers(50, 2000))
    def test_any_part_is_the_whole_ones(
        self, tmp_path_factory: pytest.TempPathFactory, start_ms: int, length_ms: int
    ) -> None:
        start, length = start_ms / 1000, length_ms / 1000
        clip = tmp_path_factory.getbasetemp() / "varied.mp4"
        if not clip.exists():
            steps = np.random.default_rng(0).uniform(0.01, 0.12, 34)
            make_clip(clip, np.concatenate([[0.0], np.cumsum(steps)]), options=REORDERED)
        whole = frames_of(clip)
        inside = [frame for frame in whole if start <= frame.seconds < start + length]
        if not inside:
            with pytest.raises(VideoError):
                VideoReader(clip, start, start + length)
            return
        with VideoReader(clip, start, start + length) as reader:
            part = list(reader)
        assert [frame.seconds for frame in part] == [frame.seconds for frame in inside]
        assert numbers(part) == numbers(inside)

    def test_it_is_not_decoded_from_the_beginning(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clip = make_clip(tmp_path / "a.mp4", [k / 25 for k in range(250)], options={"g": "10"})
        seen: list[int] = []
        timed = Clock.seconds

        def count(self: Clock, stamp: Fraction | None) -> float:
            seen.append(0)
            return timed(self, stamp)

        monkeypatch.setattr(Clock, "seconds", count)
        with VideoReader(clip, 8.0, 8.2) as reader:
            assert numbers(reader) == list(range(200, 205))
        assert len(seen) < 30  # a group of pictures, the part, and one look ahead

    def test_turned_and_late(self, tmp_path: Path) -> None:
        clip = make_clip(tmp_path / "a.mov", rotation=(90, False))
        with VideoReader(clip, 1.0) as reader:
            frames = list(reader)
        assert len(frames) == 25
        assert np.abs(frames[3].image.astype(int) - np.rot90(picture(28))).mean() < GREY_ERROR

    def test_after_the_end(self, tmp_path: Path) -> None:
        with pytest.raises(VideoError, match=r"a\.mp4: ends at 2\.00 s, before the start, 5 s"):
            VideoReader(make_clip(tmp_path / "a.mp4"), 5.0)

    @pytest.mark.parametrize(("start", "end"), [(-1, None), (2, 2), (3, 1), (float("nan"), None)])
    def test_no_part(self, tmp_path: Path, start: float, end: float | None) -> None:
        for source in (make_clip(tmp_path / "a.mp4"), tmp_path):
            with pytest.raises(ConfigError, match=r"^(start|end) is"):
                open_frames(source, start=start, end=end)

    def test_images(self, tmp_path: Path) -> None:
        for k in range(9):
            write_image(tmp_path / f"{k}.png", picture(k))
        sequence = ImageSequence(tmp_path, 10.0, 0.3, 0.7)
        assert (sequence.frame_count, sequence.begin) == (4, 0.3)
        frames = list(sequence)
        assert numbers(frames) == [3, 4, 5, 6]
        assert [frame.seconds for frame in frames] == [0.3, 0.4, 0.5, 0.6]
        with pytest.raises(VideoError, match=r"it ends at 0\.9 s \(9 images\), before the start, 2 s"):
            ImageSequence(tmp_path, 10.0, 2.0)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_a_part_is_written_from_zero_with_its_sound(tmp_path: Path, codec: str) -> None:
    source = make_sound(tmp_path / "a.mov", codec, seconds=1.0, video_from=0.0)
    with VideoReader(source, 0.4, 0.8) as reader:
        target = tmp_path / "out.mp4"
        with VideoWriter(target, WIDTH, HEIGHT, 25.0, source, reader.begin) as writer:
            for frame in reader:
                writer.write(frame.image, frame.seconds)
    frames, written = read(target)
    assert numbers(frames) == list(range(10, 20))
    assert [frame.seconds for frame in frames] == pytest.approx([k / 25 for k in range(10)], abs=0.6e-5)
    assert written.has_audio
    with av.open(str(target)) as container:
        sound = list(container.decode(audio=0))
    # Whole packets of 1024 samples (21 ms), and AAC's priming packet.
    assert abs(sound[0].time) < 0.045
    assert sound[-1].time + 0.02 == pytest.approx(0.4, abs=0.045)
