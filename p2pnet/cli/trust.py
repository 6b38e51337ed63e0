"""`p2pnet revoke`, `grant`, `trust`, `id`: who belongs to the network, and who says so."""

import json
from pathlib import Path

import click

from p2pnet.cli.control import table_text
from p2pnet.cli.network import agent_toml_option, settings_and_management, tell_agent

_LATER = "others hear of it once it runs: p2pnet run agent.toml"

_root_key_option = click.option(
    "--root-key",
    type=click.Path(path_type=Path, exists=True),
    help="The network's signing key; default: network/root.key.",
)


@click.command()
@click.argument("member")
@click.option("--with-invited", is_flag=True, help="Those that it has invited, too.")
@_root_key_option
@agent_toml_option
def revoke(member: str, with_invited: bool, root_key: Path | None, agent_toml: Path) -> None:
    """Cut a member off from the network, for good: MEMBER is its name, or its key."""
    _, management = settings_and_management(agent_toml, root_key)
    revoked = management.revoke(member, with_invited=with_invited)
    tell_agent(agent_toml, _LATER)
    click.echo(f"{revoked.name} ({revoked.key}) is revoked")


@click.command()
@click.argument("member")
@click.option("--invite-only", is_flag=True, help="It may not revoke.")
@click.option(
    "--quota", type=click.IntRange(1, 256), default=256, show_default=True, help="The most that stand admitted by it."
)
@_root_key_option
@agent_toml_option
def grant(member: str, invite_only: bool, quota: int, root_key: Path | None, agent_toml: Path) -> None:
    """Let a member invite machines, and revoke members: MEMBER is its name, or its key."""
    _, management = settings_and_management(agent_toml, root_key)
    granted = management.grant(member, may_revoke=not invite_only, quota=quota)
    tell_agent(agent_toml, _LATER)
    click.echo(f"{granted.name} may invite{'' if invite_only else ' and revoke'} from now on")


@click.group()
def trust() -> None:
    """List, add or remove members of the network."""


@trust.command("list")
@click.option("--json", "is_json", is_flag=True, help="Print the answer as JSON on standard output.")
@agent_toml_option
def list_members(is_json: bool, agent_toml: Path) -> None:
    """List all that were ever admitted."""
    from dataclasses import asdict

    _, management = settings_and_management(agent_toml)
    members = list(management.members())
    if is_json:
        click.echo(json.dumps({"members": [asdict(member) for member in members]}))
        return
    head = ("NAME", "KEY", "ADMITTED BY", "RIGHTS")
    rows = [(one.name, one.key, one.admitted_by, "revoked" if one.is_revoked else one.rights) for one in members]
    click.echo(table_text([head, *rows]))


@trust.command("add")
@click.argument("key")
@click.argument("name")
@agent_toml_option
def add_member(key: str, name: str, agent_toml: Path) -> None:
    """Admit a key without an invitation, for a machine to which network/records is copied by hand."""
    _, management = settings_and_management(agent_toml)
    management.add(key, name)
    tell_agent(agent_toml, _LATER)
    click.echo(f"{name} ({key}) is a member; copy {management.files.path / 'records'} to its machine")


trust.add_command(revoke, "remove")


@click.command("id")
@agent_toml_option
def show_id(agent_toml: Path) -> None:
    """Print this agent's public key, and what it is called in which network."""
    settings, management = settings_and_management(agent_toml)
    genesis = management.roster.genesis
    click.echo(management.keys.public)
    click.echo(f"{settings.agent.name}, of the network {genesis.name} ({genesis.short_id})", err=True)
