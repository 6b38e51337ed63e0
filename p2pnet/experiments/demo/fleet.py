"""The directories of a demo's agents, each with key, samples and agent.toml as on N machines."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from p2pnet.agent.transport.keys import generate_keys, write_keys
from p2pnet.data.reading import write_npz
from p2pnet.errors import ConfigError
from p2pnet.experiments.demo.options import DemoOptions
from p2pnet.experiments.report.files import make_directory, writing_to
from p2pnet.experiments.workload import Workload
from p2pnet.protocol.rounds.last_round import bound_for
from p2pnet.simulation.graphs import diameter, neighbors_of
from p2pnet.testing.files import AgentFiles, Failure
from p2pnet.testing.ports import free_ports
from p2pnet.training.records import AgentOutcome

__all__ = ["AgentFiles", "Failure", "clear_directory", "free_ports", "outcome_of", "write_fleet"]

OPTIONS_FILE = "demo.json"
"""The file that marks a directory as a demo's, which the next demo may overwrite."""


def outcome_of(agent: AgentFiles) -> AgentOutcome:
    """Read the outcome of an agent that has finished."""
    return AgentOutcome(agent.result(), agent.params(), agent.records(), agent.ledger())


def clear_directory(directory: Path) -> None:
    """Create the directory, or clear it of an earlier demo; ConfigError if it holds anything else."""
    make_directory(directory)
    with writing_to(directory):
        earlier = sorted(path for path in directory.glob("agent-*") if path.is_dir())
        if earlier and not (directory / OPTIONS_FILE).exists():
            raise ConfigError(
                f"--report {directory}: holds {earlier[0].name}, which no demo wrote; name another directory"
            )
        for agent in earlier:
            shutil.rmtree(agent)
        for name in ("summary.json", "history.csv", "curves.png"):
            (directory / name).unlink(missing_ok=True)


def write_fleet(options: DemoOptions, workload: Workload, directory: Path) -> list[AgentFiles]:
    """Write each agent's directory, without another agent's secrets or samples."""
    (directory / OPTIONS_FILE).write_text(json.dumps(asdict(options), indent=2, default=str) + "\n")
    n_agents = workload.n_agents
    files = [AgentFiles(name, directory / name) for name in (f"agent-{k + 1}" for k in range(n_agents))]
    keys = [generate_keys() for _ in files]
    addresses = [f"tcp://127.0.0.1:{port}" for port in free_ports(n_agents)]
    neighbors = neighbors_of(workload.edges, n_agents)
    write_npz(workload.test, directory / "test.npz")
    for k, agent in enumerate(files):
        agent.directory.mkdir()
        write_keys(agent.key, keys[k])
        write_npz(workload.shards[k], agent.directory / "samples.npz")
        agent.write_settings(
            {
                "agent.name": agent.name,
                "agent.state_dir": ".",
                "network.bind": addresses[k],
                "network.neighbors": [
                    {"name": files[j].name, "address": addresses[j], "public_key": keys[j].public} for j in neighbors[k]
                ],
                "network.max_diameter": bound_for(diameter(workload.edges, n_agents) or 1),
                "network.round_pace_s": options.pace_s,
                "security.secret_key": agent.key.name,
                "data.source": "samples.npz",
                "data.test_source": "../test.npz",
                "data.task": workload.problem.task,
                "data.classes": workload.train.classes or None,
                "data.standardize": "none",  # it is, as a whole
                "model.hidden": workload.options.hidden,
                "model.seed": workload.options.seed,
                "objective.penalty": workload.options.penalty,
                "algorithm.rounds": options.rounds,
                "log.file": agent.log.name,
                **options.settings(),
            }
        )
    return files
