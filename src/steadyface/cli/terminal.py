"""What the commands share: progress, complaints, optional dependencies."""

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
    """One line on the error stream."""
    print(f"steadyface: {' '.join(problem.split())}", file=sys.stderr)


def import_extra(module: str, extra: str):  # type: ignore[no-untyped-def]
    """Import a module that needs an optional dependency, or say how to install it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), extra) from error


@contextmanager
def interrupted_once() -> Iterator[None]:
    """The first Ctrl-C ends the work; further ones do not end the writing of what there is."""

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
    """A progress line with its speed and the time left; none when quiet or not on a terminal.

    What it yields is called with how many are done, of how many, and the speed where that counts other
    things, `unit`. The time left follows from the last `memory` seconds.
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
