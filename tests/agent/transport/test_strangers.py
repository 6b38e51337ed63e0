"""Strangers have a few places, and the host that has most of them gives way."""

from dataclasses import dataclass
from itertools import pairwise
from random import Random

from p2pnet.agent.transport.strangers import (
    FIRST_PAUSE_S,
    MAX_ORIGINS,
    MAX_PAUSE_S,
    HandshakeBudget,
    HandshakeRate,
    Strangers,
)


@dataclass(eq=False)
class Knock:
    host: str


def test_where_there_are_too_many_the_host_with_most_of_them_loses_one() -> None:
    strangers = Strangers[Knock](8, Random(0))  # noqa: S311
    honest = Knock("192.0.2.1")
    assert strangers.add(honest) is None
    gone = [strangers.add(Knock("192.0.2.66")) for _ in range(1000)]
    assert honest in list(strangers)
    assert len(strangers) == 8
    assert sum(one is not None for one in gone) == 1000 - 7
    assert {one.host for one in gone if one is not None} == {"192.0.2.66"}


def test_one_that_is_known_now_or_has_ended_takes_no_place() -> None:
    strangers = Strangers[Knock](2, Random(0))  # noqa: S311
    first, second = Knock("a"), Knock("a")
    strangers.add(first)
    strangers.add(second)
    strangers.remove(first)
    strangers.remove(first)
    assert len(strangers) == 1
    assert strangers.add(Knock("b")) is None
    strangers.remove(second)
    assert [one.host for one in strangers] == ["b"]


def test_of_one_host_each_has_the_same_chance() -> None:
    n_stayed = 0
    for seed in range(400):
        strangers = Strangers[Knock](4, Random(seed))  # noqa: S311
        first = Knock("a")
        strangers.add(first)
        for _ in range(5):
            strangers.add(Knock("a"))
        n_stayed += first in list(strangers)
    assert abs(n_stayed / 400 - 0.8**2) < 0.1  # the fourth is the last that comes without one going


RATE = HandshakeRate(30.0, 1.0)


def test_a_key_shakes_hands_some_times_at_once_and_then_once_a_second() -> None:
    budget = HandshakeBudget(RATE)
    assert sum(budget.admits("ann", 0.0) for _ in range(1000)) == RATE.at_once
    assert budget.admits("bob", 0.0)
    assert sum(budget.admits("ann", 10.0) for _ in range(1000)) == 10 * RATE.per_s


def test_one_that_goes_on_is_shut_out_ever_longer_until_it_has_kept_away() -> None:
    budget = HandshakeBudget(RATE)
    admitted = [second for second in range(200) for _ in range(50) if budget.admits("ann", float(second))]
    assert len(admitted) < 30 + 200 * RATE.per_s / 2
    assert max(later - earlier for earlier, later in pairwise(admitted)) == MAX_PAUSE_S
    assert not budget.admits("ann", 200.0)
    again = 200.0 + MAX_PAUSE_S + RATE.at_once
    assert sum(budget.admits("ann", again) for _ in range(31)) == RATE.at_once
    assert budget.admits("ann", again + FIRST_PAUSE_S)


def test_of_too_many_hosts_those_that_have_not_come_for_longest_are_forgotten() -> None:
    budget = HandshakeBudget(HandshakeRate(1.0, 0.0))
    assert budget.admits("first", 0.0)
    assert not budget.admits("first", 0.0)
    for k in range(MAX_ORIGINS):
        budget.admits(f"host {k}", 1.0)
    assert budget.admits("first", 2.0)
