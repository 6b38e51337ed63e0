"""Where one agent stands in its training."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import final

from p2pnet.protocol.messages.training import Array


class Phase(Enum):
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
    """Written by the round machine alone; what is told to neighbors is read from it."""

    params: Array = field(repr=False)
    round: int = 0
    phase: Phase = Phase.BOOTSTRAPPING
