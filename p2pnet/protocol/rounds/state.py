"""Where one agent stands in its training."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import final

from p2pnet.protocol.core.types import Array


class Phase(Enum):
    """What the round machine waits for (`machine.py` has the diagram)."""

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
    announced_round: int = -1
    """The round told in Hello and Ready; -1 before training has begun."""
    account: int = 0
    """Names the books of the links."""
