"""What agents that have not begun tell each other of those that train; one liar is on all paths of its lies."""

import numpy as np

from p2pnet.protocol.core.types import LinkId, Nonce
from p2pnet.protocol.messages.training import MAX_PATH, WITNESSES, StateReply, Witness
from p2pnet.protocol.rounds.witnesses import MAX_WITNESSES, Witnesses
from tests.protocol.rounds.parts import N_PARAMS, Parts

LINK = LinkId(Nonce(1, 1), Nonce(1, 1))
STATE = StateReply(LINK, 7, 40, np.ones(N_PARAMS))


def word(*path: str, round_: int = 7) -> Witness:
    return Witness(LINK, round_, 40, path)


def heard(*words: tuple[str, Witness]) -> Witnesses:
    witnesses = Witnesses("me")
    for peer, witness in words:
        witnesses.hear(peer, witness)
    return witnesses


def listening(*peers: str) -> Parts:
    parts = Parts(*peers)
    for peer in peers:
        parts.neighbor(peer).capabilities = frozenset({WITNESSES})
    return parts


def test_a_word_is_of_another_where_its_path_has_not_led_through_the_first() -> None:
    assert heard(("bob", word("eve"))).of_another("ann") == word("eve", "bob")
    assert heard(("bob", word("eve"))).of_another("eve") is None
    assert heard(("eve", word("ann", "cy"))).of_another("eve") is None, "who has passed it on may have made it up"


def test_what_has_been_here_before_or_goes_in_a_circle_is_not_heard() -> None:
    for path in (("me",), ("ann", "me", "cy"), ("ann", "bob"), tuple(f"agent {k}" for k in range(MAX_PATH))):
        assert heard(("bob", word(*path))).of_another("nobody") is None


def test_own_and_heard_words_are_passed_on_once_and_not_back() -> None:
    parts, witnesses = listening("bob", "cy"), heard(("bob", word("ann")))
    sent = witnesses.pass_on("dan", STATE, parts.neighborhood.open())
    told = {(send.peer, send.message.path) for send in sent if isinstance(send.message, Witness)}
    assert told == {("bob", ("dan",)), ("cy", ("dan",)), ("cy", ("ann", "bob"))}
    assert witnesses.pass_on("dan", STATE, parts.neighborhood.open()) == []


def test_one_that_cannot_read_them_is_told_none() -> None:
    assert heard().pass_on("dan", STATE, Parts("bob").neighborhood.open()) == []


def test_not_more_words_are_kept_and_passed_on_than_there_is_room_for() -> None:
    witnesses = heard(*(("bob", word(f"agent {k}")) for k in range(1000)))
    assert len(witnesses.pass_on("", None, listening("cy").neighborhood.open())) == MAX_WITNESSES


def believes(parts: Parts) -> bool:
    return parts.bootstrap.state is not None


def test_an_agent_takes_over_a_state_that_a_witness_confirms() -> None:
    parts = listening("ann", "bob")
    parts.bootstrap.begin(0.0)
    parts.neighbor("ann").round = 7
    parts.neighbor("ann").is_ready = parts.neighbor("bob").is_ready = False
    parts.bootstrap.advance(0.0)
    parts.bootstrap.state_received("ann", STATE)
    effects, _ = parts.bootstrap.advance(0.1)
    assert [effect.message.path for effect in effects if isinstance(effect.message, Witness)] == [("ann",)]  # type: ignore[union-attr]
    parts.bootstrap.witness_received("bob", word("ann", "cy", round_=9))
    parts.bootstrap.advance(0.2)
    assert not believes(parts)
    parts.bootstrap.witness_received("bob", word("dan", round_=6))
    parts.bootstrap.advance(0.3)
    state = parts.bootstrap.state
    assert state is not None
    assert (state.round, state.stop_round, state.params[0]) == (6, 40, 1.0)
