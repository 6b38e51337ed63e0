"""Failures to reach a peer: who waits for a late starter tells nothing, and a cause is told once."""

import pytest

from p2pnet.protocol.core.events import DialFailed, DialProblem
from p2pnet.protocol.peering.unreachable import UnreachablePeers

ADDRESS = "tcp://192.0.2.1:7070"


def failed(problem: DialProblem, peer: str = "a") -> DialFailed:
    return DialFailed(peer, ADDRESS, problem)


@pytest.mark.parametrize("problem", [DialProblem.NAME_NOT_FOUND, DialProblem.NOT_ALLOWED, DialProblem.NOT_THE_PEER])
def test_what_waiting_does_not_mend_is_told_at_once_and_once(problem: DialProblem) -> None:
    unreached = UnreachablePeers()
    assert [unreached.is_news(failed(problem), now) for now in (0.0, 1.0, 1000.0)] == [True, False, False]


@pytest.mark.parametrize("problem", [DialProblem.REFUSED, DialProblem.TIMED_OUT])
def test_a_peer_that_may_still_be_starting_is_told_of_a_little_later(problem: DialProblem) -> None:
    unreached = UnreachablePeers()
    times = (7.0, 11.9, 12.0, 13.0)
    assert [unreached.is_news(failed(problem), now) for now in times] == [False, False, True, False]


def test_another_cause_and_another_peer_are_news_and_everything_is_after_a_connection() -> None:
    unreached = UnreachablePeers()
    assert unreached.is_news(failed(DialProblem.NOT_ALLOWED), 0.0)
    assert unreached.is_news(failed(DialProblem.NAME_NOT_FOUND), 1.0)
    assert unreached.is_news(failed(DialProblem.NOT_ALLOWED, "b"), 1.0)
    unreached.reached("a")
    assert unreached.is_news(failed(DialProblem.NOT_ALLOWED), 2.0)
    assert not unreached.is_news(failed(DialProblem.REFUSED), 2.0)
