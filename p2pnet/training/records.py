"""What is recorded of one agent's run, whether it ran as a process or in a simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from p2pnet.protocol.core.types import Array
from p2pnet.protocol.links.conservation import AgentLedger


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """What an agent saw at the beginning of a round; the last row is the end of training."""

    round: int
    time_s: float
    """seconds since the epoch"""
    objective_local: float
    test_metric: float
    disagreement: float
    proximal_weight: float
    bytes_sent: int


@dataclass(frozen=True, slots=True)
class LearnerState:
    """What the learner of a later run goes on with."""

    numbers: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """proximal weight, fading, momentum, and the like"""
    candidates: Mapping[int, NDArray[np.floating[Any]]] = field(
        default_factory=lambda: MappingProxyType({}), repr=False
    )
    """the parameters that early stopping chooses from, by number, in the model's precision; none without it"""


@dataclass(frozen=True, slots=True)
class Result:
    """How an agent's run ended."""

    agent: str
    public_key: str
    rounds: int
    stopped_because: str
    bytes_sent: int
    bytes_received: int
    peak_rss_mb: float
    n_messages_dropped: int
    """messages of verified peers that broke the protocol"""
    n_rejected: dict[str, int]
    """what the transport refused, by reason"""
    n_messages_refused: int = 0
    """well-formed messages that were answered with a refusal: of another model, or over an unknown link"""
    test_metric_name: str = ""
    """what `test_metric` is in its history; empty where there is none"""


@dataclass(frozen=True, slots=True)
class AgentOutcome:
    """What one agent has at the end."""

    result: Result
    params: Array = field(repr=False)
    history: Sequence[RoundRecord] = field(repr=False)
    ledger: AgentLedger = field(repr=False)

    @property
    def name(self) -> str:
        return self.result.agent
