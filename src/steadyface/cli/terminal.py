"""Helpers of the commands: tables, error lines, optional dependencies."""

from __future__ import annotations

import inspect
import os
import signal
import sys
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from steadyface.errors import DataError, MissingExtraError, SteadyfaceError
from steadyface.interrupts import SIGNALS, handled_by
from steadyface.wording import printable

_ONE_LINE = 1_000  # characters, more than a row has


def run_script(main: Callable[..., None], usage: str | None) -> None:
    """Run a script's function with the words of its command line.

    Args:
        main: takes each word as a text.
        usage: printed where the words are too few or too many.

    Raises:
        SystemExit: with one line on what is wrong, or the usage.
    """
    try:
        inspect.signature(main).bind(*sys.argv[1:])
    except TypeError:
        sys.exit(usage)
    try:
        main(*sys.argv[1:])
    except SteadyfaceError as error:
        sys.exit(str(error))


def complain(problem: str) -> None:
    """Print one line to the error stream; characters that a terminal would act on are escaped."""
    line = " ".join(part.strip() for part in problem.splitlines())
    print(f"steadyface: {printable(line)}", file=sys.stderr)


def say(*lines: object) -> None:
    """Print lines at once; characters that a terminal would act on, also a newline, are escaped.

    Raises:
        DataError: standard output takes nothing more: its reader has ended, or the disk is full.
    """
    text = "\n".join(printable(str(line)) for line in lines)
    with _to_output():
        print(text, flush=True)


@contextmanager
def _to_output() -> Iterator[None]:
    """Turn a failure of standard output into one line.

    Raises:
        DataError: as of `say`.
    """
    try:
        yield
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python fails again at its end
        raise DataError("standard output", error.strerror or str(error)) from error


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, numbers to the right.

    On a terminal heads and texts are broken between words to fit the width; elsewhere a row is one line.

    Raises:
        DataError: as of `say`.
    """
    console = Console()
    if not console.is_terminal:
        console.width = _ONE_LINE
    columns = list(zip(heads, *rows, strict=True))
    narrow = sum(2 + max(map(len, column)) for column in columns) > console.width
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    least = 0
    for i, (head, *cells) in enumerate(columns):
        numbers = all(cell[:1] in "-0123456789" for cell in cells)
        whole = cells if numbers or i == 0 else " ".join(cells).split()
        word = max(map(len, [*head.split(), *whole]))
        justify: Literal["left", "right"] = "right" if numbers else "left"
        table.add_column(head, justify=justify, width=word if narrow else None)
        least += 2 + word
    for row in rows:
        table.add_row(*map(Text, row))
    console.width = max(console.width, least)
    with _to_output():
        console.print(table)


def import_extra(module: str, extra: str):  # type: ignore[no-untyped-def]
    """Import a module that needs an optional dependency.

    Raises:
        MissingExtraError: it is not installed; the message says which extra brings it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), extra) from error


def announce(address: str, open: bool) -> None:
    """Print the address of a page that is served now, and perhaps open it in the browser."""
    print(f"{address}  (Ctrl-C ends it)", flush=True)
    if open:
        webbrowser.open(address)


@contextmanager
def interrupted_once() -> Iterator[None]:
    """Let the first Ctrl-C, SIGTERM or SIGHUP end the work, and ignore further ones.

    So the results so far are written.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    with handled_by(stop):
        yield
