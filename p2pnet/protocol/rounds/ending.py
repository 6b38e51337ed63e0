"""What keeps training from ending, and an agent that has ended from closing: neighbors that may come back."""

from __future__ import annotations

from typing import final

from p2pnet.protocol.core.effects import Notify
from p2pnet.protocol.core.notices import EndHeldUp, ServiceProlonged
from p2pnet.protocol.rounds.neighborhood import Neighborhood


@final
class Ending:
    """Knows which absent neighbors are waited for, and reports them once each time."""

    def __init__(self, neighborhood: Neighborhood) -> None:
        self._neighborhood = neighborhood
        self._is_end_held_up = False
        """Whether training goes on only because a neighbor is absent."""
        self._is_service_prolonged = False
        """Whether the agent has ended and stays only because a neighbor is absent."""

    def hold_up(self, is_quiet: bool, now: float) -> tuple[bool, list[Notify]]:
        """(whether a stationary agent counts as that, a report where it does not because of absent neighbors)."""
        absent = self._neighborhood.absent(now)
        is_news = is_quiet and bool(absent) and not self._is_end_held_up
        self._is_end_held_up = bool(absent) and (self._is_end_held_up or is_quiet)
        return is_quiet and not absent, [Notify(EndHeldUp(absent))] if is_news else []

    def prolong(self, now: float) -> tuple[bool, list[Notify]]:
        """(whether the agent is to stay, since an absent neighbor would have to be told the last round, a report)."""
        absent = self._neighborhood.absent(now)
        is_news = bool(absent) and not self._is_service_prolonged
        self._is_service_prolonged |= bool(absent)
        return bool(absent), [Notify(ServiceProlonged(absent))] if is_news else []
