"""The progress of agents, read from their histories."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from p2pnet.agent.history import parse_history_row
from p2pnet.training.records import RoundRecord


@dataclass(frozen=True, slots=True)
class AgentProgress:
    """The progress of one agent."""

    name: str
    latest: RoundRecord | None
    """the latest row of its history; None before its training has begun"""
    gone_because: str | None = None
    """why it will not finish; None for all others"""


@final
class HistoryTail:
    """Reads the latest row of a growing history.csv incrementally."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._is_header_read = False
        self.latest: RoundRecord | None = None

    def follow(self) -> RoundRecord | None:
        """Read new rows; return the latest complete row."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                text = file.read()
        except FileNotFoundError:
            return None
        whole = text[: text.rfind(b"\n") + 1]
        self._position += len(whole)
        lines = whole.decode().splitlines()
        if lines and not self._is_header_read:
            self._is_header_read = True
            del lines[0]
        if lines:
            (row,) = csv.reader(lines[-1:])
            self.latest = parse_history_row(row)
        return self.latest


@final
class Follower:
    """The progress of all agents."""

    def __init__(self, histories: Sequence[tuple[str, Path]]) -> None:
        self._tails = [(name, HistoryTail(path)) for name, path in histories]

    def progress(self, gone: Mapping[str, str]) -> list[AgentProgress]:
        """Read the progress of all agents; `gone` has the reasons of failed agents, by name."""
        return [AgentProgress(name, tail.follow(), gone.get(name)) for name, tail in self._tails]
