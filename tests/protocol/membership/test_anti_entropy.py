"""Two agents that compare what they know come to know the same, and compare ever more seldom once they do."""

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from p2pnet.protocol.core.effects import Send
from p2pnet.protocol.membership.anti_entropy import FAST_INTERVAL_S, MAX_RECORDS_BYTES, AntiEntropy
from p2pnet.protocol.membership.members import Members
from p2pnet.protocol.membership.timing import LAN
from p2pnet.protocol.membership.views import ActiveView
from p2pnet.protocol.messages.membership import Digest, MemberRecords, MemberState, Record, n_bytes


def alive(peer: str) -> Record:
    return Record(peer, MemberState.ALIVE, 1, f"tcp://{peer}:7070", peer)


class Agent:
    """One agent's table and its part in comparing; its only neighbor is `other`."""

    def __init__(self, name: str, other: str, known: set[int], seed: int = 0) -> None:
        self.members = Members(alive(name), lambda _: True, LAN)
        for number in known:
            self.members.merge(alive(f"m{number}"), 0.0)
        self.view = ActiveView(1, 1)
        self.view.add(other, 0.0)
        self.comparing = AntiEntropy(self.members, self.view, LAN, Random(seed))  # noqa: S311

    def digest(self, now: float) -> Digest | None:
        """What it says when it is time."""
        for effect in self.comparing.tick(now):
            assert isinstance(effect.message, Digest)
            return effect.message
        return None

    def answer(self, digest: Digest, max_bytes: float = 1e9) -> MemberRecords:
        (effect,) = self.comparing.digest_received("other", digest, max_bytes)
        assert isinstance(effect, Send)
        assert isinstance(effect.message, MemberRecords)
        return effect.message

    def learn(self, records: MemberRecords, now: float) -> int:
        n_news = sum(self.members.merge(record, now) is not None for record in records.records)
        self.comparing.records_received(records, n_news, now)
        return n_news

    def known(self) -> set[str]:
        return {self.members.me.peer, *self.members.states}


numbers = st.sets(st.integers(0, 200), max_size=120)


@given(mine=numbers, theirs=numbers, seed=st.integers(0, 100))
def test_both_come_to_know_what_either_knew(mine: set[int], theirs: set[int], seed: int) -> None:
    ann, bob = Agent("ann", "bob", mine, seed), Agent("bob", "ann", theirs, seed + 1)
    expected = ann.known() | bob.known()
    now = 0.0
    while ann.known() != expected or bob.known() != expected:
        now += 2 * LAN.sync_interval_s
        assert now < 100 * LAN.sync_interval_s, "they learn something each time, so it ends"
        for asking, asked in ((ann, bob), (bob, ann)):
            digest = asking.digest(now)
            assert digest is not None
            asking.learn(asked.answer(digest), now)
    assert ann.members.digest() == bob.members.digest()


@given(known=st.sets(st.integers(0, 200), min_size=1, max_size=120), max_bytes=st.floats(0, 5000))
def test_an_answer_is_no_longer_than_allowed_and_says_whether_it_is_all(known: set[int], max_bytes: float) -> None:
    answer = Agent("bob", "ann", known).answer(Digest(Agent("ann", "bob", set()).members.digest()), max_bytes)
    assert sum(n_bytes(record) for record in answer.records) <= min(max_bytes, MAX_RECORDS_BYTES)
    told = {record.peer for record in answer.records}
    assert len(told) == len(answer.records)
    assert answer.is_complete == (told == {"bob", *(f"m{number}" for number in known)})


def test_equal_tables_have_nothing_to_tell() -> None:
    ann, bob = Agent("ann", "bob", {1, 2}), Agent("bob", "ann", {1, 2})
    ann.members.merge(alive("bob"), 0.0)
    bob.members.merge(alive("ann"), 0.0)
    assert bob.answer(Digest(ann.members.digest())) == MemberRecords((), True)


def intervals(agent: Agent, until: float) -> list[float]:
    """The times between its digests when nothing new is heard."""
    times = [step / 100 for step in range(int(100 * until)) if agent.digest(step / 100) is not None]
    return [later - earlier for earlier, later in pairwise(times)]


def test_digests_grow_rarer_down_to_the_interval_of_the_preset() -> None:
    found = intervals(Agent("ann", "bob", set()), until=8 * LAN.sync_interval_s)
    expected = [min(2 ** (k + 1) * FAST_INTERVAL_S, LAN.sync_interval_s) for k in range(len(found))]
    assert len(found) > 6
    for one, other in zip(found, expected, strict=True):
        assert 0.74 * other <= one <= 1.26 * other


def test_news_and_answers_in_part_bring_the_next_digest_soon() -> None:
    for records, n_news, is_soon in (
        (MemberRecords((alive("m1"),), True), 1, True),
        (MemberRecords((), False), 0, True),
        (MemberRecords((), True), 0, False),
    ):
        agent = Agent("ann", "bob", set())
        for k in range(10):
            agent.digest(k * 100.0)
        agent.comparing.records_received(records, n_news, 901.0)
        assert (agent.digest(901.0 + 1.26 * FAST_INTERVAL_S) is not None) == is_soon


def test_without_a_neighbor_there_is_no_digest() -> None:
    agent = Agent("ann", "bob", set())
    agent.view.remove("bob")
    assert agent.digest(1e6) is None
