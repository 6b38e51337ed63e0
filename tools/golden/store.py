"""The files of what must stay as it is."""

import json
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parents[2] / "tests" / "golden"


def load(name: str) -> Any:
    return json.loads((DIRECTORY / f"{name}.json").read_text(encoding="utf-8"))


def save(name: str, content: object) -> None:
    (DIRECTORY / f"{name}.json").write_text(as_text(content) + "\n", encoding="utf-8")


def as_text(content: object) -> str:
    """Equal for equal content only: 1, 1.0 and true differ, and so do 0.0 and -0.0."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
