"""The outcome of a run, of daemons or simulated agents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from p2pnet.training.records import AgentOutcome


@dataclass(frozen=True, slots=True)
class NetworkOutcome:
    """The outcomes of all agents of a network."""

    agents: tuple[AgentOutcome, ...]
    seconds_total: float
    """from the command's start until all agents had ended"""
    missing: Mapping[str, str] = field(default_factory=dict)
    """agents that did not finish, with the reason; nothing else here is of them"""

    @property
    def followed(self) -> list[AgentOutcome]:
        """The agents whose history was kept: all unless they are too many."""
        return [agent for agent in self.agents if agent.history]

    @property
    def started_at(self) -> float:
        """The time at which the first agent began to train, in seconds since the epoch; in a simulation, in virtual
        time.
        """
        return min(agent.history[0].time_s for agent in self.followed)

    @property
    def seconds_training(self) -> float:
        return max(agent.history[-1].time_s for agent in self.followed) - self.started_at
