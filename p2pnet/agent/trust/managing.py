"""What a member does to its network: invites, grants, revokes. All of it is records and lines on its own disk.

A running agent is told to read them anew; one that is started later does so by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

from p2pnet.agent.transport.keys import KeyPair, load_keys, parse_public_key
from p2pnet.agent.trust.invitation import Invitation
from p2pnet.agent.trust.network_files import NetworkFiles
from p2pnet.agent.trust.signing import Signer, signer_of
from p2pnet.errors import SecurityError
from p2pnet.protocol.core.address import Address
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.trust.records import MAX_KEPT, MAX_NAME_LENGTH, Admission, Fact, Grant, Revocation, SignedRecord
from p2pnet.protocol.trust.roster import Roster

MAX_OPEN = 64
"""The most invitations of one member that can be used at a time."""
NO_SIGNING_KEY = bytes(32)
"""Of a member that signs nothing: no signature is right by it."""
_SHOWN_KEY = 8


@final
@dataclass(frozen=True, slots=True)
class MemberView:
    """A member, for people."""

    name: str
    key: PeerId
    admitted_by: str
    """the name of the member, or `the signing key`"""
    rights: str
    """what it may do, in words; empty for nothing"""
    is_revoked: bool


@final
class Management:
    """The network of one agent, as its user manages it."""

    def __init__(self, network: Path, key_file: Path, root_key: Path | None = None) -> None:
        """SecurityError where files are missing or damaged. `root_key` is where the network's signing key is, if not
        where it was made.
        """
        self.files = NetworkFiles(network)
        self.roster: Roster = self.files.roster()
        self.keys: KeyPair = load_keys(key_file)
        self._root: Signer | None = self.files.root(root_key)
        if self._root is not None and self._root.public != self.roster.genesis.root:
            raise SecurityError(f"the signing key is that of another network than {self.roster.genesis.name}")

    def invite(self, name: str, lifetime_s: int, addresses: tuple[str, ...], now_s: float) -> Invitation:
        """Make an invitation, for a machine that is to have this name, or any; SecurityError where it would not be
        honored, TransportError where an address is none.
        """
        if len(name) > MAX_NAME_LENGTH:
            raise SecurityError(f"{name[:20]}…: a name has at most {MAX_NAME_LENGTH} characters")
        self._signer_of_admissions()
        n_open = sum(
            now_s <= issued.expires_s and not self.roster.admissions_by(issued.id)
            for issued in self.files.invitations()
        )
        if n_open >= MAX_OPEN:
            raise SecurityError(f"{MAX_OPEN} invitations are open already: wait until some are used, or have expired")
        addresses = tuple(str(Address.parse(address)) for address in addresses)
        expires_s = int(now_s) + lifetime_s
        invitation = Invitation.make(self.roster.genesis.network_id, self.keys.public, expires_s, addresses)
        self.files.invite(invitation.issued(name))
        return invitation

    def grant(self, whom: str, *, may_revoke: bool, quota: int) -> Admission:
        """Let a member invite, and revoke; SecurityError without the network's signing key."""
        member = self._member(whom)
        if member.signing_key == NO_SIGNING_KEY:
            raise SecurityError(f"{member.name} was added by its key alone, and signs nothing; have it join by a line")
        if self._root is None:
            raise SecurityError(
                "only the network's signing key grants: it is network/root.key where the network began, and can be "
                "made anew by the recovery line: p2pnet init --recover"
            )
        self._keep(self._root, Grant(member.key, member.signing_key, True, may_revoke, quota))
        return member

    def revoke(self, whom: str, *, with_invited: bool) -> Admission:
        """Revoke a member's key, for good; with those that it has invited, or without."""
        member = self._member(whom)
        kept = () if with_invited else self._still_counting(member)
        if len(kept) > MAX_KEPT:
            raise SecurityError(
                f"{member.name} has admitted and revoked {len(kept)} machines, of which a revocation keeps {MAX_KEPT}; "
                "revoke it with --with-invited, and invite the others anew"
            )
        self._keep(self._signer_of_revocations(), Revocation(member.key, kept))
        return member

    def add(self, key: PeerId, name: str) -> None:
        """Admit a key without an invitation. Its machine needs the file `records` of this one, by whatever way."""
        signer = self._signer_of_admissions()
        parse_public_key(key)
        if key in self.roster.revoked:
            raise SecurityError(f"{key} was revoked, for good; the machine needs another key")
        if key in self.roster.allowed:
            raise SecurityError(f"{key} is a member already")
        self._keep(signer, Admission(key, NO_SIGNING_KEY, name))

    def members(self) -> Iterator[MemberView]:
        """All that were ever admitted, those that stand first."""
        roster = self.roster
        names = {fact.signing_key: fact.name for fact in roster.admissions()}
        for key, record in sorted(roster.allowed.items(), key=lambda item: _name_of(item[1])):
            yield MemberView(_name_of(record), key, self._by(record, names), self._rights(record), is_revoked=False)
        for record in roster:
            if isinstance(record.fact, Admission) and record.fact.key not in roster.allowed:
                yield MemberView(record.fact.name, record.fact.key, self._by(record, names), "", is_revoked=True)

    def _by(self, record: SignedRecord, names: dict[bytes, str]) -> str:
        return "the signing key" if record.signer == self.roster.genesis.root else names.get(record.signer, "?")

    def _rights(self, record: SignedRecord) -> str:
        fact = record.fact
        grant = self.roster.grant(fact.signing_key) if isinstance(fact, Admission) else None
        if grant is None:
            return ""
        rights = [word for word, has in (("invite", grant.may_invite), ("revoke", grant.may_revoke)) if has]
        return f"may {' and '.join(rights)}, {grant.quota} at most" if rights else ""

    def _member(self, whom: str) -> Admission:
        """The member of this name or key; SecurityError where there is none, or several."""
        allowed = self.roster.allowed
        found = [allowed[whom]] if whom in allowed else [one for one in allowed.values() if _name_of(one) == whom]
        if len(found) > 1:
            keys = ", ".join(f"{record.fact.key[:_SHOWN_KEY]}…" for record in found)
            raise SecurityError(f"{len(found)} members are called {whom}: name one by its whole key ({keys})")
        if not found or not isinstance(found[0].fact, Admission):
            raise SecurityError(f"no member is called {whom}, or has that key; p2pnet trust list shows all")
        return found[0].fact

    def _still_counting(self, member: Admission) -> tuple[bytes, ...]:
        """The digests of what the member has signed: revocations, and admissions that stand."""
        allowed = self.roster.allowed
        return tuple(
            record.digest
            for record in self.roster.signed_by(member.signing_key)
            if isinstance(record.fact, Revocation) or allowed.get(record.fact.key) == record
        )

    def _signer_of_admissions(self) -> Signer:
        """The key of this agent; SecurityError where it may not invite."""
        own = signer_of(self.keys)
        grant = self.roster.grant(own.public)
        if grant is None or not grant.may_invite:
            raise SecurityError("this agent may not invite: where the network began, p2pnet grant NAME lets it")
        return own

    def _signer_of_revocations(self) -> Signer:
        """The network's signing key where it is here, else this agent's."""
        if self._root is not None:
            return self._root
        own = signer_of(self.keys)
        grant = self.roster.grant(own.public)
        if grant is None or not grant.may_revoke:
            raise SecurityError("this agent may not revoke: where the network began, p2pnet grant NAME lets it")
        return own

    def _keep(self, signer: Signer, fact: Fact) -> None:
        record = signer.sign(self.roster.genesis.network_id, fact)
        self.roster.add([record])
        self.files.append([record.data])


def _name_of(record: SignedRecord) -> str:
    return record.fact.name if isinstance(record.fact, Admission) else ""
