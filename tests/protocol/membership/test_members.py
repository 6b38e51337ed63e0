"""What is known of members does not depend on the order in which it was heard, and the dead stay dead."""

from hypothesis import given
from hypothesis import strategies as st

from p2pnet.protocol.core.notices import MemberChange
from p2pnet.protocol.membership.members import Members, differing_buckets
from p2pnet.protocol.membership.timing import WAN, suspicion_timeout_s
from p2pnet.protocol.messages.membership import MemberState, Record

ME = Record("me", MemberState.ALIVE, 1, "tcp://192.0.2.1:7070", "me")
PEERS = ("ada", "bob", "cy")

records = st.builds(
    lambda peer, state, incarnation, accuser: Record(
        peer, state, incarnation, f"tcp://{peer}:{incarnation}", peer, accuser if state is MemberState.SUSPECT else ""
    ),
    st.sampled_from(PEERS),
    st.sampled_from(MemberState),
    st.integers(1, 4),
    st.sampled_from(("x", "y", "z")),
)


def alive(peer: str, incarnation: int = 1) -> Record:
    return Record(peer, MemberState.ALIVE, incarnation, f"tcp://{peer}:{incarnation}", peer)


def suspect(peer: str, accuser: str, incarnation: int = 1) -> Record:
    return Record(peer, MemberState.SUSPECT, incarnation, accuser=accuser)


def dead(peer: str, incarnation: int = 1) -> Record:
    return Record(peer, MemberState.DEAD, incarnation)


def members(*heard: Record) -> Members:
    known = Members(ME, lambda peer: peer != "stranger", WAN)
    for record in heard:
        known.merge(record, 0.0)
    return known


ACQUAINTED = tuple(alive(peer, 0) for peer in PEERS)


@given(st.lists(records, max_size=12), st.randoms())
def test_the_order_of_news_does_not_matter(news: list[Record], chance: object) -> None:
    shuffled = sorted(news, key=lambda _: chance.random())  # type: ignore[attr-defined]
    one, other = members(*ACQUAINTED, *news), members(*ACQUAINTED, *shuffled)
    assert one.states == other.states
    assert one.digest() == other.digest()
    assert [(m.incarnation, m.accusers) for m in one] == [(m.incarnation, m.accusers) for m in other]


@given(st.lists(records, max_size=12))
def test_news_is_news_once(news: list[Record]) -> None:
    known = members(*ACQUAINTED, *news)
    assert [known.merge(record, 1.0) for record in news] == [None] * len(news)


@given(st.lists(records, max_size=12))
def test_an_incarnation_never_falls_and_a_state_only_within_a_newer_one(news: list[Record]) -> None:
    known = members(*ACQUAINTED)
    before = {member.peer: (member.incarnation, member.state) for member in known}
    for record in news:
        known.merge(record, 0.0)
        after = {member.peer: (member.incarnation, member.state) for member in known}
        assert all(after[peer] >= before[peer] for peer in PEERS)
        before = after


@given(st.lists(records, max_size=12))
def test_a_member_that_refutes_is_alive_to_all_whatever_they_have_heard(news: list[Record]) -> None:
    known = members(*ACQUAINTED, *news)
    ada = Members(alive("ada"), lambda _: True, WAN)
    for record in news:
        if record.peer == "ada":
            ada.refute(record)
    known.merge(ada.me, 0.0)
    assert known.states["ada"] is MemberState.ALIVE


def test_a_member_does_not_refute_what_is_true_or_old() -> None:
    ada = Members(alive("ada", 3), lambda _: True, WAN)
    assert not ada.refute(alive("ada", 3))
    assert not ada.refute(suspect("ada", "x", 2))
    assert not ada.refute(dead("ada", 2))
    assert ada.me.incarnation == 3


def test_a_member_that_lost_its_memory_outdoes_its_earlier_life() -> None:
    reborn = Members(Record("ada", MemberState.ALIVE, 1, "tcp://elsewhere:1"), lambda _: True, WAN)
    assert reborn.refute(alive("ada", 7))
    assert reborn.me.incarnation == 8
    same = Members(Record("ada", MemberState.ALIVE, 1, "tcp://elsewhere:1"), lambda _: True, WAN)
    assert same.refute(alive("ada", 1)), "its address was another one then"


def test_what_changes_has_a_name() -> None:
    known = members()
    assert known.merge(alive("ada"), 0.0) is MemberChange.JOINED
    assert known.merge(suspect("ada", "bob"), 0.0) is MemberChange.SUSPECTED
    assert known.merge(suspect("ada", "cy"), 0.0) is MemberChange.CONFIRMED
    assert known.merge(alive("ada", 2), 0.0) is MemberChange.REFUTED
    assert known.merge(alive("ada", 3), 0.0) is MemberChange.RENEWED
    assert known.merge(dead("ada", 3), 0.0) is MemberChange.DIED
    assert known.merge(alive("ada", 4), 0.0) is MemberChange.JOINED
    assert known.merge(Record("ada", MemberState.LEFT, 4), 0.0) is MemberChange.LEFT
    assert known.merge(alive("ada", 4), 0.0) is None


def test_the_dead_are_remembered_and_then_forgotten() -> None:
    known = members(alive("ada"))
    known.merge(dead("ada"), 10.0)
    known.forget(10.0 + WAN.forget_s - 1)
    assert known.merge(alive("ada"), 0.0) is None, "old news"
    known.forget(10.0 + WAN.forget_s)
    assert known.find("ada") is None


def test_of_strangers_nothing_is_kept_and_of_the_unknown_not_that_they_are_dead() -> None:
    known = members(alive("stranger"), dead("ada"), Record("bob", MemberState.LEFT, 2))
    assert known.states == {}


@given(st.lists(records, max_size=12))
def test_equal_digests_mean_that_the_same_are_living(news: list[Record]) -> None:
    known, fresh = members(*ACQUAINTED, *news), members()
    for member in known:
        if member.is_living:
            fresh.merge(member.record, 0.0)
    assert known.digest() == fresh.digest()
    newcomer = alive("dan")
    fresh.merge(newcomer, 0.0)
    (bucket,) = differing_buckets(known.digest(), fresh.digest())
    assert newcomer in fresh.in_bucket(bucket)


def test_two_agents_that_know_each_other_have_the_same_digest() -> None:
    ada = Members(alive("ada"), lambda _: True, WAN)
    bob = Members(alive("bob"), lambda _: True, WAN)
    assert ada.digest() != bob.digest()
    ada.merge(bob.me, 0.0)
    bob.merge(ada.me, 0.0)
    assert ada.digest() == bob.digest()


def test_a_suspect_dies_sooner_the_more_accuse_it() -> None:
    times = [suspicion_timeout_s(WAN, 10, n_confirmations) for n_confirmations in range(5)]
    assert times == sorted(times, reverse=True)
    assert times[0] == 3 * WAN.suspicion_s
    assert times[3] == times[4] == WAN.suspicion_s
    assert suspicion_timeout_s(WAN, 1000, 3) == 3 * WAN.suspicion_s


def test_the_accuser_condemns_and_others_wait_twice_as_long() -> None:
    accuser, other = members(alive("ada"), suspect("ada", "me")), members(alive("ada"), suspect("ada", "bob"))
    limit_s = suspicion_timeout_s(WAN, 2, 0)
    assert not accuser.condemned(limit_s - 0.01)
    assert accuser.condemned(limit_s) == [dead("ada")]
    assert not other.condemned(2 * limit_s - 0.01)
    assert other.condemned(2 * limit_s) == [dead("ada")]


def test_one_that_could_not_be_reached_is_given_the_longest_time_and_not_suspected_again_once_it_has_refuted() -> None:
    known = members(alive("ada"))
    suspicion = known.miss("ada", 0.0)
    assert suspicion is not None
    known.merge(suspicion, 0.0)
    assert known.merge(suspicion, 1.0) is None, "however many find the same"
    assert known.miss("ada", 1.0) is None
    limit_s = suspicion_timeout_s(WAN, 2, 0)
    assert not known.condemned(limit_s - 0.01)
    assert known.condemned(limit_s) == [dead("ada")]
    known.merge(alive("ada", 2), 2.0)
    assert known.miss("ada", 3.0) is None
    assert known.miss("ada", 2.0 + WAN.forget_s) == Record("ada", MemberState.SUSPECT, 2, "tcp://ada:2", "ada")


def test_time_that_this_agent_slept_does_not_count_against_suspects() -> None:
    known = members(alive("ada"), suspect("ada", "me"))
    known.grant(100.0)
    assert not known.condemned(100.0)
