"""Descriptors of this process: as many as the system gives, and some kept in reserve for what must not fail."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
from collections.abc import Iterator
from typing import final

MOST_DESCRIPTORS = 65_536
"""No agent needs more; some systems give a thousand million."""
N_IN_RESERVE = 8


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open descriptors to the hard one; where that is refused, it stays as it is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@final
class DescriptorReserve:
    """Holds descriptors of no use, which are given up while something is done that needs some, on any thread."""

    def __init__(self) -> None:
        self._held: list[int] = []
        # A signal's handler may come in between on the same thread.
        self._lock = threading.RLock()
        self._fill()

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Free the descriptors meanwhile."""
        self.close()
        try:
            yield
        finally:
            self._fill()

    def close(self) -> None:
        """Free the descriptors."""
        with self._lock:
            while self._held:
                os.close(self._held.pop())

    def _fill(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            while len(self._held) < N_IN_RESERVE:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
