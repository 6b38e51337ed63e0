"""The rows that every scenario yields, and that a table of them is made of."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

CHAOS_ROW = "row of chaos"
"""The property of a test's report that holds a row; the end of a run prints them."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    scenario: str
    figures: str
    is_kept: bool
    """Whether the figures are within what is promised."""

    def __str__(self) -> str:
        return f"{'kept  ' if self.is_kept else 'BROKEN'}  {self.scenario:58}  {self.figures}"


Scenario: TypeAlias = Callable[[], Iterable[Row]]
Judge: TypeAlias = Callable[[Scenario], None]
"""Plays a scenario, keeps its rows, and fails where one is broken."""
