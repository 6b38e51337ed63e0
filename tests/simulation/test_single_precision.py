"""Networks of agents whose models are of single precision: they keep what a link has moved on balance alone, and mass
is conserved as exactly as in double precision, whatever is lost, late, repeated, or closed.
"""

from dataclasses import replace

import numpy as np
import pytest

from p2pnet.protocol.core.effects import Evaluate, RunLocalStep
from p2pnet.protocol.core.events import Evaluated, LocalStepDone
from p2pnet.protocol.core.types import Array
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.simulation.conservation_oracle import ConservationOracle
from p2pnet.simulation.rounds_only import wired_agent
from p2pnet.simulation.simulator import Simulator
from p2pnet.simulation.virtual_network import Conditions
from p2pnet.training.learner import Learner, Observation
from tests.simulation.test_simulator import N_PARAMS, QUICK, Regression

RING = [(0, 1), (1, 2), (2, 3), (0, 3)]
EXACT = 1e-14
"""Of double precision: of single precision 1e-7 would be left."""


class SingleLearner(Learner):
    """Another learner's computations, of vectors of single precision; both ends of every vector are."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner

    def evaluate(self, effect: Evaluate) -> Evaluated:
        assert effect.params.dtype == np.float32
        evaluated = self._learner.evaluate(effect)
        return replace(evaluated, gradient_sum=evaluated.gradient_sum.astype("f4"))

    def observe(self) -> Observation:
        raise NotImplementedError

    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone:
        assert effect.direction.dtype == np.float32
        done = self._learner.run_local_step(effect)
        return replace(done, params=done.params.astype("f4"))


def start(regression: Regression, conditions: Conditions, seed: int = 0, **changes: object) -> Simulator:
    simulation = Simulator(conditions, seed, ConservationOracle())
    for name in regression.names:
        add(simulation, regression, name, 1, **changes)
    simulation.connect([(regression.names[j], regression.names[k]) for j, k in RING])
    return simulation


def add(simulation: Simulator, regression: Regression, name: str, incarnation: int, **changes: object) -> None:
    options = RoundOptions(max_rounds=10**6, exchanges=1, momentum=0.0, tolerance=0.0, timing=QUICK, precision=32)
    options = replace(options, expected_neighbors=2, **changes)  # type: ignore[arg-type]
    params: Array = np.zeros(N_PARAMS, dtype="f4")
    learner = SingleLearner(regression.learner(name))
    simulation.add(name, *wired_agent(Identity(name, name, incarnation, {}), options, params, learner))


def run_rounds(simulation: Simulator, n_rounds: int) -> None:
    simulation.run(until=lambda: min(machine.round for machine in simulation.machines.values()) >= n_rounds)


def are_net(simulation: Simulator) -> list[bool]:
    return [link.is_net for machine in simulation.machines.values() for link in machine.neighborhood.links()]


@pytest.mark.parametrize("momentum", [0.0, 0.3])
def test_agents_of_single_precision_reach_the_solution_and_lose_nothing(momentum: float) -> None:
    regression = Regression(4)
    simulation = start(regression, Conditions(), momentum=momentum)
    run_rounds(simulation, 400)
    assert are_net(simulation) == [True] * 8
    assert all(machine.params.dtype == np.float32 for machine in simulation.machines.values())
    assert regression.error(simulation, regression.names) < 1e-5
    assert simulation.conservation_error() < EXACT


@pytest.mark.parametrize("seed", range(4))
def test_what_is_lost_late_or_repeated_changes_no_mass(seed: int) -> None:
    regression = Regression(4)
    conditions = Conditions(latency_s=0.01, loss_rate=0.3, duplicate_rate=0.2, max_delay_s=0.03)
    simulation = start(regression, conditions, seed, momentum=0.3)
    for n_rounds in (5, 20, 60, 200):
        run_rounds(simulation, n_rounds)
        assert simulation.conservation_error() < EXACT
    assert regression.error(simulation, regression.names) < 1e-3


def test_an_agent_that_dies_and_returns_takes_back_what_it_had_given() -> None:
    regression = Regression(4)
    simulation = start(regression, Conditions(loss_rate=0.1), momentum=0.3)
    run_rounds(simulation, 30)
    simulation.crash("agent-2")
    run_rounds(simulation, 60)
    assert simulation.conservation_error() < EXACT
    add(simulation, regression, "agent-2", 2)
    simulation.connect([("agent-1", "agent-2"), ("agent-2", "agent-3")])
    run_rounds(simulation, 400)
    assert simulation.conservation_error() < EXACT
    assert regression.error(simulation, regression.names) < 1e-3


def test_agents_that_send_coded_shares_keep_whole_totals() -> None:
    """What coded shares are made from is the totals themselves; one that sends none does not say that it reads them."""
    regression = Regression(4)
    simulation = start(regression, Conditions(), is_coded=True)
    run_rounds(simulation, 100)
    assert are_net(simulation) == [False] * 8
    assert simulation.conservation_error() < EXACT
