"""Agents with shards of very different sizes, as processes of one seed: their statistics settle, or none trains."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from p2pnet.testing import Fleet
from p2pnet.testing.introductions import by_seeds
from p2pnet.testing.problems import Shard, least_squares
from p2pnet.testing.waiting import wait_until

SIZES = (80_000, 3_000, 240)
PATIENCE_S = 150.0
SETTINGS = {"data.standardize": "network", "algorithm.tolerance": 1e-6, "network.precision": "float64"}

IMPATIENT = """
import runpy, sys
from p2pnet.protocol.rounds import statistics
statistics.MAX_UNSETTLED_ROUNDS = 5
sys.argv[0] = "p2pnet"
runpy.run_module("p2pnet", run_name="__main__")
"""
"""An agent that gives its statistics five rounds."""


def shards(sizes: Sequence[int]) -> list[Shard]:
    """Two columns: one that is 0 at the first agent and 0 or 1 at the others, one that is far from zero everywhere."""
    rng = np.random.default_rng(0)
    made = []
    for k, size in enumerate(sizes):
        flags = rng.integers(0, 2, size).astype(np.float64) if k else np.zeros(size)
        X = np.column_stack([flags, 1e4 + k + rng.standard_normal(size)])
        made.append(Shard(X, X @ np.array([2.0, -1.0]) + 0.1 * rng.standard_normal(size)))
    return made


def test_shards_of_80000_3000_and_240_rows_settle_and_train(tmp_path: Path) -> None:
    data = shards(SIZES)
    with Fleet.create(tmp_path, len(SIZES), by_seeds(), SETTINGS, shards=data) as fleet:
        results = fleet.run(PATIENCE_S)
        models = [agent.files.model() for agent in fleet.agents]
        logs = [agent.log for agent in fleet.agents]
    columns = np.vstack([shard.X for shard in data])
    for model in models:
        deviation = columns.std(axis=0)
        assert (np.abs(model["feature_mean"] - columns.mean(axis=0)) <= 1e-10 * deviation).all()
        np.testing.assert_allclose(model["feature_scale"], deviation, rtol=1e-10)
        np.testing.assert_allclose(model["params"], least_squares(data, standardized_by=data), atol=1e-4)
    assert {result.stopped_because for result in results} == {"converged"}
    assert any("feature statistics of 3 columns" in log for log in logs)


def test_an_agent_whose_statistics_do_not_settle_ends_with_one_line_and_none_has_a_model(tmp_path: Path) -> None:
    with Fleet.create(tmp_path, 3, by_seeds(), SETTINGS, shards=shards((2_000, 100, 40))) as fleet:
        for agent in fleet.agents:
            agent.start(program=["-c", IMPATIENT])
        wait_until(
            lambda: any(not agent.is_running for agent in fleet.agents), lambda: "an agent that ends", PATIENCE_S
        )
        ended = [agent for agent in fleet.agents if not agent.is_running]
        assert {agent.poll() for agent in ended} == {1}
        for agent in ended:
            said = agent.log.splitlines()[-1]
            assert "the statistics before training have not settled in" in said
            assert "of its deviation. Not trained" in said
        # One that the others have left before it gave up itself waits for them, as at the beginning.
        for agent in fleet.agents:
            assert "surveyed" not in agent.log
            with pytest.raises(FileNotFoundError):
                agent.files.model()
