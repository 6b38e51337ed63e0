"""Several real agents of the harness: however they know each other, they train together and nothing is lost."""

import ast
import doctest
import signal
import textwrap
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import p2pnet.testing
from p2pnet.testing import (
    Fleet,
    HarnessError,
    Introduction,
    by_full_graph,
    by_graph,
    by_mdns,
    by_seeds,
    disagreement,
    free_ports,
    least_squares,
    linear_shard,
    linear_shards,
    relative_errors,
)

ROUNDS = {"algorithm.rounds": 60, "algorithm.tolerance": 0.0}


@pytest.mark.parametrize(
    "introduction",
    [by_graph([(0, 1), (1, 2)]), by_full_graph(), by_seeds(0), by_mdns()],
    ids=["path", "full", "seeds", "mdns"],
)
def test_three_train_the_solution_of_all_samples_and_conserve(tmp_path: Path, introduction: Introduction) -> None:
    slow = {"network.round_pace_s": 0.02}  # those that find each other in the course of the rounds have time to
    with Fleet.create(tmp_path, 3, introduction, {**ROUNDS, **slow, "algorithm.rounds": 150}) as fleet:
        results = fleet.run()
        models = [agent.files.params() for agent in fleet.agents]
    assert {result.rounds for result in results} == {150}
    assert max(relative_errors(models, least_squares(linear_shards(3)))) < 1e-4
    assert disagreement(models) < 1e-4
    assert fleet.conservation_error() < 1e-9
    assert fleet.n_running == 0


def test_one_is_killed_another_leaves_and_the_others_go_on(tmp_path: Path) -> None:
    settings = {**ROUNDS, "algorithm.rounds": 250, "network.round_pace_s": 0.02, "network.finish_timeout_s": 1.0}
    with Fleet.create(tmp_path, 4, settings=settings) as fleet:
        fleet.start()
        fleet.until_round(5)
        fleet.kill([3])
        fleet.stop([2])
        assert fleet.n_running == 2
        fleet.until_all_end()
        assert fleet.has_ended(0)
        models = [fleet[k].files.params() for k in (0, 1)]
    assert max(relative_errors(models, least_squares(linear_shards(4)[:2]))) < 1e-4


def test_one_that_fails_is_named(tmp_path: Path) -> None:
    with Fleet.create(tmp_path, 2, settings=ROUNDS) as fleet:
        (fleet[1].directory / "samples.npz").unlink()
        fleet.start()
        with pytest.raises(HarnessError, match=r"agent-2 failed: exit code 65; its log ends with: .*samples\.npz"):
            fleet.until_all_end()


def test_ends_are_told_once_with_exit_code_and_failure(tmp_path: Path) -> None:
    with Fleet.create(tmp_path, 2, settings={**ROUNDS, "algorithm.rounds": 1_000_000}) as fleet:
        fleet.start()
        fleet.until_round(1)
        fleet[0].signal(signal.SIGKILL)
        fleet[0].exit_code()
        (end,) = fleet.take_ends()
        assert (end.agent.name, end.code, str(end.failure)) == ("agent-1", -9, "killed by signal 9")
        assert fleet.take_ends() == []
        assert fleet.n_running == 1
    assert not any(agent.is_running for agent in fleet.agents)


def test_those_that_are_left_over_may_take_leave_where_they_are_given_time(tmp_path: Path) -> None:
    made = Fleet.create(tmp_path, 2, settings={**ROUNDS, "algorithm.rounds": 1_000_000})
    with Fleet(made.agents, grace_s=10.0) as fleet:
        fleet.start()
        fleet.until_round(1)
    assert [agent.poll() for agent in fleet.agents] == [0, 0]
    assert all((agent.directory / "model.npz").exists() for agent in fleet.agents)


def test_a_member_lies_and_the_others_go_on(tmp_path: Path) -> None:
    """An average bears no lie about parameters; what the others must do is go on, and end."""
    with Fleet.create(
        tmp_path, 3, settings={**ROUNDS, "algorithm.rounds": 30}, lies={2: ["params-constant:7", "share-repeated:2"]}
    ) as fleet:
        results = fleet.run()
        honest = [fleet[k].files.params() for k in (0, 1)]
    assert [result.rounds for result in results] == [30] * 3
    assert min(relative_errors(honest, least_squares(linear_shards(3)))) > 0.01
    assert all("Traceback" not in agent.log for agent in fleet.agents)


def test_a_lie_that_there_is_not_is_one_line(tmp_path: Path) -> None:
    with Fleet.create(tmp_path, 2, settings=ROUNDS, lies={0: ["nonsense"]}) as fleet:
        fleet.start([0])
        assert fleet[0].exit_code() == 78
    assert fleet[0].log.startswith("p2pnet: lie 'nonsense': there is no lie of this name")
    assert len(fleet[0].log.splitlines()) == 1


def test_the_example_of_the_package_runs_as_it_stands(tmp_path: Path) -> None:
    text = str(p2pnet.testing.__doc__).split("\n\n")
    example = textwrap.dedent("\n\n".join(part for part in text if part.startswith("    ")))
    assert doctest.DocTestParser().get_examples(example) == []  # it is plain code, run here
    assert any(isinstance(node, ast.With) for node in ast.parse(example).body)
    exec(compile(example, "example", "exec"), {"directory": tmp_path})  # noqa: S102


# ------------------------------------------------------------------------------------------- without a process


def test_a_graph_introduces_both_ends_of_each_edge_and_seeds_all_but_themselves() -> None:
    contacts = [p2pnet.testing.AgentContact(f"agent-{k}", f"key-{k}") for k in range(4)]

    def dial(j: int, k: int) -> str:
        return f"{j} to {k}"

    path = by_graph([(0, 1), (1, 2), (2, 3)])(contacts, dial)
    assert [[peer["address"] for peer in known["network.neighbors"]] for known in path] == [
        ["0 to 1"],
        ["1 to 0", "1 to 2"],
        ["2 to 1", "2 to 3"],
        ["3 to 2"],
    ]
    assert by_full_graph()(contacts, dial) == by_graph(combinations(range(4), 2))(contacts, dial)
    for known in (by_seeds(0, 1)(contacts, dial), by_mdns()(contacts, dial)):
        for k, settings in enumerate(known):
            assert settings["security.allowed_peers"] == [f"key-{j}" for j in range(4) if j != k]
    seeds = [[seed["address"] for seed in known["network.seeds"]] for known in by_seeds(0, 1)(contacts, dial)]
    assert seeds == [["0 to 1"], ["1 to 0"], ["2 to 0", "2 to 1"], ["3 to 0", "3 to 1"]]


def test_least_squares_solves_the_normal_equations_also_of_standardized_columns() -> None:
    shards = [linear_shard(seed) for seed in range(2)]
    X, y = np.vstack([shard.X for shard in shards]), np.concatenate([shard.y for shard in shards])
    padded = np.column_stack([X, np.ones(len(X))])
    np.testing.assert_allclose(padded.T @ (padded @ least_squares(shards) - y), 0, atol=1e-9)

    standardized = least_squares(shards, standardized_by=shards)
    weights = standardized[:-1] * y.std() / X.std(axis=0)
    np.testing.assert_allclose(weights, least_squares(shards)[:-1])
    assert standardized[-1] == pytest.approx(0, abs=1e-12)


def test_free_ports_differ() -> None:
    assert len(set(free_ports(50))) == 50
