"""Real agents that are killed go on from their checkpoints; under the marker chaos very often."""

import math
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from p2pnet.agent.checkpoint_files import DRAFT, LATEST, CheckpointFiles, DirectoryFiles
from p2pnet.testing.fleet import Fleet
from p2pnet.testing.introductions import by_graph
from p2pnet.testing.local_agent import LocalAgent
from p2pnet.testing.problems import least_squares, linear_shards
from p2pnet.testing.waiting import wait_until

SAVING = Path(__file__).parent / "saving.py"
N_AGENTS = 8
RING = [(k, (k + 1) % N_AGENTS) for k in range(N_AGENTS)]
N_ROUNDS = 150
SETTINGS = {
    "network.round_pace_s": 0.05,
    "network.finish_timeout_s": 2.0,
    "algorithm.rounds": 1_000_000,
    "algorithm.tolerance": 0.0,
    "algorithm.exchanges": 1,
}
MOST_WORK_LOST_S = 15.0
MAX_BYTES = 1 << 22


def saved_round(agent: LocalAgent) -> int:
    """Of the agent's latest checkpoint, which must be whole; 0 where there is none yet."""
    found, problems = CheckpointFiles(DirectoryFiles(agent.directory), MAX_BYTES).load()
    assert problems == []
    return 0 if found is None else found.rounds.round


def objective_ratio(fleet: Fleet) -> float:
    """The worst agent's mean squared error, over that of the least-squares solution."""
    shards = linear_shards(N_AGENTS)
    X, y = np.concatenate([shard.X for shard in shards]), np.concatenate([shard.y for shard in shards])

    def error(params: np.ndarray) -> float:
        return float(np.mean((X @ params[:-1] + params[-1] - y) ** 2))

    best = error(least_squares(shards))
    return max(error(agent.files.params()) / best for agent in fleet.agents)


def kill_all_at_once(fleet: Fleet, after_s: float) -> int:
    """Start all, and kill them after this time of training; the latest round that one has saved.

    No more is lost than the last seconds of work.
    """
    started_at = time.time()
    fleet.start()
    fleet.until(lambda: min(agent.round for agent in fleet.agents) >= 0)
    time.sleep(after_s)
    fleet.kill()
    records = [record for agent in fleet.agents for record in agent.files.records() if record.time_s >= started_at]
    newest = max(saved_round(agent) for agent in fleet.agents)
    lost = [record.time_s for record in records if record.round >= newest]
    lost_s = max(record.time_s for record in records) - min(lost, default=math.inf)
    sys.stdout.write(f"killed after {after_s:.1f} s; {max(lost_s, 0.0):.1f} s of work behind, in round {newest}\n")
    assert lost_s <= MOST_WORK_LOST_S
    return newest


@pytest.mark.parametrize(
    "n_times",
    [
        pytest.param(2, marks=pytest.mark.timeout(600)),
        pytest.param(20, marks=[pytest.mark.chaos, pytest.mark.timeout(1800)]),
    ],
)
def test_all_agents_are_killed_at_once_and_go_on_to_the_same_solution(tmp_path: Path, n_times: int) -> None:
    rng = random.Random(n_times)  # noqa: S311
    with Fleet.create(tmp_path, N_AGENTS, by_graph(RING), SETTINGS) as fleet:
        for _ in range(n_times):
            newest = kill_all_at_once(fleet, rng.uniform(0.0, 12.0))
        n_rounds = newest + N_ROUNDS
        fleet.start(None, f"algorithm.rounds={n_rounds}")
        fleet.until_all_end(120.0)
        assert all(agent.files.result().rounds == n_rounds for agent in fleet.agents)
        assert objective_ratio(fleet) < 1.001


@pytest.mark.chaos
@pytest.mark.timeout(3600)
def test_single_agents_are_killed_200_times_and_no_checkpoint_is_unreadable(tmp_path: Path) -> None:
    rng = random.Random(7)  # noqa: S311
    with Fleet.create(tmp_path, N_AGENTS, by_graph(RING), SETTINGS) as fleet:
        fleet.start()
        fleet.until_round(5)
        for _ in range(200):
            k = rng.randrange(N_AGENTS)
            then = fleet[k].round + rng.randint(1, 20)
            fleet.until(lambda k=k, then=then: fleet[k].round >= then)  # type: ignore[misc]
            fleet.kill([k])
            saved_round(fleet[k])
            fleet.start([k])
            fleet.until(lambda k=k: fleet[k].round >= 0)  # type: ignore[misc]
        fleet.look_for_failures()


@pytest.mark.parametrize("n_times", [10, pytest.param(200, marks=[pytest.mark.chaos, pytest.mark.timeout(900)])])
def test_a_process_that_is_killed_while_it_saves_leaves_a_whole_checkpoint(tmp_path: Path, n_times: int) -> None:
    rng = random.Random(n_times)  # noqa: S311
    files = CheckpointFiles(DirectoryFiles(tmp_path), MAX_BYTES)
    n_cut_off = 0
    for _ in range(n_times):
        (tmp_path / LATEST).unlink(missing_ok=True)
        with subprocess.Popen([sys.executable, str(SAVING), str(tmp_path)]) as process:
            wait_until((tmp_path / LATEST).exists, lambda: "a first checkpoint")
            time.sleep(rng.uniform(0.0, 0.05))
            process.kill()
        n_cut_off += (tmp_path / DRAFT).exists()
        found, problems = files.load()
        assert problems == []
        assert found is not None
        assert set(found.rounds.params) == {float(found.rounds.round)}
    assert n_cut_off > n_times / 10


@pytest.fixture
def pair(tmp_path: Path) -> Fleet:
    return Fleet.create(tmp_path, 2, settings={**SETTINGS, "algorithm.rounds": 30, "network.round_pace_s": 0.0})


def test_a_finished_run_that_is_started_again_ends_with_the_same_model_unless_it_is_to_begin_afresh(
    pair: Fleet,
) -> None:
    with pair:
        pair.run()
        params = pair[0].files.params()
        pair[0].start("network.finish_timeout_s=0.5")
        assert pair[0].exit_code() == 0
        assert pair[0].has_said(r"training had ended after 30 rounds; .* run all agents with --fresh")
        np.testing.assert_array_equal(pair[0].files.params(), params)
        for agent in pair.agents:
            agent.start(options=["--fresh"])
        assert [agent.exit_code() for agent in pair.agents] == [0, 0]
        assert [record.round for record in pair[0].files.records()] == list(range(31))


def test_more_rounds_are_trained_on_from_those_that_are_done(pair: Fleet) -> None:
    with pair:
        pair.run()
        for agent in pair.agents:
            agent.start("algorithm.rounds=40")
        assert [agent.exit_code() for agent in pair.agents] == [0, 0]
        assert pair[0].files.result().rounds == 40
        assert pair[0].has_said("goes on from the checkpoint of round 30")


def test_an_agent_that_lost_its_state_is_told_the_result_by_one_that_had_ended(pair: Fleet) -> None:
    with pair:
        pair.run()
        result = pair[0].files.params()
        pair[1].files.forget()
        pair.start()
        pair.until_all_end()
        np.testing.assert_array_equal(pair[1].files.params(), result)


def test_a_run_that_begins_with_a_models_parameters_is_where_that_model_was(pair: Fleet) -> None:
    with pair:
        pair.run()
        model = pair[0].directory / "kept.npz"
        trained = pair[0].files.records()[-1].objective_local
        model.write_bytes((pair[0].directory / "model.npz").read_bytes())
        for agent in pair.agents:
            agent.start("algorithm.rounds=2", options=["--start-from", str(model)])
        assert [agent.exit_code() for agent in pair.agents] == [0, 0]
        assert pair[0].files.records()[0].objective_local == pytest.approx(trained, rel=1e-6)


def test_a_model_of_other_layers_is_no_start(pair: Fleet) -> None:
    with pair:
        pair.run()
        model = str(pair[0].directory / "model.npz")
        pair[0].start("model.hidden=[3]", options=["--start-from", model])
        assert pair[0].exit_code() == 65
        assert pair[0].log.splitlines()[-1].startswith(f"p2pnet: --start-from {model}: its network: ")


def test_after_a_change_of_settings_the_checkpoint_is_refused_in_one_line_and_training_begins_anew(
    pair: Fleet,
) -> None:
    with pair:
        pair.run()
        for agent in pair.agents:
            agent.start("objective.loss=huber")
        assert [agent.exit_code() for agent in pair.agents] == [0, 0]
        assert pair[0].count(r"checkpoint is of another training: its loss is .*; it is passed over") == 1
        assert [record.round for record in pair[0].files.records()] == list(range(31))


def test_a_checkpoint_is_saved_when_an_agent_is_told_to_leave_and_when_it_fails(pair: Fleet) -> None:
    with pair:
        for code in (0, 1):
            if code:
                (pair[0].directory / "model.npz").unlink()
                (pair[0].directory / "model.npz").mkdir()  # which is an error at the end
            pair.start(None, "algorithm.rounds=100000", "network.round_pace_s=0.02")
            pair.until(lambda: all(agent.round > 5 for agent in pair.agents))
            before = pair[0].round
            pair.stop()
            assert [agent.exit_code() for agent in pair.agents] == [code, 0]
            assert saved_round(pair[0]) >= before
