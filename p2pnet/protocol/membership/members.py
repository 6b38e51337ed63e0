"""The table of members, as one agent knows it.

Whatever is said of a member is a record. Of two records the one with the greater (incarnation, state) holds, alive <
suspect < dead < left, whichever came first; so all agents that have heard the same hold the same, in whatever order it
came (SWIM, Das et al. 2002, section 4.2). Only a member itself takes a new incarnation: that is how it refutes.

    alive → suspect     a neighbor hears nothing from it
    suspect → dead      it has not refuted in time; or at once, where a closed connection is refused anew
    alive, suspect → left     it has said so
    suspect, dead, left → alive     it speaks, with a newer incarnation

The dead and those that left are remembered for a while, so that old news does not bring them back.

An incarnation is the second of a process's start, and grows by one with each refutation. One that is years ahead of
this agent's own is not believed, whoever names it: so a member can always refute, if not at once, then a second later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import final

from p2pnet.protocol.core.counts import latest_incarnation
from p2pnet.protocol.core.notices import MemberChange
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.membership.timing import N_CONFIRMATIONS, MembershipTiming, suspicion_timeout_s
from p2pnet.protocol.messages.membership import BUCKET_BYTES, N_BUCKETS, MemberState, Record

RAISED_S = 60.0
"""An incarnation so far beyond the own clock was raised by what others have said."""

NO_ACCUSER: PeerId = ""
"""The accuser of a member that cannot be reached: any agent would find the same."""


@final
@dataclass(slots=True)
class Member:
    """One row of the table: a member's state, incarnation, address and accusers."""

    peer: PeerId
    state: MemberState
    incarnation: int
    address: str
    name: str
    since: float
    """When the member entered its state."""
    accusers: set[PeerId] = field(default_factory=set)
    refuted_at: float = float("-inf")
    """When the member last refuted."""

    @property
    def is_living(self) -> bool:
        return self.state <= MemberState.SUSPECT

    @property
    def record(self) -> Record:
        if self.state is MemberState.ALIVE:
            return Record(self.peer, self.state, self.incarnation, self.address, self.name)
        if self.state is MemberState.SUSPECT:
            # Agents that do not know the member yet need its address as well.
            return Record(self.peer, self.state, self.incarnation, self.address, self.name, min(self.accusers))
        return Record(self.peer, self.state, self.incarnation)


@final
class Members:
    """The table of all other members, with hashes for anti-entropy, and this agent's own record."""

    def __init__(self, me: Record, is_allowed: Callable[[PeerId], bool], timing: MembershipTiming) -> None:
        self.me = me
        self._first_incarnation = me.incarnation
        self._began_at: float | None = None
        self._is_allowed = is_allowed
        self._timing = timing
        self._members: dict[PeerId, Member] = {}
        self._suspects: dict[PeerId, Member] = {}
        self._gone: dict[PeerId, Member] = {}
        self._buckets: list[dict[PeerId, Member]] = [{} for _ in range(N_BUCKETS)]
        self._hashes = [0] * N_BUCKETS
        """For each bucket, the exclusive or of the hashes of its living members."""

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    @property
    def n_living(self) -> int:
        """The number of members alive or suspect, this agent included."""
        return 1 + len(self._members) - len(self._gone)

    @property
    def states(self) -> Mapping[PeerId, MemberState]:
        """The state of all other members."""
        return {member.peer: member.state for member in self}

    def find(self, peer: PeerId) -> Member | None:
        return self._members.get(peer)

    def is_plausible(self, record: Record, now: float) -> bool:
        """Whether the record's incarnation is one that a process can have by now."""
        return record.incarnation <= latest_incarnation(self._first_incarnation) + self._age_s(now)

    def is_raised(self, now: float) -> bool:
        """Whether refutations have brought this agent's incarnation beyond its own clock: others whose clock is behind
        may not have believed them yet.
        """
        return self.me.incarnation > self._first_incarnation + self._age_s(now) + RAISED_S

    def _age_s(self, now: float) -> float:
        """The time for which this agent has run; its first incarnation was its clock at the start."""
        self._began_at = now if self._began_at is None else self._began_at
        return now - self._began_at

    def merge(self, record: Record, now: float) -> MemberChange | None:
        """Merge a record of another member; return the change, None where the record is no news."""
        member = self._members.get(record.peer)
        if member is None:
            return self._enter(record, now)
        if record.precedence == (member.incarnation, member.state):
            return self._confirm(member, record)
        if record.precedence < (member.incarnation, member.state):
            return None
        before = member.state
        self._note(member, is_added=False)
        member.state, member.incarnation = record.state, record.incarnation
        member.address, member.name = record.address or member.address, record.name or member.name
        if record.state is MemberState.ALIVE:
            member.address = record.address
        if record.state != before or record.state is MemberState.SUSPECT:
            member.since = now
        member.accusers = {record.accuser} if record.state is MemberState.SUSPECT else set()
        self._note(member, is_added=True)
        change = _change(before, record.state)
        if change is MemberChange.REFUTED:
            member.refuted_at = now
        return change

    def accuse(self, peer: PeerId) -> Record | None:
        """The record by which this agent suspects a silent neighbor; None where the member is dead or has left."""
        member = self._members.get(peer)
        return None if member is None or not member.is_living else _suspicion(member, self.me.peer)

    def miss(self, peer: PeerId, now: float) -> Record | None:
        """The record that suspects a member unreachable at its address, without an accuser.

        Many agents may fail for the same reason, so their records count as one accusation. A member that has refuted
        not long ago is alive, and merely not reachable from all agents: None.
        """
        member = self._members.get(peer)
        is_known = member is not None and now < member.refuted_at + self._timing.forget_s
        return (
            None
            if member is None or member.state is not MemberState.ALIVE or is_known
            else _suspicion(member, NO_ACCUSER)
        )

    def refute(self, record: Record) -> bool:
        """Raise the own incarnation if a record of this agent is false (not alive, or of an earlier process); return
        whether it was.
        """
        is_of_old = record.precedence == self.me.precedence and record.address != self.me.address
        if record.precedence <= self.me.precedence and not is_of_old:
            return False
        self.me = replace(self.me, incarnation=record.incarnation + 1)
        return True

    def condemned(self, now: float) -> list[Record]:
        """The records that declare suspects dead whose suspicion timeout is over.

        Their accusers declare them dead; other agents only after twice the time, since they may have missed a
        refutation.
        """
        return [
            Record(member.peer, MemberState.DEAD, member.incarnation)
            for member in self._suspects.values()
            if now >= member.since + self._patience_s(member)
        ]

    def _patience_s(self, member: Member) -> float:
        timeout_s = suspicion_timeout_s(self._timing, self.n_living, len(member.accusers) - 1)
        return timeout_s if member.accusers & {self.me.peer, NO_ACCUSER} else 2 * timeout_s

    def forget(self, now: float) -> None:
        """Remove members that have been dead or left for long."""
        while self._gone:
            member = next(iter(self._gone.values()))  # gone for longest
            if now < member.since + self._timing.forget_s:
                return
            del self._members[member.peer], self._gone[member.peer], self._buckets[_bucket_of(member.peer)][member.peer]

    def grant(self, slept_s: float) -> None:
        """Extend all suspicions by the time for which this agent was suspended."""
        for member in self._suspects.values():
            member.since += slept_s

    # Anti-entropy.

    def digest(self) -> bytes:
        """The hash of each bucket's living members (id, incarnation, state), this agent included."""
        hashes = list(self._hashes)
        hashes[_bucket_of(self.me.peer)] ^= _hash(self.me.peer, self.me.incarnation, self.me.state)
        return b"".join(value.to_bytes(BUCKET_BYTES, "big") for value in hashes)

    def in_bucket(self, bucket: int) -> list[Record]:
        """The records of all members in a bucket, including dead members."""
        records = [member.record for member in self._buckets[bucket].values()]
        return [*records, self.me] if _bucket_of(self.me.peer) == bucket else records

    def _enter(self, record: Record, now: float) -> MemberChange | None:
        # Unknown members are not added as dead: such records would circulate for ever.
        if record.state > MemberState.SUSPECT or record.peer == self.me.peer or not self._is_allowed(record.peer):
            return None
        accusers = {record.accuser} if record.state is MemberState.SUSPECT else set()
        member = Member(
            record.peer, record.state, record.incarnation, record.address, record.name, since=now, accusers=accusers
        )
        self._members[record.peer] = self._buckets[_bucket_of(record.peer)][record.peer] = member
        self._note(member, is_added=True)
        return MemberChange.JOINED

    def _confirm(self, member: Member, record: Record) -> MemberChange | None:
        is_news = record.state is MemberState.SUSPECT and record.accuser not in member.accusers
        if not is_news or len(member.accusers) > N_CONFIRMATIONS:
            return None
        member.accusers.add(record.accuser)
        return MemberChange.CONFIRMED

    def _note(self, member: Member, *, is_added: bool) -> None:
        """Update what is derived from the table: suspects, gone members, and hashes of living members."""
        if member.is_living:
            self._hashes[_bucket_of(member.peer)] ^= _hash(member.peer, member.incarnation, member.state)
        for table, is_in in ((self._suspects, member.state is MemberState.SUSPECT), (self._gone, not member.is_living)):
            if is_in and is_added:
                table[member.peer] = member
            elif is_in:
                del table[member.peer]


def _bucket_of(peer: PeerId) -> int:
    return hashlib.blake2b(peer.encode(), digest_size=1).digest()[0] % N_BUCKETS


def _hash(peer: PeerId, incarnation: int, state: MemberState) -> int:
    text = f"{incarnation}/{int(state)}/{peer}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=BUCKET_BYTES).digest(), "big")


def _suspicion(member: Member, accuser: PeerId) -> Record:
    return Record(member.peer, MemberState.SUSPECT, member.incarnation, member.address, member.name, accuser)


def differing_buckets(mine: bytes, theirs: bytes) -> list[int]:
    """The numbers of the buckets in which two digests differ."""
    return [
        bucket
        for bucket in range(N_BUCKETS)
        if mine[bucket * BUCKET_BYTES : (bucket + 1) * BUCKET_BYTES]
        != theirs[bucket * BUCKET_BYTES : (bucket + 1) * BUCKET_BYTES]
    ]


def _change(before: MemberState, after: MemberState) -> MemberChange:
    if after is MemberState.DEAD:
        return MemberChange.DIED
    if after is MemberState.LEFT:
        return MemberChange.LEFT
    if before > MemberState.SUSPECT:
        return MemberChange.JOINED
    if after is MemberState.SUSPECT:
        return MemberChange.SUSPECTED
    return MemberChange.REFUTED if before is MemberState.SUSPECT else MemberChange.RENEWED
