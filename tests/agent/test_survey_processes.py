"""Agents with raw data that differ in everything, as processes of their own: they scale alike, and know all labels."""

import csv
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from sklearn.datasets import load_wine

from p2pnet.agent.transport.keys import KeyPair, generate_keys, write_keys
from p2pnet.config import AgentSettings, NeighborSettings, Settings, read_settings, write_config
from p2pnet.data.reading import load_data
from p2pnet.data.samples import Samples
from p2pnet.data.scaling import moments, scaling_by
from p2pnet.experiments.demo.fleet import free_ports
from p2pnet.experiments.demo.processes import Exit, ProcessGroup, agent_command
from p2pnet.experiments.report.baselines import train_centrally
from p2pnet.training.problem import make_problem

PATIENCE_S = 120.0
OFFSET = 1e3
UNHURRIED = {"rounds": 200, "tolerance": 0.0}
"""Ten seconds, so that somebody can come late."""

GRAPES = ("barbera", "barolo", "grignolino")


@dataclass(frozen=True)
class Agent:
    name: str
    directory: Path
    keys: KeyPair
    address: str

    @property
    def log(self) -> str:
        return (self.directory / "agent.log").read_text()

    @property
    def model(self) -> dict[str, Any]:
        with np.load(self.directory / "model.npz") as file:
            return dict(file)

    @property
    def settings(self) -> Settings:
        return read_settings(self.directory / "agent.toml", environment={})

    def knows(self, neighbors: list["Agent"], **algorithm: float) -> None:
        """Write its agent.toml: a linear model, everything else by default."""
        settings = Settings.model_validate(
            {
                "agent": AgentSettings(name=self.name, state_dir=Path()),
                "network": {
                    "bind": self.address,
                    "neighbors": [
                        NeighborSettings(address=peer.address, public_key=peer.keys.public) for peer in neighbors
                    ],
                    "round_pace_s": 0.05 if algorithm else 0.0,
                    "start_timeout_s": 3.0,
                },
                "data": {"source": Path("samples.csv")},
                "model": {"hidden": ()},
                "algorithm": algorithm,
            }
        )
        write_config(settings, self.directory / "agent.toml")

    def has(self, X: NDArray[np.float64], targets: ArrayLike) -> None:
        with (self.directory / "samples.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*(f"x{column}" for column in range(X.shape[1])), "target"])
            writer.writerows(
                [*row, target] for row, target in zip(X.tolist(), np.asarray(targets).tolist(), strict=True)
            )


MakeAgents = Callable[[int], list[Agent]]


@pytest.fixture
def processes() -> Iterator[ProcessGroup]:
    with ProcessGroup() as group:
        yield group


@pytest.fixture
def make_agents(tmp_path: Path) -> MakeAgents:
    def make(n_agents: int) -> list[Agent]:
        agents = []
        for k, port in enumerate(free_ports(n_agents)):
            agent = Agent(f"agent-{k + 1}", tmp_path / f"agent-{k + 1}", generate_keys(), f"tcp://127.0.0.1:{port}")
            agent.directory.mkdir()
            write_keys(agent.directory / "agent.key", agent.keys)
            agents.append(agent)
        return agents

    return make


def start(processes: ProcessGroup, agent: Agent) -> None:
    processes.start(agent.name, agent_command(agent.directory / "agent.toml"), agent.directory / "agent.log")


def exits(processes: ProcessGroup, n_exits: int) -> dict[str, int]:
    ended: list[Exit] = []
    give_up_at = time.monotonic() + PATIENCE_S
    while len(ended) < n_exits and time.monotonic() < give_up_at:
        time.sleep(0.02)
        ended += processes.take_exits()
    return {one.name: one.code for one in ended}


def until(agent: Agent, is_so: Callable[[Agent], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not is_so(agent):
        assert time.monotonic() < give_up_at, agent.log
        time.sleep(0.02)


def scores(model: dict[str, Any], X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of a linear model on raw samples, from nothing but what its file holds."""
    layer = model["params"].reshape(-1, X.shape[1] + 1)
    outputs = (X - model["feature_mean"]) / model["feature_scale"] @ layer[:, :-1].T + layer[:, -1]
    predictions: NDArray[np.float64] = outputs * model["target_scale"] + model["target_mean"]
    return predictions


def accuracy(model: dict[str, Any], X: NDArray[np.float64], labels: NDArray[Any]) -> float:
    return float(np.mean(model["classes"][scores(model, X).argmax(axis=1)] == labels))


def pooled(shards: list[Samples], classes: tuple[str, ...]) -> Samples:
    shards = [shard.with_classes(classes) if classes else shard for shard in shards]
    (first, *_), Y = shards, np.concatenate([shard.Y for shard in shards])
    X = np.concatenate([shard.X for shard in shards])
    return Samples(X, Y, first.task, first.classes, first.feature_names, first.target_name)


def test_three_agents_that_each_miss_labels_train_as_if_their_data_had_been_scaled_in_one_place(
    make_agents: MakeAgents, processes: ProcessGroup
) -> None:
    X, y = load_wine(return_X_y=True)
    X += OFFSET * np.arange(X.shape[1])  # unscaled as it is, and far from zero as well
    labels = np.array(["barolo", "grignolino", "barbera"])[y]
    agents = make_agents(3)
    for k, (agent, rows) in enumerate(zip(agents, np.array_split(np.arange(len(X)), 3), strict=True)):
        assert len(set(labels[rows])) < 3
        agent.has(X[rows], labels[rows])
        agent.knows([other for j, other in enumerate(agents) if abs(j - k) == 1])
        start(processes, agent)
    assert exits(processes, 3) == {agent.name: 0 for agent in agents}, [agent.log for agent in agents]

    train = pooled([load_data(agent.settings.data)[0] for agent in agents], GRAPES)
    mean, variance = moments(train, is_target_scaled=False)
    for agent in agents:
        assert "surveyed 13 columns, 3 labels" in agent.log
        assert tuple(agent.model["classes"]) == GRAPES
        np.testing.assert_allclose((agent.model["feature_mean"] - mean) / np.sqrt(variance), 0, atol=1e-9)
        np.testing.assert_allclose(agent.model["feature_scale"], np.sqrt(variance), rtol=1e-9)

    scaling = scaling_by(mean, variance, 13)
    problem = make_problem(agents[0].settings.model, agents[0].settings.objective, train)
    central = train_centrally(problem, scaling.apply(train)).params
    by_all = accuracy(agents[0].model | {"params": central}, X, labels)
    assert [accuracy(agent.model, X, labels) for agent in agents] == pytest.approx([by_all] * 3, abs=0.01)
    assert by_all > 0.97


def test_one_that_joins_late_scales_as_all_others_and_predicts_raw_values(
    make_agents: MakeAgents, processes: ProcessGroup
) -> None:
    agents = make_agents(3)
    early, late = agents[:2], agents[2]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 2)) * [3.0, 1e-4] + [1e5, 1.0]
    y = 7e4 + 0.5 * X[:, 0] + 2e4 * X[:, 1]
    for agent, rows in zip(agents, np.split(np.argsort(X[:, 0]), 3), strict=True):
        agent.has(X[rows], y[rows])
        agent.knows([other for other in agents if other is not agent], **UNHURRIED)
    for agent in early:
        start(processes, agent)
    until(early[0], lambda agent: "training begins" in agent.log)
    start(processes, late)
    assert exits(processes, 3) == {agent.name: 0 for agent in agents}, [agent.log for agent in agents]

    assert "joins the training in round" in late.log
    mean, variance = moments(pooled([load_data(agent.settings.data)[0] for agent in early], ()), is_target_scaled=True)
    for agent in agents:
        scaling = scaling_by(mean, variance, 2)
        np.testing.assert_allclose(agent.model["feature_scale"], scaling.feature_scale, rtol=1e-9)
        assert agent.model["target_mean"] == pytest.approx(scaling.target_mean, rel=1e-12)
        assert agent.model["target_scale"] == pytest.approx(scaling.target_scale, rel=1e-9)
        np.testing.assert_allclose(scores(agent.model, X)[:, 0], y, atol=0.02 * y.std())


def test_one_that_joins_late_with_a_label_that_nobody_knew_is_told_so(
    make_agents: MakeAgents, processes: ProcessGroup
) -> None:
    agents = make_agents(3)
    early, late = agents[:2], agents[2]
    X = np.random.default_rng(0).standard_normal((20, 2))
    for agent, labels in zip(agents, (["ant", "bee"], ["bee", "cat"], ["cat", "dog"]), strict=True):
        agent.has(X, labels * 10)
        agent.knows([other for other in agents if other is not agent], **UNHURRIED)
    for agent in early:
        start(processes, agent)
    until(early[0], lambda agent: "training begins" in agent.log)
    start(processes, late)
    assert exits(processes, 1) == {late.name: 65}
    assert "column 'target': label 'dog' is none of the classes ant, bee, cat that the network trains" in late.log
    assert exits(processes, 2) == {agent.name: 0 for agent in early}, [agent.log for agent in early]
