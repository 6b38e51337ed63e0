"""What an agent says of itself for people to see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from p2pnet.protocol.core.types import PeerId

MARK_LENGTH: Final = 8
"""Of 85 signs each: among a thousand agents no two marks are the same by chance."""
MAX_LINKS: Final = 64
"""The links of one agent that are reported."""


def mark_of(peer: PeerId) -> str:
    """What stands for an agent among the links of others: the beginning of its key."""
    return peer[:MARK_LENGTH]


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
    links: tuple[str, ...] = ()
    """the marks of the agents that it is linked with, at most MAX_LINKS of them"""

    @property
    def precedence(self) -> tuple[int, int]:
        """Of two reports of one agent the greater is the later."""
        return self.incarnation, self.sequence
