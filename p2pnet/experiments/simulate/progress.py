"""A line that shows how far a simulation is, where a person watches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TextIO, final

from p2pnet.training.records import RoundRecord

_PAUSE_S: Final = 0.2
_ERASE_LINE: Final = "\r\x1b[K"


@final
class ProgressLine:
    """Shows the round of the first agent in a line that is written over, and takes it away at the end."""

    def __init__(self, stream: TextIO, max_rounds: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._max_rounds = max_rounds
        self._clock = clock
        self._shown_at: float | None = None

    def show(self, record: RoundRecord) -> None:
        """Show a round, unless one was shown in the last fifth of a second."""
        now = self._clock()
        if self._shown_at is not None and now < self._shown_at + _PAUSE_S:
            return
        self._shown_at = now
        text = f"round {record.round} of at most {self._max_rounds}, objective {record.objective_local:.4g}"
        self._stream.write(f"{_ERASE_LINE}{text}")
        self._stream.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._shown_at is not None:
            self._stream.write(_ERASE_LINE)
            self._stream.flush()
