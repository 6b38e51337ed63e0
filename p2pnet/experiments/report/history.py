"""history.csv: the observations of each agent in each round."""

from __future__ import annotations

import csv
from pathlib import Path

from p2pnet.experiments.report.outcome import NetworkOutcome

COLUMNS = (
    *("agent", "round", "seconds", "objective_local", "test_metric"),
    *("disagreement", "proximal_weight", "bytes_sent"),
)


def write_history(network: NetworkOutcome, path: Path) -> None:
    """Write one row per agent and round; `seconds` count from the start of the first agent's training."""
    start = network.started_at
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for agent in network.agents:
            for record in agent.history:
                measured = (record.objective_local, record.test_metric, record.disagreement, record.proximal_weight)
                seconds = round(record.time_s - start, 6)
                writer.writerow([agent.name, record.round, seconds, *measured, record.bytes_sent])
