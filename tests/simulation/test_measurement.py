"""The metrics of the network after training: of all held-out rows, at parameters that are the same at all agents."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from p2pnet.data.samples import Samples
from p2pnet.data.splitting import Split
from p2pnet.protocol.core.effects import Conclude
from p2pnet.protocol.core.events import Prepared
from p2pnet.protocol.core.notices import MetricsUnsettled, ParametersChosen
from p2pnet.protocol.core.types import FeatureStatistics
from p2pnet.protocol.rounds.state import Phase
from p2pnet.simulation.virtual_network import Conditions
from p2pnet.simulation.whole_nodes import WholeAgent
from p2pnet.testing import Shard, VirtualFleet, linear_shard, linear_shards
from p2pnet.training.learner import Learner
from p2pnet.training.records import LearnerState

SPLIT = Split(validation=0.2, test=0.2)
SETTINGS = {
    "data.split": {"validation": 0.2, "test": 0.2},
    "algorithm.tolerance": 4e-3,
    "algorithm.rounds": 400,
    "network.round_pace_s": 0.0,
    "network.max_diameter": 8,
}
N_AGENTS = 5
NAMES = [f"agent-{k + 1}" for k in range(N_AGENTS)]
ROW = {name: [NAMES[k + d] for d in (-1, 1) if 0 <= k + d < N_AGENTS] for k, name in enumerate(NAMES)}


def fleet_of(loss_rate: float = 0.0, seed: int = 1, **settings: Any) -> VirtualFleet:
    """Agents in a row, the sparsest graph; the shards differ in size and noise."""
    shards = [linear_shard(k, n_samples=40 + 60 * k, noise=0.2 * k) for k in range(N_AGENTS)]
    conditions = Conditions(latency_s=0.01, loss_rate=loss_rate, max_delay_s=0.02 * loss_rate, is_encoding=True)
    return VirtualFleet(shards, {**SETTINGS, **settings}, neighbors=ROW, conditions=conditions, seed=seed)


def concluded(fleet: VirtualFleet) -> dict[str, Conclude]:
    return fleet.nodes.simulator.conclusions


def sums_of(shard: Shard, fleet: VirtualFleet, params: np.ndarray) -> np.ndarray:
    """Those of an agent's rows for validation, then for test, by definition."""
    samples = Samples(shard.X, shard.y[:, None], "regression", (), ("x0", "x1", "x2"), "y")
    statistics = fleet.nodes.statistics("agent-3")
    assert statistics is not None
    mean, scale = statistics.mean, np.sqrt(statistics.variance)
    parts = SPLIT.apply(samples, seed=0)
    found = []
    for part in (parts.validation, parts.test):
        assert part is not None
        targets = (part.Y[:, 0] - mean[-1]) / scale[-1]
        errors = ((part.X - mean[:-1]) / scale[:-1]) @ params[:-1] + params[-1] - targets
        above, below = np.maximum(targets, 0), np.maximum(-targets, 0)
        of_rows = (np.ones(len(targets)), errors**2, np.abs(errors), targets**2, above, below)
        found += [values.sum() for values in of_rows]
    return np.array(found)


def check(fleet: VirtualFleet, names: Iterable[str]) -> None:
    """All of these agents have the same parameters, and the mean of the sums of exactly their held-out rows."""
    names = list(names)
    first = concluded(fleet)[names[0]]
    expected = np.mean([sums_of(fleet.shards[name], fleet, first.params) for name in names], axis=0)
    for name in names:
        conclusion = concluded(fleet)[name]
        assert conclusion.round == first.round
        np.testing.assert_allclose(conclusion.params, first.params, rtol=0, atol=1e-10)
        np.testing.assert_allclose(conclusion.sums, expected, rtol=1e-9)


@pytest.mark.parametrize("loss_rate", [0.0, 0.3])
def test_all_agents_have_the_metrics_of_all_held_out_rows(loss_rate: float) -> None:
    fleet = fleet_of(loss_rate)
    fleet.start()
    assert fleet.run_until(lambda: len(concluded(fleet)) == N_AGENTS, 600.0)
    assert len({fleet.nodes.round(name) for name in fleet.names}) == 1
    check(fleet, fleet.names)
    assert fleet.run_until(lambda: fleet.nodes.simulator.is_over, 120.0)


@pytest.mark.parametrize("loss_rate", [0.0, 0.3])
def test_where_agents_keep_running_each_epoch_is_measured_when_it_ends(loss_rate: float) -> None:
    fleet = fleet_of(loss_rate, seed=0, **{"service.keep_running": True})
    fleet.start()
    names, weather = fleet.names, fleet.nodes.simulator.conditions
    while len(names) > 2:
        assert fleet.run_until(lambda: len(concluded(fleet)) == len(names), 600.0)  # noqa: B023  (waited for here)
        check(fleet, names)
        assert all(fleet.nodes.phase(name) is Phase.FINISHED for name in names)
        concluded(fleet).clear()
        *names, leaving = names
        # An agent whose farewell is lost is expected back, and begins no epoch.
        fleet.nodes.simulator.conditions = replace(weather, loss_rate=0.0)
        fleet.nodes.leave(leaving)
        fleet.nodes.simulator.conditions = weather


@pytest.mark.parametrize("victim", ["agent-1", "agent-5"])
def test_an_agent_that_dies_while_it_is_measured_takes_its_rows_with_it(victim: str) -> None:
    fleet = fleet_of()
    fleet.start()

    def is_measuring() -> bool:
        said = [type(notice).__name__ for notice in fleet.nodes.notices(victim)]
        return "InMeasurement" in said

    assert fleet.run_until(is_measuring, 600.0)
    fleet.run(0.3)
    assert not concluded(fleet)
    fleet.nodes.crash([victim])
    living = [name for name in fleet.names if name != victim]
    assert fleet.run_until(lambda: len(concluded(fleet)) == N_AGENTS - 1, 40.0)
    check(fleet, living)


def test_an_agent_that_dies_before_it_is_measured_is_not_waited_for_long() -> None:
    fleet = fleet_of()
    fleet.start()
    assert fleet.nodes.run_until(lambda: fleet.nodes.phase("agent-5") is Phase.FINISHED, 60.0, every_s=0.01)
    fleet.nodes.crash(["agent-5"])
    assert fleet.run_until(lambda: len(concluded(fleet)) == N_AGENTS - 1, 40.0)
    check(fleet, fleet.names[:4])


def test_what_dies_in_training_is_not_measured() -> None:
    fleet = fleet_of()
    fleet.start()
    assert fleet.run_until(lambda: fleet.nodes.round("agent-1") > 5, 60.0)
    fleet.nodes.crash(["agent-5"])
    assert fleet.run_until(lambda: len(concluded(fleet)) == N_AGENTS - 1, 600.0)
    check(fleet, fleet.names[:4])


def test_an_agent_that_leaves_while_it_is_measured_ends_at_once() -> None:
    fleet = fleet_of()
    fleet.start()
    assert fleet.run_until(lambda: bool(concluded(fleet)) or "InMeasurement" in str(fleet.nodes.notices("agent-1")), 60)
    fleet.nodes.leave("agent-1")
    assert fleet.run_until(lambda: len(concluded(fleet)) == N_AGENTS - 1, 600.0)
    check(fleet, fleet.names[1:])
    assert not any(isinstance(notice, MetricsUnsettled) for notice in fleet.nodes.notices("agent-2"))


def chosen_rounds(fleet: VirtualFleet) -> list[int]:
    """The rounds whose parameters agents have taken for the best."""
    notices = (notice for _, _, notice in fleet.nodes.simulator.notices)
    return [notice.round for notice in notices if isinstance(notice, ParametersChosen)]


OVERFITTED = {"data.split": {"validation": 0.3, "test": 0.2}, "model.hidden": (20,), "algorithm.patience": 40}
"""Far too many parameters for rows that are mostly noise."""
EVERY = 5
"""Rounds from one candidate to the next with this patience."""


def noisy_fleet(loss_rate: float, **changes: Any) -> VirtualFleet:
    conditions = Conditions(latency_s=0.01, loss_rate=loss_rate, is_encoding=True)
    shards = linear_shards(N_AGENTS, n_samples=40, noise=2.0)
    return VirtualFleet(shards, {**SETTINGS, **OVERFITTED, **changes}, neighbors=ROW, conditions=conditions, seed=3)


@pytest.mark.parametrize("loss_rate", [0.0, 0.3])
def test_all_stop_in_the_same_round_with_the_best_parameters_of_late(loss_rate: float) -> None:
    fleet = noisy_fleet(loss_rate)
    fleet.start()
    assert fleet.run_until(lambda: len(concluded(fleet)) == N_AGENTS, 600.0)
    rounds = {fleet.nodes.round(name) for name in fleet.names}
    assert len(rounds) == 1
    assert 60 <= rounds.pop() < 200
    chosen = chosen_rounds(fleet)
    assert chosen == [chosen[0]] * N_AGENTS
    first = concluded(fleet)["agent-1"]
    for conclusion in concluded(fleet).values():
        np.testing.assert_allclose(conclusion.params, first.params, rtol=0, atol=1e-10)
        np.testing.assert_allclose(conclusion.sums, first.sums, rtol=1e-9)

    to_the_end = noisy_fleet(loss_rate, **{"algorithm.patience": None})
    to_the_end.start()
    assert to_the_end.run_until(lambda: len(concluded(to_the_end)) == N_AGENTS, 600.0)
    overfitted = concluded(to_the_end)["agent-1"].sums
    assert first.sums[1] / first.sums[0] < 0.9 * overfitted[1] / overfitted[0]


def test_an_agent_that_dies_while_the_best_are_chosen_leaves_the_others_with_the_same() -> None:
    fleet = noisy_fleet(0.0)
    fleet.start()
    assert fleet.run_until(lambda: "InMeasurement" in str(fleet.nodes.notices("agent-5")), 600.0)
    fleet.run(0.2)
    assert not chosen_rounds(fleet)
    fleet.nodes.crash(["agent-5"])
    assert fleet.run_until(lambda: len(concluded(fleet)) == N_AGENTS - 1, 600.0)
    assert len(set(chosen_rounds(fleet))) == 1
    first = concluded(fleet)["agent-1"]
    for name in fleet.names[1:4]:
        np.testing.assert_allclose(concluded(fleet)[name].params, first.params, rtol=0, atol=1e-10)
        np.testing.assert_allclose(concluded(fleet)[name].sums, first.sums, rtol=1e-9)


def restart(fleet: VirtualFleet, names: Iterable[str], *, is_state_lost: bool = False) -> None:
    """Let these agents crash, all at once, and come back with their checkpoints, or with nothing but their samples."""
    nodes = fleet.nodes
    saved = {name: (nodes.simulator.nodes[name].snapshot(), nodes.simulator.learner(name).state()) for name in names}
    nodes.crash(saved)
    for name, (snapshot, state) in saved.items():
        agent = fleet.agents[name]

        def prepare(
            statistics: FeatureStatistics | None, agent: WholeAgent = agent, state: LearnerState = state
        ) -> tuple[Prepared, Learner]:
            prepared, learner = agent.prepare(statistics)
            learner.restore(state)
            return prepared, learner

        if is_state_lost:
            nodes.lose_state(name)
            nodes.start(agent)
        else:
            nodes.start(replace(agent, prepare=prepare), snapshot)


def check_choice(fleet: VirtualFleet) -> int:
    """All agents have the same parameters: those that agents had in the round that all have chosen; that round."""
    assert fleet.run_until(lambda: len(concluded(fleet)) == N_AGENTS, 60.0)
    (chosen,) = set(chosen_rounds(fleet))
    first = concluded(fleet)["agent-1"]
    for conclusion in concluded(fleet).values():
        np.testing.assert_allclose(conclusion.params, first.params, rtol=0, atol=1e-10)
        np.testing.assert_allclose(conclusion.sums, first.sums, rtol=1e-9)
    learners = [fleet.nodes.simulator.learner(name) for name in fleet.names]
    kept = [learner.state().candidates.get(chosen // EVERY) for learner in learners]
    then = [float(np.linalg.norm(params - first.params)) for params in kept if params is not None]
    last = [float(np.linalg.norm(fleet.nodes.params(name) - first.params)) for name in fleet.names]
    assert max(then) < 0.1 * min(last)
    return chosen


@pytest.mark.parametrize(
    "names", [NAMES, ["agent-3"], ["agent-5"]], ids=["all", "one between others", "one at the end"]
)
@pytest.mark.parametrize("in_round", [40, 62])
def test_agents_that_are_started_again_choose_from_what_they_had(names: list[str], in_round: int) -> None:
    fleet = noisy_fleet(0.0)
    fleet.start()
    assert fleet.nodes.run_until(lambda: fleet.nodes.round("agent-1") >= in_round, 60.0, every_s=0.01)
    restart(fleet, names)
    assert check_choice(fleet) == 20


@pytest.mark.parametrize("name", ["agent-3", "agent-5"])
def test_an_agent_that_was_not_there_takes_over_the_parameters_that_are_chosen(name: str) -> None:
    fleet = noisy_fleet(0.0)
    fleet.start()
    assert fleet.nodes.run_until(lambda: fleet.nodes.round("agent-1") >= 62, 60.0, every_s=0.01)
    restart(fleet, [name], is_state_lost=True)
    assert check_choice(fleet) == 20


def test_without_a_split_nothing_is_measured() -> None:
    fleet = VirtualFleet(
        linear_shards(2),
        {**SETTINGS, "data.split": None},
        neighbors={"agent-1": ["agent-2"], "agent-2": ["agent-1"]},
    )
    fleet.start()
    assert fleet.run_until(lambda: fleet.nodes.simulator.is_over, 600.0)
    assert not concluded(fleet)
