"""Bounded waiting for processes, by polling."""

from __future__ import annotations

import time
from collections.abc import Callable

from p2pnet.errors import TrainingError

PATIENCE_S = 90.0
SECONDS_BETWEEN_LOOKS = 0.01


class HarnessError(TrainingError):
    """Raised when an agent of the harness fails, or does not do what is expected in time."""


def wait_until(is_so: Callable[[], bool], what: Callable[[], str], patience_s: float = PATIENCE_S) -> None:
    """Return as soon as `is_so()`; HarnessError with the text of `what()` after `patience_s`."""
    give_up_at = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > give_up_at:
            raise HarnessError(f"after {patience_s:g} s still not: {what()}")
        time.sleep(SECONDS_BETWEEN_LOOKS)
