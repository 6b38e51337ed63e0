"""Who may connect: those that the settings name and members by records, but for those that were revoked."""

from p2pnet.agent.allow_list import AllowList
from p2pnet.protocol.trust.records import Revocation
from p2pnet.protocol.trust.roster import Roster
from tests.protocol.trust.signing import GENESIS, admitted, signed, verify


def test_without_records_the_settings_say_all() -> None:
    allow_list = AllowList(["bob"])
    assert "bob" in allow_list
    assert "cat" not in allow_list


def test_members_are_allowed_besides_and_the_revoked_never() -> None:
    roster = Roster(GENESIS, verify, [admitted("cat")])
    allow_list = AllowList(["bob"], roster)
    assert [name in allow_list for name in ("bob", "cat", "dan")] == [True, True, False]
    roster.add([signed(Revocation("bob")), signed(Revocation("cat")), admitted("dan")])
    assert [name in allow_list for name in ("bob", "cat", "dan")] == [False, False, True]


def test_a_member_that_is_taken_off_the_settings_is_still_a_member() -> None:
    allow_list = AllowList(["bob", "cat"], Roster(GENESIS, verify, [admitted("cat")]))
    assert allow_list.replace([]) == (frozenset(), frozenset({"bob", "cat"}))
    assert [name in allow_list for name in ("bob", "cat")] == [False, True]
