"""The doorkeeper: answers machines that ask to be admitted, and members that ask for another key.

Who asks has proved, in the handshake, that it holds an invitation of this agent (the key pair made from its secret), or
a member's key. What is signed is on disk before the answer. The same machine may ask again, as after a lost answer; any
other is told who has used the invitation, since it may have been stolen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hmac import compare_digest
from itertools import count
from typing import Final, final

from p2pnet.agent.terms import Terms
from p2pnet.agent.transport.base import Frame
from p2pnet.agent.transport.keys import KeyPair, parse_public_key
from p2pnet.agent.trust.invitation import IssuedInvitation
from p2pnet.agent.trust.network_files import NetworkFiles
from p2pnet.agent.trust.signing import Signer, proof, signer_of
from p2pnet.errors import P2pnetError, ProtocolError, SecurityError
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.messages.joining import Join, Joined, JoinRefused, decode_joining, encode_joining
from p2pnet.protocol.trust.records import MAX_NAME_LENGTH, Admission, Grant, SignedRecord
from p2pnet.protocol.trust.roster import Roster

SIGNS_FOR_THE_NETWORK: Final = (
    "the key of a member that may invite or revoke is not replaced, since a copy of it would go on signing: have it "
    "revoked, join by another invitation, and have the new key granted the same"
)


@final
@dataclass(frozen=True, slots=True)
class Ruling:
    """An answer, and the records that have been signed for it."""

    answer: Sequence[Frame]
    signed: tuple[bytes, ...]
    text: str
    """for the log"""


@final
class Doorkeeper:
    """Answers who asks one agent to be admitted to its network."""

    def __init__(
        self, files: NetworkFiles, roster: Roster, keys: KeyPair, terms: Terms, clock: Callable[[], float]
    ) -> None:
        """`clock` shows the seconds since the epoch. SecurityError where the file of invitations is damaged."""
        self._files = files
        self._roster = roster
        self._keys = keys
        self._signer: Signer = signer_of(keys)
        self._terms = terms
        self._clock = clock
        self._issued: dict[PeerId, IssuedInvitation] = {}
        self._size_read = 0
        self._read_invitations()

    def new_records(self) -> Sequence[bytes]:
        """The records that another process has put on disk; SecurityError where the file is damaged."""
        return self._files.new_records()

    def keep(self, records: Sequence[bytes]) -> None:
        """Put records on disk that are not there; TrainingError where it takes nothing."""
        self._files.append(records)

    def knows(self, key: PeerId) -> bool:
        """Whether the key is that of an invitation made here, used or not: its holder is told what became of it."""
        if key not in self._issued and self._files.invitations_size != self._size_read:
            with suppress(SecurityError):  # what is on disk was damaged meanwhile: the next start says so
                self._read_invitations()
        return key in self._issued

    def _read_invitations(self) -> None:
        self._size_read = self._files.invitations_size
        self._issued = {issued.key: issued for issued in self._files.invitations()}

    def answer(self, asker: PeerId, frames: Sequence[Frame]) -> Ruling:
        """Answer what was asked over a connection by this key."""
        try:
            return self._admit(asker, frames)
        except P2pnetError as error:
            refused = encode_joining(JoinRefused(str(error)[:512]))
            return Ruling(refused, (), f"refused to admit a machine: {error}")

    def _admit(self, asker: PeerId, frames: Sequence[Frame]) -> Ruling:
        join = decode_joining([memoryview(frame) for frame in frames])
        if not isinstance(join, Join):
            raise ProtocolError("this is no request to be admitted")
        if join.network != self._roster.genesis.network_id:
            raise SecurityError("the invitation is for another network than this agent's")
        parse_public_key(join.key)
        if not compare_digest(proof(self._keys, join.key, join.transcript(asker)), join.proof):
            raise SecurityError("it was not proved that the key is held by who asks; join once more")
        issued = self._issued.get(asker)
        spent = [] if issued is None else self._roster.admissions_by(issued.id)
        if join.key in self._roster.revoked:
            raise SecurityError(
                "the key of this machine was revoked; remove its key file, and join by another invitation"
            )
        signed: tuple[bytes, ...] = ()
        if join.key not in self._roster.allowed:
            if spent:
                raise SecurityError(_used_by(spent[0]))
            fact = self._of_member(asker, join) if issued is None else self._of_invitation(issued, join)
            record = self._sign(fact)
            signed = (record.data,)
            self._files.append(signed)
            known = [*_needed_for(self._roster, self._keys.public), record]
            text = f"admitted {fact.name} ({fact.key})"
        else:
            if spent and all(admission.key != join.key for admission in spent):
                raise SecurityError(_used_by(spent[0]))
            known = _needed_for(self._roster, self._keys.public) + _needed_for(self._roster, join.key)
            text = f"{join.key} is a member already, and asked once more"
        needed = tuple(dict.fromkeys(record.data for record in known))
        terms = self._terms
        joined = Joined(self._roster.genesis.data, needed, terms.settings, terms.seeds, terms.is_static)
        return Ruling(encode_joining(joined), signed, text)

    def _of_invitation(self, issued: IssuedInvitation, join: Join) -> Admission:
        now_s = self._clock()
        if now_s > issued.expires_s:
            when = datetime.fromtimestamp(issued.expires_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
            raise SecurityError(f"the invitation has expired on {when}, by the inviter's clock; ask for another")
        return Admission(join.key, join.signing_key, issued.name or self._name_for(join.name), issued.id)

    def _name_for(self, wanted: str) -> str:
        """The name that a machine gives itself, with a number behind it where a member is called so: machines that are
        set up from one image have one host name.
        """
        taken = {record.fact.name for record in self._roster.allowed.values() if isinstance(record.fact, Admission)}
        numbered = (f"{wanted[: MAX_NAME_LENGTH - len(tail)]}{tail}" for tail in (f"-{k}" for k in count(2)))
        return wanted if wanted not in taken else next(name for name in numbered if name not in taken)

    def _of_member(self, asker: PeerId, join: Join) -> Admission:
        member = self._roster.allowed.get(asker)
        if member is None or not isinstance(member.fact, Admission):
            raise SecurityError("this key belongs to no member")
        if self._roster.grant(member.fact.signing_key) is not None:
            raise SecurityError(SIGNS_FOR_THE_NETWORK)
        return Admission(join.key, join.signing_key, member.fact.name, replaces=asker)

    def _sign(self, fact: Admission) -> SignedRecord:
        """SecurityError where this agent may not."""
        public = self._signer.public
        grant = self._roster.grant(public)
        if grant is None or not grant.may_invite or (fact.replaces and not grant.may_revoke):
            raise SecurityError("the inviter has no grant to admit machines (any more); ask another member")
        if not fact.replaces and self._roster.n_admitted_by(public) >= grant.quota:
            raise SecurityError(
                f"the inviter has admitted as many machines as it may: {grant.quota}; ask another member"
            )
        return self._signer.sign(self._roster.genesis.network_id, fact)


def _used_by(admission: Admission) -> str:
    return (
        f"the invitation was used by {admission.name!r} ({admission.key}); ask for another. If that machine is none of "
        "yours, it was stolen: have its key revoked"
    )


def _needed_for(roster: Roster, key: PeerId) -> list[SignedRecord]:
    """The admission of a member, and the grants by which it and what the member signs count."""
    admission = roster.allowed.get(key)
    if admission is None or not isinstance(admission.fact, Admission):
        return []
    signers = {admission.signer, admission.fact.signing_key}
    grants = [record for record in roster if isinstance(record.fact, Grant) and record.fact.signing_key in signers]
    return [*grants, admission]
