"""Pipes and cameras as sources of frames: what they are called, and how they end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import av
import pytest
from numbered_clips import HEIGHT, WIDTH, make_clip, numbers

from steadyface.clips import choose_names
from steadyface.errors import ConfigError, VideoError
from steadyface.video import VideoReader, is_live, open_frames, read_ahead, source_name
from steadyface.video import container as sources


@pytest.mark.parametrize(
    ("source", "name"),
    [("-", "stdin"), ("0", "camera0"), ("12", "camera12"), ("a.b/talk.1.mp4", "talk.1"), ("7.mp4", "7")],
)
def test_names(source: str, name: str) -> None:
    assert source_name(source) == source_name(Path(source)) == name
    assert is_live(source) == (name in ("stdin", "camera0", "camera12"))


def test_a_file_called_like_a_camera_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "a.mp4").rename("3")
    assert source_name("3") == "3"
    with open_frames("3") as frames:
        assert numbers(frames) == list(range(50))


def test_a_link_has_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "store").mkdir()
    make_clip(tmp_path / "store" / "SHA256E-s1--0a.mp4")
    for name, target in (("one.mp4", "store/SHA256E-s1--0a.mp4"), ("two.mp4", "one.mp4"), ("clips", "store")):
        (tmp_path / name).symlink_to(target)
    monkeypatch.chdir(tmp_path / "clips")
    named = {"../one.mp4": "one", tmp_path / "two.mp4": "two", "../clips": "clips", "..": tmp_path.name}
    assert [source_name(each) for each in named] == list(named.values())
    (tmp_path / "clips" / "one.mp4").symlink_to("SHA256E-s1--0a.mp4")
    monkeypatch.chdir(tmp_path)
    both = ["one.mp4", "clips/one.mp4"]
    assert list(choose_names(both).values()) == [f"{tmp_path.name}-one", "clips-one"]


class Handle:
    """A pipe's end in place of standard input."""

    def __init__(self, number: int) -> None:
        self.number = number

    def fileno(self) -> int:
        return self.number


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The end of standard input that is written to; a test may close it."""
    reading, writing = os.pipe()
    monkeypatch.setattr(sys, "stdin", Handle(reading))
    yield writing
    os.close(reading)


def send(data: bytes, writing: int, close: bool = True) -> threading.Thread:
    def work() -> None:
        os.write(writing, data[:100])
        for start in range(100, len(data), 5000):
            os.write(writing, data[start : start + 5000])
        if close:
            os.close(writing)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


class TestPipe:
    @pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.webm"])
    def test_every_frame(self, pipe: int, tmp_path: Path, name: str) -> None:
        clip = make_clip(tmp_path / name, codec="libvpx-vp9" if name == "a.webm" else "libx264")
        sender = send(clip.read_bytes(), pipe)
        with VideoReader("-") as reader:
            assert (reader.width, reader.height, reader.frame_count) == (WIDTH, HEIGHT, None)
            frames = list(reader)
        sender.join()
        assert numbers(frames) == list(range(50))
        assert [frame.seconds for frame in frames] == pytest.approx([k / 25 for k in range(50)], abs=1e-3)
        assert not reader.has_audio
        assert str(reader.path) == "stdin"

    def test_a_part(self, pipe: int, tmp_path: Path) -> None:
        sender = send(make_clip(tmp_path / "a.mkv").read_bytes(), pipe)
        with VideoReader("-", 0.8, 1.2) as reader:
            assert reader.frame_count == 10
            assert numbers(reader) == list(range(20, 30))
            for _ in iter(lambda: os.read(sys.stdin.fileno(), 5000), b""):
                pass  # what is left in the pipe, so that the sender ends
        sender.join()

    def test_one_that_stalls_can_be_left(self, pipe: int, tmp_path: Path) -> None:
        data = make_clip(tmp_path / "a.mkv", noise=True, options={"g": "5"}).read_bytes()
        send(data[: len(data) * 3 // 5], pipe, close=False).join()
        with VideoReader("-") as reader, closing(read_ahead(reader, stop=reader.stop)) as frames:
            assert numbers(next(frames) for _ in range(3)) == [0, 1, 2]
        os.close(pipe)

    @pytest.mark.parametrize("data", [b"", b"this is no video\n" * 400])
    def test_something_else(self, pipe: int, data: bytes) -> None:
        send(data, pipe).join()
        with pytest.raises(
            VideoError, match=r"stdin: not a video that can be read forward: .*matroska"
        ) as caught:
            VideoReader("-")
        assert "\n" not in str(caught.value)

    def test_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pty = pytest.importorskip("pty")
        main, other = pty.openpty()
        monkeypatch.setattr(sys, "stdin", Handle(other))
        with pytest.raises(
            VideoError, match=r"no pipe; try: ffmpeg -i FILE -f matroska - \| steadyface track -"
        ):
            VideoReader("-")
        os.close(main)
        os.close(other)


class TestCamera:
    @pytest.fixture
    def screen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """FFmpeg's test picture in place of a camera: unknown length, ends after 20 frames."""
        monkeypatch.setitem(sources._CAMERAS, sys.platform, "lavfi")
        device = "testsrc=size=64x48:rate=10:duration=2", {}
        monkeypatch.setattr(sources, "_device", lambda kind, number: device)

    def test_frames(self, screen: None) -> None:
        with VideoReader("1") as reader:
            frames = list(reader)
        assert (reader.width, reader.height, reader.fps, reader.frame_count) == (64, 48, 10.0, None)
        assert [frame.seconds for frame in frames] == pytest.approx([k / 10 for k in range(20)], abs=1e-9)
        assert str(reader.path) == "camera1"
        assert reader.damage is None

    def test_until(self, screen: None) -> None:
        with VideoReader("1", end=0.5) as reader:
            assert (reader.frame_count, len(list(reader))) == (5, 5)

    def test_one_that_disappears(self, screen: None, monkeypatch: pytest.MonkeyPatch) -> None:
        with VideoReader("1") as reader:
            frames = [next(reader) for _ in range(4)]

            class Gone:
                def demux(self, stream: object) -> Iterator[av.Packet]:
                    raise av.error.OSError(19, "No such device")

            whole, reader._container = reader._container, Gone()  # type: ignore[assignment]
            monkeypatch.setattr(reader, "_frames", reader._read())
            frames += list(reader)
            reader._container = whole
        assert len(frames) == 4
        assert reader.damage == "camera1: ended after 4 frames (0.40 s): No such device"

    @pytest.mark.skipif(sys.platform != "linux", reason="cameras are files in /dev only on Linux")
    def test_missing(self) -> None:
        with pytest.raises(
            VideoError, match=r"camera99: cannot be opened: No such file.*; in /dev there are: "
        ):
            VideoReader("99")

    def test_another_system(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "plan9")
        with pytest.raises(VideoError, match="camera0: cameras cannot be read on plan9"):
            VideoReader("0")


def test_a_pipe_through_the_command(tmp_path: Path) -> None:
    """Not one face in it, hence exit code 1 and one line; the rest is as for a file."""
    clip = make_clip(tmp_path / "a.mkv")
    command = [sys.executable, "-m", "steadyface", "track", "-", "--out", str(tmp_path / "out")]
    with clip.open("rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.startswith("steadyface: stdin: no face was found in 50 frames; ")
    assert done.stderr.count("\n") == 1
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"stdin.npz", "stdin.meta.json", "stdin.overlay.mp4"}


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize("source", [None, 0, [], b"clip.mp4"])
def test_what_names_no_source_is_told(source: object) -> None:
    with pytest.raises(ConfigError, match=rf"^source must be a path or a URL, got {type(source).__name__}$"):
        open_frames(source)  # type: ignore[arg-type]
