"""What a neighbor may say without harm to any agent's training: messages well formed, and lies."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnet.protocol.core.effects import Evaluate, RunLocalStep, Send
from p2pnet.protocol.core.events import Evaluated, LeaveRequested, LocalStepDone, MessageReceived
from p2pnet.protocol.core.types import Message, PeerId
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.messages.training import Finished, Ready, Share, StateReply, StateRequest
from p2pnet.protocol.rounds.machine import RoundMachine
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.state import Phase
from p2pnet.simulation.rounds_only import wired_agent
from p2pnet.simulation.simulator import Simulator
from p2pnet.simulation.virtual_network import Conditions
from p2pnet.training.learner import Learner, Observation

NAMES = ("a", "b", "c", "liar")
MAX_ROUNDS = 1000


class Pull(Learner):
    """½ ‖w − target‖², with a tenth of a Newton step."""

    def __init__(self, target: float) -> None:
        self._target = target

    def evaluate(self, effect: Evaluate) -> Evaluated:
        return Evaluated(effect.round, effect.params - self._target, 1.0)

    def observe(self) -> Observation:
        raise NotImplementedError

    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone:
        proposal = effect.params - 0.1 * effect.direction
        return LocalStepDone(effect.round, proposal, float(np.linalg.norm(effect.direction)), 1.0)


def network(n_rounds: int) -> Simulator:
    """A ring of four after so many rounds, stationary only with the last of a thousand."""
    simulation = Simulator(Conditions(), 0)
    run_settings = RoundOptions(MAX_ROUNDS, expected_neighbors=2, tolerance=0.0, exchanges=1, momentum=0.0)
    for k, name in enumerate(NAMES):
        simulation.add(name, *wired_agent(Identity(name, name, 1, {}), run_settings, np.zeros(2), Pull(float(k))))
    simulation.connect([("a", "b"), ("b", "c"), ("c", "liar"), ("liar", "a")])
    run_rounds(simulation, n_rounds)
    return simulation


def run_rounds(simulation: Simulator, n_rounds: int) -> None:
    simulation.run(until=lambda: min(machine.round for machine in simulation.machines.values()) >= n_rounds)


def link_to(simulation: Simulator, agent: PeerId, peer: PeerId) -> Link:
    neighbor = simulation.machines[agent].neighborhood.find(peer)
    assert neighbor is not None
    assert neighbor.link is not None
    return neighbor.link


def lie(simulation: Simulator, message: Message) -> None:
    """The liar says this to a, now."""
    simulation.handle("a", MessageReceived("liar", message))


def last_share(simulation: Simulator) -> Share:
    """What the liar would say next, were it honest."""
    link = link_to(simulation, "a", "liar")
    assert link.latest is not None
    return replace(link.latest, sequence=link.newest_received + 1, round=link.newest_round + 1)


def honest(simulation: Simulator) -> list[RoundMachine]:
    return [simulation.machines[name] for name in NAMES[:3]]


@given(
    round_=st.sampled_from([0, 31, 50, MAX_ROUNDS, 10**9]) | st.integers(MAX_ROUNDS, 2**62 - 1),
    stop_round=st.sampled_from([-1, 0, 1, 29, 31, 10**9]),
    is_finished_said=st.booleans(),
)
@settings(max_examples=20)
def test_no_lie_about_rounds_ends_the_training_of_others_or_sets_them_back(
    round_: int, stop_round: int, is_finished_said: bool
) -> None:
    simulation = network(30)
    before = [machine.round for machine in honest(simulation)]
    share = last_share(simulation)
    if round_ >= share.round:
        lie(simulation, replace(share, round=round_, stop_round=stop_round))
    if is_finished_said:
        lie(simulation, Finished(share.link_id, round_, share.sequence, 0))
    simulation.crash("liar")
    simulation.run(deadline=simulation.now + 0.1)
    for machine, round_before in zip(honest(simulation), before, strict=True):
        assert round_before <= machine.round < 200
        assert machine.phase is not Phase.FINISHED
        assert machine.last_round == MAX_ROUNDS


@pytest.mark.parametrize("field", ["total", "params"])
@pytest.mark.parametrize("size", [1e200, -1e200, 1e30])
def test_numbers_beyond_all_measure_cost_a_neighbor_its_link_and_nobody_their_model(field: str, size: float) -> None:
    simulation = network(30)
    share = last_share(simulation)
    lie(simulation, replace(share, **{field: np.full_like(getattr(share, field), size)}))
    neighbor = simulation.machines["a"].neighborhood.find("liar")
    assert neighbor is not None
    assert neighbor.link is None
    assert neighbor.is_parted
    simulation.handle("liar", LeaveRequested())
    run_rounds(simulation, 200)
    for machine in honest(simulation):
        np.testing.assert_allclose(machine.params, 1.0, rtol=0, atol=1e-3)
    assert simulation.conservation_error() < 1e-12


def test_parameters_are_told_once_in_the_time_in_which_an_honest_neighbor_asks() -> None:
    simulation = network(30)
    machine = simulation.machines["a"]
    request = MessageReceived("liar", StateRequest(link_to(simulation, "liar", "a").link_id))
    effects = [effect for _ in range(100) for effect in machine.handle(request, simulation.now)]
    effects += machine.handle(request, simulation.now + 2.0)
    told = [effect for effect in effects if isinstance(effect, Send) and isinstance(effect.message, StateReply)]
    assert len(told) == 2


def test_who_is_told_the_end_by_all_neighbors_ends_too() -> None:
    """Long cut off, it has heard of no last round in time; the others have ended without it."""
    simulation = network(30)
    for name in ("b", "liar"):
        link = link_to(simulation, name, "a")
        simulation.handle("a", MessageReceived(name, Finished(link.link_id, 5, link.sequence, 0)))
    simulation.run(until=lambda: simulation.machines["a"].phase is Phase.FINISHED, deadline=simulation.now + 1.0)
    assert simulation.machines["a"].phase is Phase.FINISHED
    assert simulation.machines["a"].round >= 30


def test_a_message_over_a_link_that_is_not_open_changes_nothing() -> None:
    simulation = network(30)
    share = last_share(simulation)
    before = simulation.machines["a"].ledger()
    unknown = share.link_id._replace(mine=share.link_id.mine._replace(counter=99))
    lie(simulation, replace(share, link_id=unknown))
    lie(simulation, Ready(unknown, 5, -1))
    after = simulation.machines["a"].ledger()
    np.testing.assert_array_equal(before.mass, after.mass)
