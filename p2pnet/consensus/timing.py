"""How long an agent waits for others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@dataclass(frozen=True, slots=True)
class Timing:
    """Time limits of one agent; all in seconds."""

    round_timeout_s: float = 10.0
    """The longest that a round waits for a neighbor; what is waited in fact adapts to what has been seen."""
    round_timeout_floor_s: float = 1.0
    """The shortest: a busy machine may pause a process for this long without anything being wrong."""
    round_pace_s: float = 0.0
    """The least time from one round's share to the next."""
    start_timeout_s: float = 60.0
    """After it, training starts with the neighbors that are there."""
    finish_timeout_s: float = 10.0
    """After it, an agent whose training has ended no longer waits for neighbors whose has not."""
    resend_s: float = 1.0
    """The first wait before a share is sent again; it doubles each time."""
    redial_grace_s: float = 1.5
    """How long a closed connection may take to come back before its link is closed."""
    silence_s: float = 15.0
    """How long a connected neighbor may say nothing before its link is closed."""


@final
class AdaptiveTimeout:
    """How long to wait for neighbors: smoothed wait + 4 × its smoothed deviation, between floor and ceiling.

    The estimator of RFC 6298 (retransmission timers), section 2, for the time from an agent's own share to the last of
    its neighbors' shares.
    """

    def __init__(self, floor_s: float, ceiling_s: float) -> None:
        self._floor_s = min(floor_s, ceiling_s)
        self._ceiling_s = ceiling_s
        self._smoothed_s: float | None = None
        self._deviation_s = 0.0

    @property
    def timeout_s(self) -> float:
        if self._smoothed_s is None:
            return self._ceiling_s
        return min(max(self._smoothed_s + 4 * self._deviation_s, self._floor_s), self._ceiling_s)

    def observe(self, waited_s: float) -> None:
        if self._smoothed_s is None:
            self._smoothed_s, self._deviation_s = waited_s, waited_s / 2
        else:
            self._deviation_s += (abs(waited_s - self._smoothed_s) - self._deviation_s) / 4
            self._smoothed_s += (waited_s - self._smoothed_s) / 8
