"""`p2pnet run`."""

import sys
from pathlib import Path

import click

from p2pnet.cli.imports import importing
from p2pnet.cli.options import all_flags, settings_options


@click.command()
@settings_options
def run(agent_toml: Path, flags: tuple[str, ...], **shorthands: str | None) -> None:
    """Run the agent that AGENT_TOML describes, until the network has trained its model."""
    with importing():
        from p2pnet.config import read_settings
    settings = read_settings(agent_toml, all_flags(flags, shorthands))
    with importing():
        from p2pnet.agent.run import run_agent

    sys.exit(run_agent(settings))
