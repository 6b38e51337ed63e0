"""`p2pnet sweep`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from click.core import ParameterSource

from p2pnet.cli.imports import find_modules_in, importing
from p2pnet.cli.simulate import simulate, simulate_options
from p2pnet.errors import ConfigError

if TYPE_CHECKING:
    from p2pnet.experiments.simulate.options import SimulateOptions
    from p2pnet.experiments.sweep.grid import Varied

_DECIDED = {"seed": "--seeds", "report": "--out", "is_json": "its tables in --out", "processes": "--jobs"}
"""Options of a simulation that a sweep decides, and what it has instead."""


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--vary",
    "varied",
    multiple=True,
    metavar="'OPTION VALUE VALUE ...'",
    help="An option of simulate, and the values that it takes, as in 'loss-rate 0 0.1 0.3'; of a flag yes and no. "
    "May be repeated: all combinations are run.",
)
@click.option(
    "--seeds",
    default="3",
    show_default=True,
    metavar="N|FIRST:END",
    help="Of each combination: their number, or range.",
)
@click.option(
    "--out",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="Keeps each outcome as it comes. The same command again runs what is missing there.",
)
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Simulations at a time; default: one a core.")
@click.option(
    "--dask", metavar="ADDRESS", help="Run on the Dask cluster whose scheduler listens there, tcp://host:port."
)
@click.option("--format", "table_format", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True)
@click.argument("simulate_arguments", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF SIMULATE]...")
def sweep(
    varied: tuple[str, ...],
    seeds: str,
    directory: Path,
    jobs: int | None,
    dask: str | None,
    table_format: Literal["csv", "parquet"],
    simulate_arguments: tuple[str, ...],
) -> None:
    """Run a grid of simulations, settings by seeds, and compare their medians and worst.

    All other options are those of `p2pnet simulate`, the same in all simulations. Central training is left out,
    unless with --compare.
    """
    from p2pnet.experiments.sweep.grid import make_grid, parse_seeds, parse_variation

    find_modules_in(Path.cwd())
    cells = make_grid(
        [parse_variation(text) for text in varied],
        parse_seeds(seeds),
        lambda settings: _options(simulate_arguments, settings),
    )
    with importing():
        from p2pnet.experiments.sweep.run import SweepOptions, run_sweep
    options = SweepOptions(directory=directory, jobs=jobs, dask=dask, table_format=table_format)
    sys.exit(run_sweep(cells, options))


def _options(common: Sequence[str], settings: "Varied") -> "SimulateOptions":
    """The options of one simulation, read by the parser of `p2pnet simulate`."""
    arguments = ["--no-compare", *common]
    for option, value in settings.items():
        arguments += _argument(option, value)
    try:
        context = simulate.make_context("simulate", arguments)
    except click.ClickException as error:
        raise ConfigError(error.format_message()) from error
    for name, instead in _DECIDED.items():
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise ConfigError(f"--{name.removeprefix('is_')} is for one simulation; a sweep has {instead}")
    return simulate_options(**context.params)


def _argument(option: str, value: str) -> list[str]:
    """What stands on the command line for a value; a flag is there or is not."""
    flag = next((one for one in simulate.params if isinstance(one, click.Option) and f"--{option}" in one.opts), None)
    if flag is None:
        raise ConfigError(f"--vary {option}: is no option of simulate; see p2pnet simulate --help")
    if not flag.is_flag:
        return [f"--{option}", value]
    if value not in ("yes", "no"):
        raise ConfigError(f"--vary {option}: is a flag, whose values are yes and no, not {value}")
    if value == "yes":
        return [f"--{option}"]
    return [*flag.secondary_opts[:1]]
