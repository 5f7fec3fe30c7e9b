"""Run `steadyface track` again and again, and send each run one signal at a random moment.

The moments of SIGKILL count from when the run has a file, and the first comes at that moment.

As a script it imports the package once and forks a child for each run: arguments are the clip, the folder
for the runs, a seed, and the signals by name, one a run. It prints one JSON object a run.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

_PATIENCE = 60.0  # s until a run counts as hanging
_OPTIONS = ("--weights", "tiny", "--format", "npz,csv")


@dataclass(frozen=True)
class Signalled:
    """One run: the signal and its moment, the exit code (negative: killed by a signal), and what it said."""

    name: str
    seconds: float
    code: int
    said: str
    out: str


def run_signalled(clip: Path, folder: Path, seed: int, names: list[str]) -> list[Signalled]:
    """Track a clip once without a signal, then once with each; `folder`/0, `folder`/1, … hold the results."""
    command = [sys.executable, __file__, str(clip), str(folder), str(seed), *names]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [Signalled(**json.loads(line)) for line in done.stdout.splitlines()]


def _runs(clip: str, folder: Path, seed: int, names: list[str]) -> Iterator[Signalled]:
    moments = random.Random(seed)
    whole = _run(clip, folder / "0", "", 0.0)
    yield whole
    for number, name in enumerate(names, 1):
        seconds = moments.uniform(0, whole.seconds)
        if name == "SIGKILL":
            seconds *= number > 1
        yield _run(clip, folder / str(number), name, seconds)


def _run(clip: str, out: Path, name: str, seconds: float) -> Signalled:
    out.mkdir()
    messages, began = out.with_suffix(".txt"), time.monotonic()
    child = os.fork()
    if not child:
        _track(clip, out, messages)
    if name == "SIGKILL":
        _wait_for_a_file(out)
    if name:
        time.sleep(seconds)
        os.kill(child, getattr(signal, name))
    status = _wait(child)
    took = time.monotonic() - began
    said = messages.read_text() if messages.exists() else ""
    return Signalled(name, seconds or took, os.waitstatus_to_exitcode(status), said, str(out))


def _wait_for_a_file(out: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while not any(out.iterdir()):
        if time.monotonic() > end:
            raise TimeoutError(f"nothing is written in {out}")
        time.sleep(0.001)


def _wait(child: int) -> int:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    raise TimeoutError(f"process {child} did not end")


def _track(clip: str, out: Path, messages: Path) -> None:
    """Become the command, as if it were started by the shell."""
    code = 70
    try:
        handle = os.open(messages, os.O_CREAT | os.O_WRONLY)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        cli.main(["track", clip, "--out", str(out), "--quiet", *_OPTIONS])
    except SystemExit as left:
        code = int(left.code or 0)
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    from steadyface import cli

    cli.app.resolved_commands()  # imports them

    for each in _runs(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]):
        print(json.dumps(asdict(each)), flush=True)
