"""Budgets: how many messages of each kind a peer may send in a second.

What is beyond a peer's budget is dropped, as if it had been lost. A peer that goes on is hung up on, and waited with as
after a refusal. Honest peers stay far below: shares and acknowledgements come in rounds, of which the shortest lasts
milliseconds, and all that opens a link comes a few times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from p2pnet.protocol.core.types import FeatureStatistics, Message, PeerId
from p2pnet.protocol.messages.membership import KINDS, Gossip
from p2pnet.protocol.messages.training import Ack, Hello, LabelSet, Share, StateRequest
from p2pnet.protocol.messages.trust import TrustDigest


@dataclass(frozen=True, slots=True)
class Budget:
    """A token bucket: messages on average, and at once."""

    per_s: float
    at_once: float


ROUNDS = Budget(20_000.0, 60_000.0)
"""Shares, and what goes with each: where messages take no time, rounds take some ten microseconds. The window of a link
and the queue of the transport hold back one that sends more than is read.
"""
LABELS = Budget(600.0, 3_000.0)
"""With each round of the statistics stage, which takes four milliseconds at least, and an answer to each."""
GREETINGS = Budget(2.0, 40.0)
"""A link takes six Hellos at most, and closes now and then."""
GOSSIP = Budget(20.0, 200.0)
"""Of all membership messages together; an agent has an allowance of 1.5 kB/s for them."""
COMPARISONS = Budget(1.0, 20.0)
"""Each may be answered by all records of the network."""
OTHERS = Budget(20.0, 100.0)

TOLERATED = 4.0
"""Messages beyond the budget, in multiples of what may come at once, that are dropped before the peer is hung up on."""

_BUDGETS: Mapping[type[Message], Budget] = {
    Share: ROUNDS,
    Ack: ROUNDS,
    LabelSet: LABELS,
    Hello: GREETINGS,
    StateRequest: GREETINGS,
    FeatureStatistics: GREETINGS,
    Gossip: GOSSIP,
    TrustDigest: COMPARISONS,
}
_COUNTED_AS: Mapping[type[Message], type[Message]] = dict.fromkeys(KINDS.values(), Gossip)


@dataclass(slots=True)
class _Spending:
    """What is left of one peer's budget of one kind."""

    budget: Budget
    left: float
    counted_at: float
    n_dropped: float = 0.0

    def admits(self, now: float) -> bool:
        gained = (now - self.counted_at) * self.budget.per_s
        self.counted_at = now
        self.left = min(self.left + gained, self.budget.at_once)
        if self.n_dropped:
            self.n_dropped = max(0.0, self.n_dropped - gained)
        if self.left < 1.0:
            self.n_dropped += 1.0
            return False
        self.left -= 1.0
        return True


@final
class Budgets:
    """Counts the messages of each peer, by kind."""

    def __init__(self) -> None:
        self._accounts: dict[PeerId, dict[type[Message], _Spending]] = {}

    def admits(self, peer: PeerId, message: Message, now: float) -> bool:
        """Count a message; False where it is beyond the budget, and to be dropped."""
        accounts = self._accounts.get(peer)
        if accounts is None:
            accounts = self._accounts[peer] = {}
        kind = type(message)
        kind = _COUNTED_AS.get(kind, kind)
        account = accounts.get(kind)
        if account is None:
            budget = _BUDGETS.get(kind, OTHERS)
            account = accounts[kind] = _Spending(budget, budget.at_once, now)
        return account.admits(now)

    def is_exceeded(self, peer: PeerId) -> bool:
        """Whether so many of the peer's messages were dropped that it is to be hung up on."""
        accounts = self._accounts.get(peer, {}).values()
        return any(account.n_dropped > TOLERATED * account.budget.at_once for account in accounts)

    def forgive(self, peer: PeerId) -> None:
        """Count the dropped messages of a peer anew: it was hung up on."""
        for account in self._accounts.get(peer, {}).values():
            account.n_dropped = 0.0
