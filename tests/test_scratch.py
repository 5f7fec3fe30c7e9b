"""Locks and temporary folders outlive no process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from steadyface.errors import DataError
from steadyface.scratch import locked, scratch_folder

HOLD = """
import sys
from steadyface.scratch import locked, scratch_folder
with {call} as held:
    print(held, flush=True)
    sys.stdin.read()
"""


def start(call: str) -> subprocess.Popen[str]:
    """Another process inside the block; its output names what it holds."""
    code = [sys.executable, "-c", HOLD.format(call=call)]
    return subprocess.Popen(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str], kill: bool = False) -> None:
    if kill:
        process.kill()
    process.communicate(timeout=30)


def test_a_lock_is_held_once_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path) as mine, locked(path) as again:
        assert (mine, again) == (True, False)
        assert path.exists()
    assert not path.exists()
    with locked(path) as mine:
        assert mine


@pytest.mark.parametrize("kill", [False, True])
def test_a_lock_ends_with_its_process(kill: bool, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    other = start(f"locked({str(path)!r})")
    assert told(other) == "True"
    with locked(path) as mine:
        assert not mine
    end(other, kill)
    assert path.exists() == kill
    with locked(path) as mine:
        assert mine


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match=r"lock: cannot be written: No such"),
        locked(tmp_path / "no" / "lock"),
    ):
        pass


def test_a_folder_goes_with_its_block(tmp_path: Path) -> None:
    with scratch_folder("one-", tmp_path) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text("x")
        assert folder.parent == tmp_path
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_goes_at_the_next_start(tmp_path: Path) -> None:
    alive, killed, other = (
        start(f"scratch_folder({prefix!r}, {str(tmp_path)!r})") for prefix in ("one-", "one-", "two-")
    )
    kept, left, elsewhere = (Path(told(process)) for process in (alive, killed, other))
    end(killed, kill=True)
    end(other, kill=True)
    (tmp_path / "one-else").mkdir()  # of nobody that holds a lock
    (tmp_path / "one-link").symlink_to(elsewhere)
    with scratch_folder("one-", tmp_path) as folder:
        names = set(tmp_path.iterdir())
        assert names == {folder, kept, elsewhere, tmp_path / "one-else", tmp_path / "one-link"}
        assert (elsewhere / "in-use.lock").exists()
    assert left not in names
    end(alive)
    assert not kept.exists()


def test_no_place_for_a_folder_is_one_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(DataError, match="gone: cannot be written: No such"), scratch_folder("one-", gone):
        pass
