"""The demo as a person runs it: real processes, real sockets on this machine's loopback interface."""

import csv
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from p2pnet.agent.options import default_problem
from p2pnet.agent.transport.keys import load_keys
from p2pnet.cli.group import main
from p2pnet.config import read_settings
from p2pnet.data.datasets import load_dataset
from p2pnet.testing import free_ports, wait_until
from p2pnet.training.problem import make_problem

TIMEOUT_S = 60.0
SUMMARY_KEYS = {
    *("agents", "topology", "task", "rounds", "seconds_training", "seconds_total", "seconds_baselines"),
    *("stopped_because", "test_metric_name", "test_metric_worst", "test_metric_mean", "test_metric_central"),
    *("test_metric_alone_mean", "objective_worst", "objective_central", "disagreement_max", "bytes_sent_total"),
    *("peak_rss_mb_max", "conservation_error"),
}
HISTORY_COLUMNS = [
    *("agent", "round", "seconds", "objective_local", "test_metric", "disagreement", "proximal_weight", "bytes_sent")
]


def demo_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "p2pnet", "demo", *arguments]


def processes_of(directory: Path) -> dict[str, int]:
    """The agents that run in this directory, name to process id, as the system knows them."""
    found: dict[str, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            place, name = (process / "cwd").readlink(), (process / "comm").read_text().strip()
        except OSError:  # it ended meanwhile
            continue
        if place == directory / name:
            found[name] = int(process.name)
    return found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whole") / "report"


@pytest.fixture(scope="module")
def whole(report: Path) -> "subprocess.CompletedProcess[str]":
    """A demo from beginning to end, in an environment meant for some other agent."""
    options = "--agents 3 --topology path --data breast-cancer --partition sorted --hidden 4 --rounds 8 --seed 1 --json"
    return subprocess.run(
        demo_command(*options.split(), "--report", str(report)),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=os.environ | {"P2PNET_MODEL__HIDDEN": "[5]"},
        check=False,
    )


@pytest.fixture(scope="module")
def summary(whole: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert whole.returncode == 0, whole.stderr
    figures: dict[str, Any] = json.loads(whole.stdout)
    return figures


def test_standard_output_is_the_summary_as_json_and_nothing_else(summary: dict[str, Any], report: Path) -> None:
    assert summary == json.loads((report / "summary.json").read_text())
    assert summary.keys() >= SUMMARY_KEYS
    assert (summary["agents"], summary["topology"], summary["task"]) == (3, "path", "classification")
    assert (summary["rounds"], summary["stopped_because"]) == (8, "all rounds done")
    assert summary["test_metric_name"] == "accuracy"


def test_the_figures_of_the_summary_are_those_of_the_agents_models(summary: dict[str, Any], report: Path) -> None:
    train, test = load_dataset("breast-cancer", None, "auto", 1)
    problem = make_problem(default_problem(train.task, hidden=(4,), seed=1, penalty="l2:1e-3"), train)
    models = [np.load(report / f"agent-{k}" / "model.npz")["params"] for k in (1, 2, 3)]
    accuracies = [problem.metric(test)(params) for params in models]
    objectives = [problem.objective(params, problem.local_objective(train)) for params in models]
    mean = np.mean(models, axis=0)

    assert summary["test_metric_worst"] == min(accuracies)
    assert summary["test_metric_mean"] == pytest.approx(np.mean(accuracies))
    assert summary["objective_worst"] == pytest.approx(max(objectives))
    assert summary["objective_central"] < summary["objective_worst"]
    assert summary["disagreement_max"] == pytest.approx(
        max(np.linalg.norm(params - mean) for params in models) / np.linalg.norm(mean)
    )


def test_together_agents_learn_what_none_can_alone(summary: dict[str, Any]) -> None:
    """Sorted shards: most agents have seen one of the two classes only."""
    assert summary["test_metric_alone_mean"] < 0.8 < 0.9 < summary["test_metric_worst"]
    assert summary["conservation_error"] <= 1e-9


def test_seconds_bytes_and_memory_are_plausible(summary: dict[str, Any]) -> None:
    assert 0 < summary["seconds_training"] < summary["seconds_total"] < TIMEOUT_S
    assert summary["seconds_baselines"] > 0
    assert summary["bytes_sent_total"] > 3 * 8 * 4 * 100
    assert 10 < summary["peak_rss_mb_max"] < 500


def test_the_history_has_one_row_per_agent_and_round(summary: dict[str, Any], report: Path) -> None:
    with (report / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    seconds = [float(row["seconds"]) for row in rows]

    assert list(rows[0]) == HISTORY_COLUMNS
    assert [(row["agent"], int(row["round"])) for row in rows] == [
        (f"agent-{k}", round_) for k in (1, 2, 3) for round_ in range(9)
    ]
    assert min(seconds) == 0.0
    assert max(seconds) == pytest.approx(summary["seconds_training"], abs=1e-5)
    assert all(np.isfinite([float(row[name]) for name in HISTORY_COLUMNS[2:]]).all() for row in rows)


@pytest.mark.usefixtures("summary")
def test_each_agent_keeps_settings_key_log_and_model_of_its_own(report: Path) -> None:
    settings = [read_settings(report / f"agent-{k}" / "agent.toml", environment={}) for k in (1, 2, 3)]
    keys = [load_keys(agent.security.secret_key).public for agent in settings]

    assert len(set(keys)) == 3
    assert [neighbor.public_key for neighbor in settings[1].network.neighbors] == [keys[0], keys[2]]
    assert {agent.network.max_diameter for agent in settings} == {2}
    assert {agent.model.hidden for agent in settings} == {(4,)}
    for k in (1, 2, 3):
        assert "training begins" in (report / f"agent-{k}" / "agent.log").read_text()


@pytest.mark.usefixtures("summary")
def test_curves_are_drawn_where_matplotlib_is_installed(report: Path) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        assert not (report / "curves.png").exists()
    else:
        assert (report / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_off_a_terminal_progress_is_plain_lines(whole: "subprocess.CompletedProcess[str]") -> None:
    assert whole.stderr.startswith("3 agents (path)")
    assert "round 8 of at most 8: objective" in whole.stderr
    assert "\x1b" not in whole.stderr


@pytest.mark.usefixtures("summary")
def test_the_next_demo_replaces_the_report_of_an_earlier_one(report: Path) -> None:
    options = f"--agents 2 --data breast-cancer --hidden none --rounds 1 --report {report.name}"
    again = subprocess.run(
        demo_command(*options.split()),
        cwd=report.parent,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert "each agent alone" in again.stdout
    assert sorted(path.name for path in report.glob("agent-*")) == ["agent-1", "agent-2"]
    assert json.loads((report / "summary.json").read_text())["agents"] == 2


@dataclass(frozen=True, slots=True)
class RunningDemo:
    """A demo whose agents are in training; it would take minutes."""

    process: "subprocess.Popen[str]"
    directory: Path
    agents: dict[str, int]

    def end(self) -> tuple[int, str]:
        """(exit code, standard error) of the demo, which must have printed nothing else and left no process behind."""
        output, errors = self.process.communicate(timeout=TIMEOUT_S)
        assert output == ""
        assert processes_of(self.directory) == {}
        return self.process.returncode, errors


@pytest.fixture
def n_rounds() -> int:
    """Of the demo that runs."""
    return 5000


@pytest.fixture
def running(tmp_path: Path, n_rounds: int) -> Iterator[RunningDemo]:
    options = f"--agents 3 --data breast-cancer --hidden 4 --pace 0.1 --rounds {n_rounds} --json"
    command = demo_command(*options.split(), "--report", str(tmp_path))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def all_train() -> bool:
        assert process.poll() is None, process.communicate()[1]
        histories = list(tmp_path.glob("agent-*/history.csv"))
        return len(histories) == 3 and all(len(path.read_text().splitlines()) > 2 for path in histories)

    try:
        wait_until(all_train, lambda: "all agents train", TIMEOUT_S)
        agents = processes_of(tmp_path)
        assert set(agents) == {"agent-1", "agent-2", "agent-3"}
        yield RunningDemo(process, tmp_path, agents)
    finally:
        process.kill()
        process.communicate()
        wait_until(lambda: not processes_of(tmp_path), lambda: "all agents are gone", TIMEOUT_S)


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_demo_that_is_stopped_stops_its_agents(running: RunningDemo, number: signal.Signals, exit_code: int) -> None:
    running.process.send_signal(number)
    code, errors = running.end()

    assert code == exit_code
    assert errors.endswith("p2pnet: stopped, and all agents with it\n")
    assert "Traceback" not in errors
    for name in running.agents:
        assert (running.directory / name / "model.npz").exists(), "told in time, an agent saves its model"


@pytest.mark.parametrize("n_rounds", [60])
@pytest.mark.parametrize(
    ("number", "cause"), [(signal.SIGKILL, "killed by signal 9"), (signal.SIGTERM, "told to leave")]
)
def test_without_one_agent_the_others_train_on(running: RunningDemo, number: signal.Signals, cause: str) -> None:
    os.kill(running.agents["agent-2"], number)
    output, errors = running.process.communicate(timeout=TIMEOUT_S)

    assert running.process.returncode == 0, errors
    assert f"agent-2 has gone: {cause}; the others train on\n" in errors
    summary = json.loads(output)
    assert summary == json.loads((running.directory / "summary.json").read_text())
    assert (summary["agents"], summary["agents_missing"]) == (2, {"agent-2": cause})
    assert set(summary["stopped_because"].split(", ")) <= {"all rounds done", "converged"}
    assert summary["test_metric_worst"] > 0.9
    assert summary["conservation_error"] <= 1e-9
    with (running.directory / "history.csv").open(newline="") as file:
        assert {row["agent"] for row in csv.DictReader(file)} == {"agent-1", "agent-3"}


def test_a_demo_all_of_whose_agents_are_killed_is_an_error(running: RunningDemo) -> None:
    for process_id in running.agents.values():
        os.kill(process_id, signal.SIGKILL)
    code, errors = running.end()

    assert code == 1
    last = errors.splitlines()[-1]
    assert last.startswith("p2pnet: no agent has finished: agent-")
    assert last.count("killed by signal 9") == 3


def test_an_agent_that_cannot_begin_ends_the_demo_which_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = [*free_ports(2), taken.getsockname()[1]]
        monkeypatch.setattr("p2pnet.experiments.demo.fleet.free_ports", lambda _: ports)
        result = CliRunner().invoke(main, ["demo", "--agents", "3", "--data", "breast-cancer", "--hidden", "4"])

    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("p2pnet: agent-3 failed: exit code 69; its log ends with: ")
    assert last.endswith("; the others were stopped")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_agents_do_not_outlive_a_demo_that_is_killed(running: RunningDemo) -> None:
    running.process.kill()
    running.process.wait()
    wait_until(lambda: not processes_of(running.directory), lambda: "all agents are gone", TIMEOUT_S)


def test_settings_of_all_agents_are_given_on_the_command_line(tmp_path: Path) -> None:
    options = "--agents 2 --topology path --data iris --hidden 4 --rounds 4 --json --float32 --curvature-samples 20"
    settings = ["--set", "model.activation=relu", "--set", "algorithm.solver=cg", "--set", "objective.loss=auto"]
    done = subprocess.run(
        demo_command(*options.split(), *settings, "--report", str(tmp_path / "report")),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    assert "mlp 4-4-3 relu float32" in done.stderr
    for name in ("agent-1", "agent-2"):
        agent = tomllib.loads((tmp_path / "report" / name / "agent.toml").read_text())
        assert (agent["model"]["activation"], agent["model"]["precision"]) == ("relu", "float32")
        assert (agent["algorithm"]["curvature_samples"], agent["algorithm"]["solver"]) == (20, "cg")
        assert agent["network"]["precision"] == "float32"
