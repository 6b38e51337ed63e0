"""Anti-entropy: neighbors compare hashes of their tables of members, and repair what gossip missed.

An agent sends a digest, a hash for each of 64 buckets of members; the neighbor answers with its records of the members
in differing buckets, as many as its allowance permits. While answers bring news the next digest follows soon; without
news, intervals double. A new agent learns the whole table this way, at a bounded rate.
"""

from __future__ import annotations

from typing import final

from p2pnet.protocol.core.effects import Send
from p2pnet.protocol.core.types import PeerId, Randomness
from p2pnet.protocol.membership.members import Members, differing_buckets
from p2pnet.protocol.membership.timing import MembershipTiming
from p2pnet.protocol.membership.views import ActiveView
from p2pnet.protocol.messages.membership import MAX_RECORDS, Digest, MemberRecords, Record, n_bytes

FAST_INTERVAL_S = 1.0
MAX_RECORDS_BYTES = 2_000


@final
class AntiEntropy:
    """Schedules one agent's digests, and answers the neighbors' digests."""

    def __init__(self, members: Members, view: ActiveView, timing: MembershipTiming, rng: Randomness) -> None:
        self._members = members
        self._view = view
        self._timing = timing
        self._rng = rng
        self._interval_s = FAST_INTERVAL_S
        self._due_at = 0.0

    def tick(self, now: float) -> list[Send]:
        """Send a digest to a random neighbor, if one is due."""
        neighbors = self._view.connected
        if now < self._due_at or not neighbors:
            return []
        self._interval_s = min(2 * self._interval_s, self._timing.sync_interval_s)
        self._plan(now)
        (peer,) = self._rng.sample(neighbors, 1)
        return [Send(peer, Digest(self._members.digest()))]

    def digest_received(self, peer: PeerId, digest: Digest, max_bytes: float) -> list[Send]:
        """Answer a digest with the records of all differing buckets, or with as many as `max_bytes` permits."""
        buckets = differing_buckets(self._members.digest(), digest.hashes)
        room = min(max_bytes, MAX_RECORDS_BYTES)
        chosen: list[Record] = []
        for bucket in self._rng.sample(buckets, len(buckets)):
            records = self._members.in_bucket(bucket)
            for record in self._rng.sample(records, len(records)):
                room -= n_bytes(record)
                if room < 0 or len(chosen) == MAX_RECORDS:
                    return [Send(peer, MemberRecords(tuple(chosen), False))]
                chosen.append(record)
        return [Send(peer, MemberRecords(tuple(chosen), True))]

    def records_received(self, records: MemberRecords, n_news: int, now: float) -> None:
        """Shorten the interval to the next digest if the records brought news or were incomplete."""
        if n_news or not records.is_complete:
            self._interval_s = FAST_INTERVAL_S
            self._plan(now)

    def _plan(self, now: float) -> None:
        self._due_at = now + (0.75 + 0.5 * self._rng.random()) * self._interval_s
