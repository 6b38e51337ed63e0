"""When training begins: with all neighbors that are expected, with those that came, or where the others are already."""

import numpy as np
import pytest

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.effects import Notify, Send
from p2pnet.protocol.core.notices import NoNeighborAnswered
from p2pnet.protocol.messages.training import Ready, StateReply, StateRequest
from p2pnet.protocol.rounds.bootstrap import BootstrapEffect
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


def test_without_any_neighbor_it_is_said_once_and_waited_on() -> None:
    parts = parts_with(expected=1)
    assert parts.bootstrap.advance(START_S) == ([Notify(NoNeighborAnswered(START_S))], False)
    assert parts.bootstrap.deadline == 2 * START_S
    assert parts.bootstrap.advance(2 * START_S) == ([], False)


def test_where_neighbors_have_refused_no_more_is_said() -> None:
    parts = parts_with(expected=1)
    parts.neighborhood.n_refusals = 1
    assert parts.bootstrap.advance(START_S) == ([], False)


def reply(parts: Parts, peer: str, round_: int, value: float = 1.0, stop_round: int = -1) -> StateReply:
    return StateReply(parts.link(peer).link_id, round_, stop_round, np.full(N_PARAMS, value))


def train(parts: Parts, *peers: str, round_: int = 7) -> None:
    for peer in peers:
        parts.neighbor(peer).round = round_


def taken_over(parts: Parts) -> tuple[int, float, int]:
    """Round, parameters and last round of the state that is believed."""
    state = parts.bootstrap.state
    assert state is not None
    return state.round, float(state.params[0]), state.stop_round


def test_two_neighbors_in_their_rounds_are_asked_at_once_and_then_those_that_were_asked_longest_ago() -> None:
    parts = parts_with("ann", "bob", "cy", expected=3)
    train(parts, "ann", "bob", "cy")
    order = []
    for turn in range(3):
        now = turn * STATE_S
        two = asked(parts.bootstrap.advance(now)[0])
        assert len(two) == 2
        order += two
        assert parts.bootstrap.deadline == now + STATE_S
        assert parts.bootstrap.advance(now + STATE_S / 2) == ([], False)  # they may still answer
    assert sorted(order[:3]) == sorted(order[3:]) == ["ann", "bob", "cy"]


def test_when_the_link_closes_over_which_a_neighbor_was_asked_another_is_asked_at_once() -> None:
    parts = parts_with("ann", "bob", "cy", expected=3)
    train(parts, "ann", "bob", "cy")
    first, second = asked(parts.bootstrap.advance(0.0)[0])
    parts.neighbor(first).is_confirmed = False
    (third,) = asked(parts.bootstrap.advance(0.1)[0])
    assert {first, second, third} == {"ann", "bob", "cy"}


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
