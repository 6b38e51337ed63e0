"""Names that people and their programs rely on, as the present code has them: taken from the code and from files that
it writes.
"""

import csv
import json
import tempfile
import time
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np
from click.testing import CliRunner
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from p2pnet import errors
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.cli.commands import COMMANDS
from p2pnet.cli.group import main
from p2pnet.config import Settings

_WORKLOAD = ("--data", "iris", "--hidden", "none", "--rounds", "3", "--json")


def record() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:
        return {
            "settings": _settings(),
            "exit codes": _exit_codes(),
            "commands": _commands(),
            "demo": _demo(Path(directory) / "demo"),
            "simulate": _simulate(Path(directory) / "simulate"),
            "state directory after a second start": _second_start(Path(directory) / "state"),
            "doctor": _doctor(Path(directory) / "missing.toml"),
        }


def _settings() -> dict[str, Any]:
    """section.key of each setting, and its default."""
    found: dict[str, Any] = {}
    for section, field in Settings.model_fields.items():
        found |= _keys(f"{section}.", field.annotation)
    return found


def _keys(prefix: str, model: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, field in model.model_fields.items():
        found[f"{prefix}{key}"] = _default(field)
        for inner in get_args(field.annotation):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                found |= _keys(f"{prefix}{key}[].", inner)
    return found


def _default(field: FieldInfo) -> Any:
    if field.is_required():
        return "(required)"
    if field.default_factory is not None:
        return "(of this machine)"
    return json.loads(json.dumps(field.default, default=str))


def _exit_codes() -> dict[str, int]:
    """By the exception's name, with the names that it is a kind of before it."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.P2pnetError)]
    ours = {kind: [each.__name__ for each in reversed(kind.__mro__) if each in kinds] for kind in kinds}
    return {".".join(names): kind.exit_code for kind, names in ours.items()}


def _commands() -> dict[str, list[str]]:
    """Each command's options and arguments; those of p2pnet itself under no name."""
    commands: dict[str, click.Command] = {"": main, **{name: listed.load() for name, listed in COMMANDS.items()}}
    return {name: [_parameter(parameter) for parameter in command.params] for name, command in commands.items()}


def _parameter(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Argument):
        return parameter.human_readable_name
    return "/".join([*parameter.opts, *parameter.secondary_opts])


def _demo(directory: Path) -> dict[str, Any]:
    """What a demo leaves, and each of its agents."""
    summary = _p2pnet("demo", "--agents", "2", *_WORKLOAD, "--report", str(directory))
    agent = directory / "agent-1"
    return {
        "report": sorted(path.name for path in directory.iterdir()),
        "summary.json": list(json.loads((directory / "summary.json").read_text(encoding="utf-8"))),
        "--json": list(json.loads(summary)),
        "history.csv": _columns(directory / "history.csv"),
        "agent": sorted(path.name for path in agent.iterdir()),
        "agent's history.csv": _columns(agent / "history.csv"),
        "agent's model.npz": _arrays(agent / "model.npz"),
        "agent's books.npz": _arrays(agent / "books.npz"),
        "agent's result.json": list(json.loads((agent / "result.json").read_text(encoding="utf-8"))),
        "agent's samples.npz": _arrays(agent / "samples.npz"),
    }


def _simulate(directory: Path) -> dict[str, Any]:
    """What a simulation with faults leaves."""
    summary = _p2pnet(
        *("simulate", "--agents", "3", *_WORKLOAD, "--loss-rate", "0.1", "--no-compare", "--report", str(directory))
    )
    return {
        "report": sorted(path.name for path in directory.iterdir()),
        "summary.json": list(json.loads((directory / "summary.json").read_text(encoding="utf-8"))),
        "--json": list(json.loads(summary)),
        "history.csv": _columns(directory / "history.csv"),
        "faults.csv": _columns(directory / "faults.csv"),
    }


def _second_start(directory: Path) -> list[str]:
    """Files of an agent that begins to train where another run has been."""
    state = StateDirectory(directory)
    state.acquire()
    state.next_incarnation(time.time())
    (directory / "history.csv").write_text("names\nvalues\n", encoding="utf-8")
    state.begin_history()
    state.release()
    return sorted(path.name for path in directory.iterdir())


def _doctor(agent_toml: Path) -> list[str]:
    """The keys of a finding of `doctor --json`."""
    (finding,) = json.loads(_p2pnet("doctor", "--json", str(agent_toml), exit_code=1))
    return list(finding)


def _p2pnet(*arguments: str, exit_code: int = 0) -> str:
    """What the command says on standard output."""
    result = CliRunner().invoke(main, arguments)
    if result.exit_code != exit_code:
        raise RuntimeError(f"p2pnet {' '.join(arguments)}: exit code {result.exit_code}: {result.output}")
    return result.stdout


def _columns(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def _arrays(path: Path) -> list[str]:
    """Each array's name and kind of numbers."""
    with np.load(path, allow_pickle=False) as file:
        return [f"{name}: {'text' if file[name].dtype.kind == 'U' else file[name].dtype.name}" for name in file]
