"""Results that are kept: files of JSON, a line each, with the commit, the machine and the date."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DIRECTORY = ROOT / ".results"
"""Not in git."""


@dataclass(frozen=True, slots=True)
class ResultFile:
    """Lines that are only ever appended; several processes may do so at once."""

    path: Path

    def append(self, record: Mapping[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def records(self) -> Iterator[dict[str, Any]]:
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                yield json.loads(line)


def stamped(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record, with the commit, the machine and the date."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return {**record, "commit": commit(), "machine": machine(), "date": date}


def commit() -> str:
    """The commit of the source tree; with a hash of what has been changed since, where anything has."""
    head = _git("rev-parse", "--short=12", "HEAD").decode().strip()
    changes = _git("diff", "HEAD")
    return f"{head}+{hashlib.sha256(changes).hexdigest()[:12]}" if changes else head


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True).stdout


def machine() -> str:
    """Processor, cores, system and Python; not the machine's name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = models[0] if models else platform.machine()
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
