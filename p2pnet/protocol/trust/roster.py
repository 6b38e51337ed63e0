"""The roster: all signed records of a network that an agent has heard of, and what follows from them.

Records are a set that only grows, and what follows is a function of the set: the order in which records come makes no
difference, and agents with the same records allow the same keys.

    allowed    keys that stand admitted
    revoked    keys that were revoked, or replaced by a newer one of their member; they never come back

A revocation beats an admission. The root key's word about a holder of a grant comes first: of what a revoked holder has
signed, its revocations too, that alone counts which the root's revocation keeps. So a thief with such a key can be
undone. Two holders that revoke each other are both revoked, until the root says more.

The roster holds no more than bounds say. Records of a signer that it does not know wait for its grant; some few do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final, TypeVar, final

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.trust.records import Admission, Fact, Genesis, Grant, Revocation, SignedRecord, Verify

MAX_RECORDS: Final = 65_536
MAX_OF_A_HOLDER: Final = 8_192
"""The most records that are kept of one signer other than the root."""
MAX_WAITING: Final = 256

FactT = TypeVar("FactT", Grant, Admission, Revocation)
_Kept = Mapping[PeerId, Collection[bytes]]
"""For each revoked key the digests of what still counts of its holder."""


@final
class Roster:
    """The signed records of one network, as one agent knows them."""

    def __init__(self, genesis: Genesis, verify: Verify, records: Iterable[SignedRecord] = ()) -> None:
        """ProtocolError where one of the records is not signed by who it says."""
        self.genesis = genesis
        self._network_id = genesis.network_id
        self._verify = verify
        self._records: dict[bytes, SignedRecord] = {}
        self._waiting: dict[bytes, SignedRecord] = {}
        self._n_of: dict[bytes, int] = {}
        self._grants: dict[bytes, Grant] = {}
        """What each signing key may do."""
        self._allowed: dict[PeerId, SignedRecord] = {}
        self._revoked: frozenset[PeerId] = frozenset()
        self.add(records)

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[SignedRecord]:
        """All records, grants first: who reads them in this order knows each signer."""
        return iter([record for _, record in sorted(self._records.items(), key=_grants_first)])

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._records

    @property
    def allowed(self) -> Mapping[PeerId, SignedRecord]:
        """The admission of each key that stands admitted."""
        return self._allowed

    @property
    def revoked(self) -> frozenset[PeerId]:
        """The keys that are refused, whatever else allows them."""
        return self._revoked

    def grant(self, signing_key: bytes) -> Grant | None:
        """What may be signed by this key; None where nothing may, or its holder does not stand admitted."""
        grant = self._grants.get(signing_key)
        return grant if grant is not None and grant.key in self._allowed else None

    def admissions(self) -> list[Admission]:
        """All admissions, those that stand no more included."""
        return [record.fact for record in self._records.values() if isinstance(record.fact, Admission)]

    def name_of(self, key: PeerId) -> str | None:
        """What a member is called, one that was revoked too; None for a key that was never admitted."""
        if key not in self._allowed and key not in self._revoked:
            return None
        return next((fact.name for fact in self.admissions() if fact.key == key), None)

    def admissions_by(self, invitation: bytes) -> list[Admission]:
        """The admissions by which the invitation with this id is spent."""
        return [fact for fact in self.admissions() if fact.invitation == invitation]

    def n_admitted_by(self, signing_key: bytes) -> int:
        """The members that stand admitted by this key."""
        return sum(record.signer == signing_key for record in self._allowed.values())

    def signed_by(self, signing_key: bytes) -> list[SignedRecord]:
        """All that this key has signed."""
        return [record for record in self._records.values() if record.signer == signing_key]

    def add(self, records: Iterable[SignedRecord]) -> list[SignedRecord]:
        """Take in records; return those that are news and are kept, grants first.

        ProtocolError, and nothing is taken in, where one is not signed by who it says.
        """
        new = {record.digest: record for record in records}
        new = {digest: record for digest, record in new.items() if digest not in self._records}
        for record in new.values():
            if not record.is_signed(self._network_id, self._verify):
                raise ProtocolError(
                    f"record: the {type(record.fact).__name__} of {record.fact.key} is not signed right"
                )
        taken = self._take(new)
        if any(isinstance(record.fact, Grant) for record in taken):
            waiting, self._waiting = self._waiting, {}
            taken += self._take(waiting)
        if taken:
            self._settle()
        return taken

    def _take(self, new: Mapping[bytes, SignedRecord]) -> list[SignedRecord]:
        """Keep the records of known signers, within the bounds; a few others wait for their grant."""
        taken = []
        for digest, record in sorted(new.items(), key=_grants_first):
            is_of_root = record.signer == self.genesis.root
            if isinstance(record.fact, Grant):
                if not is_of_root:
                    continue
            elif not is_of_root and record.signer not in self._grants:
                if len(self._waiting) < MAX_WAITING:
                    self._waiting[digest] = record
                continue
            n_signed = self._n_of.get(record.signer, 0)
            if len(self._records) >= MAX_RECORDS or (not is_of_root and n_signed >= MAX_OF_A_HOLDER):
                continue
            self._records[digest] = record
            self._n_of[record.signer] = n_signed + 1
            if isinstance(record.fact, Grant):
                self._note_grant(record.fact)
            taken.append(record)
        return taken

    def _note_grant(self, grant: Grant) -> None:
        """Several grants of one key are one with the rights of all; its holder is the one of the lesser id."""
        known = self._grants.get(grant.signing_key, grant)
        self._grants[grant.signing_key] = replace(
            grant,
            key=min(grant.key, known.key),
            may_invite=grant.may_invite or known.may_invite,
            may_revoke=grant.may_revoke or known.may_revoke,
            quota=max(grant.quota, known.quota),
        )

    def _settle(self) -> None:
        """Work out anew what follows from the records."""
        kept_by_root = _kept(self._of(Revocation, {}, is_roots=True))
        revocations = self._of(Revocation, kept_by_root)
        kept = _kept(revocations)
        admissions = sorted(self._of(Admission, kept).items())
        revoked = set(kept)
        replaced: set[PeerId] = set()
        while True:  # a revocation holds for the member: for the keys, too, that have come after the one it names
            replaced = {fact.replaces for _, (fact, _) in admissions if fact.replaces}
            heirs = {fact.key for _, (fact, _) in admissions if fact.replaces in revoked}
            if heirs <= revoked:
                break
            revoked |= heirs
        self._revoked = frozenset(revoked | replaced)
        n_left = {signing_key: grant.quota for signing_key, grant in self._grants.items()}
        self._allowed = {}
        for _, (fact, record) in admissions:
            if fact.key in self._revoked or fact.key in self._allowed:
                continue
            if record.signer != self.genesis.root:
                if n_left[record.signer] == 0:
                    continue
                n_left[record.signer] -= 1
            self._allowed[fact.key] = record

    def _of(self, kind: type[FactT], kept: _Kept, *, is_roots: bool = False) -> dict[bytes, tuple[FactT, SignedRecord]]:
        """The facts of a kind that count, by digest, where of revoked holders only that counts which is kept;
        `is_roots`: the root's alone.
        """
        found = {}
        for digest, record in self._records.items():
            fact = record.fact
            if not isinstance(fact, kind):
                continue
            is_of_root = record.signer == self.genesis.root
            if is_of_root or (not is_roots and self._counts(fact, record.signer, digest, kept)):
                found[digest] = (fact, record)
        return found

    def _counts(self, fact: Fact, signer: bytes, digest: bytes, kept: _Kept) -> bool:
        grant = self._grants[signer]
        if grant.key in kept and digest not in kept[grant.key]:
            return False
        if isinstance(fact, Revocation):
            return grant.may_revoke
        is_replacing = isinstance(fact, Admission) and fact.replaces != ""
        return grant.may_invite and (grant.may_revoke or not is_replacing)


def _grants_first(item: tuple[bytes, SignedRecord]) -> bool:
    return not isinstance(item[1].fact, Grant)


def _kept(revocations: Mapping[bytes, tuple[Revocation, SignedRecord]]) -> dict[PeerId, frozenset[bytes]]:
    """What each revoked key keeps: that which all of its revocations name."""
    kept: dict[PeerId, frozenset[bytes]] = {}
    for fact, _ in revocations.values():
        kept[fact.key] = frozenset(fact.kept) & kept.get(fact.key, frozenset(fact.kept))
    return kept
