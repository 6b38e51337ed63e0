"""`p2pnet simulate`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pnet.catalogue.activations import ACTIVATIONS
from p2pnet.catalogue.losses import LOSSES
from p2pnet.catalogue.solvers import SOLVERS
from p2pnet.catalogue.step_rules import STEP_RULES
from p2pnet.catalogue.surrogates import SURROGATES
from p2pnet.catalogue.topologies import topology_forms
from p2pnet.cli.imports import find_modules_in, importing
from p2pnet.cli.options import DATA_FILES, DATASETS, NameOption, network_options, report_options, training_options

if TYPE_CHECKING:
    from p2pnet.experiments.simulate.options import SimulateOptions


@click.command()
@network_options(
    agents="How many agents, up to 10,000.",
    topology=f"{', '.join(topology_forms())}, or a FILE with an edge a line and a blank line "
    "between the graphs that rounds take in turn. overlay: up to 1,000 agents find each other from a seed, agree on "
    "statistics, and choose their neighbors.",
    data=f"{DATASETS}, {DATA_FILES}, synthetic:regression:ROWS:INPUTS or synthetic:classification:ROWS:INPUTS:CLASSES.",
)
@click.option(
    "--partition",
    "partitions",
    multiple=True,
    metavar="iid|sorted|FROM:TO",
    help="Of the data: shards at random (iid, the default), or sorted by target so that each agent sees a part of the "
    "labels only. Of the network: cut in halves from one round to another, as in 50:100. Once each.",
)
@training_options(pace="in virtual time")
@click.option("--activation", cls=NameOption, registry=ACTIVATIONS, default="tanh")
@click.option("--loss", cls=NameOption, registry=LOSSES, also=("auto",), default="auto")
@click.option(
    "--algorithm",
    type=click.Choice(["next", "gradient-tracking", "dgd", "dpsgd", "alone", "central"]),
    default="next",
    show_default=True,
)
@click.option("--surrogate", cls=NameOption, registry=SURROGATES, default="partial")
@click.option("--step-rule", default="secant", show_default=True, help=f"{', '.join(STEP_RULES.forms)}.")
@click.option(
    "--weighting",
    type=click.Choice(["auto", "proxy", "own", "paper", "network"]),
    default="auto",
    show_default=True,
    help="What an agent's own curvature counts: 1, its share of the samples, or that divided by the number of agents; "
    "network: the network's curvature, for models of at most 512 parameters; auto: 1, and from where it is needed the "
    "network's, for models of at most 320.",
)
@click.option("--curvature-samples", type=int, metavar="N", help="Most samples that curvature is taken from.")
@click.option("--solver", cls=NameOption, registry=SOLVERS, also=("auto",), default="auto")
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
@click.option(
    "--blocks", default=1, show_default=True, help="Parts of whole neurons that products of a local step are made in."
)
@click.option("--workers", default=1, show_default=True, help="Threads that share each local step.")
@click.option("--processes", type=int, metavar="N", help="That share the agents; all cores from 100 agents on.")
@click.option("--float32", "is_float32", is_flag=True, help="Compute and exchange in single precision.")
@click.option(
    "--wire",
    type=click.Choice(["auto", "float64", "float32", "coded"]),
    default="auto",
    show_default=True,
    help="Numbers in messages; auto: float32 for a tolerance of 1e-5 or more; coded: in few bits.",
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
    help="Chance of each agent to crash in a round; it returns empty, unless with --checkpoints. Two agents always "
    "stay; no agent crashes in the last 50 rounds (overlay: 250), nor after ten times the time of all rounds "
    "undisturbed.",
)
@click.option("--checkpoints", is_flag=True, help="A crashed agent goes on from a checkpoint, up to 10 rounds old.")
@click.option(
    "--speeds",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A number a line, the speed of each agent: at 1 a local step takes a round's time, at 0.1 ten times as long.",
)
@click.option("--asynchronous", "is_asynchronous", is_flag=True, help="No agent waits for another.")
@click.option("--compare/--no-compare", "is_compared", default=True, help="Train centrally and alone as well.")
@report_options(files="faults.csv of a network with faults")
def simulate(**given: Any) -> None:
    """Train one network across simulated agents, in one process and virtual time."""
    find_modules_in(Path.cwd())
    options = simulate_options(**given)
    with importing():
        from p2pnet.experiments.simulate.run import run_simulation
    sys.exit(run_simulation(options))


def simulate_options(
    *, hidden: str, arguments: tuple[str, ...], partitions: tuple[str, ...], **given: Any
) -> "SimulateOptions":
    """The options of a simulation, from parsed arguments; ConfigError for the first wrong one."""
    from p2pnet.experiments.options import parse_arguments, parse_hidden
    from p2pnet.experiments.simulate.options import SimulateOptions, parse_partitions

    partition, cut = parse_partitions(partitions)
    return SimulateOptions(
        hidden=parse_hidden(hidden), arguments=parse_arguments(arguments), partition=partition, cut=cut, **given
    )
