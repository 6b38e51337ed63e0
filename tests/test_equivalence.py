"""The simulation and the daemons are the same: real processes over real sockets end with the simulation's numbers."""

from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from p2pnet.agent.assembly import prepare
from p2pnet.config import Settings, read_settings
from p2pnet.experiments.demo.fleet import write_fleet
from p2pnet.experiments.demo.options import DemoOptions
from p2pnet.experiments.workload import make_workload
from p2pnet.protocol.core.types import Array, PeerId
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.simulation.rounds_only import wired_agent
from p2pnet.simulation.simulator import Simulator
from p2pnet.simulation.virtual_network import Conditions
from p2pnet.testing import AgentFiles, Fleet, LocalAgent

N_ROUNDS = 20
PATIENCE_S = 180.0
FLAGS = [
    "algorithm.tolerance=0",
    "algorithm.solver_tolerance=0",  # every solve takes all its iterations, whatever rounding does
    "algorithm.solver_iterations=8",
    "network.round_timeout_s=60",  # no deadline takes part in the result
]


@pytest.mark.parametrize("penalty", ["l2:1e-3", "l1:1e-3"])
def test_daemons_and_simulation_have_the_same_parameters_after_twenty_rounds(tmp_path: Path, penalty: str) -> None:
    options = DemoOptions(agents=4, topology="ring", data="digits", hidden=(8,), penalty=penalty, rounds=N_ROUNDS)
    agents = write_agents(options, tmp_path)

    real = run_daemons(agents)
    simulated = run_simulation([read_settings(agent.config, FLAGS, {}) for agent in agents])

    assert real.keys() == simulated.keys()
    differences = [float(np.abs(real[peer] - simulated[peer]).max()) for peer in real]
    assert max(differences) <= 1e-12, differences
    assert any((real[peer] != real[other]).any() for peer in real for other in real)  # they do have to be compared


def write_agents(options: DemoOptions, directory: Path) -> list[AgentFiles]:
    workload = make_workload(
        n_agents=options.agents,
        topology=options.topology,
        data=options.data,
        target=None,
        task="auto",
        partition="iid",
        hidden=options.hidden,
        penalty=options.penalty,
        seed=options.seed,
    )
    return write_fleet(options, workload, directory)


def run_daemons(agents: list[AgentFiles]) -> dict[PeerId, Array]:
    """The final parameters of each, by its public key."""
    with Fleet(LocalAgent(agent) for agent in agents) as fleet:
        fleet.start(None, *FLAGS)
        fleet.until_all_end(PATIENCE_S)
    results = [agent.result() for agent in agents]
    assert [result.rounds for result in results] == [N_ROUNDS] * len(agents)
    return {result.public_key: agent.params() for result, agent in zip(results, agents, strict=True)}


def run_simulation(agents: list[Settings]) -> dict[PeerId, Array]:
    """The same from the agents' own settings, all in this process and in virtual time."""
    simulation = Simulator(Conditions(), 0)
    with threadpool_limits(limits=1, user_api="blas"):
        for settings in agents:
            preparation = prepare(settings)
            peer = preparation.keys.public
            training = preparation.training(statistics=None)
            identity = Identity(peer, settings.agent.name, incarnation=1, fingerprint=training.fingerprint)
            simulation.add(peer, *wired_agent(identity, preparation.rounds, training.params, training.learner))
            simulation.connect((peer, other) for other in preparation.network.addresses if other in simulation.machines)
        simulation.run(until=lambda: simulation.is_over)
    assert [machine.round for machine in simulation.machines.values()] == [N_ROUNDS] * len(agents)
    return {peer: machine.params for peer, machine in simulation.machines.items()}
