"""When a link is closed for its neighbor's silence, and how often an agent shows that it is there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.protocol.core.effects import Notify
from p2pnet.protocol.core.notices import CloseReason, LinkClosed
from p2pnet.protocol.core.types import Nonce
from p2pnet.protocol.messages.training import Ack
from p2pnet.protocol.rounds.liveness import SIGNS_PER_SILENCE, Liveness, acknowledgement
from p2pnet.protocol.rounds.timing import Timing
from tests.protocol.rounds.parts import Parts

SILENCE_S, REDIAL_S, SUSPECT_S = 15.0, 1.5, 20.0
TIMING = Timing(silence_s=SILENCE_S, redial_grace_s=REDIAL_S, suspect_limit_s=SUSPECT_S)


def watched(*neighbors: str) -> tuple[Parts, Liveness]:
    parts = Parts(*neighbors, timing=TIMING)
    return parts, Liveness(parts.neighborhood, TIMING)


def closed(effects: list[Notify]) -> list[tuple[str, CloseReason]]:
    return [(e.notice.name, e.notice.reason) for e in effects if isinstance(e.notice, LinkClosed)]


@given(heard_at=st.floats(0, 100), waited_s=st.floats(0, 30))
def test_a_connected_neighbor_is_dead_after_its_silence_and_not_before(heard_at: float, waited_s: float) -> None:
    parts, liveness = watched("ann")
    parts.neighbor("ann").last_heard_at = heard_at
    now = heard_at + waited_s
    expected = [("ann", CloseReason.SILENT)] if now >= heard_at + SILENCE_S else []
    assert closed(liveness.close_the_dead(now)) == expected


def test_a_closed_connection_has_the_time_of_a_redial() -> None:
    parts, liveness = watched("ann")
    parts.neighborhood.disconnected("ann", 10.0)
    assert liveness.next_deadline() == 10.0 + REDIAL_S
    assert liveness.close_the_dead(11.4) == []
    assert closed(liveness.close_the_dead(11.5)) == [("ann", CloseReason.DISCONNECTED)]


def test_a_neighbor_that_vanished_is_expected_for_a_while_and_then_forgotten() -> None:
    parts, liveness = watched("ann")
    parts.neighborhood.disconnected("ann", 0.0)
    liveness.close_the_dead(REDIAL_S)
    assert parts.neighborhood.absent(REDIAL_S) == ("ann",)
    liveness.close_the_dead(REDIAL_S + SUSPECT_S)
    assert parts.neighborhood.find("ann") is None


def test_one_that_is_not_known_to_have_opened_the_link_is_not_dead_for_saying_nothing() -> None:
    parts, liveness = watched("ann")
    parts.close("ann")
    parts.neighborhood.open_link(parts.neighbor("ann"), Nonce(1, 2))
    assert liveness.close_the_dead(1e6) == []


def test_a_sign_of_life_goes_to_those_that_have_heard_nothing_for_a_third_of_the_silence() -> None:
    parts, liveness = watched("ann", "bob", "cy")
    parts.neighbor("ann").last_told_at = 0.0
    parts.neighbor("bob").last_told_at = 4.0
    parts.neighborhood.disconnected("cy", 0.0)
    due = SILENCE_S / SIGNS_PER_SILENCE
    assert liveness.tell_alive(stop_round=-1, now=due - 1e-3) == []
    (sign,) = liveness.tell_alive(stop_round=7, now=due)
    assert (sign.peer, sign.message) == ("ann", Ack(parts.link("ann").link_id, 0, 7))


@pytest.mark.parametrize(("slept_s", "is_forgiven"), [(SILENCE_S / 2 - 0.1, False), (SILENCE_S / 2 + 0.1, True)])
def test_the_agents_own_sleep_is_no_silence_of_the_others(slept_s: float, is_forgiven: bool) -> None:
    parts, liveness = watched("ann", "bob")
    parts.neighborhood.disconnected("bob", 0.0)
    liveness.stay_awake(0.0)
    liveness.stay_awake(slept_s)
    assert (parts.neighbor("ann").last_heard_at == slept_s) == is_forgiven
    assert (parts.neighbor("bob").disconnected_at == slept_s) == is_forgiven


def test_the_next_deadline_is_the_first_of_all_deaths_signs_and_returns() -> None:
    parts, liveness = watched()
    assert liveness.next_deadline() is None
    parts.join("ann")
    parts.join("bob")
    parts.neighbor("ann").last_told_at = 3.0
    parts.neighbor("bob").last_told_at = 2.0
    assert liveness.next_deadline() == 2.0 + SILENCE_S / SIGNS_PER_SILENCE
    parts.neighbor("ann").absent_until = 1.0
    assert liveness.next_deadline() == 1.0


def test_an_acknowledgement_tells_what_has_come_and_what_is_missing() -> None:
    parts, _ = watched("ann")
    for sequence in (1, 3):
        parts.hear("ann", parts.share("ann", sequence, sequence=sequence))
    assert acknowledgement(parts.link("ann"), 9) == Ack(parts.link("ann").link_id, 3, 9, missing=2)
    assert not parts.link("ann").owes_acknowledgement
