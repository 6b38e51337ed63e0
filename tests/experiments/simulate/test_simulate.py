"""A simulated network learns, reports what it did, and does the same thing twice."""

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from p2pnet.cli.group import main
from p2pnet.errors import ConfigError
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.run import run_simulation, simulate
from p2pnet.experiments.simulate.summary import SimulationSummary
from p2pnet.simulation.simulator import Simulator

SMALL = SimulateOptions(
    agents=6,
    data="synthetic:regression:240:4",
    hidden=(6,),
    penalty="l2:1e-3",
    rounds=40,
    tolerance=0.0,
    is_compared=False,
)
LINEAR = replace(SMALL, hidden=(), penalty="l2:1e-2", tolerance=1e-10, rounds=400)


def summary_of(options: SimulateOptions) -> SimulationSummary:
    return simulate(options).summary


@pytest.mark.parametrize("topology", ["ring", "torus", "regular:3", "one-peer-exponential", "matching"])
def test_agents_come_to_a_stationary_point_of_the_network_whoever_their_neighbors_are(topology: str) -> None:
    summary = summary_of(replace(LINEAR, topology=topology, partition="sorted"))
    assert summary.stopped_because == "converged"
    assert summary.stationarity < 1e-8 * summary.stationarity_first
    assert summary.disagreement_max < 1e-7
    assert summary.conservation_error < 1e-12


def test_counts_are_trained_on_as_they_are_where_the_loss_needs_them_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 2))
    counts = rng.poisson(np.exp(1.0 + X @ [0.5, -0.3]))
    rows = "".join(f"{a!r},{b!r},{count}\n" for (a, b), count in zip(X.tolist(), counts.tolist(), strict=True))
    path = tmp_path / "counts.csv"
    path.write_text("a,b,n\n" + rows)
    simulated = simulate(replace(LINEAR, data=str(path), task="regression", loss="poisson-deviance", tolerance=1e-8))
    assert simulated.summary.loss == "poisson-deviance"
    assert simulated.summary.stationarity < 1e-6 * simulated.summary.stationarity_first
    # The penalty shrinks the weights, but not the bias, which is the logarithm of the mean count.
    *weights, bias = simulated.network.agents[0].params
    assert (bias, *weights) == pytest.approx((1.0, 0.5, -0.3), abs=0.2)


def test_a_loss_that_is_not_for_the_task_is_told_by_its_option() -> None:
    with pytest.raises(ConfigError, match="--loss huber is not for classification"):
        simulate(replace(SMALL, data="iris", loss="huber"))


def test_graphs_of_a_file_take_their_turns(tmp_path: Path) -> None:
    path = tmp_path / "graphs.txt"
    path.write_text("1 2\n3 4\n5 6\n\n2 3\n4 5\n6 1\n")
    summary = summary_of(replace(LINEAR, topology=str(path)))
    assert summary.stationarity < 1e-8 * summary.stationarity_first


def test_the_same_seed_gives_the_same_run_and_another_one_another() -> None:
    runs = [simulate(replace(SMALL, topology="random:0.6", seed=seed)) for seed in (3, 3, 4)]
    params = [np.concatenate([agent.params for agent in run.network.agents]) for run in runs]
    np.testing.assert_array_equal(params[0], params[1])
    assert np.abs(params[0] - params[2]).max() > 1e-3


def test_threads_change_nothing_but_the_rounding() -> None:
    runs = [simulate(replace(SMALL, rounds=10, workers=workers)) for workers in (1, 2)]
    params = [np.concatenate([agent.params for agent in run.network.agents]) for run in runs]
    np.testing.assert_allclose(params[0], params[1], rtol=0.0, atol=1e-9)


def test_single_precision_ends_near_double_precision() -> None:
    double, single = (summary_of(replace(SMALL, is_float32=is_float32)) for is_float32 in (False, True))
    assert single.objective_at_mean == pytest.approx(double.objective_at_mean, rel=0.02)
    assert single.model.endswith("float32")
    assert single.bytes_sent_total == pytest.approx(double.bytes_sent_total / 2, rel=0.01)
    assert single.conservation_error < 1e-12


def test_next_needs_fewer_rounds_than_the_methods_it_is_compared_with() -> None:
    objective = {
        name: summary_of(replace(SMALL, partition="sorted", algorithm=name)).objective_at_mean
        for name in ("next", "gradient-tracking", "dgd", "dpsgd")
    }
    assert objective["next"] < 0.9 * min(objective["gradient-tracking"], objective["dgd"], objective["dpsgd"])


def test_gradient_tracking_finds_the_point_that_dgd_stays_off() -> None:
    sorted_linear = replace(LINEAR, partition="sorted", rounds=600)
    tracking = summary_of(replace(sorted_linear, algorithm="gradient-tracking"))
    descent = summary_of(replace(sorted_linear, algorithm="dgd"))
    assert tracking.stationarity < 1e-5 < 1e-4 < descent.stationarity


def test_central_training_has_one_agent_with_all_samples_and_alone_has_no_exchange() -> None:
    central = simulate(replace(LINEAR, algorithm="central"))
    alone = simulate(replace(LINEAR, algorithm="alone"))
    together = simulate(LINEAR)
    assert [len(run.network.agents) for run in (central, alone)] == [1, 6]
    np.testing.assert_allclose(central.network.agents[0].params, together.network.agents[0].params, atol=1e-7)
    assert alone.summary.disagreement_max > 1e-2
    assert alone.summary.bytes_sent_total == 0


def test_work_is_counted() -> None:
    summary = summary_of(replace(SMALL, rounds=20, exchanges=5))
    assert summary.local_steps == 10 + 2  # in each of the first ten rounds, then in every fifth
    assert summary.gradient_evaluations == 6 * 21
    assert summary.local_iterations >= 6 * summary.local_steps
    assert summary_of(replace(SMALL, rounds=20, algorithm="dpsgd", batch_size=10)).gradient_evaluations == 6 * 21 / 4
    assert summary_of(replace(SMALL, rounds=20, algorithm="dgd")).local_iterations == 0


def test_a_strong_l1_penalty_leaves_exact_zeros() -> None:
    summary = summary_of(replace(LINEAR, penalty="l1:0.3"))
    assert summary.stationarity < 1e-8
    assert summary.sparsity in (0.4, 0.6, 0.8)  # of four weights and a bias


def test_every_agents_model_is_in_the_box_that_the_penalty_asks_for() -> None:
    run = simulate(replace(SMALL, penalty="box:-0.3:0.3", rounds=25))
    weights = ~run.workload.problem.model.is_bias()
    sizes = [np.abs(agent.params[weights]).max() for agent in run.network.agents]
    assert max(sizes) <= 0.3
    assert min(sizes) == 0.3
    assert np.isfinite(run.summary.objective_worst)


def test_of_many_agents_some_are_followed_and_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pnet.experiments.simulate.run.MAX_FOLLOWED", 3)
    run = simulate(replace(SMALL, rounds=3))
    assert [agent.name for agent in run.network.followed] == ["agent-1", "agent-3", "agent-6"]
    assert (run.summary.agents, run.summary.agents_judged) == (6, 3)


def test_the_report_is_the_demos(tmp_path: Path) -> None:
    arguments = "simulate --agents 4 --data synthetic:classification:120:3:3 --hidden none --rounds 5 --json"
    result = CliRunner().invoke(main, [*arguments.split(), "--report", str(tmp_path / "report")])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary == json.loads((tmp_path / "report" / "summary.json").read_text())
    assert {"stationarity", "sparsity", "test_metric_central", "objective_worst"} <= summary.keys()
    with (tmp_path / "report" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["agent"], int(row["round"])) for row in rows[:7]] == [
        *(("agent-1", round_) for round_ in range(6)),
        ("agent-2", 0),
    ]
    assert (tmp_path / "report" / "curves.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"agents": 10_001}, "--agents 10001: must be from 2 to 10000"),
        ({"agents": 600, "topology": "full"}, "--agents 600: full has 500"),
        ({"topology": "random:2"}, "--topology random:2: P must be above 0, at most 1"),
        ({"data": "synthetic:regression:10"}, "must be synthetic:regression:ROWS:INPUTS"),
        ({"data": "mnist"}, "--data mnist: must be one of digits"),
        ({"exchanges": 0}, "--exchanges 0: must be at least 1"),
        ({"step_rule": "constant"}, "--step-rule constant: must be written as constant:WEIGHT"),
        ({"step_size": 0.0}, "--step-size 0.0: must be above 0"),
    ],
)
def test_an_option_that_cannot_be_is_named(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        replace(SMALL, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("solver", "penalty"), [("direct", "l1:0.1"), ("cg", "group:0.1"), ("proximal-newton", "none")]
)
def test_a_solver_that_does_not_fit_the_penalty_is_refused_before_training(solver: str, penalty: str) -> None:
    with pytest.raises(ConfigError, match=f"solver {solver} is for .* choose auto"):
        simulate(replace(SMALL, solver=solver, penalty=penalty))


def simulated_into(report: Path) -> Result:
    arguments = "simulate --agents 2 --data synthetic:regression:40:2 --hidden none --rounds 2 --no-compare --json"
    return CliRunner().invoke(main, [*arguments.split(), "--loss-rate", "0.1", "--report", str(report)])


@pytest.mark.skipif(sys.platform != "linux", reason="these places are Linux's")
@pytest.mark.parametrize("report", ["/proc", "/proc/x", "/dev/null", "/dev/null/x"])
def test_a_report_where_nothing_can_be_written_is_refused_before_training(report: str) -> None:
    result = simulated_into(Path(report))
    assert (result.exit_code, result.stdout) == (78, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"p2pnet: {report}: cannot be written: ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here is full")
@pytest.mark.parametrize("name", ["history.csv", "curves.png", "faults.csv"])
def test_a_disk_that_is_full_costs_the_report_but_not_the_summary(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("/dev/full")
    result = simulated_into(tmp_path)
    assert result.exit_code == 78
    assert json.loads(result.stdout)["agents"] == 2
    assert result.stderr.splitlines() == [
        f"p2pnet: {tmp_path}: cannot be written: No space left on device; choose another place by --report"
    ]


def test_training_that_diverges_ends_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    diverging = replace(LINEAR, penalty="none", algorithm="dgd", step_size=1e4, tolerance=0.0)
    assert run_simulation(diverging) == 0
    assert "It diverged: steps of this size are too long." in capsys.readouterr().out


def test_a_network_that_comes_to_no_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from p2pnet.errors import TrainingError

    monkeypatch.setattr(Simulator, "connect", lambda *_: None)
    monkeypatch.setattr("p2pnet.simulation.network.DEADLINE_S", 100.0)
    with pytest.raises(TrainingError, match="agent-1: still bootstrapping in round 0"):
        simulate(SMALL)
