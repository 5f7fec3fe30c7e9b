"""Helpers of the commands: progress, error lines, optional dependencies."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from steadyface.errors import MissingExtraError


def complain(problem: str) -> None:
    """Print one line to the error stream."""
    print(f"steadyface: {' '.join(problem.split())}", file=sys.stderr)


def import_extra(module: str, extra: str):  # type: ignore[no-untyped-def]
    """Import a module that needs an optional dependency.

    Raises:
        MissingExtraError: it is not installed; the message says which extra brings it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), extra) from error


@contextmanager
def interrupted_once() -> Iterator[None]:
    """Let the first Ctrl-C end the work, and ignore further ones, so that the results so far are written."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def show_progress(name: str, quiet: bool, unit: str = "frames", memory: float = 30.0) -> Iterator:
    """Show a progress line with speed and time left; none when quiet or not on a terminal.

    Yields a function of the number done, the number of all or None, and optionally a speed in `unit`/s that
    differs from the number done per second; or None without a progress line. The time left follows from the
    speed of the last `memory` seconds.
    """
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, speed_estimate_period=memory) as bar:
        task = bar.add_task(name, total=None, speed="")

        def advance(done: int, total: int | None, speed: float | None = None) -> None:
            speed = bar.tasks[0].speed if speed is None else speed
            bar.update(task, completed=done, total=total, speed=f"{speed:.0f} {unit}/s" if speed else "")

        yield advance
