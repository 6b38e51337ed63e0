"""`p2pnet simulate` on networks with faults: the same model as without, and a record of what was suffered."""

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from click.testing import CliRunner

from p2pnet.cli.group import main
from p2pnet.errors import ConfigError, TrainingError
from p2pnet.experiments.simulate.options import SimulateOptions, parse_partitions
from p2pnet.experiments.simulate.run import simulate
from p2pnet.simulation.faults import read_speeds
from p2pnet.training.learner import NextLearner

LINEAR = SimulateOptions(
    agents=6,
    data="synthetic:regression:240:4",
    hidden=(),
    penalty="l2:1e-2",
    rounds=400,
    tolerance=1e-8,
    is_compared=False,
)


@pytest.mark.parametrize("wire", ["float64", "coded"])
def test_lost_late_and_repeated_messages_change_nothing_in_the_end(wire: Literal["float64", "coded"]) -> None:
    # Where steps are rare rounds are coarse, and one run by chance a few rounds longer: several are judged together.
    n_calm = n_harmed = 0
    for seed in range(4):
        options = replace(LINEAR, seed=seed, wire=wire)
        calm = simulate(options).summary
        harmed = simulate(replace(options, loss_rate=0.3, duplicate_rate=0.1, delay_rounds=3.0)).summary
        assert calm.messages_lost == 0
        assert harmed.messages_lost > 100
        assert harmed.stopped_because == "converged"
        assert harmed.objective_worst == pytest.approx(calm.objective_worst, rel=1e-9)
        assert harmed.conservation_error <= harmed.conservation_error_max < 1e-12
        n_calm += calm.rounds
        n_harmed += harmed.rounds
    assert n_harmed <= 1.2 * n_calm


@pytest.mark.parametrize("topology", ["matching", "one-peer-exponential"])
def test_who_is_rounds_ahead_leaves_nobody_behind_whom_it_was_not_to_meet(topology: str) -> None:
    summary = simulate(replace(LINEAR, topology=topology, delay_rounds=2.0, rounds=100)).summary
    assert summary.rounds_lost == 0


@pytest.mark.parametrize("wire", ["float64", "coded"])
@pytest.mark.parametrize("seed", range(4))
def test_agents_that_crash_return_and_the_data_of_all_counts_again(
    seed: int, wire: Literal["float64", "coded"]
) -> None:
    run = simulate(replace(LINEAR, topology="full", churn=0.01, rounds=200, seed=seed, wire=wire))
    assert min(moment.agents for moment in run.record) < 6
    assert run.summary.links_reopened > 0
    assert len({agent.result.rounds for agent in run.network.agents}) == 1
    assert run.summary.stationarity < 1e-3 * run.summary.stationarity_first
    assert run.summary.conservation_error_max < 1e-12


def test_a_network_cut_in_halves_becomes_one_again() -> None:
    run = simulate(replace(LINEAR, topology="full", cut=(10, 60), penalty="l2:1e-2", partition="sorted"))
    assert run.summary.messages_lost > 0
    assert run.summary.stationarity < 1e-6 * run.summary.stationarity_first
    assert run.summary.conservation_error_max < 1e-12


def test_agents_of_different_speeds_that_wait_for_nobody_end_together(tmp_path: Path) -> None:
    speeds = tmp_path / "speeds.txt"
    speeds.write_text("1\n0.8\n0.6\n0.4\n0.2\n0.1\n")
    run = simulate(replace(LINEAR, speeds=speeds, is_asynchronous=True, exchanges=1, rounds=5000, tolerance=1e-6))
    assert run.summary.stopped_because == "converged"
    assert run.summary.stationarity < 1e-4 * run.summary.stationarity_first
    assert run.summary.conservation_error_max < 1e-12


def test_the_report_has_the_record_and_the_words_sum_it_up(tmp_path: Path) -> None:
    arguments = ["simulate", "--agents", "4", "--data", "synthetic:regression:80:2", "--hidden", "none", "--no-compare"]
    arguments += ["--rounds", "10", "--tolerance", "0", "--loss-rate", "0.2", "--duplicate-rate", "0.1"]
    arguments += ["--delay-rounds", "1", "--churn", "0", "--partition", "sorted", "--partition", "3:5"]
    result = CliRunner().invoke(main, [*arguments, "--report", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "messages lost" in result.output
    with (tmp_path / "faults.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert int(lines[-1]["round"]) == 10
    assert int(lines[-1]["messages_lost"]) > 0
    assert max(float(line["conservation_error"]) for line in lines) < 1e-12
    assert [float(line["seconds"]) for line in lines] == sorted(float(line["seconds"]) for line in lines)


def test_what_cannot_be_is_refused_with_the_options_name(tmp_path: Path) -> None:
    for changes, option in (
        ({"loss_rate": 0.96}, "--loss-rate 0.96: must be from 0 to 0.95"),
        ({"loss_rate": math.nan}, "--loss-rate"),
        ({"delay_rounds": 1e300}, "--delay-rounds 1e\\+300: must be from 0 to 1000"),
        ({"churn": 0.1, "agents": 2}, "--churn 0.1: needs more agents"),
        ({"churn": 0.1, "rounds": 50}, "--churn 0.1: needs more rounds"),
        ({"cut": (400, 410)}, "--partition 400:410: begins after the last of 400"),
        ({"duplicate_rate": -0.1}, "--duplicate-rate"),
        ({"churn": 2.0}, "--churn"),
        ({"delay_rounds": -1.0}, "--delay-rounds"),
        ({"cut": (5, 5)}, "--partition"),
        ({"loss_rate": 0.1, "algorithm": "central"}, "--algorithm"),
    ):
        with pytest.raises(ConfigError, match=option):
            replace(LINEAR, **changes)
    path = tmp_path / "speeds.txt"
    for text in ("1\n1\n", "1\nx\n1\n", "1\n0\n1\n"):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"--speeds .*speeds\.txt"):
            read_speeds(path, 3)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_speeds(tmp_path / "none.txt", 3)


def test_partition_is_of_the_data_and_of_the_network() -> None:
    assert parse_partitions(()) == ("iid", None)
    assert parse_partitions(("sorted", "3:5")) == ("sorted", (3, 5))
    for texts, said in {
        ("3:",): "--partition 3:: must be",
        ("3:5", "sorted", "7:9"): "--partition 7:9: the network is cut once",
        ("iid", "sorted"): "--partition sorted: the data is cut up in one way",
    }.items():
        with pytest.raises(ConfigError, match=said):
            parse_partitions(texts)


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"loss_rate": 0.95, "delay_rounds": 1e3}, r"still .* \(--loss-rate 0.95, --delay-rounds 1000\); ask for less"),
        ({"agents": 2, "cut": (0, 5)}, r"agent-1: still bootstrapping in round 0 .* \(--partition 0:5\); ask for less"),
        ({"loss_rate": 0.95, "churn": 0.9}, r"agent-\d: .* \(--loss-rate 0.95, --churn 0.9\); ask for less"),
    ],
)
def test_faults_that_keep_the_agents_apart_for_good_are_named(faults: dict[str, Any], said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        simulate(replace(LINEAR, rounds=100, **faults))


def test_the_work_of_all_lives_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    learners: list[NextLearner] = []

    def keep(self: NextLearner, *arguments: Any, **options: Any) -> None:
        learners.append(self)
        make(self, *arguments, **options)

    make = NextLearner.__init__
    monkeypatch.setattr(NextLearner, "__init__", keep)
    run = simulate(replace(LINEAR, topology="full", churn=0.01, rounds=200, seed=1))
    assert len(learners) > 6
    assert run.summary.local_iterations == sum(learner.n_iterations for learner in learners)
