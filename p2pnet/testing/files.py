"""The directory of one agent: settings, key, log, and the files of its runs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, final

import numpy as np

from p2pnet.agent.history import read_history
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.agent.transport.keys import KeyPair, load_keys
from p2pnet.config import settings_of, write_config
from p2pnet.protocol.links.conservation import AgentLedger
from p2pnet.testing.problems import Array, Shard
from p2pnet.training.records import Result, RoundRecord

TOLD = "told to "
"""The beginnings of the reason in the result of an agent that was sent a signal."""

STATE_FILES = (
    *("lock", "incarnation", "history.csv", "history.previous.csv", "model.npz", "result.json", "books.npz"),
    *("checkpoint", "checkpoint.previous", "checkpoint.refused", "members"),
)


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why an agent did not finish."""

    cause: str
    is_its_own: bool
    """Whether the agent ended by an error of its own: it was not killed, nor told to leave."""
    last_words: str | None = None
    """the last line of its log"""

    def __str__(self) -> str:
        if not self.is_its_own:
            return self.cause
        if self.last_words is None:
            return f"{self.cause}, with nothing in its log"
        return f"{self.cause}; its log ends with: {self.last_words}"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of a log in JSON."""

    time_s: float
    """seconds since the epoch"""
    level: str
    text: str


@final
@dataclass(frozen=True, slots=True)
class AgentFiles:
    """One agent's directory, which is its state directory too."""

    name: str
    directory: Path

    @property
    def config(self) -> Path:
        return self.directory / "agent.toml"

    @property
    def key(self) -> Path:
        return self.directory / "agent.key"

    @property
    def log(self) -> Path:
        return self.directory / "agent.log"

    @property
    def history(self) -> Path:
        return self.directory / "history.csv"

    @property
    def state(self) -> StateDirectory:
        return StateDirectory(self.directory)

    # What a run needs.

    def keys(self) -> KeyPair:
        return load_keys(self.key)

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write agent.toml from values by `section.key`; None stands for the default. ConfigError for what is wrong."""
        write_config(settings_of(settings, f"settings of {self.name}"), self.config)

    def write_samples(self, shard: Shard) -> None:
        """samples.npz, where the settings of `LocalAgent` look for the samples."""
        np.savez(self.directory / "samples.npz", X=shard.X, y=shard.y)

    def forget(self) -> None:
        """Remove all files of runs except the log, as if the state directory were lost."""
        for name in STATE_FILES:
            (self.directory / name).unlink(missing_ok=True)

    # What a run leaves.

    def records(self) -> list[RoundRecord]:
        """The history of the last run, also of a running agent."""
        return read_history(self.history)

    @property
    def round(self) -> int:
        """The last round that the agent has begun; -1 before training."""
        return max((record.round for record in self.records()), default=-1)

    def result(self) -> Result:
        return self.state.load_result()

    def params(self) -> Array:
        """The parameters (n_params,) of the model that the agent has saved."""
        return self.state.load_params()

    def model(self) -> dict[str, Any]:
        """All arrays in model.npz, by name."""
        with np.load(self.directory / "model.npz", allow_pickle=False) as file:
            return dict(file)

    def ledger(self) -> AgentLedger:
        return self.state.load_ledger()

    def log_text(self) -> str:
        """The whole log, earlier runs included."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def entries(self) -> list[LogEntry]:
        """The entries of a JSON log; other lines are left out."""
        entries = []
        for line in self.log_text().splitlines():
            try:
                entry = json.loads(line)
                time_s = datetime.fromisoformat(entry["time"]).timestamp()
                entries.append(LogEntry(time_s, entry["level"], entry["message"]))
            except (ValueError, TypeError, KeyError):
                continue
        return entries

    def matching(self, pattern: str) -> list[LogEntry]:
        """The entries whose text matches the regular expression somewhere."""
        return [entry for entry in self.entries() if re.search(pattern, entry.text)]

    def warnings(self) -> list[str]:
        return [entry.text for entry in self.entries() if entry.level == "warning"]

    def failure(self, exit_code: int) -> Failure | None:
        """The failure of an agent whose process ended with `exit_code` (−n: by signal n); None if it finished."""
        if exit_code < 0:
            return Failure(f"killed by signal {-exit_code}", is_its_own=False)
        if exit_code == 0 and (self.directory / "result.json").exists():
            reason = self.result().stopped_because
            return Failure(reason, is_its_own=False) if reason.startswith(TOLD) else None
        cause = f"exit code {exit_code}" if exit_code else "exit code 0, but it left no result"
        lines: Sequence[str] = self.log_text().splitlines()
        last_words = next((line.strip() for line in reversed(lines) if line.strip()), None)
        return Failure(cause, is_its_own=True, last_words=last_words)
