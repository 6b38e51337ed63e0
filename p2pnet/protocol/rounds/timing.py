"""How long an agent waits for others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final


@dataclass(frozen=True, slots=True)
class Timing:
    """Time limits of one agent; all in seconds."""

    round_timeout_s: float = 10.0
    """The longest that a round waits for a neighbor; what is waited in fact adapts to what has been seen. With zero
    nobody waits for anybody, the asynchronous mode: an agent goes on with what has come as soon as anything has.
    """
    round_timeout_floor_s: float = 1.0
    """The shortest: a busy machine may pause a process for this long without anything being wrong."""
    round_pace_s: float = 0.0
    """The least time from one round's share to the next."""
    start_timeout_s: float = 60.0
    """After it, training starts with the neighbors that are there."""
    state_timeout_s: float = 2.0
    """How long a neighbor that was asked for its parameters may take before another is asked."""
    finish_timeout_s: float = 10.0
    """After it, an agent whose training has ended no longer waits for neighbors whose has not."""
    resend_s: float = 1.0
    """The first wait before a share is sent again; later ones adapt to how long acknowledgements take."""
    resend_floor_s: float = 0.2
    """The shortest of those."""
    redial_grace_s: float = 1.5
    """How long a closed connection may take to come back before its link is closed."""
    silence_s: float = 15.0
    """How long a connected neighbor may say nothing before its link is closed."""
    suspect_limit_s: float = 20.0
    """How long training will not end for the sake of a neighbor that has vanished without a word."""
    away_limit_s: float = 120.0
    """The same for one that has said it would be back."""

    @property
    def is_asynchronous(self) -> bool:
        return self.round_timeout_s == 0.0


PRESETS: Mapping[str, Timing] = {
    "lan": Timing(),
    "wan": Timing(
        round_timeout_floor_s=2.0,
        state_timeout_s=5.0,
        resend_s=2.0,
        redial_grace_s=5.0,
        silence_s=30.0,
        suspect_limit_s=60.0,
    ),
    "lossy": Timing(
        round_timeout_floor_s=6.0,
        state_timeout_s=10.0,
        resend_s=2.0,
        redial_grace_s=15.0,
        silence_s=60.0,
        suspect_limit_s=120.0,
    ),
}
"""What differs from network to network. On one that loses every fifth packet good connections stall for seconds, a new
one may need several attempts, and a round had better wait for what is sent again than go on without it.
"""

MAX_RESEND_INTERVAL_S = 8.0


@final
class AdaptiveTimeout:
    """How long to wait for others: smoothed wait + 4 × its smoothed deviation, between floor and ceiling.

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
        """The ceiling holds in any case; the first wait is taken until `n_first` have been observed."""

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
"""How many times the usual wait an agent waits at most before it sends a share again."""


@final
class ResendTimer:
    """When unconfirmed shares of a link are to be sent again: after the usual time of an acknowledgement, then after
    twice that time, and so on; and how many are on their way meanwhile.

    As in RFC 6298, section 3, an acknowledgement counts as an observation only where nothing was sent twice. Where
    something was, the next wait is still half as long as the last.
    """

    def __init__(self, timing: Timing) -> None:
        self._timeout = AdaptiveTimeout(timing.resend_floor_s, MAX_RESEND_INTERVAL_S, timing.resend_s)
        self._in_flight: list[tuple[int, float]] = []
        """Sequence number and time of each transmission that is not yet confirmed"""
        self._back_off = 1
        self.due_at: float | None = None

    def sent(self, sequence: int, now: float) -> None:
        """A share has gone out, for the first time or again."""
        if self._in_flight and self._in_flight[-1][0] == sequence:
            self._back_off = min(2 * self._back_off, MAX_BACK_OFF)
        self._in_flight.append((sequence, now))
        self.due_at = now + self._patience_s

    def acknowledged(self, sequence: int, is_settled: bool, now: float) -> None:
        """Shares up to `sequence` are confirmed; `is_settled` when nothing is left to confirm."""
        times = dict(self._in_flight)
        is_clear = len(times) == len(self._in_flight)
        if is_clear and sequence in times:
            self._timeout.observe(now - times[sequence])
        self._back_off = 1 if is_clear else max(1, self._back_off // 2)
        self._in_flight = [(later, time) for later, time in self._in_flight if later > sequence]
        if is_settled:
            self.due_at = None

    def n_in_flight(self, now: float) -> int:
        """Shares neither confirmed nor sent so long ago that they are given up."""
        timeout_s = self._timeout.timeout_s
        return len({sequence for sequence, time in self._in_flight if now < time + timeout_s})

    def hurry(self, now: float) -> None:
        """Send again at once what is still unconfirmed: the way to the neighbor is open again."""
        if self.due_at is not None:
            self._back_off = 1
            self.due_at = now

    @property
    def _patience_s(self) -> float:
        return self._back_off * self._timeout.timeout_s
