"""How far an agent trusts its own judgement of others."""

from __future__ import annotations

from typing import final

MAX_SCORE = 7


@final
class LocalHealthMultiplier:
    """A score of 0 (well) to 7, and 1 + score as the factor by which limits on others are stretched.

    An agent that wakes late or must say that it is alive may itself be what is slow, and others only seem silent to it
    (Lifeguard, Dadgar et al. 2018, section IV-A).
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
