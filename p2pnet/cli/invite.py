"""`p2pnet invite`."""

import time
from pathlib import Path

import click

from p2pnet.cli.network import agent_toml_option, settings_and_management, tell_agent
from p2pnet.errors import ConfigError, ControlError

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MAX_LIFETIME_S = 30 * 86_400


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


def _seconds(text: str) -> int:
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS_S or not number.isdecimal() or not 0 < int(number) * _UNITS_S[unit] <= _MAX_LIFETIME_S:
        raise ConfigError(f"--expires {text}: must be a time up to 30d, as in 30m, 12h or 7d")
    return int(number) * _UNITS_S[unit]
