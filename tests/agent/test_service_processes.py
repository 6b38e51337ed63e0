"""Agents that keep running: samples that arrive, restarts, and samples that have drifted from their scales."""

from pathlib import Path

import numpy as np

import p2pnet
from p2pnet.testing import Fleet, LocalAgent, least_squares, linear_shards, relative_errors
from p2pnet.testing.problems import Shard, linear_shard
from p2pnet.training.model_file import ModelFile

SERVING = {
    "service.keep_running": True,
    "service.watch_interval_s": 0.2,
    "algorithm.tolerance": 1e-9,
    "network.precision": "float64",
    "network.max_diameter": 4,
}


def epoch_published(agent: LocalAgent) -> int:
    return int(agent.files.model().get("epoch", 0))


def test_every_model_follows_samples_that_arrive_at_one_agent_and_no_restart_wakes_the_network(tmp_path: Path) -> None:
    shards = linear_shards(3)
    with Fleet.create(tmp_path, 3, settings=SERVING, shards=shards) as fleet:
        fleet.start()
        fleet.until(lambda: all(agent.has_said("the model is in") for agent in fleet.agents))
        errors = relative_errors([agent.files.params() for agent in fleet.agents], least_squares(shards))
        assert max(errors) < 1e-6

        arrived = linear_shard(99, n_samples=30, weights=(5.0, 0.0, -1.0))
        shards[0] = Shard(np.vstack([shards[0].X, arrived.X]), np.concatenate([shards[0].y, arrived.y]))
        fleet[0].files.write_samples(shards[0])
        fleet.until(lambda: [epoch_published(agent) for agent in fleet.agents] == [1, 1, 1])
        errors = relative_errors([agent.files.params() for agent in fleet.agents], least_squares(shards))
        assert max(errors) < 1e-6

        for agent in fleet.agents:
            n_linked = agent.count("linked with")
            agent.stop()
            assert agent.exit_code() == 0
            agent.start()
            fleet.until(lambda: agent.count("linked with") >= n_linked + 2)  # noqa: B023  (waited for here)
        assert all(agent.has_said("has finished training before") for agent in fleet.agents)
        assert [agent.count("epoch . begins") for agent in fleet.agents] == [1, 1, 1]


def test_samples_that_have_drifted_are_scaled_anew_everywhere_and_in_the_model(tmp_path: Path) -> None:
    shards = linear_shards(3)
    scaled = {**SERVING, "data.standardize": "network"}
    with Fleet.create(tmp_path, 3, settings=scaled, shards=shards) as fleet:
        fleet.start()
        fleet.until(lambda: all(agent.has_said("the model is in") for agent in fleet.agents))

        arrived = linear_shard(99, n_samples=30)
        arrived = Shard(arrived.X + np.array([20.0, 0.0, 0.0]), arrived.y)
        shards[0] = Shard(np.vstack([shards[0].X, arrived.X]), np.concatenate([shards[0].y, arrived.y]))
        fleet[0].files.write_samples(shards[0])
        fleet.until(lambda: [epoch_published(agent) for agent in fleet.agents] == [2, 2, 2])

        X, solution = np.vstack([shard.X for shard in shards]), least_squares(shards)
        right = X @ solution[:-1] + solution[-1]
        for agent in fleet.agents:
            assert agent.has_said("have drifted by .* all agents scale them anew")
            predicted = p2pnet.load(agent.files.directory / "model.npz").predict(X)
            np.testing.assert_allclose(predicted, right, atol=1e-6 * np.abs(right).max())


def test_the_model_of_each_epoch_has_the_metrics_of_the_rows_that_all_have_held_out(tmp_path: Path) -> None:
    shards = linear_shards(2, n_samples=200)
    with Fleet.create(
        tmp_path, 2, settings={**SERVING, "data.test_source": None, "data.split": {"test": 0.3}}, shards=shards
    ) as fleet:

        def are_measured(epoch: int) -> bool:
            models = [agent.files.model() for agent in fleet.agents if agent.has_said("the model is in")]
            return [int(model.get("epoch", 0)) for model in models if "network_metrics" in model] == [epoch] * 2

        def squared_errors() -> list[float]:
            models = [ModelFile.load(agent.files.directory / "model.npz") for agent in fleet.agents]
            return [model.network_metrics["test"]["RMSE"] ** 2 for model in models]

        fleet.start()
        fleet.until(lambda: are_measured(0))
        before, _ = squared_errors()
        fleet[0].files.write_samples(linear_shard(99, n_samples=100, noise=0.5))
        fleet.until(lambda: are_measured(1))
        one, other = squared_errors()
        assert abs(one - other) < 1e-9 * one
        assert abs(one - before) > 0.1 * before
