"""`p2pnet.Agent`: one agent of a network, run from a script or a notebook."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self, final

from pydantic import ValidationError

from p2pnet.agent.history import read_history
from p2pnet.agent.transport.keys import generate_keys, load_keys, write_keys
from p2pnet.config import Settings, read_settings, write_config
from p2pnet.errors import ConfigError, TrainingError
from p2pnet.experiments.progress_line import OnRound, follow
from p2pnet.testing.processes import Process, reap, spawn, tethered_command
from p2pnet.training.records import RoundRecord
from p2pnet.training.trained_model import TrainedModel, load

SECONDS_BETWEEN_LOOKS: Final = 0.1
GRACE_S: Final = 5.0
"""Until an agent that was told to leave is killed."""
LAST_LINES: Final = 3


@final
class Agent:
    """An agent in a process of its own, so that a notebook goes on meanwhile, and ends the agent when it ends.

    `settings` is the path of an agent.toml, or its content as a dict of sections, which is written into `directory`
    together with a key, where there is none. ConfigError for settings that are wrong.

        agent = p2pnet.Agent({"data": {"source": "samples.csv"}, "network": {...}}, directory="agent-a")
        print(agent.public_key)      # for the settings of the others
        model = agent.run()          # shows the rounds, and returns the trained model
    """

    def __init__(self, settings: str | Path | Mapping[str, Mapping[str, Any]], directory: str | Path = "agent") -> None:
        if isinstance(settings, Mapping):
            self.config = Path(directory).absolute() / "agent.toml"
            _write(settings, self.config)
        else:
            self.config = Path(settings).absolute()
        self.settings = read_settings(self.config, environment={})
        if isinstance(settings, Mapping) and not self.settings.security.secret_key.exists():
            write_keys(self.settings.security.secret_key, generate_keys())
        self._process: Process | None = None
        self._started_at_s = 0.0

    @property
    def public_key(self) -> str:
        """What others give as this agent's key."""
        return load_keys(self.settings.security.secret_key).public

    @property
    def log(self) -> str:
        """What the agent's process has said, or where `log.file` is set, what stands there."""
        path = self.settings.log.file or self._output
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def start(self) -> Self:
        """Start the agent; TrainingError where it runs already."""
        if self.is_running:
            raise TrainingError(f"{self.config}: this agent runs already; stop it first")
        self._output.parent.mkdir(parents=True, exist_ok=True)
        self._started_at_s = time.time()
        self._process = spawn(tethered_command(signal.SIGTERM, "p2pnet", "run", str(self.config)), self._output)
        return self

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def history(self) -> list[RoundRecord]:
        """The rounds since the start."""
        path = self.settings.agent.state_dir / "history.csv"
        records = read_history(path) if path.exists() else []
        return [record for record in records if record.time_s >= self._started_at_s]

    def wait(self, timeout_s: float | None = None, progress: bool | OnRound = False) -> TrainedModel:
        """Wait for the end of training, and give the model; TrainingError where the agent fails, or takes too long."""
        if self._process is None:
            raise TrainingError(f"{self.config}: this agent has not been started")
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        on_round, close = follow(progress)
        n_told = 0
        try:
            while self._process.poll() is None:
                if deadline is not None and time.monotonic() > deadline:
                    raise TrainingError(f"{self.config}: still at work after {timeout_s:g} s; wait longer, or stop it")
                time.sleep(SECONDS_BETWEEN_LOOKS)
                if on_round is not None:
                    n_told = self._tell(on_round, n_told)
            if on_round is not None:
                self._tell(on_round, n_told)
        finally:
            close()
        if self._process.poll():
            last = " / ".join(self.log.splitlines()[-LAST_LINES:])
            raise TrainingError(f"{self.config}: ended with exit code {self._process.poll()}: {last}")
        return self.model()

    def run(self, timeout_s: float | None = None, progress: bool | OnRound = True) -> TrainedModel:
        """Start, wait, and give the model; an interruption makes the agent take leave."""
        self.start()
        try:
            return self.wait(timeout_s, progress)
        finally:
            self.stop()

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Have the agent take leave of its neighbors and save its model; kill it where it takes longer."""
        if self._process is not None:
            reap([self._process], grace_s)

    def model(self) -> TrainedModel:
        """The model that the agent has saved last."""
        return load(self.settings.agent.state_dir / "model.npz", factory=self.settings.model.factory)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *failure: object) -> None:
        self.stop()

    @property
    def _output(self) -> Path:
        return self.config.with_name("agent.out")

    def _tell(self, on_round: OnRound, n_told: int) -> int:
        records = self.history
        for record in records[n_told:]:
            on_round(record)
        return len(records)


def _write(settings: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """agent.toml; relative paths in it are taken from its directory."""
    try:
        checked = Settings.model_validate({"data": {}} | {name: dict(section) for name, section in settings.items()})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(f"settings: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    path.parent.mkdir(parents=True, exist_ok=True)
    write_config(checked, path)
