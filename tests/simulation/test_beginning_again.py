"""Agents that were restarted, alone or all at once, empty or with what they had saved."""

import numpy as np
import pytest
from numpy.typing import NDArray

from p2pnet.protocol.core.effects import Evaluate, RunLocalStep
from p2pnet.protocol.core.events import Evaluated, LocalStepDone
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.snapshot import RoundSnapshot
from p2pnet.protocol.rounds.state import Phase
from p2pnet.simulation.conservation_oracle import ConservationOracle
from p2pnet.simulation.rounds_only import wired_agent
from p2pnet.simulation.simulator import Simulator
from p2pnet.simulation.virtual_network import Conditions
from p2pnet.training.learner import Learner, Observation

NAMES = ["a", "b", "c", "d"]
SOLUTION = 1.5
"""The mean of 0, 1, 2, 3."""


class Averaging(Learner):
    """½ (w − target)², by steps of half the way."""

    def __init__(self, target: float) -> None:
        self._target = target

    def evaluate(self, effect: Evaluate) -> Evaluated:
        return Evaluated(effect.round, effect.params - self._target, 1.0)

    def observe(self) -> Observation:
        raise NotImplementedError

    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone:
        step = 0.5 * effect.direction
        return LocalStepDone(effect.round, effect.params - step, float(np.linalg.norm(step)), 1.0)


def add(
    simulation: Simulator, name: str, incarnation: int = 1, resumed: RoundSnapshot | None = None, expected: int = 3
) -> None:
    options = RoundOptions(max_rounds=10**6, tolerance=0.0, exchanges=1, expected_neighbors=expected)
    learner = Averaging(float(NAMES.index(name)))
    identity = Identity(name, name, incarnation, {})
    simulation.add(name, *wired_agent(identity, options, np.full(2, 50.0), learner, resumed))


def network(conditions: Conditions | None = None) -> Simulator:
    """Four agents, all neighbors of each other."""
    simulation = Simulator(conditions or Conditions(latency_s=0.01), 0, ConservationOracle())
    for name in NAMES:
        add(simulation, name)
    simulation.connect((one, other) for one in NAMES for other in NAMES if one < other)
    return simulation


def train(simulation: Simulator, n_rounds: int) -> None:
    def is_so() -> bool:
        machines = simulation.machines.values()
        return len(machines) == len(NAMES) and min(machine.round for machine in machines) >= n_rounds

    simulation.run(until=is_so, deadline=simulation.now + 300.0)
    assert is_so()


def params(simulation: Simulator, name: str) -> NDArray[np.float64]:
    return simulation.machines[name].params


def saved(simulation: Simulator, name: str) -> RoundSnapshot:
    snapshot = simulation.machines[name].snapshot()
    assert snapshot is not None
    return snapshot


def test_what_has_trained_nothing_has_nothing_to_save() -> None:
    simulation = network()
    assert simulation.machines["a"].snapshot() is None
    train(simulation, 5)
    assert saved(simulation, "a").round >= 5
    assert not saved(simulation, "a").is_converged
    assert saved(simulation, "a").first_residual > 0


@pytest.mark.parametrize("loss_rate", [0.0, 0.2])
def test_agents_that_crash_at_once_go_on_together_with_the_largest_round_that_one_has_saved(loss_rate: float) -> None:
    simulation = network(Conditions(latency_s=0.01, loss_rate=loss_rate))
    snapshots = {}
    for name, n_rounds in zip(NAMES, (30, 32, 33, 60), strict=True):
        train(simulation, n_rounds)
        snapshots[name] = saved(simulation, name)
    for name in NAMES:
        simulation.crash(name)
    for name in NAMES:
        add(simulation, name, 2, snapshots[name])
    before = simulation.now
    train(simulation, 61)
    assert simulation.now - before < 10.0
    for name in NAMES:
        np.testing.assert_allclose(params(simulation, name), SOLUTION, atol=1.5)
    train(simulation, 140)
    for name in NAMES:
        np.testing.assert_allclose(params(simulation, name), SOLUTION, atol=1e-3)
    assert simulation.conservation_error() < 1e-9


def test_an_empty_agent_among_those_that_wait_with_checkpoints_takes_their_state() -> None:
    simulation = network()
    train(simulation, 40)
    snapshots = {name: saved(simulation, name) for name in NAMES[1:]}
    for name in NAMES:
        simulation.crash(name)
    for name in NAMES:
        add(simulation, name, 2, snapshots.get(name))
    train(simulation, 41)
    for name in NAMES:
        np.testing.assert_allclose(params(simulation, name), SOLUTION, atol=0.5)


def test_an_agent_with_a_checkpoint_begins_at_once_where_neighbors_train_but_none_is_further() -> None:
    simulation = network()
    train(simulation, 40)
    snapshot = saved(simulation, "a")
    simulation.crash("a")
    simulation.crash("b")
    ahead = RoundSnapshot(snapshot.round + 30, snapshot.params, snapshot.first_residual, is_converged=False)
    add(simulation, "a", 2, ahead)
    simulation.run(until=lambda: simulation.machines["a"].phase is not Phase.BOOTSTRAPPING, deadline=simulation.now + 5)
    assert simulation.machines["a"].round == ahead.round


@pytest.mark.parametrize("loss_rate", [0.0, 0.3])
def test_agents_that_restart_empty_together_join_those_that_are_trained_and_do_not_pull_them_back(
    loss_rate: float,
) -> None:
    simulation = network(Conditions(latency_s=0.01, loss_rate=loss_rate))
    train(simulation, 60)
    for name in ("a", "b"):
        simulation.crash(name)
    for name in ("a", "b"):
        add(simulation, name, 2, expected=1)
    farthest = [0.0]

    def have_joined() -> bool:
        machines = simulation.machines
        farthest.append(max(float(np.abs(params(simulation, name) - 2.0).max()) for name in ("c", "d")))
        return all(name in machines and machines[name].round >= 60 for name in ("a", "b"))

    simulation.run(until=have_joined, deadline=simulation.now + 60)
    assert have_joined()
    # They began at 50; the trained are between the solutions of two and of all.
    assert max(farthest) < 1.0
    train(simulation, max(machine.round for machine in simulation.machines.values()) + 100)
    for name in NAMES:
        np.testing.assert_allclose(params(simulation, name), SOLUTION, atol=1e-3)
    assert simulation.conservation_error() < 1e-9


def test_a_finished_agent_that_is_started_again_tells_those_that_have_not_ended_and_ends() -> None:
    simulation = network()
    train(simulation, 40)
    snapshots = {name: saved(simulation, name) for name in NAMES}
    for name in NAMES:
        simulation.crash(name)
    ended = RoundSnapshot(60, np.full(2, SOLUTION), snapshots["a"].first_residual, is_converged=True)
    for name in NAMES[:2]:
        add(simulation, name, 2, ended)
    add(simulation, "c", 2, snapshots["c"])
    add(simulation, "d", 2)
    simulation.run(until=lambda: simulation.is_over, deadline=simulation.now + 60)
    assert simulation.is_over
    for name in NAMES:
        assert simulation.machines[name].round == 60
        np.testing.assert_array_equal(params(simulation, name), ended.params)


def test_an_agent_left_behind_by_neighbors_that_have_all_ended_takes_their_result() -> None:
    simulation = network()
    train(simulation, 40)
    simulation.network.partition([("a",), ("b", "c", "d")])

    def have_gone_on() -> bool:
        return min(simulation.machines[name].round for name in "bcd") >= 70

    simulation.run(until=have_gone_on, deadline=simulation.now + 120)
    assert have_gone_on()
    result = saved(simulation, "b")
    for name in "bcd":
        simulation.crash(name)
        add(simulation, name, 2, RoundSnapshot(500, result.params, result.first_residual, is_converged=True))
    simulation.network.heal()
    simulation.run(until=lambda: simulation.is_over, deadline=simulation.now + 120)
    assert simulation.machines["a"].round == 500
    np.testing.assert_array_equal(params(simulation, "a"), result.params)
