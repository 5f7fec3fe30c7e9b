"""The command line as a user meets it: files, one clear line on errors, exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
import scenes

import steadyface
from steadyface import clips
from steadyface.cli import main
from steadyface.images import write_image
from steadyface.models import bundled_models
from steadyface.tracks import Tracks
from steadyface.video import VideoReader


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_clip(tmp_path_factory.mktemp("clips") / "portrait.mp4", scenes.frames(12))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, list[str]]:
    """Exit code, standard output, and the lines of standard error."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return int(left.value.code or 0), captured.out, captured.err.splitlines()


def test_track_writes_what_it_promises(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "track", clip, "--out", tmp_path, "--format", "npz,csv")
    assert (code, err) == (0, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "portrait.csv",
        "portrait.npz",
        "portrait.overlay.mp4",
    ]
    assert "12 frames, 12 with a face (100.0 %), 1 face" in out
    with np.load(tmp_path / "portrait.npz", allow_pickle=False) as file:
        shapes = {name: file[name].shape for name in file.files}
        assert file["points"].dtype == np.float32
    rows = {"frame": (12,), "seconds": (12,), "face": (12,), "scores": (12, 68), "box": (12, 4)}
    assert shapes == rows | {"points": (12, 68, 2), "raw_points": (12, 68, 2), "meta": ()}
    meta = Tracks.load(tmp_path / "portrait.npz").meta
    assert meta["source"] == "portrait.mp4"
    assert (meta["size"], meta["fps"]) == ([scenes.WIDTH, scenes.HEIGHT], scenes.FPS)
    assert meta["options"]["stabilizer"] == "sta"
    with VideoReader(tmp_path / "portrait.overlay.mp4") as overlay:
        assert len(list(overlay)) == 12


def test_the_overlay_shows_the_face(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["track", str(clip), "--out", str(tmp_path), "--quiet"])
    with VideoReader(clip) as plain, VideoReader(tmp_path / "portrait.overlay.mp4") as overlay:
        changed = np.abs(next(plain).image.astype(int) - next(overlay).image).max(axis=2) > 80
    x0, y0, x1, y1 = Tracks.load(tmp_path / "portrait.npz").box[0]
    rows, columns = np.nonzero(changed)
    inside = (columns >= x0 - 3) & (columns <= x1 + 3) & (rows >= y0 - 30) & (rows <= y1 + 3)
    assert len(rows) > 100
    assert inside.mean() > 0.95  # the rest: the coder's own errors at strong edges


def test_images_and_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "take.1"
    folder.mkdir()
    for index, image in enumerate(scenes.frames(4)):
        write_image(folder / f"{index}.png", image if index else image[:200])
    single = tmp_path / "one.png"
    write_image(single, scenes.frames(1)[0])
    out = tmp_path / "out"
    code, _, err = run(capsys, "track", folder, single, "--out", out, "--fps", 10)
    assert (code, err) == (0, [])
    assert np.allclose(Tracks.load(out / "take.1.npz").seconds, [0, 0.1, 0.2, 0.3])
    assert len(Tracks.load(out / "one.npz")) == 1


def test_a_bad_input_does_not_stop_the_others(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing.mp4"
    code, _, err = run(capsys, "track", missing, clip, "--out", tmp_path, "--no-overlay")
    assert code == 1
    assert len(err) == 1
    assert "missing.mp4" in err[0]
    assert len(Tracks.load(tmp_path / "portrait.npz")) == 12


def audio_only(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44_100), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_bad_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.mp4").write_text("not a video\n")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "empty.png").touch()
    (tmp_path / "hollow").mkdir()
    audio_only(tmp_path / "sound.mp4")
    expected = {
        "none.mp4": "No such file",
        "text.mp4": "not a video",
        "empty.mp4": "not a video",
        "empty.png": "not an image",
        "hollow": "no image",
        "sound.mp4": "no video stream",
    }
    for name, problem in expected.items():
        code, out, err = run(capsys, "track", tmp_path / name, "--out", tmp_path / "out")
        assert (code, out, len(err)) == (1, "", 1), name
        assert name in err[0]
        assert problem in err[0]
    assert not list((tmp_path / "out").glob("*"))


def test_a_truncated_video_keeps_what_was_decoded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = tmp_path / "whole.mkv"
    with av.open(str(whole), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = scenes.WIDTH, scenes.HEIGHT, "yuv420p"
        for image in scenes.frames(25):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode(None))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    code, out, err = run(capsys, "track", cut, "--out", tmp_path)
    tracks = Tracks.load(tmp_path / "cut.npz")
    assert code == 1
    assert len(err) == 1
    assert f"the {len(tracks)} frames before are kept" in err[0]
    assert 3 <= len(tracks) < 25
    assert f"{len(tracks)} frames" in out


@pytest.mark.parametrize(
    ("options", "listed"),
    [
        (["--format", "xls"], "npz, csv, parquet, json, pts"),
        (["--decoder", "magic"], "argmax, quarter, fhr, fhr_symmetric, least_squares, dark"),
        (["--stabilizer", "magic"], "sta, none"),
        (["--device", "tpu"], "auto, cpu, cuda"),
        (["--weights", "magic"], "compact"),
        (["--max-faces", "0"], "at least 1"),
        (["--fps", "0"], "positive"),
    ],
)
def test_bad_options_list_the_good_ones(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], listed: str
) -> None:
    code, out, err = run(capsys, "track", clip, "--out", tmp_path / "out", *options)
    assert (code, out, len(err)) == (1, "", 1)
    assert listed in err[0]
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_bad_usage_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--nonsense"], ["track", "a.mp4", "--fps", "many"], ["dance"]):
        code, _, err = run(capsys, *arguments)
        assert (code, len(err)) == (2, 1), arguments


def test_unwritable_output(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    code, _, err = run(capsys, "track", clip, "--out", tmp_path / "file")
    assert (code, len(err)) == (1, 1)
    code, _, err = run(capsys, "track", clip, "--out", "/proc/steadyface")
    assert (code, len(err)) == (1, 1)
    (tmp_path / "out" / "portrait.npz").mkdir(parents=True)
    code, _, err = run(capsys, "track", clip, "--out", tmp_path / "out")
    assert (code, len(err)) == (1, 1)
    assert "portrait.npz" in err[0]


def test_one_format_that_fails_does_not_lose_the_other(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "portrait.npz").mkdir()
    code, out, err = run(capsys, "track", clip, "--out", tmp_path, "--format", "npz,csv", "--no-overlay")
    assert (code, len(err)) == (1, 1)
    assert "portrait.npz" in err[0]
    assert "portrait.csv" in out
    assert len(Tracks.load(tmp_path / "portrait.csv")) == 12


def test_no_face_is_said_and_leaves_an_empty_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = scenes.write_clip(tmp_path / "empty.mp4", scenes.empty(5))
    code, out, err = run(capsys, "track", clip, "--out", tmp_path / "out")
    assert (code, len(err)) == (1, 1)
    assert "no face was found in 5 frames" in err[0]
    assert "5 frames, 0 with a face" in out
    assert len(Tracks.load(tmp_path / "out" / "empty.npz")) == 0


def test_two_inputs_of_one_name(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "track", clip, tmp_path / "portrait.avi", "--out", tmp_path)
    assert (code, len(err)) == (1, 1)
    assert "portrait.npz" in err[0]


def test_a_full_disk_keeps_the_points(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class FullDisk(clips.VideoWriter):
        def write(self, image: np.ndarray, seconds: float) -> None:
            if self.frame_count == 5:
                raise steadyface.VideoError(self.path, "cannot be written: No space left on device")
            super().write(image, seconds)

    monkeypatch.setattr(clips, "VideoWriter", FullDisk)
    code, _, err = run(capsys, "track", clip, "--out", tmp_path)
    assert (code, len(err)) == (1, 1)
    assert "No space left" in err[0]
    assert len(Tracks.load(tmp_path / "portrait.npz")) == 6


def test_ctrl_c_saves_what_was_computed(tmp_path: Path) -> None:
    long = scenes.write_clip(tmp_path / "long.mp4", scenes.frames(25) * 40)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "steadyface", "track", str(long), "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    part = out / "long.overlay.part.mp4"
    for _ in range(600):
        if part.exists() and part.stat().st_size > 20_000:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.count("\n") == 1
    assert "interrupted" in err
    tracks = Tracks.load(out / "long.npz")
    assert 0 < len(tracks) < 1000
    with VideoReader(out / "long.overlay.mp4") as overlay:
        assert abs(len(list(overlay)) - len(tracks)) <= 1  # the interrupted frame may be in one only
        assert overlay.damage is None


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--version")
    assert (code, out.strip()) == (0, steadyface.__version__)
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert "steadyface track clip.mp4" in out


def test_demo_follows_the_known_motion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "demo", "--out", tmp_path / "demo")
    assert (code, err) == (0, [])
    raw, stabilised = (
        line.split() for line in out.splitlines() if line.split()[:1] in (["raw"], ["stabilised"])
    )
    assert float(stabilised[2]) < float(raw[2]) < 1.5
    assert abs(float(stabilised[3])) < 0.5
    names = {path.name for path in (tmp_path / "demo").iterdir()}
    assert names == {"portrait.mp4", "portrait.npz", "portrait.overlay.mp4"}


def test_a_pipe_gets_no_progress(clip: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "steadyface", "track", str(clip), "--out", str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"TERM": "xterm"}
    )
    assert done.stderr == ""


def test_models_lists_what_is_bundled(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "models")
    assert (code, err) == (0, [])
    listed = [line.split()[0] for line in out.splitlines()[1:-1]]
    assert listed == bundled_models()
    assert "research" in out
    assert "default: compact" in out


def test_label_writes_training_data(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "label", clip, "--out", tmp_path / "labels", "--every", 6)
    assert (code, err) == (0, [])
    assert out == "portrait.mp4: 2 of 2 faces labelled\n"
    assert len(list((tmp_path / "labels").glob("*.pts"))) == 2
    assert run(capsys, "label", "--out", tmp_path)[0] == 1


def test_train_says_what_it_cannot_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "train", "vgg", "--data", tmp_path, "--out", tmp_path / "run")
    assert (code, err) == (
        1,
        ["steadyface: unknown recipe 'vgg'; choose one of: compact, tiny, paper, smoke"],
    )
    code, _, err = run(capsys, "train", "smoke", "--data", tmp_path, "--out", tmp_path / "run")
    assert code == 1
    assert "no annotated images" in err[-1]
