"""One machine: the directory of an agent with its key, samples and agent.toml, and the process that runs from it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np

from p2pnet.agent.history import read_history
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.agent.transport.keys import generate_keys, write_keys
from p2pnet.config import Settings, write_config
from p2pnet.optim.arrays import Array
from tests.chaos.processes import AgentProcess, Wrap, output_of

PATIENCE_S = 60.0
N_SAMPLES = 40
TRUE_WEIGHTS = np.array([1.0, -2.0, 0.5])
SECONDS_BETWEEN_LOOKS = 0.01


class MachineError(Exception):
    """An agent that did not do what was expected of it in time."""


class Machine:
    """Leaving the context ends its agent."""

    def __init__(self, directory: Path, seed: int, wrap: Wrap = list) -> None:
        """`wrap` puts a command where it is to run: into a network namespace."""
        self.name = directory.name
        self.directory = directory
        self.keys = generate_keys()
        self._wrap = wrap
        self._process: AgentProcess | None = None
        directory.mkdir(parents=True)
        write_keys(directory / "agent.key", self.keys)
        rng = np.random.default_rng(seed)
        self.X = rng.standard_normal((N_SAMPLES, TRUE_WEIGHTS.size))
        self.y = self.X @ TRUE_WEIGHTS + 0.3 * rng.standard_normal(N_SAMPLES)
        np.savez(directory / "samples.npz", X=self.X, y=self.y)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        if self._process is not None:
            self._process.kill()

    def configure(self, network: Mapping[str, Any], **sections: Mapping[str, Any]) -> None:
        """Write agent.toml: least squares in 60 rounds, trained on all samples, and what is given here."""
        settings: dict[str, Any] = {
            "agent": {"name": self.name, "state_dir": Path()},
            "network": network,
            "data": {"source": Path("samples.npz"), "test_source": Path("samples.npz"), "task": "regression"},
            "model": {"hidden": ()},
            "objective": {"penalty": "none"},
            "algorithm": {"rounds": 60, "tolerance": 0.0},
            "log": {"format": "json"},
        }
        for name, values in sections.items():
            settings[name] = {**settings.get(name, {}), **values}
        write_config(Settings.model_validate(settings), self.config)

    def start(self, program: Sequence[str] = ("-m", "p2pnet")) -> None:
        """`program` is what Python is told to run."""
        self._process = AgentProcess(self.config, self._log_file, self._wrap, program)

    def stop(self) -> None:
        """Let the process stand still."""
        self._started().stop()

    def leave(self) -> None:
        """Tell the agent to take leave."""
        self._started().terminate()

    def wait(self) -> None:
        """Until the agent has ended by itself, in good order."""
        try:
            code = self._started().wait(PATIENCE_S)
        except TimeoutError:
            raise MachineError(f"{self.name} does not end:\n{self._text}") from None
        if code:
            raise MachineError(f"{self.name} ended with exit code {code}:\n{self._text}")

    def until(self, is_so: Callable[[Self], bool]) -> None:
        """Until it is so; MachineError when that takes too long, or when the agent ends before."""
        give_up_at = time.monotonic() + PATIENCE_S
        while not is_so(self):
            if time.monotonic() > give_up_at or self._started().exit_code() is not None:
                raise MachineError(f"{self.name} does not come to what is waited for:\n{self._text}")
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def _started(self) -> AgentProcess:
        if self._process is None:
            raise MachineError(f"{self.name} has not been started")
        return self._process

    def doctor(self) -> dict[str, list[str]]:
        """What `p2pnet doctor` finds there: the lines of each subject, each with its outcome in front."""
        output = output_of(["doctor", str(self.config), "--json"], self._wrap, PATIENCE_S)
        lines: dict[str, list[str]] = {}
        for finding in json.loads(output):
            lines.setdefault(finding["subject"], []).append(f"{finding['outcome']}: {finding['words']}")
        return lines

    # What it leaves.

    @property
    def config(self) -> Path:
        return self.directory / "agent.toml"

    @property
    def _log_file(self) -> Path:
        return self.directory / "agent.log"

    @property
    def _text(self) -> str:
        return self._log_file.read_text(encoding="utf-8") if self._log_file.exists() else ""

    def log(self) -> list[tuple[float, str]]:
        """The entries of its log: seconds since the epoch, message."""
        return [(datetime.fromisoformat(entry["time"]).timestamp(), entry["message"]) for entry in self._entries()]

    def warnings(self) -> list[str]:
        """What it has warned of."""
        return [entry["message"] for entry in self._entries() if entry["level"] == "warning"]

    def _entries(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self._text.splitlines() if line.startswith("{")]

    def has_said(self, pattern: str) -> bool:
        return self.count(pattern) > 0

    def count(self, pattern: str) -> int:
        return sum(re.search(pattern, message) is not None for _, message in self.log())

    def said_at(self, pattern: str) -> float:
        """When it first said so, in seconds since the epoch."""
        return next(time_s for time_s, message in self.log() if re.search(pattern, message))

    @property
    def round(self) -> int:
        """The last round that it has begun; -1 before training."""
        return max((record.round for record in read_history(self.directory / "history.csv")), default=-1)

    @property
    def state(self) -> StateDirectory:
        return StateDirectory(self.directory)


def errors_to_central(machines: Sequence[Machine], surveyed: Sequence[Machine] = ()) -> list[float]:
    """How far the model of each is from the least-squares solution over the samples of all, relatively.

    All columns are standardized over the samples of those that were there when training began, `surveyed`; or of all.
    """
    columns = _columns(machines)
    scale = _columns(surveyed or machines)
    columns = (columns - scale.mean(axis=0)) / scale.std(axis=0)
    X, y = columns[:, :-1], columns[:, -1]
    central = np.linalg.lstsq(np.hstack([X, np.ones((len(X), 1))]), y, rcond=None)[0]
    return [
        float(np.linalg.norm(machine.state.load_params() - central) / np.linalg.norm(central)) for machine in machines
    ]


def _columns(machines: Sequence[Machine]) -> Array:
    return np.vstack([np.column_stack([machine.X, machine.y]) for machine in machines])
