"""Detection of duplicate keys: two processes with one key, as where a state directory was copied with its key.

Each process has an incarnation of its own, and only the latest is alive: a Hello of an earlier incarnation after a
later incarnation was long in flight, or the clock was set back. Where both go on in turns, both are alive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from p2pnet.protocol.core.effects import Notify
from p2pnet.protocol.core.notices import KeyInUseTwice
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.messages.training import Hello

MAX_RELAPSES = 2
"""The most relapses, Hellos of an earlier incarnation after a later incarnation, that count as chance within the
window.
"""

WINDOW_S = 60.0

N_INCARNATIONS = 2
"""The incarnations of one process: one for the statistics stage, one for training."""


@dataclass(slots=True)
class _Turns:
    """The Hellos heard under one key."""

    last: Hello
    relapses_at: list[float] = field(default_factory=list)
    """Times of relapses within the window."""
    is_told: bool = False


@final
class DuplicateKeyDetector:
    """Detects that the incarnations of two processes take turns under one key."""

    def __init__(self) -> None:
        self._turns: dict[PeerId, _Turns] = {}

    def hello_received(self, peer: PeerId, hello: Hello, now: float) -> list[Notify]:
        """Record a Hello; return a notice, once for each peer, when two incarnations take turns."""
        turns = self._turns.setdefault(peer, _Turns(hello))
        last, turns.last = turns.last, hello
        if last.nonce.incarnation - hello.nonce.incarnation < N_INCARNATIONS:
            return []
        turns.relapses_at = [*(at for at in turns.relapses_at if now < at + WINDOW_S), now]
        if turns.is_told or len(turns.relapses_at) <= MAX_RELAPSES:
            return []
        turns.is_told = True
        return [Notify(KeyInUseTwice(peer, tuple(sorted({last.name, hello.name}))))]
