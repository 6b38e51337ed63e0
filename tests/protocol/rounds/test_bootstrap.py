"""When training begins: with all neighbors that are expected, with those that came, or where the others are already."""

import numpy as np
import pytest

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.effects import Notify, Send
from p2pnet.protocol.core.notices import NoNeighborAnswered
from p2pnet.protocol.core.types import Nonce
from p2pnet.protocol.messages.training import Ready, StateReply, StateRequest
from p2pnet.protocol.rounds.bootstrap import MAX_ASKED, BootstrapEffect
from p2pnet.protocol.rounds.timing import Timing
from tests.protocol.rounds.parts import N_PARAMS, Parts

START_S, STATE_S = 60.0, 2.0
MAX_ROUNDS = 1000
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


def test_where_no_number_is_expected_training_begins_once_no_link_has_opened_for_a_while() -> None:
    parts = Parts("ann", timing=TIMING, settling_s=3.0)
    parts.bootstrap.begin(0.0)
    assert list(said_ready(parts.bootstrap.advance(1.0)[0])) == ["ann"]
    assert parts.bootstrap.deadline == 4.0
    parts.join("bob")
    assert parts.bootstrap.advance(3.9) == ([], False)
    assert parts.bootstrap.advance(4.0) == ([], False)
    assert parts.bootstrap.deadline == 6.9
    assert parts.bootstrap.advance(6.9) == ([], True)


def test_one_that_goes_on_waits_for_no_other_link_where_a_neighbor_is_in_its_rounds() -> None:
    parts = Parts("ann", timing=TIMING, settling_s=3.0)
    parts.state.enter(7, np.ones(N_PARAMS))
    parts.bootstrap.begin(0.0)
    assert parts.bootstrap.advance(0.0)[1] is False
    parts.neighbor("ann").has_begun = True
    assert parts.bootstrap.advance(0.1)[1] is True


def test_one_left_behind_by_neighbors_that_have_gone_meanwhile_goes_on_alone_after_a_while() -> None:
    parts = Parts(timing=TIMING)
    parts.state.enter(7, np.ones(N_PARAMS))
    parts.state.announced_round = 7
    parts.bootstrap.has_announced = True
    parts.bootstrap.begin(0.0)
    assert parts.bootstrap.advance(START_S - 1.0) == ([], False)
    assert parts.bootstrap.advance(START_S) == ([], True)


def test_without_any_neighbor_it_is_said_once_and_waited_on() -> None:
    parts = parts_with(expected=1)
    assert parts.bootstrap.advance(START_S) == ([Notify(NoNeighborAnswered(START_S))], False)
    assert parts.bootstrap.deadline == 2 * START_S
    assert parts.bootstrap.advance(2 * START_S) == ([], False)


def test_where_neighbors_have_refused_no_more_is_said() -> None:
    parts = parts_with(expected=1)
    parts.neighborhood.n_refusals = 1
    assert parts.bootstrap.advance(START_S) == ([], False)


def test_a_neighbor_that_has_said_hello_has_answered_though_no_link_has_opened() -> None:
    parts = parts_with(expected=1)
    neighbor = parts.neighborhood.connected("ann", 0.0)
    neighbor.theirs = Nonce(incarnation=1, counter=1)
    assert parts.bootstrap.advance(START_S) == ([], False)
    parts.neighborhood.disconnected("ann", START_S)
    assert parts.bootstrap.advance(2 * START_S) == ([Notify(NoNeighborAnswered(START_S))], False)


def reply(parts: Parts, peer: str, round_: int, value: float = 1.0, stop_round: int = -1) -> StateReply:
    return StateReply(parts.link(peer).link_id, round_, stop_round, np.full(N_PARAMS, value))


def train(parts: Parts, *peers: str, round_: int = 7) -> None:
    for peer in peers:
        parts.neighbor(peer).round = round_


def until(parts: Parts) -> float:
    """The deadline."""
    assert parts.bootstrap.deadline is not None
    return parts.bootstrap.deadline


def taken_over(parts: Parts) -> tuple[int, float, int]:
    """Round, parameters and last round of the state that is believed."""
    state = parts.bootstrap.state
    assert state is not None
    return state.round, float(state.params[0]), state.stop_round


def test_two_neighbors_in_their_rounds_are_asked_at_once_and_then_those_that_were_asked_longest_ago() -> None:
    parts = parts_with("ann", "bob", "cy", expected=3)
    train(parts, "ann", "bob", "cy")
    order, now = [], 0.0
    for _ in range(8):
        order += asked(parts.bootstrap.advance(now)[0])
        assert parts.bootstrap.advance((now + until(parts)) / 2) == ([], False)  # they may still answer
        now = until(parts)
    assert order[:6] == ["ann", "bob", "cy", "ann", "bob", "cy"]


def test_when_the_link_closes_over_which_a_neighbor_was_asked_another_is_asked_at_once() -> None:
    parts = parts_with("ann", "bob", "cy", expected=3)
    train(parts, "ann", "bob", "cy")
    first, second = asked(parts.bootstrap.advance(0.0)[0])
    parts.close(first)
    (third,) = asked(parts.bootstrap.advance(0.1)[0])
    assert {first, second, third} == {"ann", "bob", "cy"}


def test_a_neighbor_that_is_asked_again_is_given_more_time() -> None:
    parts = parts_with("ann", expected=1)
    train(parts, "ann")
    asked_at: list[float] = []
    now = 0.0
    while len(asked_at) < 6:
        asked_at += [now] * len(asked(parts.bootstrap.advance(now)[0]))
        now = until(parts)
    assert np.diff(asked_at) == pytest.approx([0.4, 0.8, 1.6, STATE_S, STATE_S])


def test_the_only_neighbor_is_asked_for_ever() -> None:
    parts = parts_with("ann", expected=1)
    train(parts, "ann")
    assert all(asked(parts.bootstrap.advance(turn * STATE_S)[0]) == ["ann"] for turn in range(2000))


def test_an_agent_with_parameters_of_its_own_asks_for_none_and_begins_where_a_neighbor_is_in_its_rounds() -> None:
    parts = parts_with("ann", expected=3)
    parts.state.enter(5, np.ones(N_PARAMS))
    parts.neighbor("ann").round = 7
    assert parts.bootstrap.advance(0.0) == ([], False)
    parts.neighbor("ann").has_begun = True
    effects, is_beginning = parts.bootstrap.advance(0.0)
    assert said_ready(effects)["ann"].round == 5
    assert is_beginning


def end(parts: Parts, round_: int, *peers: str) -> None:
    for peer in peers:
        parts.neighbor(peer).round, parts.neighbor(peer).finished_sequence = round_, 1


def test_an_agent_whose_neighbors_have_all_ended_in_a_later_round_asks_for_their_result() -> None:
    parts = parts_with("ann", "bob", expected=2)
    parts.state.enter(5, np.ones(N_PARAMS))
    end(parts, 7, "ann")
    assert asked(parts.bootstrap.advance(0.0)[0]) == []
    end(parts, 5, "bob")
    assert asked(parts.bootstrap.advance(0.0)[0]) == []
    end(parts, 7, "bob")
    assert asked(parts.bootstrap.advance(0.0)[0]) == ["ann", "bob"]


def test_where_two_have_ended_a_state_of_an_earlier_round_does_not_begin_training_again() -> None:
    parts = parts_with("ann", "bob", expected=2)
    parts.state.enter(5, np.ones(N_PARAMS))
    end(parts, 70, "ann", "bob")
    parts.bootstrap.advance(0.0)
    parts.bootstrap.state_received("ann", reply(parts, "ann", 70, value=2.0))
    parts.bootstrap.state_received("bob", reply(parts, "bob", 3, value=-9.0))
    parts.bootstrap.advance(0.1)
    assert taken_over(parts) == (70, 2.0, -1)


def test_the_only_neighbor_has_ended_in_no_later_round_than_the_last() -> None:
    parts = parts_with("ann", expected=1)
    parts.state.enter(MAX_ROUNDS, np.ones(N_PARAMS))
    end(parts, 10**9, "ann")
    assert not parts.bootstrap.is_left_behind(0.0)


def test_neighbors_that_have_ended_and_do_not_give_their_result_keep_nobody_from_going_on() -> None:
    parts = parts_with("ann", "bob", expected=2)
    parts.state.enter(5, np.ones(N_PARAMS))
    end(parts, 7, "ann", "bob")
    now = 0.0
    while parts.bootstrap.is_left_behind(now):
        parts.bootstrap.advance(now)
        now = until(parts)
    assert now < 2 * MAX_ASKED * STATE_S


def test_training_does_not_begin_while_a_connected_peers_link_is_about_to_open() -> None:
    parts = parts_with("ann", expected=1)
    parts.neighbor("ann").is_ready = True
    limit_s = parts.timing.suspect_limit_s
    parts.neighborhood.connected("bob", 1.0)
    assert parts.bootstrap.advance(1.0)[1] is False
    assert parts.bootstrap.advance(0.5 + limit_s)[1] is False
    assert parts.bootstrap.advance(1.0 + limit_s)[1] is True


def test_a_state_that_nobody_asked_for_is_ignored() -> None:
    parts = parts_with("ann", "bob", expected=1)
    parts.bootstrap.state_received("ann", reply(parts, "ann", 7))
    train(parts, "ann")
    parts.bootstrap.advance(0.0)
    parts.bootstrap.state_received("bob", reply(parts, "bob", 7))
    parts.bootstrap.advance(0.1)
    assert parts.bootstrap.state is None


def test_the_only_neighbor_is_believed_at_once() -> None:
    parts = parts_with("ann", expected=1)
    train(parts, "ann")
    parts.bootstrap.advance(0.0)
    parts.bootstrap.state_received("ann", reply(parts, "ann", 7, stop_round=40))
    parts.bootstrap.advance(0.1)
    assert taken_over(parts) == (7, 1.0, 40)


def test_of_two_states_the_earlier_round_holds_and_the_parameters_nearer_to_the_start() -> None:
    parts = parts_with("ann", "bob", expected=2)
    train(parts, "ann", "bob")
    parts.bootstrap.advance(0.0)
    parts.bootstrap.state_received("ann", reply(parts, "ann", 80, value=2.0, stop_round=90))
    parts.bootstrap.advance(0.1)
    assert parts.bootstrap.state is None
    parts.bootstrap.state_received("bob", reply(parts, "bob", 7, value=-3.0))
    parts.bootstrap.advance(0.2)
    assert taken_over(parts) == (7, 2.0, -1)


def test_the_last_round_is_one_that_two_name() -> None:
    parts = parts_with("ann", "bob", expected=2)
    train(parts, "ann", "bob")
    parts.bootstrap.advance(0.0)
    parts.bootstrap.state_received("ann", reply(parts, "ann", 80, stop_round=90))
    parts.bootstrap.state_received("bob", reply(parts, "bob", 80, stop_round=1))
    parts.bootstrap.advance(0.1)
    assert taken_over(parts) == (80, 1.0, 90)


def test_another_neighbor_that_is_expected_is_waited_for_a_while() -> None:
    parts = parts_with("ann", expected=2)
    train(parts, "ann")
    parts.bootstrap.advance(0.0)
    parts.bootstrap.state_received("ann", reply(parts, "ann", 7))
    parts.bootstrap.advance(0.1)
    assert parts.bootstrap.state is None
    assert parts.bootstrap.deadline == STATE_S
    parts.bootstrap.advance(STATE_S)
    assert taken_over(parts) == (7, 1.0, -1)


def test_one_that_trains_alone_among_others_that_have_not_begun_is_believed_halfway_only() -> None:
    parts = parts_with("ann", "bob", expected=2)
    train(parts, "ann")
    parts.bootstrap.advance(0.0)
    parts.bootstrap.state_received("ann", reply(parts, "ann", MAX_ROUNDS - 1, stop_round=MAX_ROUNDS - 1))
    parts.bootstrap.advance(STATE_S - 1e-3)
    assert parts.bootstrap.state is None
    parts.bootstrap.advance(STATE_S)
    assert taken_over(parts) == (MAX_ROUNDS // 2, 0.0, -1)


@pytest.mark.parametrize(("round_", "value"), [(MAX_ROUNDS + 1, 1.0), (10**9, 1.0), (7, 1e7), (7, 1e300)])
def test_a_state_that_cannot_be_is_refused_and_who_gives_no_other_keeps_nobody_from_beginning(
    round_: int, value: float
) -> None:
    parts = parts_with("ann", "bob", expected=2)
    train(parts, "ann")
    parts.neighbor("ann").is_ready = parts.neighbor("bob").is_ready = True
    parts.bootstrap.advance(0.0)
    with pytest.raises(ProtocolError, match="StateReply"):
        parts.bootstrap.state_received("ann", reply(parts, "ann", round_, value))
    assert parts.bootstrap.advance(0.1)[1] is True


def test_an_announcement_is_due_again_after_a_while_and_never_tells_of_no_neighbors() -> None:
    parts = parts_with("ann", expected=1)
    neighbor = parts.neighbor("ann")
    ready = parts.bootstrap.ready(neighbor, parts.link("ann"), 5.0).message
    assert isinstance(ready, Ready)
    assert ready.degree == 1
    assert neighbor.resend_at == 5.0 + TIMING.resend_s
