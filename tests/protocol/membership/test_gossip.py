"""News goes once over every link, the latest first, and never more of it than allowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.protocol.membership.gossip import BURST_S, Allowance, GossipQueue
from p2pnet.protocol.messages.membership import MemberState, Record, n_bytes

NEIGHBORS = ("ada", "bob", "cy")
PLENTY = 10_000.0


def alive(peer: str, incarnation: int = 1) -> Record:
    return Record(peer, MemberState.ALIVE, incarnation, f"tcp://{peer}:7070")


@pytest.fixture
def news() -> GossipQueue:
    queue = GossipQueue()
    queue.follow(NEIGHBORS)
    return queue


def test_each_neighbor_is_told_once_and_the_source_never(news: GossipQueue) -> None:
    news.put(alive("dan"), source="ada")
    told = {peer: [news.take(peer, PLENTY), news.take(peer, PLENTY)] for peer in NEIGHBORS}
    assert told == {"ada": [(), ()], "bob": [(alive("dan"),), ()], "cy": [(alive("dan"),), ()]}


def test_who_tells_us_first_is_not_told(news: GossipQueue) -> None:
    news.put(alive("dan"))
    news.heard(alive("dan"), "bob")
    assert news.take("bob", PLENTY) == ()
    assert news.take("cy", PLENTY) == (alive("dan"),)


def test_who_tells_us_old_news_is_told(news: GossipQueue) -> None:
    news.put(alive("dan", 2))
    news.heard(alive("dan", 1), "bob")
    assert news.take("bob", PLENTY) == (alive("dan", 2),)


def test_newer_news_takes_the_place_of_older(news: GossipQueue) -> None:
    news.put(alive("dan", 1))
    news.put(Record("dan", MemberState.DEAD, 1))
    assert news.take("bob", PLENTY) == (Record("dan", MemberState.DEAD, 1),)


def test_a_new_neighbor_is_told_what_is_news_from_then_on(news: GossipQueue) -> None:
    news.put(alive("dan"))
    news.follow(["bob", "eve"])
    assert len(news) == 1
    news.put(alive("fay"))
    assert news.take("eve", PLENTY) == (alive("fay"),)
    assert news.take("bob", PLENTY) == (alive("fay"), alive("dan"))


@given(st.lists(st.sampled_from("defghijk"), max_size=20), st.floats(0, 200))
def test_a_message_holds_the_latest_news_that_fits(peers: list[str], max_bytes: float) -> None:
    queue = GossipQueue()
    queue.follow(["ada"])
    for peer in peers:
        queue.put(alive(peer))
    latest_first = list(dict.fromkeys(reversed(peers)))
    taken = queue.take("ada", max_bytes)
    assert [record.peer for record in taken] == latest_first[: len(taken)]
    assert sum(map(n_bytes, taken)) <= max_bytes
    assert len(taken) == len(latest_first) or sum(map(n_bytes, taken)) + n_bytes(alive("d")) > max_bytes


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 3000)), max_size=50))
def test_an_allowance_holds_over_any_time(steps: list[tuple[float, int]]) -> None:
    allowance, now, spent = Allowance(1000.0), 0.0, 0
    allowance.refill(now)
    for pause_s, wanted in steps:
        now += pause_s
        allowance.refill(now)
        if wanted <= allowance.n_bytes:
            allowance.spend(wanted)
            spent += wanted
    assert spent <= 1000.0 * (now + BURST_S) + 1e-6
