"""Second thread, in which networks run beside the rest of the work."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any, Generic, ParamSpec, TypeVar

from steadyface.landmarker import Landmarker, LandmarkModel

Result = TypeVar("Result")
Other = TypeVar("Other")
Arguments = ParamSpec("Arguments")


class Pending(Generic[Result]):
    """Result of a network that may still be running; pickling waits for it.

    Args:
        compute: waits for the result, or computes it.
    """

    def __init__(self, compute: Callable[[], Result]) -> None:
        self._compute = compute

    @cached_property
    def result(self) -> Result:
        """The result. An error of the network is raised here."""
        return self._compute()

    def then(self, work: Callable[[Result], Other]) -> Pending[Other]:
        """Result of further work on this one, which is done when that result is asked for."""
        return Pending(lambda: work(self.result))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (partial(_same, self.result),)


def _same(result: Result) -> Result:
    return result


class NetworkThread:
    """Runs networks in a thread, one after the other.

    The thread runs networks and nothing else: any other work there competes with the caller for Python's
    lock. Cutting the faces out in the thread, for instance, takes more time than it saves.

    Args:
        threaded: whether there is a thread; else a network runs when its result is asked for.
    """

    def __init__(self, threaded: bool = False) -> None:
        self.threaded = threaded
        self._pool = ThreadPoolExecutor(1, "networks") if threaded else None

    @classmethod
    def beside(cls, landmarker: LandmarkModel) -> NetworkThread:
        """Thread beside a landmarker; only a `Landmarker` itself, with more than one thread, gets one.

        Another model may not be safe to call from two threads.
        """
        return cls(type(landmarker) is Landmarker and landmarker.threads != 1)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the thread and its work."""
        return type(self), (self.threaded,)

    def begin(
        self, run: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Pending[Result]:
        """Begin to run a network, after those begun before."""
        if self._pool is None:
            return Pending(partial(run, *args, **kwargs))
        return Pending(self._pool.submit(run, *args, **kwargs).result)
