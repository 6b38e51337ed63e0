"""The rows that every section of scripts/chaos yields."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    scenario: str
    figures: str
    is_kept: bool
    """Whether the figures are within what is promised."""
