"""The command line as a user meets it: files, one clear line on errors, exit codes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import av
import numpy as np
import pytest
import scenes
from talking_scenes import shut_face

import steadyface
from steadyface import clips, pipeline
from steadyface.cli import main
from steadyface.cli.terminal import print_table
from steadyface.demo import portrait
from steadyface.errors import ConfigError
from steadyface.fitting import sequences
from steadyface.fitting.fit import Pair
from steadyface.fitting.sequences import load_pair, save_pair
from steadyface.images import write_image
from steadyface.models import bundled_models
from steadyface.pipeline import TrackingOptions
from steadyface.pts import write_pts
from steadyface.stabilizer import load_stabilizer, save_stabilizer
from steadyface.stabilizer.baselines import FirstOrder, OneEuro
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
        "portrait.meta.json",
        "portrait.npz",
        "portrait.overlay.mp4",
    ]
    assert "12 frames, 12 with a face (100.0 %), 1 face" in out
    with np.load(tmp_path / "portrait.npz", allow_pickle=False) as file:
        shapes = {name: file[name].shape for name in file.files}
        assert file["points"].dtype == np.float32
    rows = {
        "frame": (12,),
        "seconds": (12,),
        "face": (12,),
        "scores": (12, 68),
        "box": (12, 4),
        "held": (12,),
        "visible": (12, 68),
        "covariances": (12, 68, 2, 2),
        "person": (12,),
        "similarity": (12,),
        "carried": (12,),
    }
    frames = {
        "timeline_frame": (12,),
        "timeline_seconds": (12,),
        "timeline_size": (12, 2),
        "timeline_file": (12,),
    }
    assert shapes == rows | frames | {"points": (12, 68, 2), "raw_points": (12, 68, 2), "meta": ()}
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
        write_image(folder / f"{index}.png", image)
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
    (tmp_path / "clips").mkdir()
    scenes.write_clip(tmp_path / "clips" / "a.mp4", scenes.frames(1))
    (tmp_path / "animations").mkdir()
    (tmp_path / "animations" / "a.gif").touch()
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.dng").touch()
    audio_only(tmp_path / "sound.mp4")
    expected = {
        "none.mp4": "No such file",
        "text.mp4": "not a video",
        "empty.mp4": "not a video",
        "empty.png": "not an image",
        "hollow": "no image",
        "clips": "name its videos one by one, or take steadyface corpus",
        "animations": "1 .gif; name its videos one by one, or take steadyface corpus",
        "raw": "holds images of kinds that are not read: 1 .dng",
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
    assert f"the {len(tracks)} frames that can be read are kept" in err[0]
    assert 3 <= len(tracks) < 25
    assert f"{len(tracks)} frames" in out


@pytest.mark.parametrize(
    ("options", "listed"),
    [
        (["--format", "xls"], "npz, csv, parquet, json, pts"),
        (["--decoder", "magic"], "argmax, quarter, fhr, fhr_symmetric, least_squares, dark"),
        (["--stabilizer", "magic"], "sta, sta-paper, moving-average"),
        (["--stabilizer", "magic"], "sta-offline, none, FILE.json"),
        (["--stabilizer", "missing.json"], "No such file"),
        (["--lag", "-1"], "at least 0 frames"),
        (["--lag", "2", "--stabilizer", "none"], "none has no lag"),
        (["--lag", "2", "--stabilizer", "one-euro"], "one-euro has no mode that sees the future"),
        (["--lag", "2", "--stabilizer", "savitzky-golay"], "savitzky-golay has no fixed lag"),
        (["--device", "tpu"], "auto, cpu, cuda"),
        (["--weights", "magic"], "compact"),
        (["--max-faces", "0"], "at least 1"),
        (["--fps", "0"], "positive"),
        (["--threads", "0"], "from 1 to 1,024"),
        (["--threads", "100000"], "from 1 to 1,024"),
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
    code, _, err = run(capsys, "track", "a.mp4", "--stabilzer", "sta")
    told = "steadyface: there is no option --stabilzer; did you mean --stabilizer? (see steadyface --help)"
    assert (code, err) == (2, [told])
    code, _, err = run(capsys, "models", "small", "large")
    assert (code, err) == (2, ["steadyface: unexpected: small large (see steadyface --help)"])


def test_a_path_is_named_as_it_was_typed() -> None:
    error = ConfigError.choice("stabilizer", Path("folder/mine"), ["sta", "none"])
    assert str(error) == "unknown stabilizer 'folder/mine'; choose one of: sta, none"


def test_one_is_singular(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / "one.png", scenes.frames(1)[0])
    code, out, _ = run(capsys, "track", tmp_path / "one.png", "--out", tmp_path / "out", "--no-overlay")
    assert code == 0
    assert out.startswith("one.png: 1 frame, 1 with a face (100.0 %), 1 face, ")


def test_unwritable_output(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    code, _, err = run(capsys, "track", clip, "--out", tmp_path / "file")
    assert (code, len(err)) == (1, 1)
    code, _, err = run(capsys, "track", clip, "--out", "/proc/steadyface")
    assert (code, len(err)) == (1, 1)
    (tmp_path / "out" / "portrait.npz").mkdir(parents=True)
    code, _, err = run(capsys, "track", clip, "--out", tmp_path / "out", "--overwrite")
    assert (code, len(err)) == (1, 1)
    assert "portrait.npz" in err[0]


def test_one_format_that_fails_does_not_lose_the_other(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "portrait.npz").mkdir()
    options = ["--format", "npz,csv", "--no-overlay", "--overwrite"]
    code, out, err = run(capsys, "track", clip, "--out", tmp_path, *options)
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


def test_a_full_disk_keeps_the_points(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class FullDisk(clips.overlay_file.VideoWriter):
        def write(self, image: np.ndarray, seconds: float) -> None:
            if self.frame_count == 5:
                raise steadyface.VideoError(self.path, "cannot be written: No space left on device")
            super().write(image, seconds)

    monkeypatch.setattr(clips.overlay_file, "VideoWriter", FullDisk)
    code, _, err = run(capsys, "track", clip, "--out", tmp_path)
    assert (code, len(err)) == (1, 1)
    assert "No space left" in err[0]
    assert len(Tracks.load(tmp_path / "portrait.npz")) == 12
    with VideoReader(tmp_path / "portrait.overlay.mp4") as overlay:
        assert len(list(overlay)) == 5


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
        assert len(list(overlay)) == len(tracks)
        assert overlay.damage is None


def test_an_impatient_ctrl_c_does_not_end_the_saving(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One while tracking, more while the table is written."""
    saving = Tracks.save

    def save(self: Tracks, *arguments: Any) -> Path:
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
        return saving(self, *arguments)

    def follow(*arguments: object) -> Iterator[object]:
        for number, pair in enumerate(following(*arguments)):
            if number == 5:
                signal.raise_signal(signal.SIGINT)
            yield pair

    following = pipeline.follow
    monkeypatch.setattr(pipeline, "follow", follow)
    monkeypatch.setattr(Tracks, "save", save)
    before = signal.getsignal(signal.SIGINT)
    code, out, err = run(capsys, "track", clip, "--out", tmp_path, "--format", "npz,csv")
    assert signal.getsignal(signal.SIGINT) == before
    kept = f"{tmp_path / 'portrait.npz'}, {tmp_path / 'portrait.csv'}"
    assert (code, err) == (1, [f"steadyface: interrupted in {clip}; the first 6 frames are kept in {kept}"])
    assert "6 frames, 6 with a face" in out
    assert len(Tracks.load(tmp_path / "portrait.csv")) == 6
    with VideoReader(tmp_path / "portrait.overlay.mp4") as overlay:
        assert len(list(overlay)) == 6


def test_ctrl_c_while_saving_ends_the_work_after_it(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    saving = Tracks.save

    def save(self: Tracks, *arguments: Any) -> Path:
        signal.raise_signal(signal.SIGINT)
        return saving(self, *arguments)

    monkeypatch.setattr(Tracks, "save", save)
    code, _, err = run(capsys, "track", clip, tmp_path / "next.mp4", "--out", tmp_path, "--no-overlay")
    kept = tmp_path / "portrait.npz"
    assert (code, err) == (
        1,
        [f"steadyface: interrupted after {clip}; the first 12 frames are kept in {kept}"],
    )
    assert len(Tracks.load(tmp_path / "portrait.npz")) == 12


def test_a_part_of_a_video(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "track", clip, "--out", tmp_path, "--start", 0.12, "--end", 0.28)
    assert (code, err) == (0, [])
    assert "4 frames, 4 with a face" in out
    tracks = Tracks.load(tmp_path / "portrait.npz")
    assert tracks.seconds == pytest.approx(
        [0.12, 0.16, 0.2, 0.24], abs=1e-9
    )  # 90 kHz ticks hold them exactly
    assert (tracks.meta["start"], tracks.meta["end"]) == (0.12, 0.28)
    with VideoReader(tmp_path / "portrait.overlay.mp4") as overlay:
        assert [frame.seconds for frame in overlay] == pytest.approx([0, 0.04, 0.08, 0.12], abs=1e-9)
    for options, problem in (
        (["--start", 9], "ends at 0.48 s, before the start, 9 s"),
        (["--start", 2, "--end", 1], "end is 1 s; it must be after the start, 2 s"),
        (["--start", -1], "start is -1 s; it must be at least 0"),
    ):
        code, out, err = run(capsys, "track", clip, "--out", tmp_path, *options)
        assert (code, out, len(err)) == (1, "", 1)
        assert problem in err[0]


def test_json_is_one_object_an_input(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "missing.mp4"
    code, out, err = run(capsys, "track", clip, missing, "--out", tmp_path, "--no-overlay", "--json")
    assert (code, len(err)) == (1, 1)
    good, bad = (json.loads(line) for line in out.splitlines())
    counts = {"frames": 12, "frames_with_face": 12, "faces": 1, "interrupted": False, "problems": []}
    assert good | counts == good
    assert good["source"] == str(clip)
    assert good["files"] == [str(tmp_path / "portrait.npz")]
    tracks = Tracks.load(tmp_path / "portrait.npz")
    assert good["jitter_percent"] == pytest.approx(tracks.jitter(), abs=1e-6)  # six decimals are written
    assert good["jitter_raw_percent"] == pytest.approx(tracks.jitter("raw_points"), abs=1e-6)
    assert good["delay_frames"] == pytest.approx(tracks.delay(), abs=1e-6)
    assert good["frames_per_second"] == pytest.approx(12 / good["seconds"], rel=0.01)  # rounded
    assert (bad["source"], bad["frames"], bad["jitter_percent"], bad["files"]) == (str(missing), 0, None, [])
    assert "No such file" in bad["problems"][0]


def test_a_pipe_is_not_drawn_with_sight_of_the_future(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "track", "-", "--out", tmp_path, "--stabilizer", "sta-offline")
    assert (code, err) == (
        1,
        ["steadyface: stdin cannot be read twice for its overlay: add --no-overlay"],
    )


def test_completion_is_installed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "steadyface", "--install-completion"]
    home = {"HOME": str(tmp_path), "SHELL": "/bin/bash"}
    subprocess.run(command, env=os.environ | home, capture_output=True, check=True)
    (script,) = (path for path in tmp_path.rglob("*") if path.is_file() and path.name == "steadyface")
    assert "--stabilizer" in script.read_text()


@pytest.mark.parametrize(("given", "threads"), [(None, 1), ("2", 2)])
def test_commands_give_blas_one_thread_unless_told_otherwise(given: str | None, threads: int) -> None:
    code = """
import os
from contextlib import suppress
from steadyface.cli import main
with suppress(SystemExit):
    main(["models"])
print(os.environ["OPENBLAS_NUM_THREADS"])
"""
    environment = {key: value for key, value in os.environ.items() if key != "OPENBLAS_NUM_THREADS"}
    if given is not None:
        environment["OPENBLAS_NUM_THREADS"] = given
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == str(threads)
    imported = "import sys, steadyface.cli; print('numpy' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", imported], text=True).strip() == "False"


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--version")
    assert (code, out.strip()) == (0, steadyface.__version__)
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert "steadyface track clip.mp4" in out
    assert "Find and follow the faces" in out  # each command's first line


@pytest.mark.parametrize("command", ["track", "corpus", "report"])
def test_help_explains_every_option_of_tracking(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, command, "--help")
    assert code == 0
    for option in fields(TrackingOptions):
        flag = f"--{option.name.replace('_', '-')}"
        value = f"--no-{flag[2:]}" if isinstance(option.default, bool) else "[A-Z|]+"
        assert re.search(rf"{flag} {value} +\w|{flag} +\w.*\n.* {value} +\w", out), flag


def test_a_command_is_imported_only_when_it_runs() -> None:
    heavy = {"numpy", "onnxruntime", "cv2", "av"}
    code = f"import sys, steadyface.cli; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_demo_follows_the_known_motion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "demo", "--out", tmp_path / "demo")
    assert (code, err) == (0, [])
    raw, stabilised = (
        line.split() for line in out.splitlines() if line.split()[:1] in (["raw"], ["stabilised"])
    )
    assert float(stabilised[2]) < float(raw[2]) < 1.5
    assert abs(float(stabilised[3])) < 0.5
    assert "-0.00" not in out
    names = {path.name for path in (tmp_path / "demo").iterdir()}
    assert names == {"portrait.mp4", "portrait.npz", "portrait.meta.json", "portrait.overlay.mp4"}


def test_a_pipe_gets_no_progress(clip: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "steadyface", "track", str(clip), "--out", str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"TERM": "xterm"}
    )
    assert done.stderr == ""


def test_models_lists_what_is_bundled(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "models")
    assert (code, err) == (0, [])
    landmarks, finder, identity = out.split("\n\n")
    assert [line.split()[0] for line in landmarks.splitlines()[2:-2]] == bundled_models()
    assert [line.split()[0] for line in finder.splitlines()[2:]] == ["finder"]
    assert [line.split()[0] for line in identity.splitlines()[2:]] == ["identity"]
    assert "research" in out
    assert "default: compact" in out


def test_a_table_keeps_its_numbers_and_words_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a narrow terminal, which breaks heads and texts between words."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "30")
    print_table(("name", "HELEN NRMSE", "licence"), [("compact-float32", "2.99 %", "research only")])
    plain = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    words = [line.split() for line in plain.splitlines() if "─" not in line]
    assert words == [
        ["HELEN"],
        ["name", "NRMSE", "licence"],
        ["compact-float32", "2.99", "%", "research"],
        ["only"],
    ]


def test_label_writes_training_data(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "label", clip, "--out", tmp_path / "labels", "--every", 6)
    assert (code, err) == (0, [])
    assert out == "portrait.mp4: 2 of 2 faces labelled\n"
    assert len(list((tmp_path / "labels").glob("*.pts"))) == 2
    assert run(capsys, "label", "--out", tmp_path)[0] == 1


def test_label_goes_on_after_an_input_that_cannot_be_read(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "0.png").write_bytes(b"no image")
    write_image(tmp_path / "half" / "1.png", portrait().still)
    inputs = (tmp_path / "broken.mp4", tmp_path / "half", clip)
    code, out, err = run(capsys, "label", *inputs, "--out", tmp_path / "labels", "--every", 6)
    assert code == 1
    assert out == "half: 0 of 0 faces labelled\nportrait.mp4: 2 of 2 faces labelled\n"
    assert len(err) == 2
    assert "broken.mp4: not a video that can be read" in err[0]
    assert "half: 1 of 2 images cannot be read" in err[1]


def test_label_refuses_clips_of_one_name(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each would overwrite the other's labels."""
    other = tmp_path / clip.name
    shutil.copy(clip, other)
    code, _, err = run(capsys, "label", clip, other, "--out", tmp_path / "labels")
    assert code == 1
    assert "would both write portrait_000000_0.jpg: use two --out folders" in err[0]
    assert not (tmp_path / "labels").exists()


def test_train_says_what_it_cannot_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "train", "vgg", "--data", tmp_path, "--out", tmp_path / "run")
    assert (code, err) == (
        1,
        [
            "steadyface: unknown recipe 'vgg'; "
            "choose one of: compact, teacher, tiny, nano, paper, finder, smoke"
        ],
    )
    code, _, err = run(capsys, "train", "smoke", "--data", tmp_path, "--out", tmp_path / "run")
    assert code == 1
    assert "no annotated images" in err[-1]


@pytest.fixture(scope="module")
def raw(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Tracks:
    """Return raw points to stabilise."""
    out = tmp_path_factory.mktemp("raw")
    with pytest.raises(SystemExit):
        main(["track", str(clip), "--out", str(out), "--stabilizer", "none", "--no-overlay", "--quiet"])
    return Tracks.load(out / "portrait.npz")


class TestStabilizerOption:
    @pytest.mark.parametrize(
        ("options", "name", "lag"),
        [
            (["--stabilizer", "sta-offline"], "sta-offline", None),
            (["--lag", "2"], "sta", 2),
            (["--stabilizer", "savitzky-golay"], "savitzky-golay", None),
        ],
    )
    def test_with_the_future(
        self,
        clip: Path,
        raw: Tracks,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        options: list[str],
        name: str,
        lag: int | None,
    ) -> None:
        code, out, err = run(capsys, "track", clip, "--out", tmp_path, "--no-motion", *options)
        assert (code, err) == (0, [])
        assert "12 frames, 12 with a face (100.0 %), 1 face" in out
        tracks = Tracks.load(tmp_path / "portrait.npz")
        np.testing.assert_array_equal(tracks.raw_points, raw.raw_points)
        expected = raw.smoothed(load_stabilizer(name.removesuffix("-offline")), lag)
        np.testing.assert_array_equal(tracks.points, expected.points)
        said = tracks.meta["options"]
        assert (said["stabilizer"], said.get("lag")) == (name, lag)
        with VideoReader(tmp_path / "portrait.overlay.mp4") as overlay:
            assert len(list(overlay)) == 12

    def test_a_usual_filter_and_a_file(
        self, clip: Path, raw: Tracks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        save_stabilizer(FirstOrder(0.3), tmp_path / "mine.json")
        for name in ("one-euro", str(tmp_path / "mine.json")):
            options = ["--out", tmp_path, "--stabilizer", name, "--no-overlay", "--overwrite"]
            code, _, err = run(capsys, "track", clip, *options)
            assert (code, err) == (0, [])
            tracks = Tracks.load(tmp_path / "portrait.npz")
            assert tracks.meta["options"]["stabilizer"] == name
            expected = load_stabilizer(name).filter(raw.raw_points.astype(float), raw.seconds)
            # The tracker filters before it rounds to the table's float32, of which a step is 3e-5 here.
            np.testing.assert_allclose(tracks.points, expected, rtol=0, atol=2e-4)

    def test_a_file_of_something_else(
        self, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "bad.json").write_text("{")
        code, out, err = run(capsys, "track", clip, "--out", tmp_path, "--stabilizer", tmp_path / "bad.json")
        assert (code, out, len(err)) == (1, "", 1)
        assert "bad.json: not a stabiliser's file" in err[0]


class TestMakeSequences:
    def test_of_nothing(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, err = run(capsys, "make-sequences", "--out", tmp_path / "out")
        assert (code, out) == (1, "")
        assert err == ["steadyface: nothing to make sequences from: name clips, --data or --videos"]
        assert not (tmp_path / "out").exists()

    def test_what_is_not_there(self, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "file").touch()
        missing = tmp_path / "missing"
        for arguments, problem in (
            (["--data", missing, "--out", tmp_path / "out"], "no annotated images"),
            (["--videos", missing, "--out", tmp_path / "out"], "no folder of a video of 300-VW"),
            ([clip, "--out", tmp_path / "out"], "clips need the errors of stills"),
            ([clip, "--out", tmp_path / "file"], "cannot be made"),
            ([clip, "--out", tmp_path / "out", "--weights", "magic"], "compact"),
        ):
            code, out, err = run(capsys, "make-sequences", *arguments)
            assert (code, out, len(err)) == (1, "", 1), arguments
            assert problem in err[0]


def save_sequences(folder: Path, sources: list[str], frames: int = 30) -> Path:
    """A face that sways, with noise of a pixel."""
    folder.mkdir()
    for seed, source in enumerate(sources):
        rng = np.random.default_rng(seed)
        truth = rng.uniform(0, 100, (68, 2)) + 20 * np.sin(np.arange(frames) / 8)[:, None, None]
        save_pair(Pair(truth + rng.normal(0, 1, truth.shape), truth), folder / f"{source}_0.npz")
    return folder


class TestFitStabilizer:
    KEPT, HELD_OUT = "still_a", "300vw_003"

    @pytest.fixture
    def tiny(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sequences, "CLIP", 10)
        monkeypatch.setattr(sequences, "_STILL_SECONDS", 0.4)

    def test_from_a_photograph_and_a_clip_to_steady_points(
        self, tiny: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        faces, out = tmp_path / "300w" / "afw", tmp_path / "sequences"
        faces.mkdir(parents=True)
        clip = scenes.write_clip(tmp_path / "talk.mp4", scenes.frames(10))
        write_image(faces / "man.png", portrait().still)
        write_pts(faces / "man.pts", shut_face())
        make = ["make-sequences", clip, "--data", tmp_path, "--out", out, "--weights", "tiny"]
        assert run(capsys, *make) == (
            0,
            "still_afw_man: 1 sequence, 12 frames\nclip_talk: 1 sequence, 10 frames\n",
            [],
        )
        assert run(capsys, *make) == (0, "", [])
        assert len(load_pair(out / "clip_talk_0.npz").raw) == 10
        file = tmp_path / "mine.json"
        fit = ["fit-stabilizer", "--sequences", out, "--out", file, "--kind", "first-order"]
        code, said, err = run(capsys, *fit, "--evaluations", 20, "--polish", 2)
        assert (code, err) == (0, [])
        assert said.splitlines()[-1] == str(file)
        fitted = load_stabilizer(str(file))
        assert isinstance(fitted, FirstOrder)
        assert fitted.fitted == "2 sequences of tiny-int8, λ1 8, λ2 10, λ3 1"
        code, _, err = run(capsys, "track", clip, "--out", tmp_path, "--stabilizer", file, "--no-overlay")
        assert (code, err) == (0, [])
        tracks = Tracks.load(tmp_path / "talk.npz")
        expected = fitted.filter(tracks.raw_points.astype(float), tracks.seconds)
        # The tracker filters before it rounds to the table's float32, of which a step is 3e-5 here.
        np.testing.assert_allclose(tracks.points, expected, rtol=0, atol=2e-4)

    def test_the_loss_on_those_held_out_is_said(
        self, tiny: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = save_sequences(tmp_path / "sequences", [self.KEPT, self.HELD_OUT])
        options = ["--sequences", folder, "--kind", "one-euro", "--evaluations", 10, "--polish", 0]
        code, out, err = run(capsys, "fit-stabilizer", *options, "--out", tmp_path / "a.json", "--fps", 25)
        assert (code, err) == (0, [])
        assert out.splitlines()[-2].startswith("one-euro: loss ")
        assert out.splitlines()[-2].endswith(" on the sequences held out")
        fitted = load_stabilizer(str(tmp_path / "a.json"))
        assert isinstance(fitted, OneEuro)
        assert (fitted.fps, fitted.fitted) == (25.0, "1 sequence, λ1 8, λ2 10, λ3 1")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "sequences"]

    def test_bad_input(self, tiny: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "empty").mkdir()
        good = save_sequences(tmp_path / "good", [self.KEPT])
        short = save_sequences(tmp_path / "short", [self.KEPT], frames=9)
        bad = save_sequences(tmp_path / "bad", [self.KEPT])
        (bad / "still_b_0.npz").write_text("rubbish")
        file = tmp_path / "a.json"
        for folder, out, options, problem in (
            (tmp_path / "empty", file, [], "no .npz file, see steadyface make-sequences"),
            (tmp_path / "missing", file, [], "no .npz file"),
            (short, file, [], "no sequence has the 10 frames of a clip"),
            (bad, file, [], "still_b_0.npz: not a sequence"),
            (good, file, ["--kind", "magic"], "sta, sta-paper, moving-average"),
            (good, file, ["--components", 0], "at least 1, got 0"),
            (good, file, ["--fps", 0], "must be positive and finite, got 0.0"),
            (good, file, ["--smooth", "nan"], "only midpoint may be inf, got nan, 10 and 1"),
            (good, file, ["--delay", "inf"], "only midpoint may be inf, got 8, inf and 1"),
            (good, file, ["--midpoint", -1], "must be at least 0"),
            (good, file, ["--basis", "magic"], "joint, motion, identity"),
            (good, tmp_path / "no" / "a.json", [], "a.json: must be a .json file in an existing folder"),
            (good, tmp_path / "good", [], "good: must be a .json file"),
        ):
            arguments = ["--sequences", folder, "--out", out, *options]
            code, said, err = run(capsys, "fit-stabilizer", *arguments)
            assert (code, said, len(err)) == (1, "", 1), problem
            assert problem in err[0]
        assert not file.exists()


HOSTILE = "esc\x1b[2J\x07, one\nsteadyface: two, \u202e3pm.mp4"
ESCAPED = r"esc\x1b[2J\x07, one\nsteadyface: two, \u202e3pm"


def test_a_name_cannot_move_the_cursor_or_imitate_a_line(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(clip, source := tmp_path / HOSTILE)
    options = ("--out", tmp_path, "--no-overlay", "--weights", "tiny")
    code, out, _ = run(capsys, "track", source, *options)
    said, file = out.splitlines()
    assert code == 0
    assert said.startswith(f"{ESCAPED}.mp4: 12 frames")
    assert file.endswith(f"/{ESCAPED}.npz")
    code, out, _ = run(capsys, "track", source, *options, "--json")
    assert code == 0
    assert out.isascii()
    assert json.loads(out)["source"] == str(source)
    source.write_bytes(b"")
    code, out, [line] = run(capsys, "track", source, "--out", tmp_path)
    assert (code, out) == (1, "")
    assert ESCAPED.replace(r"\n", " ") in line
    assert all(map(str.isprintable, line))


def test_an_output_that_knows_few_letters_ends_nothing(clip: Path, tmp_path: Path) -> None:
    shutil.copy(clip, other := tmp_path / "ведущий.mp4")
    command = [sys.executable, "-m", "steadyface", "track", str(clip), str(other), "--no-overlay"]
    done = subprocess.run(
        [*command, "--weights", "tiny", "--out", str(tmp_path)],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    first, _, second, _ = done.stdout.splitlines()
    assert b"12 frames" in first
    assert second.startswith(rb"\u0432\u0435\u0434\u0443\u0449\u0438\u0439.mp4: 12")
    assert (tmp_path / "ведущий.npz").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_utf8_go_into_every_file(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = os.fsdecode(b"caf\xe9")
    (photos := tmp_path / "photos").mkdir()
    (people := tmp_path / "people").mkdir()
    for folder in (photos, people):
        write_image(folder / "plain.png", portrait().still)
        (folder / "plain.png").rename(folder / f"{odd}.png")
    shutil.copy(clip, video := tmp_path / f"{odd}.mp4")
    options = ("--out", tmp_path / "out", "--weights", "tiny")
    formats = "npz,csv,json,parquet,pts,openface,blinks,intervals,eaf,coco,cvat,aftereffects"
    for source, more in ((photos, ("--people", people)), (video, ())):
        code, _, err = run(capsys, "track", source, *options, "--format", formats, *more)
        assert (code, err) == (0, [])
    for suffix in ("csv", "parquet", "npz", "json"):
        tracks = Tracks.load(tmp_path / "out" / f"photos.{suffix}")
        assert tracks.names == {0: r"caf\udce9"}
        assert tracks.timeline.file.tolist() in ([r"caf\udce9.png"], [f"{odd}.png"])
    for name in (r"photos.eaf", "photos.cvat.xml", f"{odd}.eaf", f"{odd}.cvat.xml"):
        ElementTree.parse(tmp_path / "out" / name)
    code, _, err = run(capsys, "report", video, *options)
    assert (code, err) == (0, [])
    assert r"caf\udce9.mp4" in (tmp_path / "out" / f"{odd}.report.html").read_text(encoding="utf-8")


def test_control_characters_of_a_name_make_no_broken_xml(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(clip, source := tmp_path / "a\x1bb.mp4")
    options = ("--out", tmp_path, "--weights", "tiny", "--no-overlay", "--format", "eaf,cvat")
    assert run(capsys, "track", source, *options)[0] == 0
    for suffix in ("eaf", "cvat.xml"):
        ElementTree.parse(tmp_path / f"a\x1bb.{suffix}")
