"""The worker of the daemon's loop: runs short computations at once, long ones on a thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import Generic, TypeVar, final

Answer = TypeVar("Answer")

MAX_PAUSE_S = 0.003
"""The longest pause of the loop; a handover to the thread and back takes up to a third of it."""

N_REMEMBERED = 3
"""The durations kept of each kind of work; the least is the estimate, since load stretches some of them."""


@final
class Worker(Generic[Answer]):
    """Runs work in order, and queues the results until they are taken.

    Work of a kind that lately took less than 3 ms is done at once, by the caller. All other goes to a thread, which
    calls `wake` when it is done, and so does each kind for the first time.
    """

    def __init__(self, wake: Callable[[], None], clock: Callable[[], float] = monotonic) -> None:
        self._wake = wake
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="learner")
        self._futures: deque[Future[Answer] | _DoneAtOnce[Answer]] = deque()
        self._times_s: dict[str, deque[float]] = {}

    @property
    def is_busy(self) -> bool:
        """Whether the thread is computing."""
        return any(not future.done() for future in self._futures)

    @property
    def has_answer(self) -> bool:
        return bool(self._futures) and self._futures[0].done()

    def do(self, kind: str, work: Callable[[], Answer]) -> None:
        """Run the work, at once or on the thread; its exception is raised when the result is taken."""
        times_s = self._times_s.setdefault(kind, deque(maxlen=N_REMEMBERED))
        timed = partial(self._timed, times_s, work)
        if times_s and min(times_s) < MAX_PAUSE_S and not self.is_busy:
            self._futures.append(_DoneAtOnce(timed))
            return
        future = self._thread.submit(timed)
        self._futures.append(future)
        future.add_done_callback(lambda _: self._wake())

    def take(self) -> Answer:
        """Remove and return the oldest result; requires `has_answer`."""
        return self._futures.popleft().result()

    def close(self) -> None:
        """Stop the worker without waiting for running work."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _timed(self, times_s: deque[float], work: Callable[[], Answer]) -> Answer:
        start = self._clock()
        answer = work()
        times_s.append(self._clock() - start)
        return answer


@final
class _DoneAtOnce(Generic[Answer]):
    """The result of work that was done at once, with a future's methods but none of its locks."""

    __slots__ = ("_answer", "_error")

    def __init__(self, work: Callable[[], Answer]) -> None:
        self._error: Exception | None = None
        try:
            self._answer = work()
        except Exception as error:  # noqa: BLE001  (raised again by `result`)
            self._error = error

    def done(self) -> bool:
        return True

    def result(self) -> Answer:
        if self._error is not None:
            raise self._error
        return self._answer
