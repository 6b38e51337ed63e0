"""Timeouts of the training rounds, and their presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

PATIENT_ROUNDS = 5
"""The first rounds, which use the longest timeout, since links may still be opening elsewhere."""

VIGIL_S = 1.0
"""How often an agent that has ended checks whether an absent neighbor is still expected."""

PATIENCE_WITH_A_STEP = 0.5
"""The part of a round's timeout that the first neighbor to finish waits before this agent's solver is stopped."""

SLOW_BYTES_PER_S = 10e6
"""A connection that is slower than this may have messages repeated that are still on their way."""


BUSY = 3
"""So many times as long as a slow connection takes a busy receiver may take until it answers."""

BYTES_OF_A_NUMBER = 8
"""In a StateReply."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Timeouts of one agent's session, in seconds."""

    round_timeout_s: float = 10.0
    """The longest wait for a neighbor's share; the actual timeout adapts to observed delays. Zero is the asynchronous
    mode: an agent mixes as soon as any share has come.
    """
    round_timeout_floor_s: float = 1.0
    """The shortest timeout: a busy machine may pause a healthy process for this long."""
    round_pace_s: float = 0.0
    """The shortest time between the shares of two rounds."""
    start_timeout_s: float = 60.0
    """The start timeout: after it, training starts with the neighbors present."""
    state_timeout_s: float = 2.0
    """How long to wait for a neighbor's parameters before another neighbor is asked."""
    finish_timeout_s: float = 10.0
    """How long an agent that has ended keeps serving neighbors that still train."""
    resend_s: float = 1.0
    """The first resend timeout of a share; later timeouts adapt to the delay of acknowledgements."""
    resend_floor_s: float = 0.2
    """The shortest resend timeout."""
    redial_grace_s: float = 1.5
    """How long a closed connection may take to come back before its link is closed."""
    silence_s: float = 15.0
    """How long a connected neighbor may say nothing before its link is closed."""
    suspect_limit_s: float = 20.0
    """How long training does not end because of a neighbor that has vanished without a message."""
    away_limit_s: float = 120.0
    """The same for a neighbor that has announced its return (Away)."""
    idle_s: float = 10.0
    """How long an agent stays idle at least before it begins an epoch."""
    forget_s: float = 7 * 86_400.0
    """How long the network keeps what it has learned from an agent that is absent."""

    def first_resend_s(self, n_bytes: int) -> float:
        """The first resend timeout of shares of so many bytes: large ones take longer than that of usual ones."""
        return max(self.resend_s, self.shortest_resend_s(n_bytes))

    def shortest_resend_s(self, n_bytes: int) -> float:
        """The shortest resend timeout of messages of so many bytes, however fast others before were: a large one that
        takes longer for once, since its receiver is busy with others as large, is not sent twice.
        """
        return max(self.resend_floor_s, BUSY * n_bytes / SLOW_BYTES_PER_S)

    def for_shares_of(self, n_bytes: int) -> Timing:
        """The same with as long a wait for a round's shares as large ones may take."""
        if self.is_asynchronous:
            return self
        return replace(self, round_timeout_s=max(self.round_timeout_s, BUSY * n_bytes / SLOW_BYTES_PER_S))

    @property
    def sign_s(self) -> float:
        """How long an idle agent says nothing to a neighbor: one or two signs of life may be lost."""
        return self.silence_s / 4

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
"""Timeouts for local, wide-area and lossy networks. Where every fifth packet is lost, good connections stall for
seconds, connecting may take several attempts, and a round had better wait for resent shares.
"""
