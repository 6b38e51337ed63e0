"""The latest lines of the log, kept in memory for clients of the control socket."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from typing import Final, final

CAPACITY: Final = 500
PASSED_OVER: Final = "is_progress"
"""Records with this attribute, `extra={"is_progress": True}`, tell how training goes on: curves show it better."""
_LEAST_LEVEL: Final = logging.INFO


@final
@dataclass(frozen=True, slots=True)
class Happening:
    """A line of the log."""

    number: int
    """1 for the first since the agent was started"""
    time_s: float
    """seconds since the epoch"""
    level: str
    text: str


@final
class Journal(logging.Handler):
    """Keeps the latest lines of INFO or more; where the log itself is kept at a higher level, of that."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        super().__init__(_LEAST_LEVEL)
        self._lines: deque[Happening] = deque(maxlen=capacity)
        self._n_lines = 0

    def emit(self, record: logging.LogRecord) -> None:
        if PASSED_OVER in vars(record):
            return
        self._n_lines += 1
        self._lines.append(Happening(self._n_lines, record.created, record.levelname.lower(), record.getMessage()))

    def after(self, number: int) -> list[Happening]:
        """The lines behind the one of this number, as far as they are kept; `handle` may be called meanwhile."""
        self.acquire()
        try:
            return [line for line in self._lines if line.number > number]
        finally:
            self.release()
