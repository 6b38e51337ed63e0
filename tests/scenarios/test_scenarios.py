"""Whole rounds of nodes as text, for people to read and review: commands, and what they make the nodes do.

A file has blocks: commands, a line '----', and what came of them, up to an empty line. The commands are described in
`commands.py`. P2PNET_REWRITE_SCENARIOS=1 writes anew what comes of them; read the difference before you commit it.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from p2pnet.protocol.messages.training import Share
from tests.scenarios.commands import Script

DIRECTORY = Path(__file__).parent
PAGE = DIRECTORY.parent.parent / "docs" / "protocol.md"
SCENARIOS = sorted(DIRECTORY.glob("*.txt"))
BLOCK = re.compile(r"^((?:[^#\n-].*\n)+)----\n(?:.+\n)*", flags=re.MULTILINE)

scenarios = pytest.mark.parametrize("path", SCENARIOS, ids=[path.stem for path in SCENARIOS])


def played(text: str, play: Callable[[str], Sequence[str]]) -> str:
    """The scenario with what comes of its commands now, each played by a call."""

    def play_block(block: re.Match[str]) -> str:
        lines = [line for command in block[1].splitlines() for line in play(command)]
        return "".join([block[1], "----\n", *(f"{line}\n" for line in lines)])

    return BLOCK.sub(play_block, text)


@scenarios
def test_scenario(path: Path) -> None:
    """After each command the mass of the network is accounted for, or the script raises."""
    text = path.read_text(encoding="utf-8")
    now = played(text, Script().play)
    if os.environ.get("P2PNET_REWRITE_SCENARIOS") == "1":
        path.write_text(now, encoding="utf-8")
    assert now == path.read_text(encoding="utf-8")


@scenarios
def test_a_scenario_says_first_what_it_shows_and_has_nothing_besides_comments_and_blocks(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert all(line.startswith("# ") for line in BLOCK.sub("", text).splitlines() if line)


def test_the_page_on_the_protocol_links_to_all_scenarios_and_shows_them_as_they_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert {path.name for path in SCENARIOS} == set(re.findall(r"\(\.\./tests/scenarios/([\w-]+\.txt)\)", page))
    excerpts = re.findall(r"^```text ([\w-]+)\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    assert excerpts
    for name, excerpt in excerpts:
        assert excerpt in (DIRECTORY / f"{name}.txt").read_text(encoding="utf-8")


def test_each_command_is_played_once_and_only_outcomes_are_replaced() -> None:
    commands: list[str] = []

    def play(command: str) -> list[str]:
        commands.append(command)
        return [f"{command} done"]

    text = "# What is shown.\n\n# Why.\na\nb 1\n----\nold\n\nc\n----\n"
    assert played(text, play) == "# What is shown.\n\n# Why.\na\nb 1\n----\na done\nb 1 done\n\nc\n----\nc done\n"
    assert commands == ["a", "b 1", "c"]


def test_mass_that_comes_from_nowhere_is_found() -> None:
    script = Script()
    for command in ("node ann neighbors=bob target=1", "node bob neighbors=ann target=3", "connect ann bob"):
        script.play(command)
    script.play("stabilize ann=1 bob=1")
    script.network.in_transit = [
        replace(one, message=replace(one.message, total=2.0 * one.message.total))
        for one in script.network.in_transit
        if isinstance(one.message, Share)
    ]
    with pytest.raises(AssertionError, match="'deliver all': mass was lost or made"):
        script.play("deliver all")


def test_a_command_that_there_is_not_is_named() -> None:
    with pytest.raises(ValueError, match="'fly ann': there is no such command"):
        Script().play("fly ann")
