"""For whose shares a round waits: for all that keep up, once for those that say nothing, never for those long late."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.protocol.rounds.barrier import Barrier
from p2pnet.protocol.rounds.mixing import OnePeerExponential
from p2pnet.protocol.rounds.neighbor import MAX_MISSED
from tests.protocol.rounds.parts import N_MASS, Parts

PEERS = ("ann", "bob", "cy")


def raised(parts: Parts, heard_since: float = 0.0, now: float = 0.0) -> Barrier:
    parts.barrier.raise_for(0, [neighbor for neighbor, _ in parts.neighborhood.open()], PEERS, heard_since, now)
    return parts.barrier


@given(come=st.sets(st.sampled_from(PEERS)), taken=st.sets(st.sampled_from(PEERS)))
def test_a_round_waits_until_the_share_of_every_neighbor_has_come_that_is_taken_from(
    come: set[str], taken: set[str]
) -> None:
    parts = Parts(*PEERS)
    parts.barrier.raise_for(0, [neighbor for neighbor, _ in parts.neighborhood.open()], taken, 0.0, 0.0)
    for peer in come:
        parts.hear(peer, parts.share(peer, 0))
    assert parts.barrier.is_waiting(0) == bool(taken - come)


def test_a_share_of_a_later_round_is_as_good_and_one_of_an_earlier_is_not() -> None:
    parts = Parts("ann")
    barrier = raised(parts)
    parts.hear("ann", parts.share("ann", 4))
    assert not barrier.is_waiting(4)
    assert not barrier.is_waiting(3)
    assert barrier.is_waiting(5)


@pytest.mark.parametrize("why", ["not connected", "not ready", "closed"])
def test_no_round_waits_for_a_neighbor_that_is_not_there(why: str) -> None:
    parts = Parts("ann")
    barrier = raised(parts)
    assert (barrier.is_waiting(0), barrier.is_alone) == (True, False)
    match why:
        case "not connected":
            parts.neighborhood.disconnected("ann", 0.0)
        case "not ready":
            parts.neighbor("ann").is_ready = False
        case "closed":
            parts.close("ann")
    assert (barrier.is_waiting(0), barrier.is_alone) == (False, True)


def test_a_neighbor_that_has_ended_is_awaited_until_its_last_share_has_come() -> None:
    parts = Parts("ann")
    barrier = raised(parts)
    parts.hear("ann", parts.share("ann", 0))
    parts.neighbor("ann").finished_sequence = 2
    assert barrier.is_waiting(1)
    parts.hear("ann", parts.share("ann", 1))
    assert not barrier.is_waiting(7)


def test_a_late_neighbor_is_awaited_only_where_no_prompt_one_says_anything() -> None:
    parts = Parts("ann", "bob")
    parts.neighbor("bob").n_missed = MAX_MISSED
    parts.neighbor("ann").last_heard_at = 5.0
    barrier = raised(parts, heard_since=5.0)
    parts.hear("ann", parts.share("ann", 0), now=5.0)
    assert not barrier.is_waiting(0)
    parts.neighbor("ann").last_heard_at = 4.0
    assert raised(parts, heard_since=5.0).is_waiting(0)


def test_silence_since_the_shares_went_out_costs_all_patience_at_once_and_lateness_a_round_each() -> None:
    parts = Parts("ann", "bob", "cy")
    barrier = raised(parts, now=10.0)
    parts.hear("ann", parts.share("ann", 7), now=11.0)
    parts.hear("bob", parts.share("bob", 6), now=11.0)
    silent, late, prompt = parts.neighbor("cy"), parts.neighbor("bob"), parts.neighbor("ann")
    for neighbor in (silent, late, prompt):
        neighbor.n_missed = 1
        barrier.count_missed(neighbor, parts.link(neighbor.peer), 8)
    assert silent.is_lagging
    assert (late.n_missed, prompt.n_missed) == (2, 0)


@pytest.mark.parametrize("has_sent_a_share", [False, True])
def test_closing_a_link_forgives_what_was_missed_where_a_share_had_come_over_it(has_sent_a_share: bool) -> None:
    parts = Parts("ann", "bob")
    if has_sent_a_share:
        parts.hear("bob", parts.share("bob", 0))
    parts.neighbor("bob").n_missed = MAX_MISSED
    parts.close("bob")
    assert parts.neighbor("bob").is_lagging != has_sent_a_share


def test_news_is_a_share_that_has_come_and_is_not_mixed() -> None:
    parts = Parts("ann", "bob")
    found = [parts.barrier.has_news]
    parts.hear("bob", parts.share("bob", 0, total=np.ones(N_MASS)))
    found.append(parts.barrier.has_news)
    parts.link("bob").apply(0)
    found.append(parts.barrier.has_news)
    assert found == [False, True, False]


def test_an_agent_is_waited_for_by_the_neighbors_it_meets_that_have_shared_the_round_already() -> None:
    parts = Parts("ann", "bob", mixing=OnePeerExponential("me", ("ann", "bob", "me")))
    meeting = next(peer for peer in ("ann", "bob") if parts.mixing.meets(peer, 0))
    other = next(peer for peer in ("ann", "bob") if peer != meeting)
    parts.hear(other, parts.share(other, 0))
    assert not parts.barrier.is_waited_for(0)
    parts.hear(meeting, parts.share(meeting, 0))
    assert parts.barrier.is_waited_for(0)
    assert not parts.barrier.is_waited_for(1)


def test_a_prompt_neighbor_whose_turn_never_comes_does_not_make_a_round_run_ahead_of_late_ones() -> None:
    members = ("me", "next", "ann", "bob", "across", "cy", "dan", "last")
    parts = Parts(*members[1:], mixing=OnePeerExponential("me", members))
    for neighbor, _ in parts.neighborhood.open():
        neighbor.n_missed = MAX_MISSED
    never = next(peer for peer in members[1:] if not any(parts.mixing.meets(peer, turn) for turn in range(8)))
    prompt = parts.neighbor(never)
    prompt.n_missed, prompt.last_heard_at = 0, 5.0
    partner = next(peer for peer in members[1:] if parts.mixing.meets(peer, 0))
    neighbors = [neighbor for neighbor, _ in parts.neighborhood.open()]
    parts.barrier.raise_for(0, neighbors, {partner}, 5.0, 5.0)
    assert parts.barrier.is_waiting(0)
