"""Where no hardware can decode a video, the processor does, and one line says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import scenes
from av.codec.hwaccel import hwdevices_available

from steadyface import TrackingOptions
from steadyface.cli import main
from steadyface.corpus.work import options_key
from steadyface.errors import ConfigError
from steadyface.video import VideoReader, open_frames
from steadyface.video.hardware import accelerators

NOTE = "no hardware for it ({}); the processor decodes it"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return scenes.write_clip(tmp_path / "clip.mp4", scenes.frames(4))


@pytest.fixture(params=["no chip", "unknown codec"])
def tried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Accelerators with which a file was opened, in vain: that is an error, or it opens without."""
    opened, real = [], av.open

    def open_without(*arguments: Any, hwaccel: Any = None, **others: Any) -> Any:
        if hwaccel is not None:
            opened.append(hwaccel)
            if request.param == "no chip":
                raise av.error.PermissionError(1, "Operation not permitted")
        return real(*arguments, **others)

    monkeypatch.setattr(av, "open", open_without)
    return opened


@pytest.mark.parametrize("name", ["auto", *hwdevices_available()])
def test_the_processor_decodes_where_the_hardware_cannot(clip: Path, tried: list[Any], name: str) -> None:
    with VideoReader(clip) as plain, VideoReader(clip, hwaccel=name) as reader:
        assert len(tried) == len(accelerators(name))
        for frame, other in zip(reader, plain, strict=True):
            assert frame.seconds == other.seconds
            np.testing.assert_array_equal(frame.image, other.image)
        assert reader.notes == [f"{clip}: {NOTE.format(name)}"]
        assert not plain.notes


def test_nothing_is_tried_or_said_where_nobody_asks(clip: Path, tried: list[Any]) -> None:
    with open_frames(clip) as frames:
        list(frames)
        assert not frames.notes
    assert not tried


def test_a_part_of_a_video_says_it_once(clip: Path, tried: list[Any]) -> None:
    with VideoReader(clip, start=0.05, hwaccel="auto") as reader:
        assert [frame.index for frame in reader] == [2, 3]
        assert len(reader.notes) == 1


def test_a_file_that_is_no_video_is_refused_as_ever(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    messages = []
    for name in ("none", "auto"):
        with pytest.raises(Exception, match="not a video") as error:
            VideoReader(tmp_path / "a.mp4", hwaccel=name)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("name", ["", "gpu", "AUTO"])
def test_unknown_hardware_is_refused_with_the_choices(clip: Path, name: str) -> None:
    for call in (lambda: TrackingOptions(hwaccel=name), lambda: VideoReader(clip, hwaccel=name)):
        with pytest.raises(ConfigError) as error:
            call()
        assert all(known in str(error.value) for known in ("auto", "none", *hwdevices_available()))


def test_the_command_goes_on_with_one_line(
    clip: Path, tried: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = ["--weights", "nano", "--no-overlay", "--quiet", "--hwaccel", "auto"]
    with pytest.raises(SystemExit) as left:
        main(["track", str(clip), "--out", str(out), *options])
    assert not left.value.code
    assert capsys.readouterr().err.splitlines() == [f"steadyface: {clip}: {NOTE.format('auto')}"]
    assert (out / "clip.npz").exists()


def test_tables_of_a_corpus_do_not_depend_on_it() -> None:
    assert options_key(TrackingOptions(hwaccel="auto")) == options_key(TrackingOptions())
