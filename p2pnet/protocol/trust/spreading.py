"""How signed records spread: flooded over every connection, and compared as soon as there is one.

A record that is news goes on to all connected peers but the one that it came from. Two peers compare hashes of what
they have as soon as they are connected, before they open a link, then until these are equal, and once in half a minute.
So whatever was lost, and whoever was away, all come to have all records. What follows from a record holds at once: keys
that it allows may connect, and one that is revoked is hung up on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from p2pnet.protocol.core.effects import KeepRecords, Notify, Send
from p2pnet.protocol.core.events import PeerRevoked
from p2pnet.protocol.core.notices import MemberAdmitted, RevokedHere, RosterGrown
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.messages.trust import (
    HASH_BYTES,
    MAX_BYTES,
    MAX_RECORDS_IN_A_MESSAGE,
    N_BUCKETS,
    TrustDigest,
    TrustMessage,
    TrustRecords,
)
from p2pnet.protocol.trust.records import Admission, Revocation, SignedRecord
from p2pnet.protocol.trust.roster import Roster

SOON_S: Final = 1.0
"""The first pause between two comparisons with a peer that has other records; it doubles."""
COMPARE_S: Final = 30.0
MAX_TOLD: Final = 8
"""New members that come at once, of each of which people are told."""

SpreadEffect: TypeAlias = Send | KeepRecords | PeerRevoked | Notify


@dataclass(slots=True)
class _Comparing:
    """When the records are compared with a peer again, and the pause after that."""

    at: float
    pause_s: float = SOON_S


@final
class RecordSpread:
    """Spreads the records of one agent's roster; `now` are seconds that never go back."""

    def __init__(self, roster: Roster, me: PeerId) -> None:
        self.roster = roster
        self.me = me
        self._network = roster.genesis.network_id
        self._peers: dict[PeerId, _Comparing] = {}
        self._hashes = [0] * N_BUCKETS
        self._note(roster)

    def connected(self, peer: PeerId, now: float) -> list[SpreadEffect]:
        """Compare with a peer that has come."""
        self._peers[peer] = _Comparing(now)
        return self.advance(now)

    def disconnected(self, peer: PeerId) -> None:
        self._peers.pop(peer, None)

    def next_deadline(self) -> float | None:
        return min((comparing.at for comparing in self._peers.values()), default=None)

    def advance(self, now: float) -> list[SpreadEffect]:
        """Compare with the peers for which it is time."""
        sends: list[SpreadEffect] = []
        for peer, comparing in self._peers.items():
            if now >= comparing.at:
                comparing.at = now + comparing.pause_s
                comparing.pause_s = min(2 * comparing.pause_s, COMPARE_S)
                sends.append(Send(peer, TrustDigest(self._network, self._digest())))
        return sends

    def heard(self, peer: PeerId, message: TrustMessage, now: float) -> list[SpreadEffect]:
        """Answer a digest by what the peer lacks, or take in records; ProtocolError where one is none, or forged."""
        if message.network != self._network:
            return []
        if isinstance(message, TrustRecords):
            return self.add([SignedRecord.read(record) for record in message.records], now, sender=peer)
        differing = {
            k
            for k in range(N_BUCKETS)
            if int.from_bytes(message.hashes[k * HASH_BYTES : (k + 1) * HASH_BYTES]) != self._hashes[k]
        }
        if not differing:
            if peer in self._peers:
                self._peers[peer] = _Comparing(now + COMPARE_S)
            return []
        if (comparing := self._peers.get(peer)) is not None:  # it may be this agent that lacks something
            comparing.at = min(comparing.at, now + comparing.pause_s)
        return self._tell([peer], [record for record in self.roster if _bucket(record.digest) in differing])

    def add(self, records: Iterable[SignedRecord], now: float, sender: PeerId | None = None) -> list[SpreadEffect]:
        """Take in records, of a peer or signed here: keep and pass on those that are news."""
        before = self.roster.allowed.keys()
        revoked_before = self.roster.revoked
        news = self.roster.add(records)
        if not news:
            return []
        self._note(news)
        for comparing in self._peers.values():
            comparing.at, comparing.pause_s = min(comparing.at, now + SOON_S), SOON_S
        effects: list[SpreadEffect] = [KeepRecords(tuple(record.data for record in news))]
        effects += self._tell([peer for peer in self._peers if peer != sender], news)
        now_revoked = self.roster.revoked - revoked_before
        gone = (before - self.roster.allowed.keys()) | (now_revoked & self._peers.keys())
        for peer in sorted(gone):
            effects.append(Notify(RevokedHere()) if peer == self.me else PeerRevoked(peer))
        return effects + [Notify(notice) for notice in self._admitted(self.roster.allowed.keys() - before)]

    def _admitted(self, peers: Collection[PeerId]) -> list[MemberAdmitted | RosterGrown]:
        """What people are told of new members: of each, but where there are many at once."""
        if len(peers) > MAX_TOLD:
            return [RosterGrown(len(peers), len(self.roster.allowed))]
        facts = [self.roster.allowed[peer].fact for peer in sorted(peers)]
        return [MemberAdmitted(fact.key, fact.name) for fact in facts if isinstance(fact, Admission)]

    def _tell(self, peers: Iterable[PeerId], records: Sequence[SignedRecord]) -> list[SpreadEffect]:
        messages = [TrustRecords(self._network, batch) for batch in _batches(records)]
        return [Send(peer, message) for peer in peers for message in messages]

    def _note(self, records: Iterable[SignedRecord]) -> None:
        for record in records:
            digest = record.digest
            self._hashes[_bucket(digest)] ^= int.from_bytes(digest[:HASH_BYTES])

    def _digest(self) -> bytes:
        return b"".join(value.to_bytes(HASH_BYTES) for value in self._hashes)


def _bucket(digest: bytes) -> int:
    return digest[-1] % N_BUCKETS


def _batches(records: Iterable[SignedRecord]) -> list[tuple[bytes, ...]]:
    """The records in parts that a message holds; revocations first, but for the grants by which they count."""
    batches: list[list[bytes]] = []
    size = 0
    for record in sorted(records, key=_urgency):
        data = record.data
        if not batches or size + len(data) > MAX_BYTES or len(batches[-1]) == MAX_RECORDS_IN_A_MESSAGE:
            batches.append([])
            size = 0
        batches[-1].append(data)
        size += len(data)
    return [tuple(batch) for batch in batches]


def _urgency(record: SignedRecord) -> int:
    if isinstance(record.fact, Revocation):
        return 1
    return 2 if isinstance(record.fact, Admission) else 0
