"""What follows on the last round of training: nothing, a measurement, or first a choice."""

import numpy as np

from p2pnet.protocol.core.effects import Close, Conclude, Finish, Measure, Notify, Send
from p2pnet.protocol.core.events import (
    Chosen,
    DeadlineReached,
    LeaveRequested,
    Measured,
    MessageReceived,
    PeerConnected,
)
from p2pnet.protocol.core.notices import ParametersChosen
from p2pnet.protocol.core.types import CHOICE, MEASUREMENT, LinkId, Nonce
from p2pnet.protocol.messages.training import Ack, Hello, Refuse
from p2pnet.protocol.rounds.conclusion import Conclusion, ConclusionEffect
from p2pnet.protocol.rounds.fingerprints import STAGE_FIELD
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions

ME = Identity("ann", "ann", 10, {"task": "regression", STAGE_FIELD: "training"}, "")
FINISHED = Finish(7, np.array([1.0, 2.0]), "converged")


def conclusion(n_candidates: int = 0, n_metric_sums: int = 0, concluded_round: int | None = None) -> Conclusion:
    return Conclusion(ME, RoundOptions(max_rounds=9), n_candidates, n_metric_sums, concluded_round)


def hellos(effects: list[ConclusionEffect]) -> list[Hello]:
    return [effect.message for effect in effects if isinstance(effect, Send) and isinstance(effect.message, Hello)]


def hello(stage: str) -> MessageReceived[Hello]:
    return MessageReceived("bob", Hello(Nonce(5, 1), None, {STAGE_FIELD: stage}, "bob", "", 0, is_confirmed=False))


def test_without_held_out_rows_nothing_follows() -> None:
    nothing = conclusion()
    assert nothing.begin(FINISHED, 0.0) == []
    assert nothing.is_closed
    assert nothing.next_deadline() is None


def test_a_measurement_begins_with_the_last_parameters_at_all_neighbors() -> None:
    measured = conclusion(n_metric_sums=3)
    assert not measured.is_closed
    measured.handle(PeerConnected("bob"), 0.0)
    effects = measured.begin(FINISHED, 1.0)
    asked = next(effect for effect in effects if isinstance(effect, Measure))
    assert (asked.stage, asked.round) == (MEASUREMENT, 0)
    assert asked.params is FINISHED.params
    (said,) = hellos(effects)
    assert said.nonce.incarnation == 12
    assert said.fingerprint == {"task": "regression", STAGE_FIELD: MEASUREMENT}


def test_a_choice_comes_before_it() -> None:
    chosen = conclusion(n_candidates=5, n_metric_sums=3)
    chosen.handle(PeerConnected("bob"), 0.0)
    effects = chosen.begin(FINISHED, 1.0)
    assert [effect.stage for effect in effects if isinstance(effect, Measure)] == [CHOICE]
    assert hellos(effects)[0].nonce.incarnation == 11
    best = np.array([3.0, 4.0])
    effects = chosen.handle(Chosen(5, best), 2.0)
    assert Notify(ParametersChosen(5)) in effects
    asked = next(effect for effect in effects if isinstance(effect, Measure))
    assert asked.params is best
    assert hellos(effects)[0].fingerprint[STAGE_FIELD] == MEASUREMENT


def test_an_agent_whose_neighbors_are_gone_has_the_sums_of_its_own_rows() -> None:
    alone = conclusion(n_metric_sums=3)
    alone.begin(FINISHED, 0.0)
    sums = np.array([1.0, 2.0, 3.0])
    alone.handle(Measured(MEASUREMENT, 0, sums), 0.1)
    effects: list[ConclusionEffect] = []
    while not alone.is_closed:
        deadline = alone.next_deadline()
        assert deadline is not None
        assert deadline <= 10.0
        effects += alone.handle(DeadlineReached(), deadline)
    (found,) = (effect for effect in effects if isinstance(effect, Conclude))
    np.testing.assert_array_equal(found.sums, sums)
    np.testing.assert_array_equal(found.params, FINISHED.params)
    assert alone.is_concluded


def test_what_an_earlier_process_has_found_is_not_found_again() -> None:
    again = conclusion(n_candidates=5, n_metric_sums=3, concluded_round=FINISHED.round)
    assert again.begin(FINISHED, 0.0) == []
    assert again.is_closed
    assert again.is_concluded
    later = conclusion(n_metric_sums=3, concluded_round=FINISHED.round - 1)
    assert any(isinstance(effect, Measure) for effect in later.begin(FINISHED, 0.0))
    assert not later.is_concluded


def test_messages_are_told_from_those_of_the_training() -> None:
    measured = conclusion(n_metric_sums=3)
    assert measured.owns(hello(MEASUREMENT))
    assert measured.owns(hello(CHOICE))
    assert measured.handle(hello(MEASUREMENT), 0.0) == []  # it has not begun here
    assert not measured.owns(hello("training"))
    ack = MessageReceived("bob", Ack(LinkId(Nonce(5, 1), Nonce(12, 1)), 1))
    assert not measured.owns(ack)
    measured.begin(FINISHED, 0.0)
    assert measured.owns(ack)
    assert not measured.owns(MessageReceived("bob", Ack(LinkId(Nonce(5, 1), Nonce(10, 1)), 1)))
    assert not measured.owns(MessageReceived("bob", Refuse("why not")))


def test_an_agent_that_leaves_begins_nothing_more() -> None:
    chosen = conclusion(n_candidates=5, n_metric_sums=3)
    chosen.begin(FINISHED, 0.0)
    effects = chosen.handle(LeaveRequested(), 1.0)
    assert chosen.is_closed
    assert not any(isinstance(effect, Close | Conclude) for effect in effects)
    assert chosen.handle(Chosen(5, FINISHED.params), 2.0) == [Notify(ParametersChosen(5))]
