"""Computes for the daemon's loop: what is short at once, what is long on a thread of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import Generic, TypeVar, final

Answer = TypeVar("Answer")

MAX_PAUSE_S = 0.003
"""How long the loop may be kept from its sockets; handing work to a thread and back takes up to a third of it."""

N_REMEMBERED = 3
"""Times of each kind of work; the least is believed, since on a busy machine some take far longer than they should."""


@final
class Worker(Generic[Answer]):
    """Does one piece of work after the other, and keeps the answers until they are taken.

    Work of a kind that lately took less than 3 ms is done at once, by the caller. All other goes to a thread, which
    calls `wake` when it is done, and so does each kind for the first time.
    """

    def __init__(self, wake: Callable[[], None], clock: Callable[[], float] = monotonic) -> None:
        self._wake = wake
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="learner")
        self._futures: deque[Future[Answer]] = deque()
        self._times_s: dict[str, deque[float]] = {}

    @property
    def is_busy(self) -> bool:
        """Whether the thread is at work."""
        return any(not future.done() for future in self._futures)

    @property
    def has_answer(self) -> bool:
        return bool(self._futures) and self._futures[0].done()

    def do(self, kind: str, work: Callable[[], Answer]) -> None:
        """Compute, now or soon; what the work raises is raised when its answer is taken."""
        times_s = self._times_s.setdefault(kind, deque(maxlen=N_REMEMBERED))
        timed = partial(self._timed, times_s, work)
        if times_s and min(times_s) < MAX_PAUSE_S and not self.is_busy:
            self._futures.append(_done(timed))
            return
        future = self._thread.submit(timed)
        self._futures.append(future)
        future.add_done_callback(lambda _: self._wake())

    def take(self) -> Answer:
        """The oldest answer, which is there (`has_answer`)."""
        return self._futures.popleft().result()

    def close(self) -> None:
        """Begin nothing more, and wait for nothing."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _timed(self, times_s: deque[float], work: Callable[[], Answer]) -> Answer:
        start = self._clock()
        answer = work()
        times_s.append(self._clock() - start)
        return answer


def _done(work: Callable[[], Answer]) -> Future[Answer]:
    future: Future[Answer] = Future()
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001  (raised again by whoever takes the answer)
        future.set_exception(error)
    return future
