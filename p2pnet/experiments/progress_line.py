"""Progress of a training on one line, for terminals, scripts and notebooks alike."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO, TypeAlias, final

from p2pnet.training.records import RoundRecord

OnRound: TypeAlias = Callable[[RoundRecord], None]

SECONDS_BETWEEN_LINES = 0.2


@final
class ProgressLine:
    """One line on a stream, rewritten a few times a second by a carriage return, which notebooks understand too."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._next_s = -float("inf")
        self._latest = ""
        self._width = 0

    def __call__(self, record: RoundRecord) -> None:
        self._latest = (
            f"round {record.round}: objective {record.objective_local:.5g}, test metric {record.test_metric:.4f}, "
            f"disagreement {record.disagreement:.1e}"
        )
        if self._clock() >= self._next_s:
            self._next_s = self._clock() + SECONDS_BETWEEN_LINES
            self._show()

    def close(self) -> None:
        """Show the last round, and end the line."""
        if self._latest:
            self._show()
            print(file=self._stream, flush=True)

    def _show(self) -> None:
        self._width = max(self._width, len(self._latest))
        print(f"\r{self._latest.ljust(self._width)}", end="", file=self._stream, flush=True)


def follow(progress: bool | OnRound) -> tuple[OnRound | None, Callable[[], None]]:
    """What is told each round, and what to call at the end; True stands for a line on standard error."""
    if progress is True:
        line = ProgressLine(sys.stderr)
        return line, line.close
    return (progress or None), lambda: None
