"""Agents that keep running scale their samples anew when these have drifted: all by the same scales, with nothing lost,
and with the solution for the samples as they are now.
"""

import gc
import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from p2pnet.agent.options import round_options, training_options
from p2pnet.config import settings_of
from p2pnet.data.samples import Samples
from p2pnet.protocol.core.events import Prepared
from p2pnet.protocol.core.notices import CloseReason, LinkClosed, Rescaled
from p2pnet.protocol.core.types import Array, FeatureStatistics
from p2pnet.protocol.rounds.rescaling import revision_of
from p2pnet.protocol.rounds.state import Phase
from p2pnet.simulation.virtual_network import Conditions
from p2pnet.simulation.whole_nodes import WholeAgent, WholeNodes
from p2pnet.testing.problems import Shard, least_squares, linear_shard, linear_shards
from p2pnet.training.learner import Learner
from p2pnet.training.training import Training, make_outline, make_training, scaled_anew, summarize

N_AGENTS = 4
NAMES = tuple(f"agent-{k}" for k in range(N_AGENTS))
MAX_LEAK = 1e-10
ACCURACY = 1e-6
PATIENCE_S = 2000.0
SETTINGS = {
    "data.source": "samples.npz",
    "data.task": "regression",
    "model.hidden": (),
    "objective.penalty": "none",
    "algorithm.tolerance": 1e-9,
    "network.precision": "float64",
    "network.max_diameter": 4,
    "network.round_pace_s": 0.05,
    "network.start_timeout_s": 4.0,
    "security.audit_neighbors": True,
    "security.bound_shares": True,
    "service.keep_running": True,
}
CONVICTIONS = {
    CloseReason.TOO_MUCH_WEIGHT,
    CloseReason.TOO_MANY_SAMPLES,
    CloseReason.TOO_MUCH_GRADIENT,
    CloseReason.TOO_MUCH_CURVATURE,
    CloseReason.OF_NO_USE,
}


def samples_of(shard: Shard) -> Samples:
    features = tuple(f"x{k}" for k in range(shard.X.shape[1]))
    return Samples(shard.X, shard.y[:, None], "regression", (), features, "y")


class Site:
    """One machine: its samples, and what is trained on them."""

    def __init__(self, name: str, shard: Shard, neighbors: Sequence[str]) -> None:
        settings = settings_of(SETTINGS, name)
        self.options = training_options(settings, "regression")
        self.shard = shard
        self.training: Training | None = None
        samples = samples_of(shard)
        summary = summarize(self.options, samples, samples)
        rounds = round_options(settings, name)
        self.agent = WholeAgent(
            name=name,
            prepare=self.prepare,
            rescale=self.rescale,
            options=replace(rounds, expected_neighbors=len(neighbors), timing=replace(rounds.timing, idle_s=2.0)),
            statistics=summary,
            fingerprint=make_outline(self.options, samples, summary).fingerprint,
            neighbors=neighbors,
        )

    def prepare(self, statistics: FeatureStatistics | None) -> tuple[Prepared, Learner]:
        self.training = self._made(statistics)
        return self.training.prepared, self.training.learner

    def rescale(self, statistics: FeatureStatistics, params: Array) -> tuple[Prepared, Learner]:
        assert self.training is not None
        self.training = scaled_anew(self.training, self._made(statistics), params)
        return self.training.prepared, self.training.learner

    def change(self, shard: Shard) -> Learner:
        """The learner with other rows."""
        assert self.training is not None
        self.shard = shard
        self.training = self._made(self.training.statistics)
        return self.training.learner

    def _made(self, statistics: FeatureStatistics | None) -> Training:
        samples = samples_of(self.shard)
        return make_training(self.options, samples, samples, statistics)


def shifted(shift: float, seed: int, n_samples: int) -> Shard:
    """Rows of which the first input is shifted."""
    rows = linear_shard(seed, n_samples=n_samples, weights=(1.0, -2.0, 0.5))
    return Shard(rows.X + np.array([shift, 0.0, 0.0]), rows.y)


class Network:
    """Machines on a ring that keep running."""

    def __init__(self, seed: int = 0) -> None:
        self.nodes = WholeNodes(Conditions(latency_s=0.02), seed)
        shards = linear_shards(N_AGENTS, n_samples=20)
        self.sites = {
            name: Site(name, shards[k], [NAMES[(k - 1) % N_AGENTS], NAMES[(k + 1) % N_AGENTS]])
            for k, name in enumerate(NAMES)
        }
        for site in self.sites.values():
            self.nodes.start(site.agent)

    def arrive(self, name: str, shift: float, seed: int = 5, n_samples: int = 60) -> None:
        """Rows arrive at a machine, of which the first input is shifted."""
        before, rows = self.sites[name].shard, shifted(shift, seed, n_samples)
        self._change(name, Shard(np.vstack([before.X, rows.X]), np.concatenate([before.y, rows.y])))

    def replace(self, name: str, shift: float, seed: int) -> None:
        """All rows of a machine are replaced by others."""
        self._change(name, shifted(shift, seed, n_samples=60))

    def _change(self, name: str, shard: Shard) -> None:
        self.nodes.simulator.change_samples(name, self.sites[name].change(shard))

    def become_idle(self, revision: int) -> None:
        """Go on until all are idle, by scales of this revision, and none knows of a change."""

        def is_idle() -> bool:
            machines = self.nodes.simulator.machines
            if len(machines) < N_AGENTS or any(machine.phase is not Phase.FINISHED for machine in machines.values()):
                return False
            snapshots = [snapshot for machine in machines.values() if (snapshot := machine.snapshot()) is not None]
            are_current = all(snapshot.is_current for snapshot in snapshots)
            are_one = len({(snapshot.epoch, snapshot.round) for snapshot in snapshots}) == 1
            return are_current and are_one and set(self.revisions()) == {revision}

        assert self.nodes.run_until(is_idle, PATIENCE_S)
        assert self.nodes.conservation_error() <= MAX_LEAK
        closed = {notice.reason for _, _, notice in self.nodes.simulator.notices if isinstance(notice, LinkClosed)}
        assert not closed & CONVICTIONS

    def surveys(self, names: Sequence[str] = NAMES) -> list[str]:
        found = [self.nodes.statistics(name) for name in names]
        return ["" if statistics is None else statistics.survey for statistics in found]

    def revisions(self, names: Sequence[str] = NAMES) -> list[int]:
        return [revision_of(survey) for survey in self.surveys(names)]

    def errors(self) -> list[float]:
        """How far predictions are from those of the solution for all samples as they are now, relative to these."""
        shards = [site.shard for site in self.sites.values()]
        solution = least_squares(shards)
        X = np.vstack([shard.X for shard in shards])
        right = X @ solution[:-1] + solution[-1]
        return [float(np.abs(self.predicted(name, X) - right).max() / np.abs(right).max()) for name in NAMES]

    def predicted(self, name: str, X: Array) -> Array:
        training = self.sites[name].training
        assert training is not None
        scaling, network = training.description.scaling, self.nodes.params(name)
        outputs = scaling.inputs(X) @ network[:-1] + network[-1]
        return np.asarray(scaling.target_mean + scaling.target_scale * outputs)


@pytest.fixture
def network() -> Network:
    made = Network()
    made.become_idle(revision=0)
    return made


def test_samples_that_have_drifted_are_scaled_anew_at_all_agents_alike(network: Network) -> None:
    network.arrive(NAMES[1], shift=20.0)
    network.become_idle(revision=1)
    assert len(set(network.surveys())) == 1
    assert max(network.errors()) < ACCURACY
    statistics = network.nodes.statistics(NAMES[0])
    assert statistics is not None
    X = np.vstack([site.shard.X for site in network.sites.values()])
    np.testing.assert_allclose(statistics.mean[:3], X.mean(axis=0), rtol=1e-3)
    np.testing.assert_allclose(statistics.variance[:3], X.var(axis=0), rtol=1e-2)
    assert [any(isinstance(notice, Rescaled) for notice in network.nodes.notices(name)) for name in NAMES] == [True] * 4


@pytest.mark.parametrize(("shift", "n_samples"), [(100.0, 60), (20.0, 2000)])
def test_rows_that_are_very_far_away_or_very_many_make_no_liar_of_an_agent(
    network: Network, shift: float, n_samples: int
) -> None:
    network.arrive(NAMES[1], shift, n_samples=n_samples)
    network.become_idle(revision=1)
    assert max(network.errors()) < 1e-4


@pytest.mark.parametrize(("round_", "shift"), [(5, 20.0), (20, 50.0), (60, 20.0)])
def test_rows_that_arrive_in_mid_training_and_are_announced_to_nobody_make_no_liar_of_an_agent(
    round_: int, shift: float
) -> None:
    network = Network()

    def is_there() -> bool:
        rounds = [machine.round for machine in network.nodes.simulator.machines.values()]
        return len(rounds) == N_AGENTS and min(rounds) >= round_

    assert network.nodes.run_until(is_there, PATIENCE_S)
    network.arrive(NAMES[1], shift)
    network.become_idle(revision=1)
    assert max(network.errors()) < 1e-4


def test_an_agent_that_has_trained_alone_and_restarts_takes_no_other_for_a_liar(network: Network) -> None:
    network.nodes.cut([NAMES[:3], NAMES[3:]])
    network.nodes.run(20.0)
    network.arrive(NAMES[3], shift=0.0)
    network.nodes.run(60.0)
    checkpoint = network.nodes.simulator.nodes[NAMES[3]].snapshot()
    network.nodes.crash([NAMES[3]])
    network.nodes.run(3.0)
    network.nodes.heal()
    network.nodes.start(network.sites[NAMES[3]].agent, checkpoint)
    network.become_idle(revision=0)
    assert max(network.errors()) < ACCURACY


def test_samples_that_have_hardly_drifted_keep_their_scales(network: Network) -> None:
    network.arrive(NAMES[1], shift=0.0)
    network.become_idle(revision=0)
    assert max(network.errors()) < ACCURACY


def test_an_agent_that_was_absent_meanwhile_has_the_scales_when_it_returns(network: Network) -> None:
    checkpoint = network.nodes.simulator.nodes[NAMES[3]].snapshot()
    network.nodes.go_away(NAMES[3])
    network.arrive(NAMES[1], shift=20.0)
    assert network.nodes.run_until(lambda: network.revisions(NAMES[:3]) == [1] * 3, PATIENCE_S)
    network.nodes.start(network.sites[NAMES[3]].agent, checkpoint)
    network.become_idle(revision=1)
    assert len(set(network.surveys())) == 1
    assert max(network.errors()) < ACCURACY


def test_parts_that_have_scaled_anew_apart_end_with_the_same_scales(network: Network) -> None:
    network.nodes.cut([NAMES[:2], NAMES[2:]])
    network.nodes.run(30.0)
    network.arrive(NAMES[0], shift=20.0)
    network.arrive(NAMES[3], shift=-20.0, seed=6)
    assert network.nodes.run_until(lambda: network.revisions() == [1] * 4, PATIENCE_S)
    assert len(set(network.surveys())) == 2
    network.nodes.heal()
    network.become_idle(revision=2)
    assert len(set(network.surveys())) == 1
    assert max(network.errors()) < ACCURACY


N_UPDATES = 50 if os.environ.get("P2PNET_LONG_TESTS") else 9


def n_objects() -> int:
    """The objects of decisions and mathematics that are alive; a simulation's own record grows."""
    gc.collect()
    rooms = ("p2pnet.protocol.rounds", "p2pnet.protocol.links", "p2pnet.optim", "p2pnet.training")
    return sum(str(type(alive).__module__).startswith(rooms) for alive in gc.get_objects())


def test_updates_in_a_row_some_of_them_with_other_scales_lose_nothing_and_leave_nothing_behind(
    network: Network,
) -> None:
    rescaled_at = {N_UPDATES // 4: 20.0, N_UPDATES // 2: 0.0, 2 * N_UPDATES // 3: 20.0, N_UPDATES - 1: 0.0}
    shift, revision, halfway = 0.0, 0, 0
    for update in range(1, N_UPDATES + 1):
        if update in rescaled_at:
            shift, revision = rescaled_at[update], revision + 1
        network.replace(NAMES[1], shift, seed=100 + update)
        network.become_idle(revision)
        assert max(network.errors()) < ACCURACY
        if update == N_UPDATES // 2 + 1:  # all is there that is made once; one update after other scales, as at the end
            halfway = n_objects()
    assert n_objects() <= halfway + N_AGENTS  # what two links have in flight
