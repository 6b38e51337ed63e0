"""Timers that adapt to observed delays (as TCP's retransmission timer does, RFC 6298)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

MAX_RESEND_INTERVAL_S = 8.0


def earliest(times: Iterable[float | None]) -> float | None:
    """The earliest of the times, of which None stands for never; None where there is none."""
    first: float | None = None
    for time in times:
        if time is not None and (first is None or time < first):
            first = time
    return first


@final
class AdaptiveTimeout:
    """An adaptive timeout: smoothed delay + 4 × its smoothed deviation, between floor and ceiling.

    The estimator of RFC 6298 (retransmission timers), section 2.
    """

    def __init__(self, floor_s: float, ceiling_s: float, first_s: float, n_first: int = 1) -> None:
        self._floor_s = min(floor_s, ceiling_s)
        self._ceiling_s = ceiling_s
        self._n_first = n_first
        self._smoothed_s = 0.0
        self._deviation_s = 0.0
        self._n_observed = 0
        self.timeout_s = self._bounded(first_s)
        """At most the ceiling; the initial timeout until `n_first` delays have been observed."""

    def observe(self, waited_s: float) -> None:
        self._n_observed += 1
        if self._n_observed == 1:
            self._smoothed_s, self._deviation_s = waited_s, waited_s / 2
        else:
            self._deviation_s += (abs(waited_s - self._smoothed_s) - self._deviation_s) / 4
            self._smoothed_s += (waited_s - self._smoothed_s) / 8
        if self._n_observed >= self._n_first:
            self.timeout_s = self._bounded(self._smoothed_s + 4 * self._deviation_s)

    def _bounded(self, wait_s: float) -> float:
        return min(max(wait_s, self._floor_s), self._ceiling_s)


MAX_BACK_OFF = 4
"""The largest backoff before a share is resent, in multiples of the adaptive timeout."""


@final
class ResendTimer:
    """Schedules the resending of unacknowledged shares with exponential backoff, and counts the shares in flight.

    As in RFC 6298, section 3, an acknowledgement counts as an observation only where nothing was sent twice. Where
    something was, the next wait is still half as long as the last.
    """

    def __init__(self, floor_s: float, first_s: float) -> None:
        # What takes long at first, since shares are large, may go on to take as long.
        self._timeout = AdaptiveTimeout(floor_s, max(MAX_RESEND_INTERVAL_S, first_s, floor_s), first_s)
        self._in_flight: list[tuple[int, float]] = []
        """Sequence number and time of each unacknowledged transmission."""
        self._back_off = 1
        self.due_at: float | None = None

    def sent(self, sequence: int, now: float) -> None:
        """Record that a share was sent, for the first time or again."""
        if self._in_flight and self._in_flight[-1][0] == sequence:
            self._back_off = min(2 * self._back_off, MAX_BACK_OFF)
        self._in_flight.append((sequence, now))
        self.due_at = now + self._patience_s

    def acknowledged(self, sequence: int, is_settled: bool, now: float) -> None:
        """Record that shares up to `sequence` are acknowledged; `is_settled` where none is left unacknowledged."""
        times = dict(self._in_flight)
        is_clear = len(times) == len(self._in_flight)
        if is_clear and sequence in times:
            self._timeout.observe(now - times[sequence])
        self._back_off = 1 if is_clear else max(1, self._back_off // 2)
        self._in_flight = [(later, time) for later, time in self._in_flight if later > sequence]
        if is_settled:
            self.due_at = None

    def n_in_flight(self, now: float) -> int:
        """The number of shares in flight: neither acknowledged nor given up for lost."""
        timeout_s = self._timeout.timeout_s
        return len({sequence for sequence, time in self._in_flight if now < time + timeout_s})

    def hurry(self, now: float) -> None:
        """Resend unacknowledged shares at once, since the connection is open again."""
        if self.due_at is not None:
            self._back_off = 1
            self.due_at = now

    @property
    def _patience_s(self) -> float:
        return self._back_off * self._timeout.timeout_s
