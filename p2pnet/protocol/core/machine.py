"""The interface of a sans-I/O state machine: event and time in, effects out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

EventT_contra = TypeVar("EventT_contra", contravariant=True)
EffectT_co = TypeVar("EffectT_co", covariant=True)


class Machine(ABC, Generic[EventT_contra, EffectT_co]):
    """A state machine: maps events and the time to effects, which the driver performs in order."""

    @abstractmethod
    def start(self, now: float) -> list[EffectT_co]:
        """Return the effects to be performed before the first event."""

    @abstractmethod
    def handle(self, event: EventT_contra, now: float) -> list[EffectT_co]:
        """Handle one event, and return its effects.

        Raises ProtocolError for a message that cannot be meant for this agent; the state is then as before.
        """

    @abstractmethod
    def next_deadline(self) -> float | None:
        """The time at which `DeadlineReached` is due if no event comes before; None for never."""
