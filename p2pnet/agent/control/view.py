"""What an agent tells of itself at its control socket."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, final

from p2pnet import __version__
from p2pnet.agent.control.journal import Journal
from p2pnet.agent.control.thinned_series import ThinnedSeries
from p2pnet.agent.names import PeerNames
from p2pnet.agent.run_recorder import RunRecorder
from p2pnet.agent.transport.base import Transport
from p2pnet.protocol.core.events import Evaluated, LocalStepDone
from p2pnet.protocol.core.reports import Observed
from p2pnet.protocol.node import Node
from p2pnet.protocol.rounds.neighbor import Neighbor

MAX_POINTS: Final = 1000
"""Rounds that are kept of the course of training since the agent was started."""


@final
@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Where training stood at the beginning of a round."""

    round: int
    epoch: int
    time_s: float
    """seconds since the epoch of Unix"""
    objective: float | None
    test_metric: float | None
    disagreement: float | None
    residual: float | None
    """of the local step before, relative to the largest of the first round"""
    bytes_sent: int


@final
class AgentView:
    """One running agent as its user sees it; it reads, and changes nothing."""

    def __init__(
        self,
        node: Node,
        transport: Transport,
        recorder: RunRecorder,
        state_dir: Path,
        names: PeerNames,
        clock: Callable[[], float],
        journal: Journal,
        *,
        is_sharing_metrics: bool = False,
    ) -> None:
        """`clock` shows the seconds since the epoch; `is_sharing_metrics`: whether others may see the own metrics."""
        self._is_sharing_metrics = is_sharing_metrics
        self._node = node
        self._transport = transport
        self._recorder = recorder
        self._state_dir = state_dir
        self._names = names
        self._clock = clock
        self._started_at_s = clock()
        self._residual: float | None = None
        self._journal = journal
        self._curve = ThinnedSeries[CurvePoint](MAX_POINTS)

    def note(self, event: object) -> None:
        """Note what the learner has computed."""
        if isinstance(event, LocalStepDone):
            self._residual = event.residual
        elif isinstance(event, Evaluated) and (latest := self._recorder.latest) is not None:
            self._curve.add(
                CurvePoint(
                    latest.round,
                    self._node.epoch,
                    latest.time_s,
                    _finite(latest.objective_local),
                    _finite(latest.test_metric),
                    _finite(latest.disagreement),
                    self._relative_residual(),
                    latest.bytes_sent,
                )
            )

    def events(self, after: int) -> Mapping[str, Any]:
        """The lines of the log behind the one of this number, as far as they are kept."""
        return {"events": [asdict(line) for line in self._journal.after(after)]}

    def history(self, after: int) -> Mapping[str, Any]:
        """The course of training behind the point of this number, thinned out where it is long."""
        return {"points": [{"number": number, **asdict(point)} for number, point in self._curve.after(after)]}

    def status(self) -> Mapping[str, Any]:
        """Where the training of this agent stands, and what it costs."""
        node, latest = self._node, self._recorder.latest
        rounds = node.rounds
        model = self._state_dir / "model.npz"
        return {
            "agent": node.identity.name,
            "public_key": node.identity.peer,
            "software": __version__,
            "pid": os.getpid(),
            "started_at_s": self._started_at_s,
            "running_s": round(self._clock() - self._started_at_s, 1),
            "addresses": list(self._transport.addresses),
            "stage": node.stage,
            "round": -1 if rounds is None else rounds.announced_round,
            "last_round": None if rounds is None else rounds.last_round,
            "epoch": self._node.epoch,
            "residual": self._relative_residual(),
            "disagreement": None if latest is None else latest.disagreement,
            "objective": None if latest is None else latest.objective_local,
            "test_metric": _finite(None if latest is None else latest.test_metric),
            "test_metric_name": self._recorder.test_metric_name,
            "proximal_weight": None if latest is None else latest.proximal_weight,
            "neighbors": sum(neighbor.is_open for neighbor in self._neighbors()),
            "members": node.peering.n_members,
            "state_dir": str(self._state_dir.resolve()),
            "model": str(model.resolve()) if model.is_file() else None,
            "bytes_sent": self._transport.bytes_sent,
            "bytes_received": self._transport.bytes_received,
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            "processor_s": round(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]), 2),
        }

    def observed(self) -> Observed:
        """What of this agent is told to all others, beside what the node knows itself."""
        latest = self._recorder.latest
        shared = latest if self._is_sharing_metrics else None
        return Observed(
            software=__version__,
            residual=self._relative_residual(),
            disagreement=_finite(None if latest is None else latest.disagreement),
            bytes_sent=self._transport.bytes_sent,
            objective=_finite(None if shared is None else shared.objective_local),
            test_metric=_finite(None if shared is None else shared.test_metric),
        )

    def network(self, now: float) -> Mapping[str, Any]:
        """All agents of the network of which this one has heard, by what they say of themselves."""
        return {
            "agents": [{**asdict(heard.report), "age_s": round(now - heard.at, 1)} for heard in self._node.reports(now)]
        }

    def peers(self) -> Mapping[str, Any]:
        """The neighbors of this agent, and the state of the link with each."""
        return {"peers": [self._peer(neighbor) for neighbor in self._neighbors()]}

    def _relative_residual(self) -> float | None:
        """The residual of the last local step, relative to the largest of the first round."""
        first = 0.0 if self._node.rounds is None else self._node.rounds.first_residual
        return None if self._residual is None or first <= 0 else _finite(self._residual / first)

    def _neighbors(self) -> list[Neighbor]:
        table = self._node.neighborhood
        return [] if table is None else list(table)

    def _peer(self, neighbor: Neighbor) -> Mapping[str, Any]:
        bytes_sent, bytes_received = self._transport.bytes_with(neighbor.peer)
        return {
            "name": neighbor.name or self._names.given.get(neighbor.peer, ""),
            "public_key": neighbor.peer,
            "address": neighbor.address,
            "state": _state_of(neighbor),
            "round": neighbor.round,
            "missed": neighbor.n_missed,
            "bytes_sent": bytes_sent,
            "bytes_received": bytes_received,
        }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _state_of(neighbor: Neighbor) -> str:
    """The link with a neighbor, in a word."""
    if neighbor.is_open:
        if not neighbor.is_connected:
            return "lost"
        return "lagging" if neighbor.is_lagging else "linked"
    if neighbor.is_parted:
        return "parted"
    return "awaited" if neighbor.absent_until is not None else "connected" if neighbor.is_connected else "gone"
