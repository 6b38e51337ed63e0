"""`p2pnet check`."""

from pathlib import Path
from typing import Any

import click

from p2pnet.cli.imports import find_modules_in
from p2pnet.cli.options import all_flags, settings_flags


@click.command()
@click.argument("agent_toml", type=click.Path(path_type=Path), required=False)
@settings_flags
@click.option("--data", type=click.Path(path_type=Path), metavar="FILE", help="Check samples alone.")
@click.option("--target", metavar="COLUMN", help="With --data: the column to predict; default: the last one.")
@click.option("--suggest", "is_suggesting", is_flag=True, help="With --data: print settings for it, as TOML.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --suggest: write them into this file instead.",
)
def check(
    agent_toml: Path | None,
    flags: tuple[str, ...],
    data: Path | None,
    target: str | None,
    is_suggesting: bool,
    out: Path | None,
    **shorthands: str | None,
) -> None:
    """Say whether AGENT_TOML (by default agent.toml here), its key and its data are fit to run, without running; or
    check samples alone (--data), with all that is wrong with them in one list, and suggest settings for them
    (--suggest).
    """
    if data is not None and agent_toml is not None:
        raise click.UsageError("give AGENT_TOML, or samples with --data.")
    if data is None and (target or is_suggesting or out):
        raise click.UsageError("--target, --suggest and --out go with --data.")
    if data is None:
        agent_toml = agent_toml or Path("agent.toml")
        from p2pnet.agent.diagnostics.check import check_agent
        from p2pnet.config import read_settings

        find_modules_in(agent_toml.parent)
        report = check_agent(read_settings(agent_toml, all_flags(flags, shorthands)))
        for note in report.notes:
            click.echo(f"note: {note}", err=True)
        click.echo(f"{agent_toml}: {report.text}")
        return
    from p2pnet.config import settings_of, values_of_flags

    values: dict[str, Any] = {**values_of_flags(all_flags(flags, shorthands)), "data.source": str(data)}
    if target is not None:
        values["data.target"] = target
    settings = settings_of(values, "command line")
    if is_suggesting:
        from p2pnet.agent.diagnostics.check_data import suggested_settings
        from p2pnet.data.files import write_file

        text = suggested_settings(settings)
        if out is None:
            click.echo(text, nl=False)
        else:
            write_file(out, text.encode())
        return
    from p2pnet.agent.diagnostics.check_data import check_data

    report = check_data(settings)
    for note in report.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"{data}: {report.text}")
