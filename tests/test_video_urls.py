"""URLs, devices and odd names; no message shows a password."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import scenes
from numbered_clips import make_clip, numbers

from steadyface.cli import main
from steadyface.errors import VideoError
from steadyface.images import write_image
from steadyface.tracks import Tracks
from steadyface.video import display_name, is_live, open_frames, source_name
from steadyface.video.sources import camera_number


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Serve `tmp_path` on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class TestUrls:
    def test_http(self, tmp_path: Path, site: str) -> None:
        make_clip(tmp_path / "a.mkv")
        with open_frames(f"http://user:secret@{site}/a.mkv?token=secret") as reader:
            assert numbers(reader) == list(range(50))
        assert reader.path == Path("a")
        assert "secret" not in str(reader.meta())

    def test_a_part_and_a_picture(self, tmp_path: Path, site: str) -> None:
        make_clip(tmp_path / "a.mkv")
        with open_frames(f"http://{site}/a.mkv", start=1.0, end=1.2) as reader:
            assert [frame.index for frame in reader] == list(range(25, 30))

    @pytest.mark.parametrize("scheme", ["http", "rtsp", "rtmp"])
    def test_errors_keep_the_password(self, scheme: str, capsys: pytest.CaptureFixture[str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        url = f"{scheme}://user:secret@127.0.0.1:{port}/live?key=secret"
        with pytest.raises(VideoError) as caught:
            open_frames(url)
        assert str(caught.value).startswith(
            f"{scheme}://…@127.0.0.1:{port}/live?…: not a video that can be read"
        )
        with pytest.raises(SystemExit) as left:
            main(["track", url, "--end", "1"])
        assert left.value.code == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "secret" not in line

    def test_no_such_protocol(self) -> None:
        with pytest.raises(
            VideoError, match=r"^gopher2://host/a: not a video that can be read: Protocol not"
        ):
            open_frames("gopher2://host/a")

    def test_file(self, tmp_path: Path) -> None:
        folder = tmp_path / "two words"
        folder.mkdir()
        clip = make_clip(folder / "a%20b.mkv")
        assert numbers(open_frames(clip.as_uri())) == list(range(50))
        write_image(folder / "1.png", scenes.frames(1)[0])
        assert len(list(open_frames(folder.as_uri()))) == 1
        assert source_name(clip.as_uri()) == "a%20b"

    def test_track(self, tmp_path: Path, site: str) -> None:
        scenes.write_clip(tmp_path / "face.mp4", scenes.frames(3))
        shutil.copy(tmp_path / "face.mp4", tmp_path / "again.mp4")
        out = tmp_path / "out"
        uri = (tmp_path / "again.mp4").as_uri()
        with pytest.raises(SystemExit) as left:
            main(["track", f"http://{site}/face.mp4", uri, "--out", str(out), "--quiet"])
        assert left.value.code == 0
        assert len(Tracks.load(out / "face.npz")) == len(Tracks.load(out / "again.npz")) == 3
        assert (out / "face.overlay.mp4").exists()


@pytest.mark.parametrize(
    ("source", "name", "live", "shown"),
    [
        ("rtsp://user:pass@cam.local:554/stream1", "stream1", True, "rtsp://…@cam.local:554/stream1"),
        ("udp://239.0.0.1:1234", "239.0.0.1", True, "udp://239.0.0.1:1234"),
        ("https://host/a/clip.mp4?sig=1", "clip", False, "https://host/a/clip.mp4?…"),
        ("/dev/video0", "camera0", True, "camera0"),
        ("-", "stdin", True, "stdin"),
        ("C:/a.mp4", "a", False, "C:/a.mp4"),
    ],
)
def test_names(source: str, name: str, live: bool, shown: str) -> None:
    assert (source_name(source), is_live(source), display_name(source)) == (name, live, shown)


def test_a_device_is_a_camera() -> None:
    assert [camera_number(name) for name in ("/dev/video7", "7", "/dev/video", "/dev/sda1")] == [
        7,
        7,
        None,
        None,
    ]


class TestOddNames:
    @pytest.mark.parametrize("before", [["./-lead.mp4"], ["--", "-lead.mp4"], ["--", "./-lead.mp4"]])
    def test_a_name_that_begins_with_a_hyphen(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: list[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        scenes.write_clip(tmp_path / "-lead.mp4", scenes.frames(2))
        with pytest.raises(SystemExit) as left:
            main(["track", "--quiet", "--out", "out", *before])
        assert left.value.code == 0
        assert len(Tracks.load(tmp_path / "out" / "-lead.npz")) == 2

    def test_the_way_to_name_it_is_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "-lead.mp4").write_bytes(b"")
        with pytest.raises(SystemExit) as left:
            main(["track", "-lead.mp4"])
        assert left.value.code == 2
        assert "there is no option -lead.mp4; the file is ./-lead.mp4" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "name", ["a:b.mp4", "ä#?%20.mp4", "new\nline.mp4", "%03d.mp4", "'q\".mp4", "a|b.mp4"]
    )
    def test_any_name(self, tmp_path: Path, name: str) -> None:
        make_clip(plain := tmp_path / "plain.mp4")
        plain.rename(tmp_path / name)
        assert numbers(open_frames(tmp_path / name)) == list(range(50))

    def test_a_name_that_is_no_text(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Bytes that are not UTF-8, as old disks have them."""
        plain = scenes.write_clip(tmp_path / "plain.mp4", scenes.frames(2))
        odd = tmp_path / b"caf\xe9.mp4".decode(errors="surrogateescape")
        plain.rename(odd)
        with pytest.raises(SystemExit) as left:
            main(["track", str(odd), "--out", str(tmp_path / "out"), "--no-overlay"])
        assert left.value.code == 0
        assert "2 frames, 2 with a face" in capsys.readouterr().out
