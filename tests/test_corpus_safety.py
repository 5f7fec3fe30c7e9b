"""A corpus writes below its folder only, alone, and clears what a killed run left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from steadyface.cli import main
from steadyface.corpus.inputs import choose_outputs
from steadyface.corpus.manifest import DONE, Entry, Manifest
from steadyface.errors import DataError
from steadyface.scratch import locked

GOOD: dict[str, Any] = json.loads(Entry("/a.mp4", "a.parquet", DONE, options={"weights": "tiny"}).as_json())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"output": "../../outside.parquet"}, "below the folder of results"),
        ({"output": "deep/../../outside.parquet"}, "below the folder of results"),
        ({"output": "/tmp/outside.parquet"}, "below the folder of results"),
        ({"output": "manifest.parquet"}, "below the folder of results"),
        ({"output": "Manifest.parquet"}, "below the folder of results"),
        ({"output": "manifest.jsonl"}, "below the folder of results"),
        ({"output": ""}, "below the folder of results"),
        ({"output": "b.parquet"}, "already that of another input"),
        ({"output": "B.parquet"}, "already that of another input"),
        ({"input": ["/a.mp4"]}, "input is"),
        ({"input": 3}, "input is '3'"),
        ({"output": None}, "output is 'None'"),
        ({"frames": "8"}, "frames is '8'"),
        ({"frames": True}, "frames is 'True'"),
        ({"options": []}, "options is"),
        ({"camera": 1}, "a newer version has written 'camera'"),
    ],
    ids=str,
)
def test_a_line_that_leads_elsewhere_is_refused(
    changes: dict[str, Any], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Entry("/b.mp4", "b.parquet", DONE).as_json()
    text = f"{other}\n{json.dumps({**GOOD, **changes})}\n"
    (tmp_path / "clip.mp4").touch()
    journal = tmp_path / "out" / "manifest.jsonl"
    journal.parent.mkdir()
    journal.write_text(text)
    with pytest.raises(SystemExit) as left:
        main(["corpus", str(tmp_path / "clip.mp4"), "--out", str(journal.parent), "--quiet"])
    (line,) = capsys.readouterr().err.splitlines()
    assert left.value.code == 1
    assert f"{journal}:2: not a line of a manifest: " in line
    assert told in line
    assert [*journal.parent.iterdir()] == [journal]
    assert journal.read_text() == text


def test_a_listing_with_steps_upwards_stays_below() -> None:
    outputs = choose_outputs({"https://x/a": "../../a.mp4", "https://x/b": "/b.mp4"}, {})
    assert outputs == {"https://x/a": "a.parquet", "https://x/b": "b.parquet"}


def test_a_second_run_in_the_same_folder_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clip.mp4").touch()
    out = tmp_path / "out"
    out.mkdir()
    with locked(out / "manifest.lock"), pytest.raises(SystemExit) as left:
        main(["corpus", str(tmp_path / "clip.mp4"), "--out", str(out), "--quiet"])
    assert left.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"steadyface: {out}: another run is at work there; wait, or choose another --out"
    assert not list(out.iterdir())


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="file sizes can be limited on POSIX only")
    manifest = Manifest(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))

    def fill() -> None:
        for number in range(20):
            manifest.add(Entry(f"/{number}.mp4", f"{number}.parquet", DONE))

    try:
        with pytest.raises(DataError, match=r"manifest\.jsonl: cannot be written"):
            fill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    lines = (tmp_path / "manifest.jsonl").read_text()
    assert lines.endswith("}\n")
    assert len(manifest.entries) == lines.count("\n") == len(Manifest(tmp_path).entries) > 1


CONNECT = """
import signal, time
from steadyface.corpus.cluster import connect
from steadyface.interrupts import handled_by
with handled_by(signal.default_int_handler):
    try:
        with connect(None, 1):
            print("ready", flush=True)
            time.sleep(120)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A temporary folder with a name short enough for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="sf-", dir="/tmp") as folder:
        yield Path(folder)


def test_ray_of_a_killed_run_goes_at_the_next_start_and_sigterm_is_quiet(place: Path) -> None:
    def start() -> subprocess.Popen[str]:
        environment = {**os.environ, "TMPDIR": str(place)}
        command, pipe = [sys.executable, "-c", CONNECT], subprocess.PIPE
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    killed = start()
    (left,) = place.iterdir()
    killed.kill()
    killed.communicate(timeout=60)
    assert left.exists()
    process = start()
    assert not left.exists()
    files = (Path(file.path) for each in psutil.process_iter() for file in open_files(each))
    assert not any(left in file.parents for file in files)
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out, errors) == (0, "interrupted\n", "")
    assert not list(place.iterdir())


def open_files(process: psutil.Process) -> list[Any]:
    try:
        return process.open_files()
    except psutil.Error:
        return []
