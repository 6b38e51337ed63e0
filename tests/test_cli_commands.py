"""The list of commands says what there is, and costs no import."""

import importlib
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import p2pnet.cli
from p2pnet.cli import main
from p2pnet.cli.commands import COMMANDS, SECTIONS


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


def test_the_help_imports_no_command() -> None:
    program = "import sys; from p2pnet.cli import main; main(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules = done.stdout.splitlines()[-1].split()
    assert [name for name in modules if name.startswith("p2pnet.") and not name.startswith("p2pnet.cli")] == [
        "p2pnet.errors"
    ]
    assert not {"numpy", "pydantic", "zmq"} & set(modules)


def test_a_misspelt_command_is_one_line() -> None:
    result = CliRunner().invoke(main, ["stauts"])
    assert result.exit_code == 2
    assert "No such command 'stauts'" in result.output
