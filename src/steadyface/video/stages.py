"""Let the stages of a pipeline overlap: read ahead of the work, and write behind it.

Each stage has a thread of its own, and only a few items wait between two, so that the slowest stage sets the
speed and memory stays flat. An error in a stage is raised where its item would have come out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")

WAITING = 2
"""Items between two stages: enough to even out small delays of either."""

_END: Any = object()


def read_ahead(
    items: Iterable[Item], size: int = WAITING, stop: Callable[[], None] | None = None
) -> Generator[Item, None, None]:
    """Iterate in a thread, up to `size` items ahead of the consumer.

    Close the generator (`contextlib.closing`), so that its thread ends also when the work ends early.

    Args:
        items: iterated in the thread only.
        size: most items that wait.
        stop: called at the end, to wake an iterator that waits for more.

    >>> list(read_ahead(range(3)))
    [0, 1, 2]
    """
    iterator = iter(items)
    pool = ThreadPoolExecutor(1, "read-ahead")
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
def write_behind(call: Callable[..., object], size: int = WAITING) -> Iterator[Callable[..., None]]:
    """Yield a function that runs `call` in a thread, in order, with up to `size` calls waiting.

    Leaving the block waits for all calls, also on an error or Ctrl-C. An exception of a call is raised by a
    later one or at the end of the block.

    >>> done = []
    >>> with write_behind(done.append) as later:
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

    with ThreadPoolExecutor(1, "write-behind") as pool:
        yield later
        for future in waiting:
            future.result()
