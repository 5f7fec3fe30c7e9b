"""Video: every frame, in order, at its real time; damage is survived; what is written plays."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numbered_clips import (
    GREY_ERROR,
    HEIGHT,
    NTSC,
    WIDTH,
    cut,
    make_clip,
    make_sound,
    numbers,
    picture,
    read,
)

from steadyface import video
from steadyface.errors import ConfigError, DataError, VideoError
from steadyface.images import write_image
from steadyface.video import ImageSequence, VideoReader, VideoWriter, open_frames
from steadyface.video.clock import Clock


class TestTime:
    def test_ntsc_rate(self, tmp_path: Path) -> None:
        clip = make_clip(tmp_path / "a.mp4", [float(k / NTSC) for k in range(60)], rate=NTSC)
        frames, reader = read(clip)
        assert numbers(frames) == [frame.index for frame in frames] == list(range(60))
        # The clip's tick divides 1001 / 30000 s, so only float64 rounding is left.
        assert [frame.seconds for frame in frames] == pytest.approx(
            [k * 1001 / 30_000 for k in range(60)], abs=1e-12
        )
        assert (reader.width, reader.height, reader.frame_count) == (WIDTH, HEIGHT, 60)
        assert reader.fps == pytest.approx(30_000 / 1001, rel=1e-9)  # a ratio of integers
        assert reader.duration == pytest.approx(60 * 1001 / 30_000, abs=1e-3)  # mp4 counts it in milliseconds
        assert reader.damage is None
        assert not reader.has_audio

    @pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
    def test_variable_rate(self, tmp_path: Path, name: str) -> None:
        steps = np.random.default_rng(0).uniform(0.01, 0.2, 39)
        times = np.concatenate([[0.0], np.cumsum(steps)])
        frames, reader = read(make_clip(tmp_path / name, times))
        assert numbers(frames) == list(range(40))
        # Matroska counts milliseconds: half of one, and half of the clip's 1/30000 s tick.
        assert [frame.seconds for frame in frames] == pytest.approx(times, abs=0.6e-3)
        assert reader.damage is None

    @pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
    def test_reordered_frames(self, tmp_path: Path, name: str) -> None:
        clip = make_clip(tmp_path / name, options={"bf": "3", "b-adapt": "0", "g": "12"})
        with av.open(str(clip)) as container:
            assert av.video.frame.PictureType.B in {frame.pict_type for frame in container.decode(video=0)}
        frames, _ = read(clip)
        assert numbers(frames) == list(range(50))
        # Matroska's milliseconds hold a 25 Hz clip exactly.
        assert [frame.seconds for frame in frames] == pytest.approx([k / 25 for k in range(50)], abs=1e-9)

    def test_late_start_is_zero(self, tmp_path: Path) -> None:
        frames, _ = read(make_clip(tmp_path / "a.ts", [3.0 + k / 25 for k in range(10)]))
        # 90 kHz ticks hold a 25 Hz clip exactly.
        assert [frame.seconds for frame in frames] == pytest.approx([k / 25 for k in range(10)], abs=1e-9)

    def test_without_timestamps(self, tmp_path: Path) -> None:
        frames, reader = read(make_clip(tmp_path / "a.264"))
        assert numbers(frames) == list(range(50))
        assert reader.duration is reader.frame_count is None
        # A bare H.264 stream says only its rate; summing 1/fps rounds in float64.
        assert [frame.seconds for frame in frames] == pytest.approx([k / 25 for k in range(50)], abs=1e-9)

    @given(st.lists(st.none() | st.integers(-1000, 100_000), min_size=1))
    def test_always_increases(self, stamps: list[int | None]) -> None:
        assert np.all(np.diff(stamped(stamps)) > 0)

    @given(st.sets(st.integers(0, 100_000), min_size=1))
    def test_sound_stamps_are_kept(self, stamps: set[int]) -> None:
        assert stamped(sorted(stamps)) == [pts / 1000 for pts in sorted(stamps)]


def stamped(stamps: list[int | None]) -> list[float]:
    """The times that a reader of a 25 Hz stream gives frames with these stamps, in ms."""
    clock, times = Clock(25.0, Fraction(0)), []
    for pts in stamps:
        clock.last = clock.seconds(
            clock.stamp(SimpleNamespace(pts=pts, dts=None, time_base=Fraction(1, 1000)))
        )
        times.append(clock.last)
    return times


class TestPixels:
    @pytest.mark.parametrize(
        ("name", "codec", "pixels"),
        [
            ("a.mkv", "libx264", "yuv420p10le"),
            ("a.mkv", "libx264", "yuv444p"),
            ("a.mkv", "libx264", "gray"),
            ("a.mkv", "libx265", "yuv422p10le"),
            ("a.mkv", "ffv1", "gray16le"),
            ("a.mkv", "ffv1", "bgra"),
            ("a.mov", "qtrle", "argb"),
            ("a.avi", "mjpeg", "yuvj420p"),
            ("a.gif", "gif", "rgb8"),
        ],
    )
    def test_formats(self, tmp_path: Path, name: str, codec: str, pixels: str) -> None:
        options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        times = [k / 25 for k in range(20)]
        tick = Fraction(1, 25) if codec == "mjpeg" else Fraction(1, 100)  # AVI counts whole frames
        clip = make_clip(tmp_path / name, times, codec=codec, pixels=pixels, tick=tick, options=options)
        frames, reader = read(clip)
        assert numbers(frames) == list(range(20))
        assert reader.damage is None
        assert all(frame.image.dtype == np.uint8 and frame.image.flags.c_contiguous for frame in frames)
        assert {frame.image.shape for frame in frames} == {(HEIGHT, WIDTH, 3)}
        if name != "a.gif":  # its palette of 8 levels has no middle grey
            flat = frames[7].image[HEIGHT // 2 + 8 :, WIDTH // 2 :]
            assert np.abs(flat.astype(int) - 128).max() <= GREY_ERROR

    def test_odd_size(self, tmp_path: Path) -> None:
        frames, reader = read(make_clip(tmp_path / "a.mkv", codec="ffv1", pixels="bgr0", size=(131, 65)))
        assert (reader.width, reader.height) == (131, 65)
        assert frames[0].image.shape == (65, 131, 3)
        assert numbers(frames) == list(range(50))
        assert np.array_equal(frames[9].image, picture(9, 131, 65))  # lossless RGB

    @pytest.mark.parametrize("mirrored", [False, True])
    @pytest.mark.parametrize("degrees", [0, 90, 180, 270])
    def test_upright(self, tmp_path: Path, degrees: int, mirrored: bool) -> None:
        clip = make_clip(tmp_path / "a.mov", [0.0, 0.04, 0.08], rotation=(degrees, mirrored))
        turned = np.rot90(picture(2), degrees // 90)  # PyAV and numpy: counter-clockwise, and then the mirror
        expected = turned[:, ::-1] if mirrored else turned
        frames, reader = read(clip)
        assert (reader.height, reader.width) == expected.shape[:2] == frames[2].image.shape[:2]
        # A wrong turn puts black on white over a quarter of the picture; edges blur, flat areas are close.
        assert np.abs(frames[2].image.astype(int) - expected).mean() < GREY_ERROR

    def test_size_changes(self, tmp_path: Path) -> None:
        """Two H.264 streams end to end, as a camera that switches its mode writes them."""
        small = make_clip(tmp_path / "a.264", [0.0, 0.04])
        large = make_clip(tmp_path / "b.264", [0.0, 0.04], size=(2 * WIDTH, 2 * HEIGHT))
        small.write_bytes(small.read_bytes() + large.read_bytes())
        frames, _ = read(small)
        assert [frame.image.shape for frame in frames] == [(HEIGHT, WIDTH, 3)] * 4


class TestDamage:
    @pytest.mark.parametrize(
        ("name", "container"),
        [
            ("a.mkv", {}),
            ("a.webm", {}),
            ("a.mp4", {"movflags": "faststart"}),
            ("a.mp4", {"movflags": "frag_keyframe+empty_moov"}),
        ],
    )
    @pytest.mark.parametrize("share", [0.45, 0.6])
    def test_truncated(self, tmp_path: Path, name: str, container: dict[str, str], share: float) -> None:
        options, codec = {"g": "5", "bf": "0"}, "libvpx-vp9" if name == "a.webm" else "libx264"
        path = tmp_path / name
        clip = cut(make_clip(path, codec=codec, container=container, options=options, noise=True), share)
        frames, reader = read(clip)
        assert numbers(frames) == list(range(len(frames)))
        # The bytes are spread over the frames about evenly, but for key frames and the index.
        assert 40 * share <= len(frames) <= 55 * share
        assert reader.damage is not None
        assert str(clip) in reader.damage
        assert "\n" not in reader.damage

    def test_truncated_among_reordered_frames(self, tmp_path: Path) -> None:
        clip = cut(make_clip(tmp_path / "a.mkv", options={"g": "5", "bf": "3", "b-adapt": "0"}, noise=True))
        frames, reader = read(clip)
        found = numbers(frames)
        assert len(found) > 15
        assert found == sorted(set(found))
        assert reader.damage
        # Matroska's milliseconds hold a 25 Hz clip exactly, and each frame kept its own time.
        assert [frame.seconds for frame in frames] == pytest.approx([k / 25 for k in found], abs=1e-9)

    def test_every_whole_packet_is_kept(self, tmp_path: Path) -> None:
        """The cut packet does not cost the frames before it, which a threaded decoder still holds."""
        options = {"bf": "0", "g": "50"}
        whole = make_clip(tmp_path / "a.mp4", options=options, container={"movflags": "faststart"})
        with av.open(str(whole)) as container:
            ends = [packet.pos + packet.size for packet in container.demux(video=0) if packet.size]
        for kept in (20, 21, 30):
            clip = tmp_path / f"{kept}.mp4"
            clip.write_bytes(whole.read_bytes()[: ends[kept] - 3])
            frames, reader = read(clip)
            assert numbers(frames) == list(range(kept))
            assert reader.damage

    def test_a_hole(self, tmp_path: Path) -> None:
        clip = make_clip(tmp_path / "a.mp4", codec="mjpeg", pixels="yuvj420p")
        with av.open(str(clip)) as container:
            packets = [(packet.pos, packet.size) for packet in container.demux(video=0)]
        data = bytearray(clip.read_bytes())
        for start, size in (packets[20], packets[31]):
            data[start : start + size] = bytes(size)
        clip.write_bytes(data)
        frames, reader = read(clip)
        assert numbers(frames) == [k for k in range(50) if k not in (20, 31)]
        assert [frame.index for frame in frames] == list(range(48))
        assert frames[20].seconds == pytest.approx(21 / 25, abs=1e-9)  # the real time, not index / fps
        assert reader.damage
        assert "damaged at frame 20 (0.80 s): " in reader.damage
        assert reader.damage.endswith("; 2 frames lost")

    def test_cut_in_a_fragment_header(self, tmp_path: Path) -> None:
        options, container = {"g": "10"}, {"movflags": "frag_keyframe+empty_moov"}
        clip = make_clip(tmp_path / "a.mp4", options=options, container=container)
        data = clip.read_bytes()
        third = [i for i in range(len(data)) if data.startswith(b"moof", i)][3]
        clip.write_bytes(data[: third + 40])
        frames, reader = read(clip)
        assert numbers(frames) == list(range(30))
        assert reader.damage

    @pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
    @pytest.mark.parametrize("fraction", [0.3, 0.6])  # it ends in the frames, and in the index
    def test_no_index(self, tmp_path: Path, name: str, fraction: float) -> None:
        with pytest.raises(
            VideoError, match=r"read: its index \(moov\) is not whole: its recording or copying"
        ):
            VideoReader(cut(make_clip(tmp_path / name), fraction))

    def test_an_empty_file_is_called_so(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp4").touch()
        with pytest.raises(VideoError, match=r"a\.mp4: not a video that can be read: an empty file"):
            VideoReader(tmp_path / "a.mp4")

    def test_not_one_frame(self, tmp_path: Path) -> None:
        clip = make_clip(tmp_path / "a.mp4", [0.0], codec="mjpeg", pixels="yuvj420p")
        data = clip.read_bytes()
        start = data.index(b"mdat") + 4
        clip.write_bytes(data[:start] + bytes(data.index(b"moov") - start) + data[data.index(b"moov") :])
        with pytest.raises(VideoError, match="not one frame"):
            VideoReader(clip)


class TestNotAVideo:
    @pytest.mark.parametrize("name", ["a.mp4", "a.txt", "a.avi"])
    @pytest.mark.parametrize("content", ["", "this is no video\n" * 400])
    def test_text_and_empty(self, tmp_path: Path, name: str, content: str) -> None:
        path = tmp_path / name
        path.write_text(content)
        with pytest.raises(VideoError, match=name) as caught:
            VideoReader(path)
        assert "\n" not in str(caught.value)
        assert caught.value.path == path

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(VideoError, match="No such file"):
            VideoReader(tmp_path / "a.mp4")

    def test_folder(self, tmp_path: Path) -> None:
        with pytest.raises(VideoError, match="directory"):
            VideoReader(tmp_path)

    @pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.wav", "pcm_s16le")])
    def test_only_sound(self, tmp_path: Path, name: str, codec: str) -> None:
        with pytest.raises(VideoError, match="no video stream"):
            VideoReader(make_sound(tmp_path / name, codec))

    def test_cover_picture(self, tmp_path: Path) -> None:
        """A song with a cover: FFmpeg calls the picture a video."""
        write_image(tmp_path / "cover.png", picture(1))
        song = tmp_path / "a.mp3"
        make_sound(song, "libmp3lame")
        cover = (tmp_path / "cover.png").read_bytes()
        body = b"\0image/png\0\3\0" + cover
        frame = b"APIC" + len(body).to_bytes(4, "big") + b"\0\0" + body
        size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
        song.write_bytes(b"ID3\3\0\0" + size + frame + song.read_bytes())
        with av.open(str(song)) as container:
            assert container.streams.video
        with pytest.raises(VideoError, match="no video stream"):
            VideoReader(song)


class TestImages:
    def test_natural_order(self, tmp_path: Path) -> None:
        names = ["img1.png", "img2.png", "IMG3.PNG", "img10.png", "img10b.png", "img11.png"]
        for k, name in enumerate(names):
            write_image(tmp_path / name, picture(k))
        for other in ("notes.txt", "._img1.png", "²"):
            (tmp_path / other).write_text("x")
        sequence = open_frames(tmp_path, fps=10.0)
        assert isinstance(sequence, ImageSequence)
        assert (sequence.width, sequence.height, sequence.frame_count) == (WIDTH, HEIGHT, 6)
        assert (sequence.fps, sequence.duration, sequence.has_audio) == (10, 0.6, False)
        with sequence:
            frames = list(sequence)
        assert numbers(frames) == list(range(6))
        assert [frame.seconds for frame in frames] == [k / 10 for k in range(6)]

    def test_one_image(self, tmp_path: Path) -> None:
        write_image(tmp_path / "a.PNG", picture(5))
        frames = list(open_frames(tmp_path / "a.PNG"))
        assert numbers(frames) == [5]
        assert frames[0].seconds == 0.0

    def test_sizes_may_differ(self, tmp_path: Path) -> None:
        write_image(tmp_path / "1.png", picture(1))
        write_image(tmp_path / "2.png", picture(2, 200, 90))
        sequence = ImageSequence(tmp_path)
        assert [frame.image.shape for frame in sequence] == [(HEIGHT, WIDTH, 3), (90, 200, 3)]
        assert (sequence.width, sequence.height) == (WIDTH, HEIGHT)

    def test_unreadable(self, tmp_path: Path) -> None:
        (tmp_path / "2.png").write_text("no image")
        with pytest.raises(DataError, match=r"2\.png"):
            open_frames(tmp_path / "2.png")
        with pytest.raises(DataError, match=r"3\.png"):
            open_frames(tmp_path / "3.png")

    def test_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(VideoError, match="no image"):
            open_frames(tmp_path)

    def test_rate(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="fps must be positive and finite, got 0"):
            ImageSequence(tmp_path, fps=0.0)

    def test_gif_is_a_video(self, tmp_path: Path) -> None:
        clip = make_clip(tmp_path / "a.gif", codec="gif", pixels="rgb8", tick=Fraction(1, 100))
        with open_frames(clip) as frames:
            assert isinstance(frames, VideoReader)
            assert next(frames).seconds == 0.0


def test_closing_ends_the_iterator(tmp_path: Path) -> None:
    for source in (make_clip(tmp_path / "a.mp4"), tmp_path / "b.png"):
        if source.suffix == ".png":
            write_image(source, picture(0))
        frames = open_frames(source)
        frames.close()
        assert list(frames) == []


class TestWriter:
    @pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (WIDTH + 1, HEIGHT + 3), (WIDTH, 33), (129, 64)])
    def test_round_trip(self, tmp_path: Path, size: tuple[int, int]) -> None:
        path, times = tmp_path / "a.mp4", [0.0, 0.02, 0.5, 0.6, 1.7, 1.7 + 1 / 90_000, 2.5]
        with VideoWriter(path, *size, fps=29.97) as writer:
            for k, seconds in enumerate(times):
                writer.write(picture(k, *size), seconds)
            assert not path.exists()
            assert writer.frame_count == k + 1
        assert list(tmp_path.iterdir()) == [path]
        frames, reader = read(path)
        assert numbers(frames) == list(range(7))
        assert reader.damage is None
        # Half a tick of 1/90000 s.
        assert [frame.seconds for frame in frames] == pytest.approx(times, abs=0.6e-5)
        assert reader.duration == pytest.approx(2.5 + 1 / 29.97, abs=1e-3)  # mp4 counts it in milliseconds
        assert (reader.width, reader.height) == tuple(side + side % 2 for side in size)

    def test_padding_repeats_the_edge(self, tmp_path: Path) -> None:
        with VideoWriter(tmp_path / "a.mp4", 129, 65, 25.0) as writer:
            writer.write(np.full((65, 129, 3), 200, np.uint8), 0.0)
        frames, _ = read(tmp_path / "a.mp4")
        assert frames[0].image.shape == (66, 130, 3)
        assert np.abs(frames[0].image.astype(int) - 200).max() <= GREY_ERROR

    @pytest.mark.parametrize("colour", [(200, 30, 40), (20, 180, 60), (40, 50, 220), (255, 255, 255)])
    def test_colours(self, tmp_path: Path, colour: tuple[int, int, int]) -> None:
        with VideoWriter(tmp_path / "a.mp4", 64, 48, 25.0) as writer:
            writer.write(np.full((48, 64, 3), colour, np.uint8), 0.0)
        with av.open(str(tmp_path / "a.mp4")) as container:
            frame = next(container.decode(video=0))
            assert (frame.colorspace, frame.color_range) == (1, 1)  # says BT.709, as players assume for HD
        frames, _ = read(tmp_path / "a.mp4")
        assert np.abs(frames[0].image.astype(int) - colour).max() <= GREY_ERROR

    def test_times_must_increase(self, tmp_path: Path) -> None:
        with VideoWriter(tmp_path / "a.mp4", WIDTH, HEIGHT, 25.0) as writer:
            writer.write(picture(0), 1.0)
            for seconds in (1.0, 0.5, float("nan"), float("inf")):
                with pytest.raises(ConfigError, match=r"later than 1\.0 s"):
                    writer.write(picture(1), seconds)
        assert len(read(tmp_path / "a.mp4")[0]) == 1

    def test_times_closer_than_a_tick(self, tmp_path: Path) -> None:
        with VideoWriter(tmp_path / "a.mp4", WIDTH, HEIGHT, 25.0) as writer:
            for k in range(5):
                writer.write(picture(k), k * 1e-9)
        assert numbers(read(tmp_path / "a.mp4")[0]) == list(range(5))

    @pytest.mark.parametrize(
        "image", [picture(0)[:-1], picture(0)[:, :-2], np.zeros((0, WIDTH, 3), np.uint8)]
    )
    def test_another_image(self, tmp_path: Path, image: np.ndarray) -> None:
        with (
            VideoWriter(tmp_path / "a.mp4", WIDTH, HEIGHT, 25.0) as writer,
            pytest.raises(ConfigError, match="image"),
        ):
            writer.write(image, 0.0)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 1)])
    def test_tiny(self, tmp_path: Path, size: tuple[int, int]) -> None:
        with VideoWriter(tmp_path / "a.mp4", *size, 25.0) as writer:
            writer.write(np.full((size[1], size[0], 3), 90, np.uint8), 0.0)
        frames, _ = read(tmp_path / "a.mp4")
        assert np.abs(frames[0].image.astype(int) - 90).max() <= GREY_ERROR

    @pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
    def test_interrupted(self, tmp_path: Path, error: type[BaseException]) -> None:
        def work() -> None:
            with VideoWriter(tmp_path / "a.mp4", WIDTH, HEIGHT, 25.0) as writer:
                for k in range(40):
                    writer.write(picture(k), k / 25)
                raise error

        with pytest.raises(error):
            work()
        assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
        frames, reader = read(tmp_path / "a.mp4")
        assert numbers(frames) == list(range(40))
        assert reader.damage is None

    def test_nothing_written(self, tmp_path: Path) -> None:
        with VideoWriter(tmp_path / "a.mp4", WIDTH, HEIGHT, 25.0):
            pass
        assert list(tmp_path.iterdir()) == []

    def test_replaces(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mp4"
        path.write_text("old")
        with VideoWriter(path, WIDTH, HEIGHT, 25.0) as writer:
            writer.write(picture(3), 0.0)
            assert path.read_text() == "old"
        writer.close()
        assert numbers(read(path)[0]) == [3]

    def test_unwritable(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        for folder, problem in (("missing", "No such file"), ("file", "Not a directory")):
            with pytest.raises(VideoError, match=problem) as caught:
                VideoWriter(tmp_path / folder / "a.mp4", WIDTH, HEIGHT, 25.0)
            assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("limit", [0, 3_000, 60_000])
    def test_full_disk(self, tmp_path: Path, limit: int) -> None:
        """A limit on the file's size stands in for a full disk; it cannot be lifted, hence a process."""
        pytest.importorskip("resource")
        code = (
            "import resource, sys, numpy as np\n"
            "from steadyface.errors import VideoError\n"
            "from steadyface.video import VideoWriter\n"
            f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
            "noise = np.random.default_rng(0)\n"
            "try:\n"
            "    with VideoWriter(sys.argv[1], 128, 64, 25) as writer:\n"
            "        for k in range(60):\n"
            "            writer.write(noise.integers(0, 256, (64, 128, 3), np.uint8), k / 25)\n"
            "except VideoError as error:\n"
            "    print(error)\n"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "a.mp4")]
        source = Path(video.__file__).parents[2]
        done = subprocess.run(
            command, env=os.environ | {"PYTHONPATH": str(source)}, capture_output=True, text=True, check=True
        )
        assert "a.mp4" in done.stdout
        assert "File too large" in done.stdout
        assert done.stdout.count("\n") == 1
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "change", [{"path": "a.avi"}, {"width": 0}, {"height": -2}, {"fps": 0.0}, {"fps": float("nan")}]
    )
    def test_bad_options(self, tmp_path: Path, change: dict) -> None:
        options = {"path": "a.mp4", "width": WIDTH, "height": HEIGHT, "fps": 25.0} | change
        with pytest.raises(ConfigError):
            VideoWriter(**options | {"path": tmp_path / options["path"]})
        assert list(tmp_path.iterdir()) == []


def sound_of(path: Path) -> tuple[str, float, float, np.ndarray]:
    """The codec, the first and the last moment of a file's sound in seconds, and its samples."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        codec = container.streams.audio[0].codec_context.codec.canonical_name
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(float)
    return codec, frames[0].time, frames[-1].time + frames[-1].samples / frames[-1].sample_rate, samples


def write_with_sound(path: Path, sound: Path, seconds: float = 1.0) -> VideoWriter:
    with VideoWriter(path, WIDTH, HEIGHT, 25.0, audio_from=sound) as writer:
        for k in range(round(25 * seconds)):
            writer.write(picture(k), k / 25)
    return writer


class TestSound:
    @pytest.mark.parametrize(
        ("name", "codec", "kept"),
        [
            ("a.m4a", "aac", "aac"),
            ("a.ts", "aac", "aac"),
            ("a.mp3", "libmp3lame", "mp3"),
            ("a.mkv", "ac3", "ac3"),
            ("a.wav", "pcm_s16le", "aac"),
            ("a.wv", "wavpack", "aac"),
        ],
    )
    def test_kept(self, tmp_path: Path, name: str, codec: str, kept: str) -> None:
        writer = write_with_sound(tmp_path / "out.mp4", make_sound(tmp_path / name, codec))
        found, start, end, samples = sound_of(tmp_path / "out.mp4")
        # Sound comes in packets of at most 1536 samples (32 ms); the last may reach past the video's end.
        assert found == kept
        assert abs(start) < 0.033
        assert 1.0 <= end < 1.07
        assert np.abs(samples).max() > 0.1 * np.abs(samples).std() > 0  # a tone, not silence
        frames, reader = read(tmp_path / "out.mp4")
        assert numbers(frames) == list(range(25))
        assert reader.has_audio
        assert writer.damage is None

    def test_copied_bit_for_bit(self, tmp_path: Path) -> None:
        def packets(path: Path) -> list[bytes]:
            with av.open(str(path)) as container:
                return [bytes(packet) for packet in container.demux(audio=0) if packet.size]

        sound = make_sound(tmp_path / "a.m4a", "aac")
        write_with_sound(tmp_path / "out.mp4", sound)
        copied = packets(tmp_path / "out.mp4")
        assert len(copied) >= 46
        assert copied == packets(sound)[: len(copied)]

    @pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
    @pytest.mark.parametrize("late", [0.0, 0.48])
    def test_in_step_with_its_video(self, tmp_path: Path, codec: str, late: float) -> None:
        """A video that starts late in its file is read from 0; its sound must move by as much."""
        source = make_sound(tmp_path / "a.mov", codec, seconds=1.0, video_from=late)
        frames, _ = read(source)
        assert frames[0].seconds == 0.0
        write_with_sound(tmp_path / "out.mp4", source, seconds=2.0)
        _, start, end, _ = sound_of(tmp_path / "out.mp4")
        # Whole packets of 1024 samples (21 ms), and AAC's priming packet.
        assert abs(start) < 0.045
        assert end == pytest.approx(1.0 - late, abs=0.045)

    def test_none_to_keep(self, tmp_path: Path) -> None:
        write_with_sound(tmp_path / "out.mp4", make_clip(tmp_path / "a.mp4"))
        assert not read(tmp_path / "out.mp4")[1].has_audio

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(VideoError, match=r"a\.mp3.*No such file"):
            VideoWriter(tmp_path / "out.mp4", WIDTH, HEIGHT, 25.0, audio_from=tmp_path / "a.mp3")
        assert list(tmp_path.iterdir()) == []

    def test_truncated(self, tmp_path: Path) -> None:
        sound = cut(make_sound(tmp_path / "a.mkv", "aac", seconds=3.0), 0.2)
        write_with_sound(tmp_path / "out.mp4", sound, seconds=2.0)
        assert numbers(read(tmp_path / "out.mp4")[0]) == list(range(50))
        assert 0.2 < sound_of(tmp_path / "out.mp4")[2] < 1.0  # a fifth of 3 s, and the file's header

    def test_interrupted(self, tmp_path: Path) -> None:
        sound = make_sound(tmp_path / "a.m4a", "aac")

        def work() -> None:
            with VideoWriter(tmp_path / "out.mp4", WIDTH, HEIGHT, 25.0, audio_from=sound) as writer:
                for k in range(25):
                    writer.write(picture(k), k / 25)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            work()
        # Up to two packets of 1024 samples.
        assert sound_of(tmp_path / "out.mp4")[2] == pytest.approx(1.0, abs=0.045)

    def test_onto_itself(self, tmp_path: Path) -> None:
        path = make_sound(tmp_path / "a.mp4", "aac", video_from=0.0)
        write_with_sound(path, path)
        assert read(path)[1].has_audio
        assert numbers(read(path)[0]) == list(range(25))


def test_real_clips(data_dir: Path) -> None:
    """The first frames of every real clip: five, in order, of the announced size, and not black."""
    for path in sorted((data_dir / "videos").iterdir()):
        with VideoReader(path) as reader:
            frames = [next(reader) for _ in range(5)]
            assert reader.damage is None, path
        assert frames[0].seconds == 0.0, path
        assert np.all(np.diff([frame.seconds for frame in frames]) > 0), path
        assert {frame.image.shape for frame in frames} == {(reader.height, reader.width, 3)}, path
        assert all(frame.image.std() > 1 for frame in frames), path
