"""What the simulations of a sweep came to, kept as they end, a line each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from p2pnet.errors import ConfigError
from p2pnet.experiments.report.files import writing_to

FILE: Final = "runs.jsonl"


@dataclass(frozen=True, slots=True)
class CellOutcome:
    """One simulation that has ended."""

    key: str
    settings: Mapping[str, str]
    seed: int
    figures: Mapping[str, Any]
    """of its summary"""


@final
class CellRecord:
    """The outcomes in a directory; each is on disk before the next is waited for, and a line cut short is left out."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        with writing_to(directory):
            self._outcomes = {outcome.key: outcome for outcome in self._read()}
            self._end_last_line()

    def __contains__(self, key: str) -> bool:
        return key in self._outcomes

    def __getitem__(self, key: str) -> CellOutcome:
        return self._outcomes[key]

    def add(self, outcome: CellOutcome) -> None:
        """Keep an outcome for good."""
        line = {"key": outcome.key, "settings": outcome.settings, "seed": outcome.seed, "figures": outcome.figures}
        with writing_to(self._path.parent), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._outcomes[outcome.key] = outcome

    def _read(self) -> Iterator[CellOutcome]:
        if not self._path.exists():
            return
        with self._path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith("\n"):
                    return
                try:
                    fields = json.loads(line)
                    yield CellOutcome(fields["key"], fields["settings"], fields["seed"], fields["figures"])
                except (ValueError, KeyError, TypeError):
                    raise ConfigError(
                        f"{self._path}, line {number}: is not of a sweep; remove the line, or name another directory"
                    ) from None

    def _end_last_line(self) -> None:
        """Cut off a line that power or disk left unfinished."""
        if not self._path.exists():
            return
        with self._path.open("rb+") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)
