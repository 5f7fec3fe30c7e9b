"""Times and numbers of frames are those of the file, and line up with its sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numbered_clips import HEIGHT, WIDTH, make_clip, make_sound, numbers, picture, read

from steadyface.video import VideoReader, open_frames

TICK = Fraction(1, 90_000)
REORDERED = {"bf": "3", "b-adapt": "0", "g": "12"}


class TestPresentationOrder:
    @pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
    @pytest.mark.parametrize("fps", [12, 25])
    def test_avi_with_reordered_frames(self, tmp_path: Path, codec: str, fps: int) -> None:
        """AVI has no presentation times; FFmpeg gives the decoding order's."""
        times = [k / fps for k in range(36)]
        rate, tick = Fraction(fps), Fraction(1, fps)
        options = REORDERED if codec == "libx264" else {"bf": "2"}
        clip = make_clip(tmp_path / "a.avi", times, codec=codec, rate=rate, tick=tick, options=options)
        frames, reader = read(clip)
        assert numbers(frames) == list(range(36))
        assert [frame.seconds for frame in frames] == pytest.approx(times, abs=1e-9)
        assert reader.damage is None

    @pytest.mark.parametrize("start", [0.2, 1.0, 1.3])
    def test_a_part_of_it(self, tmp_path: Path, start: float) -> None:
        times = [k / 25 for k in range(50)]
        clip = make_clip(tmp_path / "a.avi", times, tick=Fraction(1, 25), options=REORDERED)
        with VideoReader(clip, start, start + 0.4) as reader:
            frames = list(reader)
        expected = [k for k in range(50) if start <= k / 25 + 1e-9 < start + 0.4]
        assert numbers(frames) == [frame.index for frame in frames] == expected
        assert [frame.seconds for frame in frames] == pytest.approx([k / 25 for k in expected], abs=1e-9)

    @pytest.mark.parametrize("before", [1, 20, 45])
    def test_wrap_around_of_a_transport_stream(self, tmp_path: Path, before: int) -> None:
        """Its clock of 33 bits begins anew while the clip runs."""
        first = 2**33 - before * 3600
        clip = tmp_path / "a.ts"
        with av.open(str(clip), "w", options={"mpegts_copyts": "1"}) as out:
            stream = out.add_stream("libx264", rate=25, options={"bf": "2", "g": "12"}, time_base=TICK)
            stream.width, stream.height = WIDTH, HEIGHT
            for k in range(60):
                frame = av.VideoFrame.from_ndarray(picture(k))
                frame.pts, frame.time_base = first + 3600 * k, TICK
                out.mux(stream.encode(frame))
            out.mux(stream.encode())
        frames, reader = read(clip)
        assert numbers(frames) == list(range(60))
        assert [frame.seconds for frame in frames] == pytest.approx([k / 25 for k in range(60)], abs=1e-9)
        assert reader.damage is None

    @pytest.mark.parametrize(("name", "hidden"), [("a.mkv", 0), ("a.mp4", 10)])
    def test_negative_times(self, tmp_path: Path, name: str, hidden: int) -> None:
        """In mp4 the edit list hides frames before zero."""
        times = [-0.4 + k / 25 for k in range(20)]
        frames, _ = read(make_clip(tmp_path / name, times, container={"avoid_negative_ts": "disabled"}))
        assert numbers(frames) == list(range(hidden, 20))
        expected = [k / 25 for k in range(20 - hidden)]
        assert [frame.seconds for frame in frames] == pytest.approx(expected, abs=1e-9)

    def test_an_edit_list_that_begins_later(self, tmp_path: Path) -> None:
        """A phone's cut: the file holds frames before the first one that is shown."""
        clip = make_clip(tmp_path / "a.mp4", options={"bf": "0", "g": "50"})
        data = bytearray(clip.read_bytes())
        start = data.index(b"elst") + 12
        (scale,) = np.frombuffer(data, ">u4", 1, data.index(b"mdhd") + 16)
        data[start + 4 : start + 8] = int(10 * scale / 25).to_bytes(4, "big")  # media time of the edit
        clip.write_bytes(data)
        frames, _ = read(clip)
        assert numbers(frames) == list(range(10, 50))
        assert [frame.seconds for frame in frames] == pytest.approx([k / 25 for k in range(40)], abs=1e-9)
        with VideoReader(clip, 0.8) as part:
            assert [frame.index for frame in part] == list(range(20, 40))


class TestSound:
    @pytest.mark.parametrize("name", ["a.mkv", "a.mov", "a.ts"])
    @pytest.mark.parametrize("late", [0.0, 0.84, 1.2])
    def test_the_video_begins_after_the_sound(self, tmp_path: Path, name: str, late: float) -> None:
        clip = make_sound(tmp_path / name, "aac", video_from=late)
        frames, reader = read(clip)
        assert frames[0].seconds == 0.0
        # The file begins with the coder's first packet of sound, 1024 samples before it.
        assert reader.start_seconds == pytest.approx(late, abs=1024 / 48_000 + 1e-3)
        assert reader.meta()["start_seconds"] == reader.start_seconds

    def test_of_images_there_is_none(self, tmp_path: Path) -> None:
        clip = make_clip(tmp_path / "a.png", [0.0], codec="png", pixels="rgb24")
        assert "start_seconds" not in open_frames(clip).meta()


class TestNumbers:
    @pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov", "a.avi", "a.webm"])
    @pytest.mark.parametrize("start", [0.04, 0.7, 1.96])
    def test_a_part_keeps_the_files_numbers(self, tmp_path: Path, name: str, start: float) -> None:
        codec = "libvpx-vp9" if name == "a.webm" else "libx264"
        options = {} if name == "a.webm" else REORDERED
        clip = make_clip(tmp_path / name, codec=codec, tick=Fraction(1, 25), options=options)
        with VideoReader(clip, start) as reader:
            frames = list(reader)
        assert [frame.index for frame in frames] == numbers(frames)
        assert frames[0].index == round(start * 25)
        assert frames[-1].index == 49

    def test_of_a_variable_rate(self, tmp_path: Path) -> None:
        steps = np.random.default_rng(3).uniform(0.01, 0.2, 39)
        times = np.concatenate([[0.0], np.cumsum(steps)])
        clip = make_clip(tmp_path / "a.mp4", times, options=REORDERED)
        with VideoReader(clip, 2.0) as reader:
            frames = list(reader)
        assert [frame.index for frame in frames] == numbers(frames) == np.flatnonzero(times >= 2.0).tolist()
