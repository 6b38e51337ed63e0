"""Agents that keep running: samples that arrive, restarts, and rows that cannot be used."""

from pathlib import Path

import numpy as np

from p2pnet.testing import Fleet, LocalAgent, least_squares, linear_shards, relative_errors
from p2pnet.testing.problems import Shard, linear_shard

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
            fleet.until(lambda: agent.count("linked with") == n_linked + 2)  # noqa: B023  (waited for here)
        assert all(agent.has_said("has finished training before") for agent in fleet.agents)
        assert [agent.count("epoch . begins") for agent in fleet.agents] == [1, 1, 1]
