"""Let the stages of a pipeline overlap: read ahead of the work, and write behind it.

Each stage has a thread of its own and at most a few items wait between two, so that the slowest decides and
memory stays flat. An error in a stage comes out where its item would have.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")

WAITING = 2
"""Items between two stages: enough that neither waits for the other's small delays."""

_END: Any = object()


def ahead(
    items: Iterable[Item], size: int = WAITING, stop: Callable[[], None] | None = None
) -> Generator[Item, None, None]:
    """The items of an iterator that runs in a thread, up to `size` of them ahead.

    Close it (`contextlib.closing`), so that the thread has ended when the work ends early.

    Args:
        items: taken from in the thread alone.
        size: most items that wait.
        stop: called when the work ends, to wake an iterator that waits for more.

    >>> list(ahead(range(3)))
    [0, 1, 2]
    """
    iterator = iter(items)
    pool = ThreadPoolExecutor(1, "ahead")
    try:
        waiting = deque(pool.submit(next, iterator, _END) for _ in range(size))
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(pool.submit(next, iterator, _END))
            yield item
    finally:
        if stop is not None:
            stop()
        pool.shutdown(cancel_futures=True)


@contextmanager
def behind(call: Callable[..., object], size: int = WAITING) -> Iterator[Callable[..., None]]:
    """A function that lets `call` run in a thread, in order, with up to `size` calls waiting.

    Leaving the block waits for all calls, also on an error or Ctrl-C. What a call raises comes out of a later
    one, or of the end of the block.

    >>> done = []
    >>> with behind(done.append) as later:
    ...     later(1), later(2)
    (None, None)
    >>> done
    [1, 2]
    """
    waiting: deque[Future[object]] = deque()

    def later(*arguments: object) -> None:
        if len(waiting) > size:
            waiting.popleft().result()
        waiting.append(pool.submit(call, *arguments))

    with ThreadPoolExecutor(1, "behind") as pool:
        yield later
        for future in waiting:
            future.result()
