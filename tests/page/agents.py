"""An agent that answers at its control socket as a real one does, without being one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from p2pnet.errors import ControlError

PEERS = ("aaaaaaaa" + 32 * "0", "bbbbbbbb" + 32 * "0")


@final
class ScriptedAgent:
    """Two agents train; this is the first. A test changes what it answers, or takes it away."""

    def __init__(self) -> None:
        self.is_there = True
        self.is_connected = False
        self.started_at_s = 1000.0
        self.stage = "training"
        self.n_events = 2
        self.rounds = [0, 1, 2]
        self.per_class: list[dict[str, Any]] = []
        self.asked: list[tuple[str, int]] = []
        self.n_connections = 0

    def connect(self) -> ScriptedAgent:
        if not self.is_there:
            raise ControlError("state: no agent runs there")
        self.n_connections += 1
        self.is_connected = True
        return self

    def close(self) -> None:
        self.is_connected = False

    def ask(self, command: str, after: int = 0) -> Mapping[str, Any]:
        if not (self.is_there and self.is_connected):
            raise ControlError("the agent closed the connection")
        self.asked.append((command, after))
        answers: dict[str, Any] = {
            "status": self._status(),
            "network": {"agents": [self._report(0), self._report(1)]},
            "peers": {"peers": [self._link()]},
            "events": {"events": [self._event(n) for n in range(after + 1, self.n_events + 1)]},
            "history": {"points": [self._point(n, round_) for n, round_ in enumerate(self.rounds, 1) if n > after]},
            "model": {"assessment": self._assessment()},
        }
        found: Mapping[str, Any] = answers[command]
        return found

    def commands(self) -> list[str]:
        """What was asked since the last call."""
        asked, self.asked = [command for command, _ in self.asked], []
        return asked

    def _status(self) -> Mapping[str, Any]:
        return {
            "agent": "agent-1",
            "public_key": PEERS[0],
            "software": "9.9",
            "pid": 7,
            "started_at_s": self.started_at_s,
            "running_s": 60.0,
            "addresses": ["tcp://127.0.0.1:7070"],
            "stage": self.stage,
            "round": self.rounds[-1] if self.rounds else -1,
            "last_round": 500,
            "epoch": 0,
            "residual": 0.25,
            "disagreement": 1e-3,
            "objective": 0.5,
            "test_metric": None,
            "test_metric_name": "accuracy",
            "proximal_weight": 1.0,
            "neighbors": 1,
            "members": None,
            "state_dir": "/srv/state",
            "model": None,
            "bytes_sent": 3_000_000,
            "bytes_received": 2_000_000,
            "peak_rss_mb": 64.0,
            "processor_s": 1.5,
        }

    def _report(self, k: int) -> Mapping[str, Any]:
        return {
            "peer": PEERS[k],
            "name": f"agent-{k + 1}",
            "software": "9.9",
            "incarnation": 1,
            "sequence": 1,
            "stage": self.stage,
            "round": 2,
            "residual": 0.25,
            "disagreement": 1e-3,
            "n_neighbors": 1,
            "bytes_sent": 3_000_000,
            "objective": None,
            "test_metric": None,
            "links": [PEERS[1 - k][:8]],
            "age_s": 0.5,
        }

    @staticmethod
    def _link() -> Mapping[str, Any]:
        return {
            "name": "agent-2",
            "public_key": PEERS[1],
            "address": "tcp://127.0.0.1:7071",
            "state": "linked",
            "round": 2,
            "missed": 0,
            "bytes_sent": 1_000_000,
            "bytes_received": 2_000_000,
        }

    @staticmethod
    def _event(number: int) -> Mapping[str, Any]:
        return {"number": number, "time_s": 1000.0 + number, "level": "info", "text": f"event {number}"}

    @staticmethod
    def _point(number: int, round_: int) -> Mapping[str, Any]:
        return {
            "number": number,
            "round": round_,
            "epoch": 0,
            "time_s": 1000.0 + round_,
            "objective": 1.0 / (round_ + 1),
            "test_metric": None,
            "disagreement": 0.1,
            "residual": 0.5,
            "bytes_sent": 1000 * round_,
        }

    def _assessment(self) -> Mapping[str, Any]:
        layer = {"name": "output", "n_inputs": 2, "n_outputs": 1, "n_params": 3, "n_zero": 1, "n_idle": 0, "norm": 1.0}
        return {"round": 2, "network": "linear 2-1", "layers": [layer], "metrics": {}, "per_class": self.per_class}
