"""What is held against a neighbor, and when the two part; every limit by its preset and the agent's own health."""

import pytest

from p2pnet.protocol.core.effects import CloseLink, HangUp, Send
from p2pnet.protocol.membership.probing import N_HELPERS, REFUTATION_GRACE_S, Probing
from p2pnet.protocol.membership.timing import LAN
from p2pnet.protocol.messages.membership import Disconnect, MemberState, Ping, ProbeRequest, Record
from tests.protocol.membership.parts import Parts

PEERS = ("ann", "bob", "cy", "dan", "eve")


@pytest.fixture
def parts() -> Parts:
    parts = Parts(*PEERS, capacity=5)
    parts.join(*PEERS)
    return parts


def accused(parts: Parts, now: float) -> dict[str, MemberState]:
    return {record.peer: record.state for record in parts.probing.accusations(parts.health, now)}


def hear_all_but(parts: Parts, *silent: str, now: float) -> None:
    for peer in PEERS:
        if peer not in silent:
            parts.probing.heard(peer, now)


def test_a_silent_neighbor_is_pinged_once_an_interval(parts: Parts) -> None:
    hear_all_but(parts, "ann", now=1.0)
    assert parts.probing.ping_the_silent(parts.health, parts.rng, LAN.probe_interval_s - 1e-3) == []
    assert parts.probing.ping_the_silent(parts.health, parts.rng, 1.0) == [Send("ann", Ping(1, is_neighbor=True))]
    assert parts.probing.ping_the_silent(parts.health, parts.rng, 1.5) == []
    hear_all_but(parts, "ann", now=2.0)
    assert parts.probing.ping_the_silent(parts.health, parts.rng, 2.0) == [Send("ann", Ping(2, is_neighbor=True))]


@pytest.mark.parametrize("n_worse", [0, 2])
def test_after_half_of_the_silence_others_are_asked_to_look(parts: Parts, n_worse: int) -> None:
    for _ in range(n_worse):
        parts.health.worsen()
    half_s = LAN.silence_s * (1 + n_worse) / 2
    for now, is_asked in ((half_s - 1e-3, False), (half_s + LAN.probe_interval_s, True)):
        hear_all_but(parts, "ann", now=now)
        effects = parts.probing.ping_the_silent(parts.health, parts.rng, now)
        helpers = {effect.peer for effect in effects if effect.message == ProbeRequest("ann")}
        assert len(helpers) == (N_HELPERS if is_asked else 0)
        assert "ann" not in helpers


@pytest.mark.parametrize("n_worse", [0, 1, 3])
def test_silence_is_a_ground_for_suspicion_the_later_the_less_the_agent_trusts_itself(
    parts: Parts, n_worse: int
) -> None:
    for _ in range(n_worse):
        parts.health.worsen()
    limit_s = LAN.silence_s * (1 + n_worse)
    hear_all_but(parts, "ann", now=limit_s)
    assert accused(parts, limit_s - 1e-3) == {}
    assert accused(parts, limit_s) == {"ann": MemberState.SUSPECT}


def test_a_closed_connection_is_a_ground_after_the_grace_and_a_refused_redial_is_death(parts: Parts) -> None:
    parts.neighbor("ann").disconnected_at = 0.0
    assert accused(parts, LAN.redial_grace_s - 1e-3) == {}
    assert accused(parts, LAN.redial_grace_s) == {"ann": MemberState.SUSPECT}
    parts.neighbor("ann").is_refused = True
    assert accused(parts, 0.0) == {"ann": MemberState.DEAD}


def test_one_that_others_vouch_for_is_not_suspected_but_let_go_as_out_of_reach(parts: Parts) -> None:
    hear_all_but(parts, "ann", now=LAN.silence_s)
    parts.probing.vouched("ann", LAN.silence_s - 1.0)
    assert accused(parts, LAN.silence_s) == {}
    effects = parts.probing.let_go(parts.health, LAN.silence_s)
    assert effects == [Send("ann", Disconnect()), CloseLink("ann", is_gone=False), HangUp("ann")]
    assert "ann" not in parts.view


def test_the_dead_are_let_go_at_once_unless_they_are_still_connected(parts: Parts) -> None:
    for peer in ("ann", "bob"):
        parts.members.merge(Record(peer, MemberState.DEAD, 1), 0.0)
    parts.overlay.disconnected("bob", 0.0)
    assert CloseLink("bob", is_gone=True) in parts.probing.let_go(parts.health, 0.0)
    assert "ann" in parts.view
    parts.probing.let_go(parts.health, REFUTATION_GRACE_S - 1e-3)
    assert "ann" in parts.view
    effects = parts.probing.let_go(parts.health, REFUTATION_GRACE_S)
    assert [Send("ann", Disconnect()), CloseLink("ann", is_gone=True)] == effects[:2]


def test_one_that_refutes_in_time_stays_and_its_time_begins_anew(parts: Parts) -> None:
    parts.members.merge(Record("ann", MemberState.DEAD, 1), 0.0)
    parts.probing.let_go(parts.health, 0.0)
    parts.members.merge(Record("ann", MemberState.ALIVE, 2, "tcp://ann:7070"), 1.0)
    parts.probing.let_go(parts.health, 1.0)
    parts.members.merge(Record("ann", MemberState.DEAD, 2), 10.0)
    assert parts.probing.let_go(parts.health, 10.0) == []
    assert "ann" in parts.view


def test_one_that_left_is_let_go_at_once_though_it_is_connected(parts: Parts) -> None:
    parts.members.merge(Record("ann", MemberState.LEFT, 1), 0.0)
    assert CloseLink("ann", is_gone=True) in parts.probing.let_go(parts.health, 0.0)


def test_time_in_which_the_agent_slept_counts_against_no_neighbor(parts: Parts) -> None:
    parts.neighbor("bob").disconnected_at = 0.0
    parts.probing.grant(100.0)
    assert accused(parts, 100.0) == {}
    assert accused(parts, 100.0 + LAN.redial_grace_s) == {"bob": MemberState.SUSPECT}


def test_words_of_peers_that_are_no_neighbors_are_nothing_to_probing() -> None:
    probing: Probing = Parts("ann").probing
    probing.heard("ann", 1.0)
    probing.vouched("ann", 1.0)
    assert probing.accusations(Parts().health, 1e6) == []
