"""Observers of a simulation: called for all starts, events and effects; they change nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod

from p2pnet.protocol.core.effects import Effect
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.node import NodeEvent


class Observer(ABC):
    """Receives starts, events and effects of all agents, in order."""

    @abstractmethod
    def started(self, now: float, peer: PeerId) -> None:
        """Called when an agent has started or restarted."""

    @abstractmethod
    def happened(self, now: float, peer: PeerId, event: NodeEvent) -> None:
        """Called before the agent handles an event."""

    @abstractmethod
    def wanted(self, now: float, peer: PeerId, effect: Effect) -> None:
        """Called before an effect of the agent is performed."""
