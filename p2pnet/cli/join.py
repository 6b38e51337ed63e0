"""`p2pnet join`."""

from pathlib import Path
from typing import Any

import click

from p2pnet.cli.imports import importing
from p2pnet.cli.network import line_of, run_or_say, setup_options, values_of


@click.command()
@click.argument("line")
@setup_options
@click.option("--allow-code", multiple=True, metavar="CODE", help="Of the network, that may run here; may be repeated.")
@click.pass_context
def join(
    ctx: click.Context, /, line: str, allow_code: tuple[str, ...], agent_toml: Path, is_run: bool, **options: Any
) -> None:
    """Join the network of an invitation: LINE as p2pnet invite has printed it, or - to read it from standard input."""
    with importing():
        from p2pnet.agent.trust import joining

    joined = joining.join(line_of(line), agent_toml, values_of(options), allow_code)
    genesis = joined.genesis
    click.echo(f"joined the network {genesis.name} ({genesis.short_id}) as {joined.member.name}: {agent_toml}")
    run_or_say(ctx, agent_toml, is_run)
