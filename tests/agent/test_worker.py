"""Short work is done at once, long work on a thread; either way the answers come in the order of the work."""

import threading
from collections.abc import Callable, Iterator

import pytest

from p2pnet.agent.worker import MAX_PAUSE_S, Worker


class Stopwatch:
    """A clock that shows that each piece of work has taken what was set."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._now = 0.0

    def __call__(self) -> float:
        self._now += self.seconds
        return self._now


class Bell:
    """Rung by a worker whose thread is done."""

    def __init__(self) -> None:
        self._rung = threading.Semaphore(0)

    def __call__(self) -> None:
        self._rung.release()

    def wait(self) -> None:
        assert self._rung.acquire(timeout=30)


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def stopwatch() -> Stopwatch:
    return Stopwatch(MAX_PAUSE_S / 10)


@pytest.fixture
def worker(bell: Bell, stopwatch: Stopwatch) -> Iterator[Worker[int]]:
    worker = Worker[int](bell, stopwatch)
    yield worker
    worker.close()


def answer_of(worker: Worker[int], bell: Bell, work: Callable[[], int]) -> int:
    worker.do("some", work)
    bell.wait()
    return worker.take()


def test_work_of_an_unknown_kind_goes_to_the_thread(worker: Worker[int], bell: Bell) -> None:
    assert answer_of(worker, bell, threading.get_ident) != threading.get_ident()


def test_work_that_was_short_is_done_by_the_caller_the_next_time(worker: Worker[int], bell: Bell) -> None:
    answer_of(worker, bell, threading.get_ident)
    worker.do("some", threading.get_ident)
    assert worker.has_answer
    assert worker.take() == threading.get_ident()


def test_work_that_was_long_goes_to_the_thread_again(worker: Worker[int], bell: Bell, stopwatch: Stopwatch) -> None:
    stopwatch.seconds = 2 * MAX_PAUSE_S
    answer_of(worker, bell, threading.get_ident)
    assert answer_of(worker, bell, threading.get_ident) != threading.get_ident()


def test_nothing_is_done_beside_work_on_the_thread(worker: Worker[int], bell: Bell) -> None:
    answer_of(worker, bell, lambda: 0)
    may_end = threading.Event()
    worker.do("other", lambda: int(may_end.wait(30)))
    worker.do("some", lambda: 2)
    assert worker.is_busy
    assert not worker.has_answer
    may_end.set()
    bell.wait()
    bell.wait()
    assert [worker.take(), worker.take()] == [1, 2]


@pytest.mark.parametrize("n_before", [0, 1])
def test_what_the_work_raises_is_raised_to_whoever_takes_the_answer(
    worker: Worker[int], bell: Bell, n_before: int
) -> None:
    for _ in range(n_before):
        answer_of(worker, bell, lambda: 0)

    def fail() -> int:
        raise ZeroDivisionError

    worker.do("some", fail)
    if n_before == 0:
        bell.wait()
    with pytest.raises(ZeroDivisionError):
        worker.take()
