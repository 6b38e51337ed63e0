"""Neighbors compare what they know, so that nothing that gossip missed stays unknown (anti-entropy).

One sends a digest, a hash for each of 64 buckets of members; the other answers with what it knows of the members in
buckets that differ, as much as it may send. While answers bring news the next digest follows soon; without any, ever
more seldom. A newcomer learns of the whole network this way, at a pace that nobody feels.
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
    """One agent's part in it."""

    def __init__(self, members: Members, view: ActiveView, timing: MembershipTiming, rng: Randomness) -> None:
        self._members = members
        self._view = view
        self._timing = timing
        self._rng = rng
        self._interval_s = FAST_INTERVAL_S
        self._due_at = 0.0

    def tick(self, now: float) -> list[Send]:
        """A digest to one of the neighbors, when it is time."""
        neighbors = self._view.connected
        if now < self._due_at or not neighbors:
            return []
        self._interval_s = min(2 * self._interval_s, self._timing.sync_interval_s)
        self._plan(now)
        (peer,) = self._rng.sample(neighbors, 1)
        return [Send(peer, Digest(self._members.digest()))]

    def digest_received(self, peer: PeerId, digest: Digest, max_bytes: float) -> list[Send]:
        """All that is known of the members in whose buckets the two agents differ, or a part of it."""
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
        """Ask again soon while there is more to learn."""
        if n_news or not records.is_complete:
            self._interval_s = FAST_INTERVAL_S
            self._plan(now)

    def _plan(self, now: float) -> None:
        self._due_at = now + (0.75 + 0.5 * self._rng.random()) * self._interval_s
