"""The pages say what is so: links lead somewhere, modules and tests that they name exist, tables are the code's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from p2pnet.protocol.membership.timing import PRESETS as MEMBERSHIP_PRESETS
from p2pnet.protocol.messages.membership import KINDS as MEMBERSHIP_KINDS
from p2pnet.protocol.messages.reports import KINDS as REPORT_KINDS
from p2pnet.protocol.messages.training import KINDS as TRAINING_KINDS
from p2pnet.protocol.messages.trust import KINDS as TRUST_KINDS
from p2pnet.protocol.rounds.timing import PRESETS as ROUND_PRESETS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "p2pnet"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ARRAY_FIELDS = {"total", "params", "curvature", "mean", "variance"}

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(
    r"`((?:[\w-]+/)+(?:[\w-]+\.(?:py|toml|md|example))?|[a-z_]+\.py)`"  # a directory or a file …
    r"(?:\s\(`([\w.]+)`(?:,\s`([\w.]+)`)?\))?"  # … and what it defines, in brackets behind it
)
TEST_NAME = re.compile(r"`(test_\w+|Test\w+)`")

pages = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What a link can lead to in the page, as GitHub makes it of headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def rows(page: str, heading: str) -> Iterator[list[str]]:
    """The cells of all rows of tables below a heading, up to the next one."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    for line in section.splitlines():
        if line.startswith("|") and not line.startswith("|-"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def defined(path: Path) -> set[str]:
    """The classes and functions of a module, methods as `Class.method`."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{method.name}" for method in node.body if isinstance(method, ast.FunctionDef)}
    return names


@pages
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        leads_to = (page.parent / path).resolve() if path else page
        assert leads_to.exists(), f"{target}: there is no such file"
        assert not anchor or anchor in anchors(leads_to), f"{target}: {leads_to.name} has no such heading"


@pages
def test_modules_and_what_they_define_exist(page: Path) -> None:
    missing = []
    for path, *names in PATH.findall(prose(page)):
        place = next((base / path for base in (PACKAGE, ROOT) if (base / path).exists()), None)
        if place is None:
            missing.append(path)
            continue
        missing += [f"{name} in {path}" for name in names if name and name not in defined(place)]
    assert missing == [], "neither in p2pnet/ nor in the root of the repository"


@pages
def test_tests_that_are_named_exist(page: Path) -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for name in TEST_NAME.findall(prose(page)):
        assert re.search(rf"\bdef {name}\(|^(class )?{name}\b", sources, flags=re.MULTILINE), f"there is no {name}"


def test_the_table_of_messages_is_that_of_the_code() -> None:
    described = {int(kind): (name, text) for kind, name, text, _ in rows("protocol.md", "Messages") if kind.isdigit()}
    kinds: Mapping[int, type[Any]] = {**TRAINING_KINDS, **MEMBERSHIP_KINDS, **REPORT_KINDS, **TRUST_KINDS}
    assert described == {kind: (of.__name__, fields_as_text(of)) for kind, of in kinds.items()}


def fields_as_text(message_type: type[Any]) -> str:
    names = [field.name for field in fields(message_type)]
    plain = [name for name in names if name not in ARRAY_FIELDS]
    arrays = [name for name in names if name in ARRAY_FIELDS]
    return ", ".join(plain) + (f"; arrays {', '.join(arrays)}" if arrays else "")


def test_the_tables_of_presets_are_those_of_the_code() -> None:
    described = [
        (setting.split("`")[1], *map(float, values))
        for setting, *values in rows("operations.md", "Presets")
        if "_s`" in setting
    ]
    n_membership = len(fields(MEMBERSHIP_PRESETS["lan"])) - 1
    of_rounds, of_membership = described[:-n_membership], described[-n_membership:]
    both: list[tuple[list[Any], Mapping[str, Any]]] = [(of_rounds, ROUND_PRESETS), (of_membership, MEMBERSHIP_PRESETS)]
    for preset_rows, presets in both:
        for name, *values in preset_rows:
            assert values == [getattr(presets[preset], name) for preset in ("lan", "wan", "lossy")], name
    assert {name for name, *_ in of_membership} == {f.name for f in fields(MEMBERSHIP_PRESETS["lan"])} - {
        "max_bytes_per_s"
    }


def test_every_decision_is_in_their_list_and_no_longer_than_a_page() -> None:
    directory = ROOT / "docs" / "adr"
    listed = set(LINK.findall((directory / "README.md").read_text(encoding="utf-8")))
    decisions = sorted(directory.glob("[0-9]*.md"))
    assert {path.name for path in decisions} <= listed
    for number, path in enumerate(decisions, start=1):
        text = path.read_text(encoding="utf-8")
        assert path.name.startswith(f"{number:04}-")
        assert text.startswith(f"# {number}. ")
        assert 150 <= len(text.split()) <= 350, f"{path.name}: {len(text.split())} words"
