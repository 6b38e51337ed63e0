"""The roster: who is allowed follows from the set of records, in whatever order they have come."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.errors import ProtocolError
from p2pnet.protocol.trust.records import Admission, Revocation, SignedRecord
from p2pnet.protocol.trust.roster import Roster
from tests.protocol.trust.signing import GENESIS, ROOT, admitted, granted, key, signed, verify

FOUNDER = [admitted("ann"), granted("ann")]


def roster(*records: SignedRecord) -> Roster:
    return Roster(GENESIS, verify, [*FOUNDER, *records])


NAMES = st.sampled_from(["ann", "bob", "cat", "dan", "eve"])
SIGNERS = st.sampled_from([ROOT, *map(key, ("ann", "bob", "cat"))])
ADMISSIONS = st.builds(
    lambda name, signer, replaces: admitted(name, signer, replaces=replaces if replaces != name else ""),
    NAMES,
    SIGNERS,
    st.just("") | NAMES,
)
GRANTS = st.builds(
    lambda name, invites, revokes, quota: granted(name, may_invite=invites, may_revoke=revokes, quota=quota),
    NAMES,
    st.booleans(),
    st.booleans(),
    st.integers(0, 2),
)


@st.composite
def sets_of_records(draw: st.DrawFn) -> list[SignedRecord]:
    records = draw(st.lists(ADMISSIONS | GRANTS, max_size=12))
    for _ in range(draw(st.integers(0, 4))):
        kept = draw(st.lists(st.sampled_from(records), max_size=3)) if records else []
        fact = Revocation(draw(NAMES), tuple(record.digest for record in kept))
        records.append(signed(fact, draw(SIGNERS)))
    return records


@given(sets_of_records(), st.randoms(use_true_random=False))
def test_who_is_allowed_does_not_depend_on_the_order_of_records(records: list[SignedRecord], rng: Random) -> None:
    at_once = Roster(GENESIS, verify, records)
    one_by_one = Roster(GENESIS, verify)
    shuffled = [*records, *records[:3]]
    rng.shuffle(shuffled)
    for record in shuffled:
        one_by_one.add([record])
    assert one_by_one.allowed == at_once.allowed
    assert one_by_one.revoked == at_once.revoked
    assert {record.digest for record in one_by_one} == {record.digest for record in at_once}


@given(sets_of_records())
def test_no_key_is_allowed_that_is_revoked(records: list[SignedRecord]) -> None:
    one = Roster(GENESIS, verify, records)
    assert not one.allowed.keys() & one.revoked


@given(sets_of_records(), NAMES)
def test_what_the_root_revokes_never_comes_back(records: list[SignedRecord], name: str) -> None:
    assert name not in Roster(GENESIS, verify, [signed(Revocation(name)), *records]).allowed


def test_a_member_without_a_grant_admits_nobody() -> None:
    one = roster(admitted("bob", key("ann")), admitted("eve", key("bob")))
    assert one.allowed.keys() == {"ann", "bob"}


def test_what_waits_for_its_grant_counts_once_that_comes() -> None:
    one = roster(admitted("bob", key("ann")))
    assert one.add([admitted("cat", key("bob"))]) == []
    assert "cat" not in one.allowed
    assert len(one.add([granted("bob")])) == 2
    assert "cat" in one.allowed


def test_a_forged_record_is_a_protocol_error_and_changes_nothing() -> None:
    one = roster()
    forged = SignedRecord(Admission("eve", key("eve"), "eve"), ROOT, bytes(64))
    with pytest.raises(ProtocolError, match="not signed right"):
        one.add([admitted("bob"), forged])
    assert one.allowed.keys() == {"ann"}


def test_nobody_but_the_root_grants() -> None:
    bobs = SignedRecord.read(signed(granted("eve").fact, key("ann")).data)
    assert roster(bobs).grant(key("eve")) is None


def test_a_quota_bounds_those_that_stand_admitted_at_a_time() -> None:
    invited = [admitted(f"m{k}", key("bob")) for k in range(5)]
    one = roster(admitted("bob"), granted("bob", quota=2), *invited)
    assert len(one.allowed) == 4
    assert one.n_admitted_by(key("bob")) == 2
    gone = next(name for name in one.allowed if name.startswith("m"))
    one.add([signed(Revocation(gone))])
    assert one.n_admitted_by(key("bob")) == 2


def test_rights_are_those_of_the_grant() -> None:
    only_invites = roster(admitted("bob"), granted("bob", may_revoke=False), signed(Revocation("ann"), key("bob")))
    assert "ann" in only_invites.allowed
    only_invites.add([admitted("cat", key("bob"), replaces="ann")])  # that would be a revocation, too
    assert only_invites.allowed.keys() == {"ann", "bob"}


class TestAStolenSigningKey:
    """Bob may invite and revoke, has invited cat, and is robbed of his key."""

    honest = (admitted("bob"), granted("bob"), admitted("cat", key("bob")))
    theft = (admitted("eve", key("bob")), signed(Revocation("ann"), key("bob")))

    def test_what_is_signed_after_the_revocation_counts_no_more_whenever_it_comes(self) -> None:
        cats = self.honest[-1].digest
        one = roster(*self.honest, signed(Revocation("bob", (cats,))), *self.theft)
        assert one.allowed.keys() == {"ann", "cat"}

    def test_with_those_it_invited(self) -> None:
        assert roster(*self.honest, *self.theft, signed(Revocation("bob"))).allowed.keys() == {"ann"}

    def test_a_thief_that_revokes_all_others_is_undone_by_the_root(self) -> None:
        one = roster(*self.honest, *self.theft)
        assert one.allowed.keys() == {"bob", "cat", "eve"}
        one.add([signed(Revocation("bob", (self.honest[-1].digest,)))])
        assert one.allowed.keys() == {"ann", "cat"}

    def test_another_holder_may_revoke_it_too(self) -> None:
        cats = self.honest[-1].digest
        one = roster(*self.honest, self.theft[0], signed(Revocation("bob", (cats,)), key("ann")))
        assert one.allowed.keys() == {"ann", "cat"}


class TestAnotherKeyOfTheSameMember:
    def test_it_takes_the_place_of_the_one_before(self) -> None:
        one = roster(admitted("bob", key("ann")), admitted("bob-2", key("ann"), replaces="bob"))
        assert one.allowed.keys() == {"ann", "bob-2"}
        assert one.revoked == {"bob"}

    def test_a_revocation_holds_for_the_member(self) -> None:
        chain = [
            admitted("bob", key("ann")),
            admitted("bob-2", key("ann"), replaces="bob"),
            admitted("bob-3", key("ann"), replaces="bob-2"),
        ]
        assert roster(*chain, signed(Revocation("bob"), key("ann"))).allowed.keys() == {"ann"}


def test_a_member_keeps_its_name_when_it_is_revoked_and_nobody_else_has_one() -> None:
    one = roster(admitted("bob", key("ann")), signed(Revocation("bob")))
    assert (one.name_of("ann"), one.name_of("bob"), one.name_of("cat")) == ("ann", "bob", None)


def test_a_spent_invitation_is_known_by_the_admission_also_of_one_that_was_revoked() -> None:
    one = roster(admitted("bob", key("ann"), invitation=b"i" * 16), signed(Revocation("bob")))
    assert [admission.name for admission in one.admissions_by(b"i" * 16)] == ["bob"]
    assert one.admissions_by(b"j" * 16) == []
