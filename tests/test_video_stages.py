"""Stages that overlap: nothing is lost, reordered or left running, whatever ends them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyface.video import VideoFrame, read_ahead, read_up_to, write_behind


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


class Stop(Exception):
    """Raised on purpose."""


def numbers(until: int, seen: list[int] | None = None, error: BaseException | None = None) -> Iterator[int]:
    for k in range(until):
        if seen is not None:
            seen.append(k)
        yield k
    if error is not None:
        raise error


class TestAhead:
    @given(st.lists(st.integers(), max_size=20), st.integers(1, 5))
    def test_the_same_items_in_order(self, items: list[int], size: int) -> None:
        assert list(read_ahead(items, size)) == items

    @given(st.integers(1, 4), st.integers(1, 10))
    def test_at_most_so_many_ahead(self, size: int, taken: int) -> None:
        seen: list[int] = []
        with closing(read_ahead(numbers(100, seen), size)) as items:
            for _ in range(taken):
                next(items)
        assert len(seen) <= taken + size

    def test_it_runs_in_another_thread(self) -> None:
        inside = list(read_ahead(threading.get_ident() for _ in range(3)))
        assert threading.get_ident() not in inside
        assert len(set(inside)) == 1

    def test_an_error_comes_after_the_items_before_it(self) -> None:
        with closing(read_ahead(numbers(5, error=Stop()))) as items:
            assert [next(items) for _ in range(5)] == list(range(5))
            with pytest.raises(Stop):
                next(items)

    @pytest.mark.parametrize("error", [Stop, KeyboardInterrupt])
    def test_work_that_ends_early_ends_the_thread(self, error: type[BaseException]) -> None:
        stopped = []

        def work() -> None:
            with closing(read_ahead(numbers(1000), stop=lambda: stopped.append(1))) as items:
                next(items)
                raise error

        with pytest.raises(error):
            work()
        assert stopped == [1]

    def test_an_iterator_that_waits_is_woken(self) -> None:
        more = threading.Event()

        def source() -> Iterator[int]:
            yield 1
            assert more.wait(30)

        with closing(read_ahead(source(), stop=more.set)) as items:
            assert next(items) == 1


class TestBehind:
    @given(st.lists(st.integers(), max_size=20), st.integers(1, 4))
    def test_all_calls_in_order(self, items: list[int], size: int) -> None:
        done: list[int] = []
        with write_behind(done.append, size) as later:
            for item in items:
                later(item)
        assert done == items

    def test_at_most_so_many_wait(self) -> None:
        go, given_ = threading.Semaphore(0), []

        def fill() -> None:
            with write_behind(lambda item: go.acquire(timeout=30), 2) as later:
                for item in range(6):
                    later(item)
                    given_.append(item)

        filler = threading.Thread(target=fill)
        filler.start()
        filler.join(0.2)
        assert len(given_) == 3  # one runs, two wait
        go.release(6)
        filler.join()
        assert len(given_) == 6

    @pytest.mark.parametrize("error", [Stop, KeyboardInterrupt])
    def test_work_that_ends_early_loses_no_call(self, error: type[BaseException]) -> None:
        done: list[int] = []

        def work() -> None:
            with write_behind(done.append) as later:
                for item in range(5):
                    later(item)
                raise error

        with pytest.raises(error):
            work()
        assert done == list(range(5))

    @pytest.mark.parametrize("at", [0, 4, 9])
    def test_an_error_comes_out(self, at: int) -> None:
        def call(item: int) -> None:
            if item == at:
                raise Stop

        handed = []

        def work() -> None:
            with write_behind(call) as later:
                for item in range(10):
                    later(item)
                    handed.append(item)

        with pytest.raises(Stop):
            work()
        assert len(handed) <= at + 3  # the one that fails and those that wait


@given(numbers=st.sets(st.integers(0, 12)), last=st.integers(-1, 12))
def test_frames_are_read_up_to_the_last_one_wanted(numbers: set[int], last: int) -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    source = iter([VideoFrame(number, number / 25, image) for number in sorted(numbers)])
    told: list[tuple[int, int | None]] = []
    found = [frame.index for frame in read_up_to(source, last, lambda *each: told.append(each))]
    assert found == sorted(number for number in numbers if number <= last)
    assert [done for done, _ in told] == list(range(1, len(found) + 1))
    if last in numbers:
        assert told[-1] == (len(found), len(found))
        assert [frame.index for frame in source] == sorted(number for number in numbers if number > last)
