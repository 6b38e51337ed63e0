"""Agents with raw data that differ in everything, as processes of their own: they scale alike, and know all labels."""

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from sklearn.datasets import load_wine

from p2pnet.agent.options import data_options, problem_options
from p2pnet.config import Settings, read_settings
from p2pnet.data.reading import load_data
from p2pnet.data.samples import Samples
from p2pnet.data.scaling import moments, scaling_by
from p2pnet.experiments.report.baselines import train_centrally
from p2pnet.testing import Fleet, LocalAgent, free_ports
from p2pnet.training.problem import make_problem

PATIENCE_S = 120.0
OFFSET = 1e3
UNHURRIED = {"rounds": 200, "tolerance": 0.0}
"""Ten seconds, so that an agent can come late."""

GRAPES = ("barbera", "barolo", "grignolino")


MakeFleet = Callable[[int], Fleet]


@pytest.fixture
def make_fleet(tmp_path: Path) -> Iterator[MakeFleet]:
    with ExitStack() as at_exit:

        def make(n_agents: int) -> Fleet:
            addresses = [f"tcp://127.0.0.1:{port}" for port in free_ports(n_agents)]
            agents = [LocalAgent.create(tmp_path / f"agent-{k}", address) for k, address in enumerate(addresses, 1)]
            return at_exit.enter_context(Fleet(agents))

        yield make


def knows(agent: LocalAgent, neighbors: Iterable[LocalAgent], **algorithm: float) -> None:
    """Write the agent's agent.toml: a linear model, everything else by default."""
    agent.configure(
        {
            "network.neighbors": [{**peer.as_neighbor(), "name": None} for peer in neighbors],
            "network.round_pace_s": 0.05 if algorithm else 0.0,
            "network.start_timeout_s": 3.0,
            "data.source": "samples.csv",
            "model.hidden": (),
            **{f"algorithm.{name}": value for name, value in algorithm.items()},
        }
    )


def has(agent: LocalAgent, X: NDArray[np.float64], targets: ArrayLike) -> None:
    """Write the agent's samples.csv."""
    with (agent.directory / "samples.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"x{column}" for column in range(X.shape[1])), "target"])
        writer.writerows([*row, target] for row, target in zip(X.tolist(), np.asarray(targets).tolist(), strict=True))


def settings_of(agent: LocalAgent) -> Settings:
    return read_settings(agent.files.config, environment={})


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
    make_fleet: MakeFleet,
) -> None:
    X, y = load_wine(return_X_y=True)
    X += OFFSET * np.arange(X.shape[1])  # unscaled as it is, and far from zero as well
    labels = np.array(["barolo", "grignolino", "barbera"])[y]
    fleet = make_fleet(3)
    agents = fleet.agents
    for k, (agent, rows) in enumerate(zip(agents, np.array_split(np.arange(len(X)), 3), strict=True)):
        assert len(set(labels[rows])) < 3
        has(agent, X[rows], labels[rows])
        knows(agent, [other for j, other in enumerate(agents) if abs(j - k) == 1])
    fleet.run(PATIENCE_S)

    train = pooled([load_data(data_options(settings_of(agent).data))[0] for agent in agents], GRAPES)
    mean, variance = moments(train, is_target_scaled=False)
    for agent in agents:
        assert "feature statistics of 13 columns, 3 labels" in agent.log
        assert tuple(agent.files.model()["classes"]) == GRAPES
        np.testing.assert_allclose((agent.files.model()["feature_mean"] - mean) / np.sqrt(variance), 0, atol=1e-9)
        np.testing.assert_allclose(agent.files.model()["feature_scale"], np.sqrt(variance), rtol=1e-9)

    scaling = scaling_by(mean, variance, 13)
    settings = settings_of(agents[0])
    problem = make_problem(problem_options(settings.model, settings.objective, train.task), train)
    central = train_centrally(problem, scaling.apply(train)).params
    by_all = accuracy(agents[0].files.model() | {"params": central}, X, labels)
    assert [accuracy(agent.files.model(), X, labels) for agent in agents] == pytest.approx([by_all] * 3, abs=0.01)
    assert by_all > 0.97


def test_one_that_joins_late_scales_as_all_others_and_predicts_raw_values(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    agents = fleet.agents
    early, late = agents[:2], agents[2]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 2)) * [3.0, 1e-4] + [1e5, 1.0]
    y = 7e4 + 0.5 * X[:, 0] + 2e4 * X[:, 1]
    for agent, rows in zip(agents, np.split(np.argsort(X[:, 0]), 3), strict=True):
        has(agent, X[rows], y[rows])
        knows(agent, [other for other in agents if other is not agent], **UNHURRIED)
    fleet.start([0, 1])
    early[0].until(lambda agent: agent.has_said("training begins"))
    fleet.start([2])
    fleet.until_all_end(PATIENCE_S)

    assert "joins the training in round" in late.log
    mean, variance = moments(
        pooled([load_data(data_options(settings_of(agent).data))[0] for agent in early], ()), is_target_scaled=True
    )
    for agent in agents:
        scaling = scaling_by(mean, variance, 2)
        np.testing.assert_allclose(agent.files.model()["feature_scale"], scaling.feature_scale, rtol=1e-9)
        assert agent.files.model()["target_mean"] == pytest.approx(scaling.target_mean, rel=1e-12)
        assert agent.files.model()["target_scale"] == pytest.approx(scaling.target_scale, rel=1e-9)
        np.testing.assert_allclose(scores(agent.files.model(), X)[:, 0], y, atol=0.02 * y.std())


def test_one_that_joins_late_with_a_label_that_nobody_knew_is_told_so(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    agents = fleet.agents
    early, late = agents[:2], agents[2]
    X = np.random.default_rng(0).standard_normal((20, 2))
    for agent, labels in zip(agents, (["ant", "bee"], ["bee", "cat"], ["cat", "dog"]), strict=True):
        has(agent, X, labels * 10)
        knows(agent, [other for other in agents if other is not agent], **UNHURRIED)
    fleet.start([0, 1])
    early[0].until(lambda agent: agent.has_said("training begins"))
    fleet.start([2])
    assert late.exit_code() == 65
    assert "column 'target': label 'dog' is none of the classes ant, bee, cat that the network trains" in late.log
    for agent in early:
        agent.finish(PATIENCE_S)
