"""Mistakes at the command line: each is one line, and none is taken for something else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import scenes
from test_cli import run

from steadyface.images import write_image


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_clip(tmp_path_factory.mktemp("clips") / "portrait.mp4", scenes.frames(3))


@pytest.mark.parametrize("option", ["--max-faces", "--lag", "--threads", "--network-every", "--max-pixels"])
def test_a_fraction_is_no_whole_number(
    option: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "track", clip, "--out", tmp_path, option, "2.5")
    told = f"steadyface: {option} must be a whole number, got 2.5 (see steadyface --help)"
    assert (code, err) == (2, [told])
    assert not list(tmp_path.iterdir())


def test_a_fraction_where_one_is_allowed(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--out", tmp_path, "--end", "0.05", "--no-overlay", "--max-faces", "2")
    code, _, err = run(capsys, "track", clip, *arguments)
    assert (code, err) == (0, [])


def test_an_empty_name_is_not_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "a.png", scenes.frames(1)[0])
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "track", "")
    assert (code, out) == (1, "")
    assert err == ["steadyface: '': an empty name is no input; the current folder is ."]
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_closed_standard_input_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as Python has it after <&-
    code, _, err = run(capsys, "track", "-", "--out", tmp_path)
    assert (code, err) == (1, ["steadyface: stdin: standard input is closed"])


def into(output: int, *arguments: object) -> tuple[int, list[str]]:
    """Exit code and lines of standard error of a process with that standard output."""
    command = [sys.executable, "-m", "steadyface", *map(str, arguments)]
    done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stderr.splitlines()


def test_a_reader_that_ends_early_costs_one_line_and_no_result(clip: Path, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    code, err = into(writer, "track", clip, "--out", tmp_path, "--no-overlay", "--json")
    os.close(writer)
    assert (code, err) == (1, ["steadyface: standard output: Broken pipe"])
    assert (tmp_path / "portrait.npz").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_output_that_takes_nothing_is_said() -> None:
    with Path("/dev/full").open("w") as full:
        code, err = into(full.fileno(), "models")
    assert (code, err) == (1, ["steadyface: standard output: No space left on device"])


def test_corrections_that_contradict_each_other(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = scenes.write_clip(tmp_path / "other.mp4", scenes.frames(2))
    code, _, err = run(capsys, "track", clip, "--out", tmp_path, "--no-overlay")
    assert (code, err) == (0, [])
    tracks = tmp_path / "portrait.npz"
    before = tracks.read_bytes()
    point = ("--frame", "1", "--point", "30", "--to", "200", "150")
    mistakes = {
        (clip, "--undo", "--clear"): "--undo and --clear exclude each other",
        (clip, *point, "--out", tmp_path / "a.pts"): "unknown format to load 'pts'; choose one of: npz, ",
        (clip, *point, "--out", clip): "unknown format to load 'mp4'; choose one of: npz, ",
        (other, *point): f"the table: holds tracks of portrait.mp4, not of {other}",
    }
    for arguments, told in mistakes.items():
        code, out, err = run(capsys, "correct", tracks, *arguments)
        assert (code, out, len(err)) == (1, "", 1)
        assert err[0].startswith(f"steadyface: {told}"), err
    assert err[0].endswith(str(other))  # no advice about options that correct does not have
    assert tracks.read_bytes() == before
    assert not (tmp_path / "a.pts").exists()


def test_live_takes_the_schedule_of_the_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    served = []
    monkeypatch.setattr("steadyface.live.server.serve", lambda networks, *_: served.append(networks.options))
    assert run(capsys, "live", "--network-every", "3", "--weights", "tiny") == (0, "", [])
    assert [options.network_every for options in served] == [3]
    code, _, err = run(capsys, "live", "--network-every", "0")
    assert (code, err) == (
        1,
        ["steadyface: network_every must be auto, or a whole number from 1, got 0"],
    )


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("make-sequences", "--every", "0"), "every must be at least 1 face, got 0"),
        (("train", "smoke", "--devices", "0"), "devices must be at least 1, got 0"),
    ],
)
def test_a_number_below_one_is_refused_before_data_are_read(
    command: tuple[str, ...], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = ("--data", tmp_path / "missing", "--out", tmp_path / "out")
    assert run(capsys, *command, *folders) == (1, "", [f"steadyface: {told}"])
