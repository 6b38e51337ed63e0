"""Observers of a simulation: told of everything that happens, they change nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod

from p2pnet.protocol.core.effects import Effect
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.node import NodeEvent


class Observer(ABC):
    """Sees starts, events and effects of all agents, in order."""

    @abstractmethod
    def started(self, now: float, peer: PeerId) -> None:
        """An agent has started, for the first time or again."""

    @abstractmethod
    def happened(self, now: float, peer: PeerId, event: NodeEvent) -> None:
        """An event is about to be handled by the agent."""

    @abstractmethod
    def wanted(self, now: float, peer: PeerId, effect: Effect) -> None:
        """An effect of the agent is about to be performed."""
