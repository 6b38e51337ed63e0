"""The pages of the site, as Markdown: those of docs/, the README as the first, and those made from the code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from p2pnet.cli.commands import COMMANDS
from p2pnet.config.settings import Settings
from p2pnet.config.writing import choices_of, default_of

ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_MOVED: Mapping[str, str] = {
    "README.md": "index.md",
    "agent.toml.example": "settings.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
}
"""Files beside docs/ that are pages of the site under another name."""


def site_pages() -> Iterator[tuple[Path, str]]:
    """Each page's path within the site, and its text."""
    yield Path("index.md"), _for_site(ROOT / "README.md", Path("index.md"))
    for name in ("CONTRIBUTING.md", "SECURITY.md"):
        yield Path(_MOVED[name]), _for_site(ROOT / name, Path(_MOVED[name]))
    yield Path("settings.md"), settings_page()
    yield Path("commands.md"), commands_page()
    for file in sorted((ROOT / "docs").rglob("*.md")):
        place = file.relative_to(ROOT / "docs")
        yield place, _for_site(file, place)


def settings_page() -> str:
    """Every setting of agent.toml, its default and its meaning, a table a section."""
    parts = [
        "# Settings\n",
        "Of `agent.toml`. Relative paths are taken from the file's directory. A setting may be overruled by the "
        "environment (`P2PNET_ALGORITHM__ROUNDS=50`), and that by a flag (`--set algorithm.rounds=50`).\n",
    ]
    for name, section_field in Settings.model_fields.items():
        section: Any = section_field.annotation
        parts += [f"## {name}\n", f"{_cell(section.__doc__ or '')}\n", "| setting | default | meaning |\n|---|---|---|"]
        for key, field in section.model_fields.items():
            meaning = _cell(" ".join([field.description or "", *choices_of(field)]))
            parts.append(f"| `{key}` {{ #{name}-{key} }} | {_cell(default_of(field))} | {meaning} |")
        parts.append("")
    return "\n".join(parts)


def commands_page() -> str:
    """Every command, with its arguments and options, as `--help` prints them."""
    parts = ["# Commands\n"]
    for name, listed in COMMANDS.items():
        command = listed.load()
        with click.Context(command, info_name=f"p2pnet {name}", terminal_width=100) as context:
            parts.append(f"## p2pnet {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def _for_site(file: Path, place: Path) -> str:
    """The file's text with links that lead within the site; of other files of the repository the name stays."""

    def relinked(link: re.Match[str]) -> str:
        mark, text, target = link.groups()
        path, _, anchor = target.partition("#")
        if not path or "://" in target or target.startswith("mailto:"):
            return link[0]
        there = _place_of((file.parent / path).resolve())
        if there is None:
            return text
        up = Path(*[".."] * len(place.parent.parts))
        return f"{mark}[{text}]({(up / there).as_posix()}{'#' + anchor if anchor else ''})"

    return _LINK.sub(relinked, file.read_text(encoding="utf-8"))


def _place_of(file: Path) -> Path | None:
    """Where a file of the repository is in the site; None if it is not there."""
    if file.is_relative_to(ROOT / "docs"):
        return file.relative_to(ROOT / "docs")
    moved = _MOVED.get(file.relative_to(ROOT).as_posix()) if file.is_relative_to(ROOT) else None
    return None if moved is None else Path(moved)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
