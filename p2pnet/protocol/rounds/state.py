"""The state of one agent's training: phase, round and parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import final

from p2pnet.protocol.core.types import Array


class Phase(Enum):
    """The phase of the round machine (diagram in `machine.py`)."""

    BOOTSTRAPPING = "bootstrapping"
    STEPPING = "stepping"
    PROPOSING = "proposing"
    PAUSING = "pausing"
    EXCHANGING = "exchanging"
    EVALUATING = "evaluating"
    FINISHED = "finished"
    CLOSED = "closed"


@final
@dataclass(slots=True)
class RoundState:
    """Phase, round and parameters; written by the round machine alone, read by its parts."""

    params: Array = field(repr=False)
    round: int = 0
    phase: Phase = Phase.BOOTSTRAPPING
    announced_round: int = -1
    """The round announced in Hello and Ready; -1 before training has begun."""
    account: int = 0
    """The number of the account that the ledgers of all links belong to."""
