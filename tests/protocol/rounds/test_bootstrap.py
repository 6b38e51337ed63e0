"""When training begins: with all neighbors that are expected, with those that came, or where the others are already."""

import numpy as np
import pytest

from p2pnet.protocol.core.effects import Notify, Send
from p2pnet.protocol.core.notices import NoNeighborAnswered
from p2pnet.protocol.messages.training import Ready, StateReply, StateRequest
from p2pnet.protocol.rounds.bootstrap import BootstrapEffect
from p2pnet.protocol.rounds.timing import Timing
from tests.protocol.rounds.parts import N_PARAMS, Parts

START_S, STATE_S = 60.0, 2.0
TIMING = Timing(start_timeout_s=START_S, state_timeout_s=STATE_S)


def parts_with(*neighbors: str, expected: int) -> Parts:
    parts = Parts(timing=TIMING, expected_neighbors=expected)
    for peer in neighbors:
        parts.join(peer, is_ready=False)
    parts.bootstrap.begin(0.0)
    return parts


def said_ready(effects: list[BootstrapEffect]) -> dict[str, Ready]:
    return {
        effect.peer: effect.message
        for effect in effects
        if isinstance(effect, Send) and isinstance(effect.message, Ready)
    }


def asked(effects: list[BootstrapEffect]) -> list[str]:
    return [effect.peer for effect in effects if isinstance(effect, Send) and isinstance(effect.message, StateRequest)]


def test_an_agent_announces_itself_once_with_its_degree_when_as_many_links_are_open_as_expected() -> None:
    parts = parts_with("ann", expected=2)
    assert parts.bootstrap.advance(1.0) == ([], False)
    parts.join("bob", is_ready=False)
    effects, is_beginning = parts.bootstrap.advance(2.0)
    assert {peer: ready.degree for peer, ready in said_ready(effects).items()} == {"ann": 2, "bob": 2}
    assert not is_beginning
    assert parts.bootstrap.advance(3.0) == ([], False)


def test_training_begins_once_all_neighbors_have_announced_themselves_too() -> None:
    parts = parts_with("ann", "bob", expected=2)
    parts.bootstrap.advance(0.0)
    parts.neighbor("ann").is_ready = True
    assert parts.bootstrap.advance(1.0)[1] is False
    parts.neighbor("bob").is_ready = True
    assert parts.bootstrap.advance(1.0)[1] is True


def test_at_the_end_of_patience_training_begins_with_those_that_are_there() -> None:
    parts = parts_with("ann", expected=3)
    assert parts.bootstrap.deadline == START_S
    assert parts.bootstrap.advance(START_S - 1e-3) == ([], False)
    effects, is_beginning = parts.bootstrap.advance(START_S)
    assert list(said_ready(effects)) == ["ann"]
    assert is_beginning


def test_without_any_neighbor_it_is_said_once_and_waited_on() -> None:
    parts = parts_with(expected=1)
    assert parts.bootstrap.advance(START_S) == ([Notify(NoNeighborAnswered(START_S))], False)
    assert parts.bootstrap.deadline == 2 * START_S
    assert parts.bootstrap.advance(2 * START_S) == ([], False)


def test_where_neighbors_have_refused_no_more_is_said() -> None:
    parts = parts_with(expected=1)
    parts.neighborhood.n_refusals = 1
    assert parts.bootstrap.advance(START_S) == ([], False)


def test_neighbors_in_their_rounds_are_asked_one_after_the_other_and_all_again() -> None:
    parts = parts_with("ann", "bob", "cy", expected=3)
    for peer in ("ann", "bob", "cy"):
        parts.neighbor(peer).round = 7
    order, pauses, now = [], [], 0.0
    for _ in range(6):
        (peer,) = asked(parts.bootstrap.advance(now)[0])
        order.append(peer)
        assert parts.bootstrap.deadline is not None
        pauses.append(parts.bootstrap.deadline - now)
        assert parts.bootstrap.advance(now + pauses[-1] / 2) == ([], False)  # it may still answer
        now = parts.bootstrap.deadline
    assert pauses == pytest.approx([0.4, 0.8, 1.6, STATE_S, STATE_S, STATE_S])
    assert sorted(order[:3]) == ["ann", "bob", "cy"]
    assert order[3:] == order[:3]


def test_when_the_link_closes_over_which_a_neighbor_was_asked_another_is_asked_at_once() -> None:
    parts = parts_with("ann", "bob", expected=2)
    for peer in ("ann", "bob"):
        parts.neighbor(peer).round = 7
    (first,) = asked(parts.bootstrap.advance(0.0)[0])
    parts.neighbor(first).is_confirmed = False
    (second,) = asked(parts.bootstrap.advance(0.1)[0])
    assert {first, second} == {"ann", "bob"}


def test_an_agent_with_parameters_of_its_own_asks_for_none_and_begins_where_a_neighbor_is_in_its_rounds() -> None:
    parts = parts_with("ann", expected=3)
    parts.state.enter(5, np.ones(N_PARAMS))
    parts.neighbor("ann").round = 7
    assert parts.bootstrap.advance(0.0) == ([], False)
    parts.neighbor("ann").has_begun = True
    effects, is_beginning = parts.bootstrap.advance(0.0)
    assert said_ready(effects)["ann"].round == 5
    assert is_beginning


def test_an_agent_whose_neighbors_have_all_ended_asks_for_their_result() -> None:
    parts = parts_with("ann", "bob", expected=2)
    parts.state.enter(5, np.ones(N_PARAMS))
    for peer in ("ann", "bob"):
        assert asked(parts.bootstrap.advance(0.0)[0]) == []
        parts.neighbor(peer).round, parts.neighbor(peer).finished_sequence = 7, 1
    assert len(asked(parts.bootstrap.advance(0.0)[0])) == 1


def test_training_does_not_begin_while_a_connected_peers_link_is_about_to_open() -> None:
    parts = parts_with("ann", expected=1)
    parts.neighbor("ann").is_ready = True
    limit_s = parts.timing.suspect_limit_s
    parts.neighborhood.connected("bob", 1.0)
    assert parts.bootstrap.advance(1.0)[1] is False
    assert parts.bootstrap.advance(0.5 + limit_s)[1] is False
    assert parts.bootstrap.advance(1.0 + limit_s)[1] is True


def test_only_the_answers_of_neighbors_that_were_asked_are_kept() -> None:
    parts = parts_with("ann", "bob", expected=2)
    parts.neighbor("ann").round = 7
    reply = StateReply(parts.link("ann").link_id, 7, -1, np.ones(N_PARAMS))
    parts.bootstrap.state_received("ann", reply)
    assert parts.bootstrap.state is None  # no agent has been asked
    parts.bootstrap.advance(0.0)
    parts.bootstrap.state_received("bob", reply)
    assert parts.bootstrap.state is None
    parts.bootstrap.state_received("ann", reply)
    assert parts.bootstrap.state is reply


def test_an_announcement_is_due_again_after_a_while_and_never_tells_of_no_neighbors() -> None:
    parts = parts_with("ann", expected=1)
    neighbor = parts.neighbor("ann")
    ready = parts.bootstrap.ready(neighbor, parts.link("ann"), 5.0).message
    assert isinstance(ready, Ready)
    assert ready.degree == 1
    assert neighbor.resend_at == 5.0 + TIMING.resend_s
