"""The local health multiplier of Lifeguard: a slow agent gives others more time."""

from __future__ import annotations

from typing import final

MAX_SCORE = 7


@final
class LocalHealthMultiplier:
    """A score of 0 (well) to 7, and 1 + score as the factor by which limits on others are stretched.

    An agent that wakes late or must refute a suspicion may itself be slow, so that others only seem silent (Lifeguard,
    Dadgar et al. 2018, section IV-A).
    """

    def __init__(self) -> None:
        self._score = 0

    @property
    def factor(self) -> float:
        return 1.0 + self._score

    def worsen(self) -> None:
        self._score = min(self._score + 1, MAX_SCORE)

    def improve(self) -> None:
        self._score = max(self._score - 1, 0)
