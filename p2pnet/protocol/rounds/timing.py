"""How long an agent waits for others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


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
