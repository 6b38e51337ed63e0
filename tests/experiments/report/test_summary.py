import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from p2pnet.experiments.report.baselines import Baselines, TrainedBaseline
from p2pnet.experiments.report.history import COLUMNS, write_history
from p2pnet.experiments.report.outcome import NetworkOutcome
from p2pnet.experiments.report.summary import Summary, disagreement, summarize, summary_json
from p2pnet.experiments.report.text import in_bytes, missing, print_summary, verdict
from p2pnet.experiments.workload import Workload, make_workload
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.protocol.links.conservation import AgentLedger
from p2pnet.training.records import AgentOutcome, Result, RoundRecord


@pytest.fixture(scope="module")
def workload() -> Workload:
    return make_workload(
        n_agents=2,
        topology="path",
        data="diabetes",
        target=None,
        task="auto",
        partition="iid",
        hidden=(),
        penalty="l2:0.1",
        seed=0,
    )


@pytest.fixture
def network(workload: Workload) -> NetworkOutcome:
    """Two agents whose books were made up: the second has lost a tenth of its vector."""
    first = workload.problem.first_params().astype(np.float64)
    agents = []
    for k, shift in enumerate((0.0, 0.5)):
        own = np.full(first.size + 2, 1.0 + k)
        result = Result(f"agent-{k + 1}", "key", 7 + k, "converged", 1000 + k, 900, 40.0 + k, 1, {})
        history = [RoundRecord(round_, 50.0 + round_ + k, 0.5, 0.4, 0.0, 0.1, 100 * round_) for round_ in range(3)]
        books = AgentLedger(f"key-{k}", own, own * (1.0 - 0.1 * k), ())
        agents.append(AgentOutcome(result, first + shift, history, books))
    return NetworkOutcome(tuple(agents), seconds_total=12.0)


@pytest.fixture
def summary(workload: Workload, network: NetworkOutcome) -> Summary:
    size = network.agents[0].params.size
    trained = TrainedBaseline(np.zeros(size), workload.problem.objective(np.zeros(size), _cost(workload)), 5, True)
    return summarize(workload, network, Baselines(trained, (trained, trained), seconds=3.0))


def _cost(workload: Workload) -> LocalObjective:
    return workload.problem.local_objective(workload.train)


def test_worst_is_over_the_agents_on_all_training_samples(
    workload: Workload, network: NetworkOutcome, summary: Summary
) -> None:
    objectives = [workload.problem.objective(agent.params, _cost(workload)) for agent in network.agents]
    metrics = [workload.problem.metric(workload.test)(agent.params) for agent in network.agents]

    assert summary.objective_worst == max(objectives) > min(objectives)
    assert summary.test_metric_worst == min(metrics) < summary.test_metric_mean
    assert summary.test_metric_name == "R²"
    assert summary.test_metric_central == summary.test_metric_alone_mean == pytest.approx(0.0, abs=0.1)


def test_times_bytes_and_memory(summary: Summary) -> None:
    assert (summary.seconds_training, summary.seconds_total, summary.seconds_baselines) == (3.0, 12.0, 3.0)
    assert (summary.rounds, summary.bytes_sent_total, summary.peak_rss_mb_max) == (8, 2001, 41.0)
    assert summary.messages_dropped == 2


def test_a_leak_shows_in_the_conservation_error(summary: Summary) -> None:
    """A tenth of a vector of twos is missing, of all that there is: 0.2 / (1 + 2)."""
    assert summary.conservation_error == pytest.approx(0.2 / 3)


def test_disagreement_is_relative_to_the_mean() -> None:
    assert disagreement([np.array([3.0, 4.0]), np.array([3.0, 4.0])]) == 0.0
    assert disagreement([np.array([2.0, 0.0]), np.array([4.0, 0.0])]) == pytest.approx(1 / 3)
    assert disagreement([np.zeros(2), np.zeros(2)]) == 0.0


def test_json_has_plain_numbers_only(summary: Summary) -> None:
    figures = json.loads(summary_json(replace(summary, objective_worst=math.inf)), parse_constant=pytest.fail)
    assert figures["objective_worst"] is None
    assert figures["objective_central"] == summary.objective_central


def test_seconds_of_the_history_count_from_the_first_agents_start(network: NetworkOutcome, tmp_path: Path) -> None:
    write_history(network, tmp_path / "history.csv")
    lines = (tmp_path / "history.csv").read_text().splitlines()

    assert lines[0] == ",".join(COLUMNS)
    assert lines[1] == "agent-1,0,0.0,0.5,0.4,0.0,0.1,0"
    assert lines[6] == "agent-2,2,3.0,0.5,0.4,0.0,0.1,200"


def test_the_verdict_says_how_far_the_worst_agent_is_from_the_central_model(summary: Summary) -> None:
    def said(worst: float, central: float, alone: float) -> tuple[str, str]:
        return verdict(
            replace(summary, test_metric_worst=worst, test_metric_central=central, test_metric_alone_mean=alone)
        )

    assert said(0.970, 0.975, 0.9) == (
        "Every agent's model is as good as the central one, within 0.005 R².",
        "That is 0.070 better than an agent gets alone.",
    )
    assert said(0.90, 0.95, 0.91) == (
        "The worst agent's model is 0.050 R² below the central one.",
        "That is 0.010 worse than an agent gets alone.",
    )
    assert said(0.99, 0.95, 0.91)[0] == "Every agent's model is at least as good as the central one."


def test_the_printed_comparison_holds_each_model(summary: Summary) -> None:
    stream = io.StringIO()
    print_summary(summary, stream)
    for words in ("all samples in one place", "worst agent", "mean of agents", "alone", "8 rounds", "2.0 kB"):
        assert words in stream.getvalue()


def test_who_is_missing_is_said_and_whose_samples_count(
    workload: Workload, network: NetworkOutcome, summary: Summary
) -> None:
    rest = replace(network, agents=network.agents[:1], missing={"agent-2": "killed by signal 9"})
    left = summarize(workload, rest, None)

    assert left.objective_worst == workload.problem.objective(network.agents[0].params, _cost(workload))
    assert missing(summary) == []
    assert missing(left) == [
        "Missing: agent-2 (killed by signal 9). The network is those that finished, 1 of 2 agents, judged on the "
        "samples of all 2."
    ]


@pytest.mark.parametrize(
    ("n_bytes", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (123_456, "123 kB"), (5_550_000, "5.5 MB")]
)
def test_bytes_in_words(n_bytes: int, text: str) -> None:
    assert in_bytes(n_bytes) == text
