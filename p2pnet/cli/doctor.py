"""`p2pnet doctor`."""

import sys
from pathlib import Path

import click

from p2pnet.cli.imports import find_modules_in
from p2pnet.cli.options import all_flags, settings_options


@click.command()
@settings_options
@click.option("--json", "is_json", is_flag=True, help="Print the findings as JSON on standard output.")
def doctor(agent_toml: Path, flags: tuple[str, ...], is_json: bool, **shorthands: str | None) -> None:
    """Say why the agent of AGENT_TOML and those it is to train with cannot reach each other.

    It may be run while the agent runs. Exit code 0 if nothing is wrong, else 1.
    """
    from p2pnet.agent.diagnostics.doctor import as_json, as_line, examine, is_well

    find_modules_in(agent_toml.parent)
    findings = []
    for finding in examine(agent_toml, all_flags(flags, shorthands)):
        findings.append(finding)
        if not is_json:
            click.echo(as_line(finding))
    if is_json:
        click.echo(as_json(findings))
    sys.exit(0 if is_well(findings) else 1)
