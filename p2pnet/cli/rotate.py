"""`p2pnet rotate`."""

from pathlib import Path

import click

from p2pnet.cli.network import agent_toml_option, settings_and_management
from p2pnet.errors import ConfigError


@click.command()
@agent_toml_option
def rotate(agent_toml: Path) -> None:
    """Give this agent another key, for which another member vouches; the old one is revoked. The agent must not run."""
    settings, management = settings_and_management(agent_toml)
    from p2pnet.agent.options import network_options
    from p2pnet.agent.state_directory import StateDirectory
    from p2pnet.agent.trust.renewal import renew_key

    if StateDirectory(settings.agent.state_dir).is_held:
        raise ConfigError("the agent runs, by its old key; have it end first: p2pnet away")
    click.echo(renew_key(management, settings.security.secret_key, network_options(settings)).key)
    click.echo(f"this is the agent's new key; start it: p2pnet run {agent_toml}", err=True)
