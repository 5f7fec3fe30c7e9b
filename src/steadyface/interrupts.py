"""Ctrl-C, SIGTERM and SIGHUP as one request to stop, which the work checks wherever it can end early."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
)
"""Signals that ask to stop: Ctrl-C, a scheduler, a closed terminal (on Windows, Ctrl-Break)."""

Handler = Callable[[int, FrameType | None], object]


class Interrupts:
    """Request to stop that is remembered until the work checks it.

    Attributes:
        seen: whether a signal has come.
        wake: called at the first signal, to end anything that the work may be waiting for.
    """

    def __init__(self) -> None:
        self.seen = self._raises = False
        self.wake: Callable[[], object] | None = None

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Let the first signal end the block at once.

        Raises:
            KeyboardInterrupt: a signal comes during the block.
        """
        self._raises = True
        try:
            yield
        finally:
            self._raises = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        first, self.seen = not self.seen, True
        if first and self._raises:
            raise KeyboardInterrupt
        if first and self.wake is not None:
            self.wake()


@contextmanager
def held_interrupts() -> Iterator[Interrupts]:
    """Remember signals that come during the block, instead of raising `KeyboardInterrupt` anywhere in it.

    Outside the main thread no signal arrives, and nothing changes.
    """
    interrupts = Interrupts()
    with handled_by(interrupts._handle):
        yield interrupts


@contextmanager
def handled_by(handler: Handler) -> Iterator[None]:
    """Let a function handle `SIGNALS` during the block; a signal that the caller ignores stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = {number: kept for number, kept in before.items() if kept not in (signal.SIG_IGN, None)}
    for number in taken:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, kept in taken.items():
            signal.signal(number, kept)
