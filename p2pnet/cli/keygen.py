"""`p2pnet keygen`."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--output", type=click.Path(path_type=Path), default="agent.key", show_default=True, help="File to write."
)
@click.option("--force", is_flag=True, help="Replace a key that is there: the agent becomes another one to its peers.")
def keygen(output: Path, force: bool) -> None:
    """Make this agent's key pair, readable by you alone, and print its public key."""
    from p2pnet.agent.transport.keys import generate_keys, write_keys

    keys = generate_keys()
    write_keys(output, keys, is_replacing=force)
    click.echo(keys.public)
