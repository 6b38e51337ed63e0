"""The form of every machine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

EventT_contra = TypeVar("EventT_contra", contravariant=True)
EffectT_co = TypeVar("EffectT_co", covariant=True)


class Machine(ABC, Generic[EventT_contra, EffectT_co]):
    """Decides what is to be done about events; effects are performed by its driver, in order."""

    @abstractmethod
    def start(self, now: float) -> list[EffectT_co]:
        """What is to be done before anything has happened."""

    @abstractmethod
    def handle(self, event: EventT_contra, now: float) -> list[EffectT_co]:
        """What is to be done about the event.

        Raises ProtocolError for a message that cannot be meant for this agent; the state is then as before.
        """

    @abstractmethod
    def next_deadline(self) -> float | None:
        """When `DeadlineReached` is to be handed in, if nothing happens before."""
