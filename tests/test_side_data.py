"""Side data never ends a read, and an input's own error is one line."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import scenes
from made_images import camera_jpeg, turned
from numbered_clips import GREY_ERROR, HEIGHT, WIDTH, make_clip, numbers, picture, read

from steadyface.cli import main
from steadyface.errors import VideoError
from steadyface.images import write_image
from steadyface.tracks import Tracks
from steadyface.video import ImageSequence, VideoReader, pictures


def camera_clip(path: Path, orientation: int = 1, count: int = 5) -> Path:
    """Write a motion JPEG of a camera: each frame has an EXIF block."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        for k in range(count):
            packet = av.Packet(camera_jpeg(picture(k), orientation))
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = k
            packet.is_keyframe = True
            out.mux(packet)
    return path


@pytest.mark.parametrize("name", ["a.avi", "a.mov", "a.mkv"])
def test_a_cameras_exif(tmp_path: Path, name: str) -> None:
    frames, reader = read(camera_clip(tmp_path / name))
    assert numbers(frames) == list(range(5))
    assert reader.damage is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_cameras_orientation(tmp_path: Path, orientation: int) -> None:
    frames, reader = read(camera_clip(tmp_path / "a.avi", orientation))
    expected = turned(picture(2), orientation)
    assert frames[2].image.shape == expected.shape == (reader.height, reader.width, 3)
    # A wrong turn puts black on white over a quarter of the picture; edges blur, flat areas are close.
    assert np.abs(frames[2].image.astype(int) - expected).mean() < GREY_ERROR


class Odd(Exception):
    """An error that no library documents."""


@pytest.mark.parametrize("error", [Odd("two\nlines"), ValueError("31 is not a valid Type"), MemoryError()])
class TestAnyError:
    def test_of_a_video(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        def fail(*arguments: object) -> None:
            raise error

        monkeypatch.setattr(VideoReader, "_describe", fail)
        with pytest.raises(VideoError, match=r"a\.mp4: cannot be read: ") as caught:
            VideoReader(make_clip(tmp_path / "a.mp4", [0.0]))
        assert "\n" not in str(caught.value)

    def test_of_images(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        for k in range(3):
            write_image(tmp_path / f"{k}.png", picture(k))
        sequence = ImageSequence(tmp_path)
        assert numbers([next(sequence)]) == [0]

        def fail(path: Path, *arguments: object) -> None:
            raise error

        monkeypatch.setattr(pictures, "read_image", fail)
        with pytest.raises(VideoError, match=r"cannot be read: ") as caught:
            next(sequence)
        assert "\n" not in str(caught.value)

    def test_the_other_inputs_are_tracked(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        error: Exception,
    ) -> None:
        first, second = (scenes.write_clip(tmp_path / name, scenes.frames(2)) for name in ("1.mp4", "2.mp4"))
        describe = VideoReader._describe

        def fail(reader: VideoReader) -> None:
            if reader.path == first:
                raise error
            describe(reader)

        monkeypatch.setattr(VideoReader, "_describe", fail)
        with pytest.raises(SystemExit) as left:
            main(["track", str(first), str(second), "--out", str(tmp_path), "--no-overlay", "--quiet"])
        assert left.value.code == 1
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert "1.mp4: cannot be read: " in lines[0]
        assert len(Tracks.load(tmp_path / "2.npz")) == 2
