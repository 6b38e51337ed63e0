"""Agents over real sockets are killed, stopped, cut off and started again; the short form of tests/chaos."""

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from p2pnet.experiments.report.baselines import train_centrally
from p2pnet.experiments.workload import Workload, make_workload
from p2pnet.testing import Fleet, Routes, Shard, by_graph
from tests.chaos.namespaces import Namespaces, NoNamespacesError
from tests.chaos.relays import Relays
from tests.chaos.wiring import Wiring

N_AGENTS = 4
EVERYONE = range(N_AGENTS)
HALVES = (range(2), range(2, 4))
N_ROUNDS = 150
PATIENCE_S = 120.0


def namespaces(n_agents: int) -> Wiring:
    try:
        return Namespaces(n_agents)
    except NoNamespacesError as error:
        pytest.skip(f"no network namespaces: {error}")


@pytest.fixture(scope="module")
def workload() -> Workload:
    """A convex problem, whose one solution every scenario is to end with."""
    return make_workload(
        n_agents=N_AGENTS,
        topology="ring",
        data="diabetes",
        target=None,
        task="auto",
        partition="sorted",
        hidden=(),
        penalty="l2:1e-2",
        seed=0,
    )


MakeFleet = Callable[[Wiring | None], Fleet]


@pytest.fixture
def make_fleet(workload: Workload, tmp_path: Path) -> Iterator[MakeFleet]:
    settings = {
        "network.round_pace_s": 0.1,
        "network.max_diameter": N_AGENTS,
        "objective.penalty": workload.options.penalty,
        "algorithm.rounds": N_ROUNDS,
        "algorithm.tolerance": 0.0,
    }
    shards = [Shard(shard.X, shard.Y[:, 0]) for shard in workload.shards]
    with ExitStack() as at_exit:

        def make(wiring: Wiring | None) -> Fleet:
            routes = None
            if wiring is not None:
                at_exit.enter_context(wiring)
                routes = Routes(wiring.address, wiring.way, wiring.command)
            made = Fleet.create(tmp_path, N_AGENTS, by_graph(workload.edges), settings, shards=shards, routes=routes)
            return at_exit.enter_context(made)

        yield make


def trains_until(fleet: Fleet, round_: int, agents: Collection[int] = EVERYONE) -> None:
    fleet.until_round(round_, agents, PATIENCE_S)


def assert_solved(fleet: Fleet, workload: Workload, data_of: Collection[int]) -> None:
    """Each of these agents has, in its last round, the solution for the data of these agents."""
    shards = [workload.shards[k] for k in data_of]
    X, Y = np.concatenate([shard.X for shard in shards]), np.concatenate([shard.Y for shard in shards])
    samples, problem = replace(workload.train, X=X, Y=Y), workload.problem
    central = train_centrally(problem, samples).objective
    cost = problem.local_objective(samples)
    for k in data_of:
        assert problem.objective(fleet[k].files.params(), cost) <= 1.01 * central
        assert fleet[k].round == N_ROUNDS


def test_an_agent_is_killed_and_the_others_end_with_the_solution_for_their_data(
    make_fleet: MakeFleet, workload: Workload
) -> None:
    fleet = make_fleet(None)
    fleet.start(EVERYONE)
    trains_until(fleet, 20)
    fleet.kill([0])
    fleet.until_all_end(PATIENCE_S)
    assert_solved(fleet, workload, [1, 2, 3])
    assert fleet[1].has_said("closed the link with agent-1: its connection closed")


def test_an_agent_is_killed_and_started_again_another_is_stopped_and_goes_on_and_all_data_count(
    make_fleet: MakeFleet, workload: Workload
) -> None:
    fleet = make_fleet(None)
    others = [0, 1, 3]
    fleet.start(EVERYONE)
    trains_until(fleet, 20)
    fleet.kill([0])
    fleet.start([0])
    fleet.freeze([2])
    then = fleet[1].round
    trains_until(fleet, then + 20, others)
    fleet.thaw([2])
    fleet.until_all_end(PATIENCE_S)
    assert_solved(fleet, workload, EVERYONE)
    assert fleet[0].has_said("joins the training in round")
    assert fleet[1].has_said("in vain for agent-3; going on without it")


@pytest.mark.parametrize("make_wiring", [namespaces, Relays])
def test_a_network_that_loses_packets_is_cut_in_halves_that_train_on_and_heals(
    make_fleet: MakeFleet, workload: Workload, make_wiring: Callable[[int], Wiring]
) -> None:
    wiring = make_wiring(N_AGENTS)
    fleet = make_fleet(wiring)
    wiring.lose(0.05)
    fleet.start(EVERYONE)
    trains_until(fleet, 20)
    wiring.cut(*HALVES)
    then = max(agent.round for agent in fleet.agents)
    trains_until(fleet, then + 20)
    wiring.heal()
    fleet.until_all_end(PATIENCE_S)
    assert_solved(fleet, workload, EVERYONE)
    assert fleet[1].has_said("in vain for agent-3; going on without it")
