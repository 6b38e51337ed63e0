"""`p2pnet run`."""

import sys
from functools import partial
from pathlib import Path

import click

from p2pnet.cli.imports import find_modules_in, importing
from p2pnet.cli.options import all_flags, settings_options


@click.command()
@settings_options
@click.option("--fresh", "is_fresh", is_flag=True, help="Begin anew: pass over the checkpoint of an earlier run.")
@click.option("--serve", "is_serving", is_flag=True, help="Short for --set service.keep_running=true.")
@click.option(
    "--start-from",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="MODEL",
    help="Begin anew with the parameters of this model file.",
)
def run(
    agent_toml: Path,
    flags: tuple[str, ...],
    is_fresh: bool,
    is_serving: bool,
    start_from: Path | None,
    **shorthands: str | None,
) -> None:
    """Run the agent that AGENT_TOML describes, until the network has trained its model, or with --serve for good. An
    interrupted run goes on from its checkpoint.
    """
    with importing():
        from p2pnet.config import read_settings
    find_modules_in(agent_toml.parent)
    serving = ["service.keep_running=true"] if is_serving else []
    read = partial(read_settings, agent_toml, [*all_flags(flags, shorthands), *serving])
    settings = read()
    with importing():
        from p2pnet.agent.resuming import Beginning
        from p2pnet.agent.run import run_agent

    sys.exit(run_agent(settings, beginning=Beginning(is_fresh, start_from), read_again=read))
