"""Agents over real sockets are killed, stopped, cut off and started again; the short form of tests/chaos."""

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from p2pnet.experiments.workload import Workload, make_workload
from tests.chaos.fleet import Fleet
from tests.chaos.namespaces import Namespaces, NoNamespacesError
from tests.chaos.references import References
from tests.chaos.relays import Relays
from tests.chaos.wiring import Loopback, Wiring

N_AGENTS = 4
EVERYONE = range(N_AGENTS)
HALVES = (range(2), range(2, 4))
N_ROUNDS = 150
PATIENCE_S = 120.0
SETTINGS = {
    "network": {"round_pace_s": 0.1, "max_diameter": N_AGENTS},
    "algorithm": {"rounds": N_ROUNDS, "tolerance": 0.0},
}


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


MakeFleet = Callable[[Callable[[int], Wiring]], Fleet]


@pytest.fixture
def make_fleet(workload: Workload, tmp_path: Path) -> Iterator[MakeFleet]:
    with ExitStack() as at_exit:

        def make(make_wiring: Callable[[int], Wiring]) -> Fleet:
            wiring = at_exit.enter_context(make_wiring(N_AGENTS))
            return at_exit.enter_context(Fleet(tmp_path, workload, wiring, SETTINGS))

        yield make


def trains_until(fleet: Fleet, round_: int, agents: Collection[int] = EVERYONE) -> None:
    fleet.until(lambda: all(fleet.round(k) >= round_ for k in agents), PATIENCE_S)


def assert_solved(fleet: Fleet, data_of: Collection[int]) -> None:
    references = References(fleet.workload, {}, fleet.directory)
    central = references.central(data_of)
    for k in data_of:
        assert references.objective(fleet.params(k), data_of) <= 1.01 * central
        assert fleet.round(k) == N_ROUNDS


def test_an_agent_is_killed_and_the_others_end_with_the_solution_for_their_data(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(Loopback)
    fleet.start(EVERYONE)
    trains_until(fleet, 20)
    fleet.kill([0])
    fleet.until_all_end(PATIENCE_S)
    assert_solved(fleet, [1, 2, 3])
    assert any("closed the link with agent-1: its connection closed" in line.text for line in fleet.log(1))


def test_an_agent_is_killed_and_started_again_another_is_stopped_and_goes_on_and_all_data_count(
    make_fleet: MakeFleet,
) -> None:
    fleet = make_fleet(Loopback)
    others = [0, 1, 3]
    fleet.start(EVERYONE)
    trains_until(fleet, 20)
    fleet.kill([0])
    fleet.start([0])
    fleet.stop([2])
    then = fleet.round(1)
    trains_until(fleet, then + 20, others)
    fleet.resume([2])
    fleet.until_all_end(PATIENCE_S)
    assert_solved(fleet, EVERYONE)
    assert any("joins the training in round" in line.text for line in fleet.log(0))
    assert any("in vain for agent-3; going on without it" in line.text for line in fleet.log(1))


@pytest.mark.parametrize("make_wiring", [namespaces, Relays])
def test_a_network_that_loses_packets_is_cut_in_halves_that_train_on_and_heals(
    make_fleet: MakeFleet, make_wiring: Callable[[int], Wiring]
) -> None:
    fleet = make_fleet(make_wiring)
    fleet.wiring.lose(0.05)
    fleet.start(EVERYONE)
    trains_until(fleet, 20)
    fleet.wiring.cut(*HALVES)
    then = max(fleet.round(k) for k in EVERYONE)
    trains_until(fleet, then + 20)
    fleet.wiring.heal()
    fleet.until_all_end(PATIENCE_S)
    assert_solved(fleet, EVERYONE)
    assert any("in vain for agent-3; going on without it" in line.text for line in fleet.log(1))
