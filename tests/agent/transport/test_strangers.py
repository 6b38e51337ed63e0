"""Strangers have a few places, and the host that has most of them gives way."""

from dataclasses import dataclass
from random import Random

from p2pnet.agent.transport.strangers import HANDSHAKES_AT_ONCE, HANDSHAKES_PER_S, HandshakeBudget, Strangers


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


def test_a_key_shakes_hands_some_times_at_once_and_then_once_a_second() -> None:
    budget = HandshakeBudget()
    assert sum(budget.admits("ann", 0.0) for _ in range(1000)) == HANDSHAKES_AT_ONCE
    assert budget.admits("bob", 0.0)
    assert sum(budget.admits("ann", 10.0) for _ in range(1000)) == 10 * HANDSHAKES_PER_S
