"""The list of commands says what there is, and costs no import."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import p2pnet.cli
from p2pnet.cli.commands import COMMANDS, SECTIONS, help_page
from p2pnet.cli.group import main


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_that_is_listed_is_there_by_that_name(name: str) -> None:
    assert COMMANDS[name].load().name == name


def test_each_command_that_is_there_is_listed() -> None:
    found = set()
    for path in Path(p2pnet.cli.__file__).parent.glob("*.py"):
        module = importlib.import_module(f"p2pnet.cli.{path.stem}")
        found |= {one.name for one in vars(module).values() if isinstance(one, click.Command) and one is not main}
    nested = {"list", "add", "remove"}
    assert found - nested == COMMANDS.keys()


def test_the_help_shows_all_in_sections_a_line_each() -> None:
    lines = CliRunner().invoke(main, ["--help"], terminal_width=80).output.splitlines()
    for title, commands in SECTIONS.items():
        start = lines.index(f"{title}:") + 1
        assert [line.split()[0] for line in lines[start : start + len(commands)]] == list(commands)


def test_the_help_shows_the_options_that_there_are_in_lines_that_fit() -> None:
    lines = help_page().splitlines()
    assert max(map(len, lines)) <= 80
    shown = [re.split(r" {2,}", line.strip()) for line in lines if line.startswith("  -")]
    with click.Context(main) as context:
        options = [one for one in main.get_params(context) if isinstance(one, click.Option)]
    assert shown == [[", ".join(one.opts), one.help] for one in options]


def test_the_help_of_a_process_is_that_page_and_imports_no_command_nor_click() -> None:
    program = "import sys; sys.argv[1:] = ['--help']; from p2pnet.cli import main; main(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    *page, modules = done.stdout.splitlines(keepends=True)
    assert "".join(page) == help_page() == CliRunner().invoke(main, ["--help"]).output
    imported = {name for name in modules.split() if name.startswith("p2pnet.")}
    assert imported == {"p2pnet.cli", "p2pnet.cli.commands"}
    assert not {"click", "numpy", "pydantic", "zmq"} & set(modules.split())


@pytest.mark.parametrize(
    ("typed", "said"),
    [("stauts", "No such command 'stauts'; did you mean status?\n"), ("xyzzy", "No such command 'xyzzy'\n")],
)
def test_a_misspelt_command_is_one_line_that_names_the_nearest(typed: str, said: str) -> None:
    result = CliRunner().invoke(main, [typed])
    assert result.exit_code == 2
    assert said in result.output
