"""Progress of a long work, shown on a terminal or in a notebook."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from steadyface.wording import printable

ReportProgress = Callable[[int, int | None], object]
"""Called with the number done and, where it is known, of all."""

_INTERVAL = 0.25  # s between two drawings of a bar in a notebook


@contextmanager
def show_progress(name: str, quiet: bool = False, unit: str = "frames", memory: float = 30.0) -> Iterator:
    """Show a progress line with speed and time left; none when quiet, nor outside terminals and notebooks.

    Yields a function of the number done, the number of all or None, and optionally a speed in `unit`/s that
    differs from the number done per second; or None without a progress line. The time left follows from the
    speed of the last `memory` seconds.
    """
    console = Console(stderr=True)
    if quiet or not (console.is_terminal or console.is_jupyter):
        yield None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console, transient=True, speed_estimate_period=memory)
    task = bar.add_task(printable(name), total=None, speed="")

    def advance(done: int, total: int | None, speed: float | None = None) -> None:
        speed = bar.tasks[0].speed if speed is None else speed
        bar.update(task, completed=done, total=total, speed=f"{speed:.0f} {unit}/s" if speed else "")

    if not console.is_jupyter:
        with bar:
            yield advance
        return
    with _shown_in_notebook(bar) as redraw:

        def advance_and_redraw(done: int, total: int | None, speed: float | None = None) -> None:
            advance(done, total, speed)
            redraw()

        yield advance_and_redraw


@contextmanager
def progress_of(asked: bool | ReportProgress | None, name: str) -> Iterator[ReportProgress | None]:
    """Yield a function to report to: a bar's for True, the caller's own, or None."""
    with show_progress(name, quiet=asked is not True) as shown:
        yield asked if callable(asked) else shown


@contextmanager
def _shown_in_notebook(bar: Progress) -> Iterator[Callable[[], None]]:
    """Show a bar as the output of a cell; yields a function that draws it anew, a few times a second.

    Rich itself would need ipywidgets for that.
    """
    handle = import_module("IPython.display").display(bar, display_id=True)
    drawn = time.monotonic()

    def redraw() -> None:
        nonlocal drawn
        if time.monotonic() - drawn >= _INTERVAL:
            drawn = time.monotonic()
            handle.update(bar)

    try:
        yield redraw
    finally:
        handle.update(bar)
