"""Whole nodes in virtual time: they find each other, agree on statistics, train, lose each other and come back."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest

from p2pnet.protocol.core.events import DialProblem
from p2pnet.protocol.core.notices import (
    AdmissionRefused,
    CloseReason,
    InStatistics,
    LinkClosed,
    LinkRefused,
    MemberChange,
    MemberChanged,
    MessageDropped,
    PeerUnreachable,
)
from p2pnet.protocol.rounds.state import Phase
from p2pnet.simulation.virtual_network import Conditions
from p2pnet.testing import VirtualFleet, least_squares, linear_shards, relative_errors

MAX_LEAK = 1e-10


def settle(fleet: VirtualFleet, names: Iterable[str], within_s: float = 300.0) -> None:
    """Train until these agents have the least-squares solution of their samples, scaled by what they have agreed on."""
    names = list(names)
    solution = least_squares([fleet.shards[name] for name in names], standardized_by=list(fleet.shards.values()))

    def is_there() -> bool:
        return fleet.is_training(names) and max(relative_errors(fleet.params(names), solution)) < 1e-6

    assert fleet.run_until(is_there, within_s), relative_errors(fleet.params(names), solution)
    assert fleet.nodes.conservation_error() < MAX_LEAK


def surveys(fleet: VirtualFleet, names: Iterable[str]) -> set[str]:
    """The names of the statistics that these agents train by."""
    found = [fleet.nodes.statistics(name) for name in names]
    return {"" if statistics is None else statistics.survey for statistics in found}


def in_a_row(names: list[str]) -> dict[str, list[str]]:
    """Each agent with the agents before and after it."""
    neighbors: dict[str, list[str]] = {name: [] for name in names}
    for one, other in pairwise(names):
        neighbors[one].append(other)
        neighbors[other].append(one)
    return neighbors


def test_agents_that_find_each_other_train_whatever_befalls_them() -> None:
    fleet = VirtualFleet(linear_shards(8), seed=1)
    everyone = fleet.names
    fleet.start()
    assert fleet.run_until(fleet.is_training)
    columns = np.vstack([np.column_stack(shard) for shard in fleet.shards.values()])
    for name in everyone:
        statistics = fleet.nodes.statistics(name)
        assert statistics is not None
        np.testing.assert_allclose(statistics.mean, columns.mean(axis=0), rtol=0, atol=1e-9)
        np.testing.assert_allclose(statistics.variance, columns.var(axis=0), rtol=1e-9)
    settle(fleet, everyone)
    assert fleet.nodes.parts() == [set(everyone)]

    fleet.nodes.crash(["agent-8"])  # for good
    settle(fleet, everyone[:7])

    fleet.nodes.crash(["agent-1"])  # a seed
    settle(fleet, everyone[1:7])
    fleet.nodes.restart("agent-1", is_state_lost=True)
    settle(fleet, everyone[:7])

    halves = everyone[:3], everyone[3:7]
    fleet.nodes.cut(halves)
    for half in halves:
        settle(fleet, half)
    fleet.nodes.heal()
    settle(fleet, everyone[:7])
    assert fleet.nodes.parts() == [set(everyone[:7])]
    assert len(surveys(fleet, everyone[:7])) == 1


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    def run(seed: int) -> list[bytes]:
        weather = Conditions(latency_s=0.02, loss_rate=0.1, duplicate_rate=0.1, max_delay_s=0.05)
        fleet = VirtualFleet(linear_shards(4), conditions=weather, seed=seed)
        fleet.start()
        assert fleet.run_until(fleet.is_training)
        fleet.run(1.0)
        return [params.tobytes() for params in fleet.params()]

    assert run(3) == run(3)
    assert run(3) != run(4)


def test_agents_told_to_leave_or_to_go_away_take_their_samples_along_and_bring_them_back() -> None:
    fleet = VirtualFleet(linear_shards(4), seed=2)
    fleet.start()
    settle(fleet, fleet.names)
    fleet.nodes.leave("agent-4")
    settle(fleet, fleet.names[:3])
    closed = [notice for notice in fleet.nodes.notices("agent-1") if isinstance(notice, LinkClosed)]
    assert closed[-1] == LinkClosed("agent-4", CloseReason.LEFT)
    fleet.nodes.restart("agent-4")
    settle(fleet, fleet.names)
    fleet.nodes.go_away("agent-3")
    fleet.run(1.0)
    closed = [notice for notice in fleet.nodes.notices("agent-1") if isinstance(notice, LinkClosed)]
    assert closed[-1] == LinkClosed("agent-3", CloseReason.AWAY)
    fleet.nodes.restart("agent-3")
    settle(fleet, fleet.names)


def test_training_that_ends_ends_at_every_agent_in_one_round() -> None:
    fleet = VirtualFleet(linear_shards(5), {"algorithm.tolerance": 1e-3}, seed=3)
    fleet.start()
    assert fleet.run_until(lambda: not fleet.nodes.names)
    assert {fleet.nodes.phase(name) for name in fleet.names} == {Phase.CLOSED}
    assert len({fleet.nodes.round(name) for name in fleet.names}) == 1


def test_named_neighbors_are_dialed_and_are_the_graph() -> None:
    names = [f"agent-{k}" for k in range(1, 6)]
    neighbors = in_a_row(names)
    fleet = VirtualFleet(linear_shards(5), neighbors=neighbors, seed=4)
    fleet.start()
    settle(fleet, names)
    assert {name: fleet.nodes.linked(name) for name in names} == {name: set(of) for name, of in neighbors.items()}
    fleet.nodes.crash(["agent-5"])
    settle(fleet, names[:4])
    fleet.nodes.restart("agent-5")
    settle(fleet, names)


def test_a_stranger_is_connected_to_no_agent_and_told_why() -> None:
    friends = ["agent-1", "agent-2", "agent-3"]
    fleet = VirtualFleet(linear_shards(4), allowed=dict.fromkeys(friends, friends), seed=5)
    fleet.start()
    fleet.run(30.0)
    assert set().union(*(fleet.nodes.linked(name) for name in friends)) == set(friends)
    assert fleet.nodes.linked("agent-4") == set()
    unreachable = [notice for notice in fleet.nodes.notices("agent-4") if isinstance(notice, PeerUnreachable)]
    assert {notice.problem for notice in unreachable} == {DialProblem.NOT_ALLOWED}


@pytest.mark.parametrize("is_named", [True, False])
def test_an_agent_with_another_model_is_refused_and_both_sides_are_told(is_named: bool) -> None:
    names = [f"agent-{k}" for k in range(1, 5)]
    fleet = VirtualFleet(
        linear_shards(4),
        neighbors=in_a_row(names) if is_named else None,
        own_settings={"agent-4": {"objective.penalty": "l2:0.5"}},
        seed=6,
    )
    fleet.start()
    fleet.run(30.0)
    assert fleet.nodes.parts() in ([set(names[:3]), {"agent-4"}], [{"agent-4"}, set(names[:3])])
    refused = {
        name: [notice for notice in fleet.nodes.notices(name) if isinstance(notice, LinkRefused)]
        for name in ("agent-3", "agent-4")
    }
    assert all("penalty" in notice.reason for of_agent in refused.values() for notice in of_agent)
    assert all(refused.values())


def test_a_refusal_is_news_once_though_members_have_a_word_with_each_other_meanwhile() -> None:
    fleet = VirtualFleet(linear_shards(4), own_settings={"agent-4": {"objective.penalty": "l2:0.5"}}, seed=6)
    fleet.start()
    fleet.run(120.0)
    refused = [notice for notice in fleet.nodes.notices("agent-4") if isinstance(notice, LinkRefused)]
    news = [(notice.peer, notice.reason) for notice in refused if notice.is_news]
    assert len(news) == len(set(news)) < len(refused)


def test_beyond_max_neighbors_an_agent_is_turned_away() -> None:
    names = [f"agent-{k}" for k in range(1, 5)]
    around = {name: ["agent-1"] for name in names[2:]} | {"agent-1": ["agent-2"], "agent-2": ["agent-1"]}
    own_settings = {"agent-1": {"network.max_neighbors": 2}}
    fleet = VirtualFleet(linear_shards(4), neighbors=around, own_settings=own_settings, seed=7)
    fleet.start(names[:3])
    assert fleet.run_until(lambda: fleet.is_training(names[:3]))
    fleet.start(["agent-4"])
    fleet.run(10.0)
    assert fleet.nodes.linked("agent-1") == {"agent-2", "agent-3"}
    assert AdmissionRefused("agent-4", 2, is_news=True) in fleet.nodes.notices("agent-1")
    fleet.nodes.leave("agent-3")
    assert fleet.run_until(lambda: fleet.nodes.linked("agent-1") == {"agent-2", "agent-4"})


def test_an_agent_that_joins_late_takes_over_statistics_and_parameters() -> None:
    fleet = VirtualFleet(linear_shards(5), seed=8)
    early = fleet.names[:4]
    fleet.start(early)
    assert fleet.run_until(lambda: fleet.is_training(early))
    fleet.run(10.0)
    started_in = fleet.nodes.round("agent-1")
    fleet.start(["agent-5"])
    assert fleet.run_until(lambda: fleet.nodes.linked("agent-5") != set() and fleet.nodes.round("agent-5") > 0)
    assert fleet.nodes.round("agent-5") >= started_in
    assert len(surveys(fleet, fleet.names)) == 1
    shards = list(fleet.shards.values())
    solution = least_squares(shards, standardized_by=shards[:4])
    assert fleet.run_until(lambda: max(relative_errors(fleet.params(), solution)) < 1e-6)


@pytest.mark.parametrize("is_scaled", [False, True])
def test_an_agent_whose_numbers_are_beyond_measure_is_shut_out_and_the_others_go_on(is_scaled: bool) -> None:
    """Where samples are scaled, already while they agree on the statistics: these are exchanged as totals alone."""
    settings = {"data.standardize": "network" if is_scaled else "none"}
    lie = "total-scaled:1e300" if is_scaled else "params-scaled:1e300"
    fleet = VirtualFleet(linear_shards(5), settings, lies={"agent-3": [lie]}, seed=9)
    honest = [name for name in fleet.names if name != "agent-3"]
    shards = [fleet.shards[name] for name in honest]
    solution = least_squares(shards, standardized_by=shards if is_scaled else ())
    fleet.start()
    assert fleet.run_until(
        lambda: fleet.is_training(honest) and max(relative_errors(fleet.params(honest), solution)) < 1e-6
    )
    assert set().union(*(fleet.nodes.linked(name) for name in honest)) == set(honest)
    told = [
        notice.notice if isinstance(notice, InStatistics) else notice
        for name in honest
        for notice in fleet.nodes.notices(name)
    ]
    assert LinkClosed("agent-3", CloseReason.OUT_OF_RANGE) in told


def test_what_cannot_be_decoded_is_dropped_with_a_notice() -> None:
    settings = {"data.standardize": "none"}
    fleet = VirtualFleet(linear_shards(3), settings, lies={"agent-3": ["proximal-weight:-1"]}, seed=10)
    fleet.start()
    fleet.run(10.0)
    dropped = {notice for notice in fleet.nodes.notices("agent-1") if isinstance(notice, MessageDropped)}
    assert {notice.peer for notice in dropped} == {"agent-3"}
    assert {notice.reason for notice in dropped} == {"Share.proximal_weight: not a finite number of at least zero"}


def test_of_a_neighbor_that_has_said_away_it_is_told_that_it_is_away_and_of_others_that_they_died() -> None:
    fleet = VirtualFleet(linear_shards(4), seed=2)
    fleet.start()
    assert fleet.run_until(lambda: all(len(fleet.nodes.linked(name)) == 3 for name in fleet.names))
    away, dead, *rest = fleet.names[::-1]
    fleet.nodes.go_away(away)
    fleet.nodes.crash([dead])
    fleet.run(60.0)
    for name in rest:
        told = [notice for notice in fleet.nodes.notices(name) if isinstance(notice, MemberChanged)]
        assert {notice.name for notice in told if notice.change is MemberChange.WENT} == {away}
        assert {notice.name for notice in told if notice.change is MemberChange.DIED} == {dead}
        assert away not in {notice.name for notice in told if notice.change is MemberChange.SUSPECTED}
