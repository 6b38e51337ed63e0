"""Bounded counters: whatever arithmetic makes of a peer's number stays within what the codec reads."""

from __future__ import annotations

from typing import Final

MAX_COUNT: Final = 2**62
"""Counts on the wire are below it."""

LEAST_CLOCK_S: Final = 1_780_000_000
"""Machines without a battery begin in 1970; the true time is later than this, in seconds since the epoch."""

LEAD_S: Final = 10 * 365 * 86_400
"""By how much an incarnation, the second of a process's start, may be ahead of another machine's clock."""


def bounded(count: int) -> int:
    """The count, at most the largest that can be sent."""
    return min(count, MAX_COUNT - 1)


def latest_incarnation(clock_s: float) -> int:
    """The latest incarnation that is plausible where the clock shows `clock_s`, in seconds since the epoch."""
    return int(max(clock_s, LEAST_CLOCK_S)) + LEAD_S
