"""A fleet of daemons: each a process of its own, to be killed, stopped, continued and started again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

from p2pnet.agent.history import read_history
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.config import read_settings, write_config
from p2pnet.experiments.demo.fleet import AgentFiles, write_fleet
from p2pnet.experiments.demo.options import DemoOptions
from p2pnet.experiments.workload import Workload
from p2pnet.optim.arrays import Array
from p2pnet.training.records import RoundRecord
from tests.chaos.processes import AgentProcess
from tests.chaos.wiring import Wiring

SECONDS_BETWEEN_LOOKS = 0.02


class FleetError(Exception):
    """A fleet that did not do what was expected of it in time."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an agent's log."""

    time_s: float
    """seconds since the epoch"""
    text: str


class Fleet:
    """Agents 0 … n−1 of one workload, with their files in `directory`. Leaving the context kills what still runs."""

    def __init__(
        self,
        directory: Path,
        workload: Workload,
        wiring: Wiring,
        sections: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """`sections` has what differs from a demo's settings: {"network": {"round_pace_s": 0.1}, …}."""
        self.workload = workload
        self.directory = directory
        self.wiring = wiring
        self._processes: dict[int, AgentProcess] = {}
        directory.mkdir(parents=True, exist_ok=True)
        self._files = write_fleet(DemoOptions(agents=workload.n_agents), workload, directory)
        number = {files.name: k for k, files in enumerate(self._files)}
        for k, files in enumerate(self._files):
            settings = read_settings(files.config)
            neighbors = [
                neighbor.model_copy(update={"address": wiring.way(k, number[str(neighbor.name)])})
                for neighbor in settings.network.neighbors
            ]
            network = {"bind": wiring.address(k), "neighbors": tuple(neighbors), **sections.get("network", {})}
            changed = {"log": {"format": "json"}, **sections, "network": network}
            copies = {name: getattr(settings, name).model_copy(update=dict(values)) for name, values in changed.items()}
            write_config(settings.model_copy(update=copies), files.config)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.kill(list(self._processes))

    # What is done to the agents.

    def start(self, agents: Collection[int]) -> None:
        """Start them, for the first time or again."""
        for k in agents:
            files = self._files[k]
            self._processes[k] = AgentProcess(files.config, files.log, partial(self.wiring.command, k))

    def kill(self, agents: Collection[int]) -> None:
        """SIGKILL, and wait until they are gone."""
        for k in agents:
            self._processes.pop(k).kill()

    def stop(self, agents: Collection[int]) -> None:
        for k in agents:
            self._processes[k].stop()

    def resume(self, agents: Collection[int]) -> None:
        for k in agents:
            self._processes[k].resume()

    # What becomes of them.

    def files(self, k: int) -> AgentFiles:
        return self._files[k]

    def history(self, k: int) -> list[RoundRecord]:
        return read_history(self._files[k].history)

    def round(self, k: int) -> int:
        """The last round that the agent has begun; -1 before training."""
        history = self.history(k)
        return history[-1].round if history else -1

    def log(self, k: int) -> list[Line]:
        """Everything in the agent's log, that of earlier lives as well; what is no entry of p2pnet is left out."""
        if not self._files[k].log.exists():
            return []
        lines = []
        for text in self._files[k].log.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(text)
                lines.append(Line(datetime.fromisoformat(entry["time"]).timestamp(), entry["message"]))
            except (ValueError, TypeError, KeyError):
                continue
        return lines

    def until(self, is_so: Callable[[], bool], patience_s: float) -> None:
        """Wait for it; FleetError when it takes too long, or when an agent fails meanwhile."""
        give_up_at = time.monotonic() + patience_s
        while not is_so():
            self._look_for_failures()
            if time.monotonic() > give_up_at:
                rounds = ", ".join(str(self.round(k)) for k in range(self.workload.n_agents))
                raise FleetError(f"not so after {patience_s:.0f} s; rounds of the agents: {rounds}")
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def until_all_end(self, patience_s: float) -> None:
        """Wait until all agents that run have ended; FleetError unless they do so in good order and in time."""
        self.until(lambda: not self._processes, patience_s)

    def has_ended(self, k: int) -> bool:
        """Whether the agent's process is gone."""
        self._look_for_failures()
        return k not in self._processes

    def _look_for_failures(self) -> None:
        for k, process in list(self._processes.items()):
            code = process.exit_code()
            if code is not None:
                del self._processes[k]
                failure = self._files[k].failure(code)
                if failure is not None:
                    raise FleetError(f"{self._files[k].name} failed: {failure}")

    def params(self, k: int) -> Array:
        """The model that the agent has saved."""
        return StateDirectory(self._files[k].directory).load_params()
