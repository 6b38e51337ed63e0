"""What the commands have in common by which a network begins, and machines come and go."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from p2pnet.cli.imports import find_modules_in, importing
from p2pnet.cli.options import all_flags, options_of
from p2pnet.cli.run import run
from p2pnet.errors import ConfigError, ControlError

agent_toml_option = click.option(
    "--agent-toml", type=click.Path(path_type=Path), default="agent.toml", show_default=True, help="Of this agent."
)

setup_options = options_of(
    click.option("--data", metavar="SOURCE", help="Samples of this machine; short for --set data.source=SOURCE."),
    click.option(
        "--settings",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE",
        help="More settings, as p2pnet check --suggest writes them, or another agent.toml, but for its seeds.",
    ),
    click.option("--name", metavar="NAME", help="Of this agent; default: this machine's host name."),
    click.option("--bind", metavar="ADDRESS", help="To listen on; default: the first free port from 7070 on."),
    click.option("--address", metavar="ADDRESS", help="That others dial; default: this machine's own."),
    click.option("--set", "flags", multiple=True, metavar="SECTION.KEY=VALUE", help="Another setting."),
    agent_toml_option,
    click.option("--run", "is_run", is_flag=True, help="Run the agent at once."),
)


def values_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of options by `section.key`; without the seeds of a file, which is that of an agent elsewhere."""
    from p2pnet.config import values_of_file, values_of_flags

    given = {
        "data.source": options["data"],
        "agent.name": options["name"],
        "network.bind": options["bind"],
        "network.advertise": options["address"],
    }
    named = {key: value for key, value in given.items() if value is not None}
    of_file = {} if options["settings"] is None else dict(values_of_file(options["settings"]))
    of_file.pop("network.seeds", None)
    return {**of_file, **values_of_flags(all_flags(options["flags"], {})), **named}


def line_of(line: str) -> str:
    """The line, or what standard input holds where it is `-`, so that no secret stands in a list of processes."""
    return sys.stdin.read() if line == "-" else line


def run_or_say(ctx: click.Context, agent_toml: Path, is_run: bool) -> None:
    if is_run:
        ctx.invoke(run, agent_toml=agent_toml)
    click.echo(f"run it: p2pnet run {agent_toml}")


def tell_agent(agent_toml: Path, otherwise: str) -> None:
    """Have the running agent take in what has been put on disk; say `otherwise` where none runs."""
    from p2pnet.cli.control import ask_agent

    try:
        ask_agent(agent_toml, (), "records")
    except ControlError:
        click.echo(f"the agent does not run here; {otherwise}", err=True)


def settings_and_management(agent_toml: Path, root_key: Path | None = None) -> tuple[Any, Any]:
    """The settings of this agent, and its network as its user manages it."""
    with importing():
        from p2pnet.agent.trust.managing import Management
        from p2pnet.config import read_settings
    find_modules_in(agent_toml.parent)
    settings = read_settings(agent_toml)
    if settings.security.network is None:
        raise ConfigError(f"{agent_toml}: names no network with records; p2pnet init begins one, in another directory")
    return settings, Management(settings.security.network, settings.security.secret_key, root_key)
