"""`p2pnet init`."""

from pathlib import Path
from typing import Any

import click

from p2pnet.cli.network import line_of, run_or_say, settings_and_management, setup_options, values_of
from p2pnet.errors import ConfigError


@click.command()
@click.option("--network", "network_name", metavar="NAME", help="Of the network that begins here.")
@setup_options
@click.option("--once", "is_once", is_flag=True, help="Agents end with their training, instead of staying.")
@click.option("--recover", metavar="LINE", help="Make the signing key of this network anew; - reads the line.")
@click.pass_context
def init(
    ctx: click.Context,
    /,
    network_name: str | None,
    is_once: bool,
    recover: str | None,
    agent_toml: Path,
    is_run: bool,
    **options: Any,
) -> None:
    """Begin a network on this machine: its signing key, this agent's key, and a complete agent.toml."""
    if recover is not None:
        from p2pnet.agent.trust import founding

        _, management = settings_and_management(agent_toml)
        genesis = founding.recover(management.files, line_of(recover))
        place = management.files.path / "root.key"
        click.echo(f"the signing key of the network {genesis.name} is there again: {place}")
        return
    if network_name is None:
        raise ConfigError("p2pnet init: the network has no name yet; add --network NAME")
    from p2pnet.agent.trust.founding import found

    living = {} if is_once else {"service.keep_running": True}
    founded = found(network_name, agent_toml, {"network.min_agents": 2, **living, **values_of(options)})
    genesis = founded.genesis
    click.echo(f"the network {genesis.name} ({genesis.short_id}) begins here, with {founded.member.name}: {agent_toml}")
    click.echo("its recovery line is shown this once; write it down, and keep it away from this machine:")
    click.echo(f"\n    {founded.recovery_line}\n")
    click.echo("each further machine needs a line of its own, which this prints: p2pnet invite")
    run_or_say(ctx, agent_toml, is_run)
