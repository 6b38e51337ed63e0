"""`p2pnet init`, `invite`, `join`, `rotate`: how a network begins, and how machines come to it."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from p2pnet.cli.imports import find_modules_in, importing
from p2pnet.cli.options import all_flags, options_of
from p2pnet.cli.run import run
from p2pnet.errors import ConfigError, ControlError

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MAX_LIFETIME_S = 30 * 86_400

agent_toml_option = click.option(
    "--agent-toml", type=click.Path(path_type=Path), default="agent.toml", show_default=True, help="Of this agent."
)

_setup_options = options_of(
    click.option("--data", metavar="SOURCE", help="Samples of this machine; short for --set data.source=SOURCE."),
    click.option("--name", metavar="NAME", help="Of this agent; default: this machine's host name."),
    click.option("--bind", metavar="ADDRESS", help="To listen on; default: the first free port from 7070 on."),
    click.option("--address", metavar="ADDRESS", help="That others dial; default: this machine's own."),
    click.option("--set", "flags", multiple=True, metavar="SECTION.KEY=VALUE", help="Another setting."),
    agent_toml_option,
    click.option("--run", "is_run", is_flag=True, help="Run the agent at once."),
)


@click.command()
@click.option("--network", "network_name", metavar="NAME", help="Of the network that begins here.")
@_setup_options
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
        genesis = founding.recover(management.files, _given(recover))
        place = management.files.path / "root.key"
        click.echo(f"the signing key of the network {genesis.name} is there again: {place}")
        return
    if network_name is None:
        raise ConfigError("p2pnet init: the network has no name yet; add --network NAME")
    from p2pnet.agent.trust.founding import found

    living = {} if is_once else {"service.keep_running": True}
    founded = found(network_name, agent_toml, {"network.min_agents": 2, **living, **_values(options)})
    genesis = founded.genesis
    click.echo(f"the network {genesis.name} ({genesis.short_id}) begins here, with {founded.member.name}: {agent_toml}")
    click.echo("its recovery line is shown this once; write it down, and keep it away from this machine:")
    click.echo(f"\n    {founded.recovery_line}\n")
    _run_or_say(ctx, agent_toml, is_run)


@click.command()
@click.argument("name", default="")
@click.option("--expires", default="1h", show_default=True, metavar="TIME", help="As in 30m, 12h, 7d.")
@click.option("--address", "addresses", multiple=True, metavar="ADDRESS", help="That the new machine is to dial.")
@click.option("--wait", "is_waiting", is_flag=True, help="Answer it here, where the agent does not run.")
@agent_toml_option
def invite(name: str, expires: str, addresses: tuple[str, ...], is_waiting: bool, agent_toml: Path) -> None:
    """Print a line by which one machine can join, called NAME or as it likes. The line is a secret until it is used."""
    settings, management = settings_and_management(agent_toml)
    from p2pnet.agent.options import network_options
    from p2pnet.agent.trust.reach import addresses_of

    now_s, lifetime_s = time.time(), _seconds(expires)
    reached_at = addresses or addresses_of(network_options(settings))
    invitation = management.invite(name, lifetime_s, reached_at, now_s)
    click.echo(invitation.to_line())
    click.echo(f"for one machine, within {expires}: p2pnet join LINE --data samples.csv", err=True)
    if not is_waiting:
        tell_agent(agent_toml, "it answers once it runs: p2pnet run agent.toml, or p2pnet invite --wait")
        return
    from p2pnet.agent.terms import terms_of
    from p2pnet.agent.trust.doorkeeper import Doorkeeper
    from p2pnet.agent.trust.waiting import answer_one

    door = Doorkeeper(management.files, management.roster, management.keys, terms_of(settings), time.time)
    if not answer_one(door, management.keys, settings.network.bind, now_s + lifetime_s, time.time):
        raise ControlError("nobody has joined within the time; make another invitation")
    click.echo("a machine has joined", err=True)


@click.command()
@click.argument("line")
@_setup_options
@click.option("--allow-code", multiple=True, metavar="CODE", help="Of the network, that may run here; may be repeated.")
@click.pass_context
def join(
    ctx: click.Context, /, line: str, allow_code: tuple[str, ...], agent_toml: Path, is_run: bool, **options: Any
) -> None:
    """Join the network of an invitation: LINE as p2pnet invite has printed it, or - to read it from standard input."""
    with importing():
        from p2pnet.agent.trust import joining

    joined = joining.join(_given(line), agent_toml, _values(options), allow_code)
    genesis = joined.genesis
    click.echo(f"joined the network {genesis.name} ({genesis.short_id}) as {joined.member.name}: {agent_toml}")
    _run_or_say(ctx, agent_toml, is_run)


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


def _values(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of options by `section.key`."""
    from p2pnet.config import values_of_flags

    given = {
        "data.source": options["data"],
        "agent.name": options["name"],
        "network.bind": options["bind"],
        "network.advertise": options["address"],
    }
    named = {key: value for key, value in given.items() if value is not None}
    return {**values_of_flags(all_flags(options["flags"], {})), **named}


def _given(line: str) -> str:
    """The line, or what standard input holds where it is `-`, so that no secret stands in a list of processes."""
    return sys.stdin.read() if line == "-" else line


def _seconds(text: str) -> int:
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS_S or not number.isdecimal() or not 0 < int(number) * _UNITS_S[unit] <= _MAX_LIFETIME_S:
        raise ConfigError(f"--expires {text}: must be a time up to 30d, as in 30m, 12h or 7d")
    return int(number) * _UNITS_S[unit]


def _run_or_say(ctx: click.Context, agent_toml: Path, is_run: bool) -> None:
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
