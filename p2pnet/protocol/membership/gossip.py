"""News on its way to everybody: what to tell each neighbor next, and how much may be sent at all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.messages.membership import Record, n_bytes


@final
class GossipQueue:
    """For each neighbor the records that it is still to be told: news floods the overlay, once over every link.

    Links lose nothing while they last, so this reaches everybody that the graph reaches, by no more messages than there
    are links; with records sent to neighbors drawn at random (SWIM), an agent is missed now and then. What is lost with
    a connection is found by comparing.
    """

    def __init__(self) -> None:
        self._untold: dict[PeerId, dict[PeerId, Record]] = {}
        """Of each neighbor: the newest record of each member that there is news of, the latest news last."""

    def __len__(self) -> int:
        """How many tellings are due."""
        return sum(len(records) for records in self._untold.values())

    def follow(self, neighbors: Iterable[PeerId]) -> None:
        """These are the neighbors from now on. A new one is told what is news from now on; the rest it finds itself."""
        self._untold = {peer: self._untold.get(peer, {}) for peer in neighbors}

    def put(self, record: Record, source: PeerId = "") -> None:
        """News, heard from the source, in place of whatever was to be said of the same member."""
        for peer, records in self._untold.items():
            records.pop(record.peer, None)
            if peer not in (source, record.accuser):
                records[record.peer] = record

    def heard(self, record: Record, source: PeerId) -> None:
        """The source has told us what we would tell it."""
        records = self._untold.get(source, {})
        untold = records.get(record.peer)
        if untold is not None and untold.precedence <= record.precedence and untold.accuser == record.accuser:
            del records[record.peer]

    def take(self, peer: PeerId, max_bytes: float) -> tuple[Record, ...]:
        """What to tell a neighbor in one message, of at most `max_bytes` together, the latest news first."""
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
        """What may be sent now; below zero, nothing until later."""
        return self._n_bytes

    def refill(self, now: float) -> None:
        passed_s = 0.0 if self._at is None else now - self._at
        self._at = now
        self._n_bytes = min(self._n_bytes + passed_s * self._bytes_per_s, BURST_S * self._bytes_per_s)

    def spend(self, n_bytes: int) -> None:
        self._n_bytes -= n_bytes
