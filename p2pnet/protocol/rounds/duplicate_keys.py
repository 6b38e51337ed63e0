"""Whether two processes use the key of a peer, as they do where a directory was copied with its key.

Each process has an incarnation of its own, and only the latest is alive: an earlier one that speaks after a later one
is a message that was long under way, or a clock set back. Where both go on speaking in turns, both are alive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from p2pnet.protocol.core.effects import Notify
from p2pnet.protocol.core.notices import KeyInUseTwice
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.messages.training import Hello

MAX_RELAPSES = 2
"""Times that an earlier incarnation may speak after a later one; more of them within the window are no accident."""

WINDOW_S = 60.0

N_INCARNATIONS = 2
"""Of one process: one for the survey, one for the training."""


@dataclass(slots=True)
class _Turns:
    """Who has spoken for a peer."""

    last: Hello
    relapses_at: list[float] = field(default_factory=list)
    """When an earlier incarnation has spoken after a later one, as far as it is in the window."""
    is_told: bool = False


@final
class DuplicateKeyDetector:
    """The processes that speak for each peer."""

    def __init__(self) -> None:
        self._turns: dict[PeerId, _Turns] = {}

    def hello_received(self, peer: PeerId, hello: Hello, now: float) -> list[Notify]:
        """A warning, once for each peer, when two take turns."""
        turns = self._turns.setdefault(peer, _Turns(hello))
        last, turns.last = turns.last, hello
        if last.nonce.incarnation - hello.nonce.incarnation < N_INCARNATIONS:
            return []
        turns.relapses_at = [*(at for at in turns.relapses_at if now < at + WINDOW_S), now]
        if turns.is_told or len(turns.relapses_at) <= MAX_RELAPSES:
            return []
        turns.is_told = True
        return [Notify(KeyInUseTwice(peer, tuple(sorted({last.name, hello.name}))))]
