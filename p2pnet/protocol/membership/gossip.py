"""Gossip: queues of records for each neighbor, and the allowance of bytes for sending."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.messages.membership import Record, n_bytes


@final
class GossipQueue:
    """The records still to be sent to each neighbor: news floods the overlay, once over every link.

    Connections lose nothing while they last, so flooding reaches all agents of the connected graph, by no more messages
    than there are links; with records sent to random neighbors (SWIM), an agent is missed now and then. Anti-entropy
    repairs what is lost with a connection.
    """

    def __init__(self) -> None:
        self._untold: dict[PeerId, dict[PeerId, Record]] = {}
        """For each neighbor, the newest record of each member with news, the latest news last."""

    def __len__(self) -> int:
        """The number of queued records over all neighbors."""
        return sum(len(records) for records in self._untold.values())

    def follow(self, neighbors: Iterable[PeerId]) -> None:
        """Set the neighbors. A new neighbor is sent later news only; anti-entropy brings it earlier news."""
        self._untold = {peer: self._untold.get(peer, {}) for peer in neighbors}

    def put(self, record: Record, source: PeerId = "") -> None:
        """Queue a record for all neighbors but its source, in place of older records of the same member."""
        for peer, records in self._untold.items():
            records.pop(record.peer, None)
            if peer not in (source, record.accuser):
                records[record.peer] = record

    def heard(self, record: Record, source: PeerId) -> None:
        """Drop the queued record for a neighbor that has sent the same or newer news itself."""
        records = self._untold.get(source, {})
        untold = records.get(record.peer)
        if untold is not None and untold.precedence <= record.precedence and untold.accuser == record.accuser:
            del records[record.peer]

    def take(self, peer: PeerId, max_bytes: float) -> tuple[Record, ...]:
        """Take the records for a neighbor's next message from the queue, latest news first, at most `max_bytes`."""
        records = self._untold.get(peer, {})
        taken: list[Record] = []
        room = max_bytes
        while records:
            subject = next(reversed(records))
            room -= n_bytes(records[subject])
            if room < 0:
                break
            taken.append(records.pop(subject))
        return tuple(taken)


BURST_S = 2.0


@final
class Allowance:
    """A token bucket: `bytes_per_s` on average, at most two seconds' worth at once."""

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._n_bytes = BURST_S * bytes_per_s
        self._at: float | None = None

    @property
    def n_bytes(self) -> float:
        """The bytes that may be sent now; none while below zero."""
        return self._n_bytes

    def refill(self, now: float) -> None:
        passed_s = 0.0 if self._at is None else now - self._at
        self._at = now
        self._n_bytes = min(self._n_bytes + passed_s * self._bytes_per_s, BURST_S * self._bytes_per_s)

    def spend(self, n_bytes: int) -> None:
        self._n_bytes -= n_bytes
