"""`p2pnet check`."""

from pathlib import Path

import click

from p2pnet.cli.options import all_flags, settings_options


@click.command()
@settings_options
def check(agent_toml: Path, flags: tuple[str, ...], **shorthands: str | None) -> None:
    """Say whether AGENT_TOML, its key and its data are fit to run, without running."""
    from p2pnet.agent.diagnostics.check import check_agent
    from p2pnet.config import read_settings

    click.echo(f"{agent_toml}: {check_agent(read_settings(agent_toml, all_flags(flags, shorthands)))}")
