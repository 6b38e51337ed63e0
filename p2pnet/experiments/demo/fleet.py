"""The agents of a demo on disk: each has a directory with its key, its samples and its agent.toml, as on N machines."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from p2pnet.agent.state_directory import StateDirectory, read_history
from p2pnet.agent.transport.keys import generate_keys, write_keys
from p2pnet.config import (
    AgentSettings,
    AlgorithmSettings,
    DataSettings,
    LogSettings,
    NeighborSettings,
    NetworkSettings,
    SecuritySettings,
    Settings,
    write_config,
)
from p2pnet.data.reading import write_npz
from p2pnet.errors import ConfigError, TransportError
from p2pnet.experiments.demo.options import DemoOptions
from p2pnet.experiments.report.files import make_directory, writing_to
from p2pnet.experiments.report.outcome import AgentOutcome
from p2pnet.experiments.workload import Workload
from p2pnet.simulation.graphs import diameter, neighbors_of

TOLD = "told to "
"""How the reason begins why an agent ended that was sent a signal, in its result: to leave, or to go away."""

OPTIONS_FILE = "demo.json"
"""Marks a directory as a demo's own, that the next demo may write anew."""

# Below the range that systems take the ports of outgoing connections from: no dialing agent can get hold of a port
# that another one is about to listen on.
LOWEST_PORT, HIGHEST_PORT = 15_000, 30_000


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an agent did not finish."""

    cause: str
    is_its_own: bool
    """Whether it ended by an error of its own: nobody has killed it or told it to leave."""
    last_words: str | None = None
    """the last line of its log"""

    def __str__(self) -> str:
        if not self.is_its_own:
            return self.cause
        if self.last_words is None:
            return f"{self.cause}, with nothing in its log"
        return f"{self.cause}; its log ends with: {self.last_words}"


@dataclass(frozen=True, slots=True)
class AgentFiles:
    """One agent's directory."""

    name: str
    directory: Path

    @property
    def config(self) -> Path:
        return self.directory / "agent.toml"

    @property
    def log(self) -> Path:
        return self.directory / "agent.log"

    @property
    def history(self) -> Path:
        return self.directory / "history.csv"

    def failure(self, exit_code: int) -> Failure | None:
        """Why the agent did not finish, whose process ended with `exit_code` (−n: by signal n); None if it did."""
        if exit_code < 0:
            return Failure(f"killed by signal {-exit_code}", is_its_own=False)
        if exit_code == 0 and (self.directory / "result.json").exists():
            reason = StateDirectory(self.directory).load_result().stopped_because
            return Failure(reason, is_its_own=False) if reason.startswith(TOLD) else None
        cause = f"exit code {exit_code}" if exit_code else "exit code 0, but it left no result"
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        last_words = next((line.strip() for line in reversed(lines) if line.strip()), None)
        return Failure(cause, is_its_own=True, last_words=last_words)

    def outcome(self) -> AgentOutcome:
        """What the agent left when it had finished."""
        state = StateDirectory(self.directory)
        return AgentOutcome(state.load_result(), state.load_params(), read_history(self.history), state.load_books())


def clear_directory(directory: Path) -> None:
    """Make the directory ready for a demo: new, empty, or rid of what an earlier demo left; ConfigError otherwise."""
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
    """Write everything that each agent needs to run, and nothing that it should not know of the others."""
    (directory / OPTIONS_FILE).write_text(json.dumps(asdict(options), indent=2, default=str) + "\n")
    n_agents = workload.n_agents
    files = [AgentFiles(name, directory / name) for name in (f"agent-{k + 1}" for k in range(n_agents))]
    keys = [generate_keys() for _ in files]
    addresses = [f"tcp://127.0.0.1:{port}" for port in free_ports(n_agents)]
    neighbors = neighbors_of(workload.edges, n_agents)
    write_npz(workload.test, directory / "test.npz")
    for k, agent in enumerate(files):
        agent.directory.mkdir()
        write_keys(agent.directory / "agent.key", keys[k])
        write_npz(workload.shards[k], agent.directory / "samples.npz")
        settings = Settings(
            agent=AgentSettings(name=agent.name, state_dir=Path()),
            network=NetworkSettings(
                bind=addresses[k],
                neighbors=tuple(
                    NeighborSettings(name=files[j].name, address=addresses[j], public_key=keys[j].public)
                    for j in neighbors[k]
                ),
                max_diameter=diameter(workload.edges, n_agents) or 1,
                round_pace_s=options.pace_s,
            ),
            security=SecuritySettings(secret_key=Path("agent.key")),
            data=DataSettings(
                source=Path("samples.npz"),
                test_source=Path("../test.npz"),
                task=workload.problem.task,
                classes=workload.train.classes or None,
                standardize="none",  # it is, as a whole
            ),
            model=workload.model,
            objective=workload.objective,
            algorithm=AlgorithmSettings(rounds=options.rounds),
            log=LogSettings(file=Path(agent.log.name)),
        )
        write_config(settings, agent.config)
    return files


def free_ports(n_ports: int) -> list[int]:
    """Different ports of the loopback interface on which nobody listens now."""
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        for _ in range(100 * n_ports):
            port = LOWEST_PORT + secrets.randbelow(HIGHEST_PORT - LOWEST_PORT)
            listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            with contextlib.suppress(OSError):
                listener.bind(("127.0.0.1", port))
                ports.append(port)
            if len(ports) == n_ports:
                return ports
    raise TransportError(f"no {n_ports} free ports on 127.0.0.1 from {LOWEST_PORT} to {HIGHEST_PORT}; stop something")
