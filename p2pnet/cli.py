"""The command line: parse, call, print, exit code. What a command needs is imported when it runs."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import click

from p2pnet import __version__
from p2pnet.errors import P2pnetError

Command: TypeAlias = Callable[..., Any]
Decorator: TypeAlias = Callable[[Command], Command]


class _Commands(click.Group):
    """Commands whose errors are one line on standard error and an exit code of their own."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except P2pnetError as error:
            click.echo(f"p2pnet: {' '.join(str(error).split())}", err=True)
            sys.exit(error.exit_code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="p2pnet")
def main() -> None:
    """Train a neural network over many machines, without a server, while the data stays where it is."""


def _options(*options: Decorator) -> Decorator:
    """All of these, shown in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _shorthand(flag: str, key: str) -> Decorator:
    return click.option(flag, key.replace(".", "__"), metavar="VALUE", help=f"Short for --set {key}=VALUE.")


_settings_options = _options(
    click.argument("agent_toml", type=click.Path(path_type=Path)),
    click.option(
        "--set", "flags", multiple=True, metavar="SECTION.KEY=VALUE", help="Overrule a setting; may be repeated."
    ),
    _shorthand("--log-level", "log.level"),
    _shorthand("--rounds", "algorithm.rounds"),
    _shorthand("--bind", "network.bind"),
    _shorthand("--name", "agent.name"),
)
"""AGENT_TOML and the flags that overrule it."""


def _network_options(*, agents: str, topology: str, data: str) -> Decorator:
    """Who trains on what; the help says what a command can take."""
    return _options(
        click.option("--agents", default=8, show_default=True, help=agents),
        click.option("--topology", default="ring", show_default=True, help=topology),
        click.option("--data", default="digits", show_default=True, help=data),
        click.option("--target", metavar="COLUMN", help="Column of the file to predict; default: the last one."),
        click.option(
            "--task", type=click.Choice(["auto", "regression", "classification"]), default="auto", show_default=True
        ),
    )


def _training_options(*, pace: str) -> Decorator:
    """What is trained, and for how long."""
    return _options(
        click.option(
            "--hidden", default="32", show_default=True, help="Widths of the hidden layers, as in 64,32; or none."
        ),
        click.option("--penalty", default="l2:1e-3", show_default=True, help="none, l2:STRENGTH, l1:STRENGTH, ..."),
        click.option(
            "--rounds", default=500, show_default=True, help="Most rounds; it ends earlier when it has converged."
        ),
        click.option("--pace", "pace_s", default=0.0, metavar="SECONDS", help=f"Least time a round takes, {pace}."),
        click.option("--seed", default=0, show_default=True, help="Seed of everything random."),
    )


def _report_options(*, files: str) -> Decorator:
    """Where it is said how it went."""
    return _options(
        click.option(
            "--report",
            type=click.Path(path_type=Path, file_okay=False),
            metavar="DIR",
            help=f"Keep summary.json, history.csv, curves.png, and {files}.",
        ),
        click.option(
            "--json", "is_json", is_flag=True, help="Print the summary as JSON on standard output, nothing else."
        ),
    )


def _flags(flags: tuple[str, ...], shorthands: dict[str, str | None]) -> list[str]:
    named = [f"{key.replace('__', '.')}={value}" for key, value in shorthands.items() if value is not None]
    return [*flags, *named]


@main.command()
@_settings_options
def run(agent_toml: Path, flags: tuple[str, ...], **shorthands: str | None) -> None:
    """Run the agent that AGENT_TOML describes, until the network has trained its model."""
    from p2pnet.config import read_settings

    settings = read_settings(agent_toml, _flags(flags, shorthands))
    from p2pnet.agent.run import run_agent

    sys.exit(run_agent(settings))


@main.command()
@_settings_options
def check(agent_toml: Path, flags: tuple[str, ...], **shorthands: str | None) -> None:
    """Say whether AGENT_TOML, its key and its data are fit to run, without running."""
    from p2pnet.agent.diagnostics.check import check_agent
    from p2pnet.config import read_settings

    click.echo(f"{agent_toml}: {check_agent(read_settings(agent_toml, _flags(flags, shorthands)))}")


@main.command()
@_settings_options
@click.option("--json", "is_json", is_flag=True, help="Print the findings as JSON on standard output.")
def doctor(agent_toml: Path, flags: tuple[str, ...], is_json: bool, **shorthands: str | None) -> None:
    """Say why the agent of AGENT_TOML and those it is to train with cannot reach each other.

    It may be run while the agent runs. Exit code 0 if nothing is wrong, else 1.
    """
    from p2pnet.agent.diagnostics.doctor import as_json, as_line, examine, is_well

    findings = []
    for finding in examine(agent_toml, _flags(flags, shorthands)):
        findings.append(finding)
        if not is_json:
            click.echo(as_line(finding))
    if is_json:
        click.echo(as_json(findings))
    sys.exit(0 if is_well(findings) else 1)


@main.command()
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


@main.command()
@_network_options(
    agents="How many agents, a process each.",
    topology="ring, path, star, grid, full, random or random:P.",
    data="digits, breast-cancer, diabetes, wine, iris, FILE.csv or FILE.npz.",
)
@click.option(
    "--partition",
    type=click.Choice(["iid", "sorted"]),
    default="iid",
    show_default=True,
    help="Shards at random, or sorted by target so that each agent sees a part of the labels only.",
)
@_training_options(pace="so that one can follow")
@_report_options(files="each agent's settings, log and model")
def demo(hidden: str, **options: Any) -> None:
    """Train one network across agents on this machine, each a process with data of its own."""
    from p2pnet.experiments.demo.options import DemoOptions
    from p2pnet.experiments.options import parse_hidden

    demo_options = DemoOptions(hidden=parse_hidden(hidden), **options)
    from p2pnet.experiments.demo.run import run_demo

    sys.exit(run_demo(demo_options))


@main.command()
@_network_options(
    agents="How many agents, up to 10,000.",
    topology="ring, path, star, grid, torus, full, exponential, random:P, regular:D, one-peer-exponential, matching, "
    "or a FILE with an edge a line and a blank line between the graphs that rounds take in turn.",
    data="digits, breast-cancer, diabetes, wine, iris, FILE.csv, FILE.npz, synthetic:regression:ROWS:INPUTS or "
    "synthetic:classification:ROWS:INPUTS:CLASSES.",
)
@click.option(
    "--partition",
    "partitions",
    multiple=True,
    metavar="iid|sorted|FROM:TO",
    help="Of the data: shards at random (iid, the default), or sorted by target so that each agent sees a part of the "
    "labels only. Of the network: cut in halves from one round to another, as in 50:100. Once each.",
)
@_training_options(pace="in virtual time")
@click.option(
    "--activation",
    type=click.Choice(["tanh", "relu", "gelu", "softplus", "sigmoid", "identity"]),
    default="tanh",
    show_default=True,
)
@click.option(
    "--loss",
    type=click.Choice(
        [
            *("auto", "half-squared", "huber", "log-cosh", "poisson-deviance"),
            *("softmax-cross-entropy", "logistic", "squared-hinge"),
        ]
    ),
    default="auto",
    show_default=True,
)
@click.option(
    "--algorithm",
    type=click.Choice(["next", "gradient-tracking", "dgd", "dpsgd", "alone", "central"]),
    default="next",
    show_default=True,
)
@click.option("--surrogate", type=click.Choice(["partial", "full"]), default="partial", show_default=True)
@click.option(
    "--step-rule", default="secant", show_default=True, help="secant, constant:WEIGHT or diminishing:STEP_SIZE:DECAY."
)
@click.option(
    "--weighting",
    type=click.Choice(["proxy", "own", "paper"]),
    default="proxy",
    show_default=True,
    help="What an agent's own curvature counts: 1, its share of the samples, or that divided by the number of agents.",
)
@click.option("--curvature-samples", type=int, metavar="N", help="Most samples that curvature is taken from.")
@click.option(
    "--solver",
    type=click.Choice(["auto", "direct", "cg", "cg-jacobi", "accelerated-proximal-gradient", "proximal-newton"]),
    default="auto",
    show_default=True,
)
@click.option(
    "--gradient-order",
    type=click.Choice(["after-mixing", "before-mixing"]),
    default="after-mixing",
    show_default=True,
    help="Whether gradients are taken after an exchange or before it.",
)
@click.option("--exchanges", type=int, metavar="K", help="Rounds to each local step; 1 unless for next.")
@click.option("--step-size", default=0.1, show_default=True, help="Of gradient-tracking, dgd and dpsgd.")
@click.option("--batch-size", default=32, show_default=True, help="Samples of a step of dpsgd.")
@click.option("--tolerance", type=float, metavar="PART", help="Converged: the residual is this part of the first.")
@click.option("--blocks", default=1, show_default=True, help="Parts of whole neurons that a local step is solved in.")
@click.option("--workers", default=1, show_default=True, help="Threads that share each local step.")
@click.option("--processes", type=int, metavar="N", help="That share the agents; all cores from 100 agents on.")
@click.option("--float32", "is_float32", is_flag=True, help="Compute and exchange in single precision.")
@click.option(
    "--wire",
    type=click.Choice(["auto", "float64", "float32"]),
    default="auto",
    show_default=True,
    help="Numbers in messages; auto: float32 for a tolerance of 1e-5 or more.",
)
@click.option("--loss-rate", default=0.0, metavar="P", help="Chance of each message to be lost, up to 0.95.")
@click.option("--duplicate-rate", default=0.0, metavar="P", help="Chance of each message to come twice.")
@click.option(
    "--delay-rounds", default=0.0, metavar="K", help="Most rounds that a message may take longer, up to 1000."
)
@click.option(
    "--churn",
    default=0.0,
    metavar="P",
    help="Chance of each agent to crash in a round; it returns empty. Two agents always stay, and in the last 50 "
    "rounds nobody crashes.",
)
@click.option(
    "--speeds",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A number a line, the speed of each agent: at 1 a local step takes a round's time, at 0.1 ten times as long.",
)
@click.option("--asynchronous", "is_asynchronous", is_flag=True, help="Nobody waits for anybody.")
@click.option("--compare/--no-compare", "is_compared", default=True, help="Train centrally and alone as well.")
@_report_options(files="faults.csv of a network with faults")
def simulate(hidden: str, partitions: tuple[str, ...], **options: Any) -> None:
    """Train one network across simulated agents, in one process and virtual time."""
    from p2pnet.experiments.options import parse_hidden
    from p2pnet.experiments.simulate.options import SimulateOptions, parse_partitions

    partition, cut = parse_partitions(partitions)
    simulate_options = SimulateOptions(hidden=parse_hidden(hidden), partition=partition, cut=cut, **options)
    from p2pnet.experiments.simulate.run import run_simulation

    sys.exit(run_simulation(simulate_options))
