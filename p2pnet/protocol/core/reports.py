"""What an agent says of itself for people to see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from p2pnet.protocol.core.types import PeerId


@final
@dataclass(frozen=True, slots=True)
class Observed:
    """What the shell alone knows of its agent."""

    software: str
    residual: float | None
    disagreement: float | None
    bytes_sent: int
    objective: float | None = None
    test_metric: float | None = None


@final
@dataclass(frozen=True, slots=True)
class AgentReport:
    """One agent, as it describes itself."""

    peer: PeerId
    name: str
    software: str
    """the version of p2pnet"""
    incarnation: int
    sequence: int
    """of the reports of one incarnation the one with the larger number is the later"""
    stage: str
    round: int
    residual: float | None
    """relative to the largest of the first round; None while unknown"""
    disagreement: float | None
    n_neighbors: int
    bytes_sent: int
    objective: float | None = None
    """mean loss over the agent's own samples, plus the penalty; None unless its settings share it"""
    test_metric: float | None = None
    """on the agent's own test samples, the same"""

    @property
    def precedence(self) -> tuple[int, int]:
        """Of two reports of one agent the greater is the later."""
        return self.incarnation, self.sequence
