"""`p2pnet demo`."""

import sys
from pathlib import Path
from typing import Any

import click

from p2pnet.catalogue.topologies import topology_forms
from p2pnet.cli.imports import find_modules_in, importing
from p2pnet.cli.options import DATA_FILES, DATASETS, network_options, report_options, training_options


@click.command()
@network_options(
    agents="How many agents, a process each.",
    topology=f"{', '.join(topology_forms(is_changing=False))}.",
    data=f"{DATASETS}, {DATA_FILES}.",
)
@click.option(
    "--partition",
    type=click.Choice(["iid", "sorted"]),
    default="iid",
    show_default=True,
    help="Shards at random, or sorted by target so that each agent sees a part of the labels only.",
)
@training_options(pace="so that one can follow")
@click.option("--float32", "is_float32", is_flag=True, help="Compute and exchange in single precision.")
@click.option("--curvature-samples", type=int, metavar="N", help="Most samples that curvature is taken from.")
@click.option("--page", "is_page", is_flag=True, help="Serve the page of the first agent until Ctrl-C.")
@click.option(
    "--set", "flags", multiple=True, metavar="SECTION.KEY=VALUE", help="A setting of all agents; may be repeated."
)
@report_options(files="each agent's settings, log and model")
def demo(hidden: str, arguments: tuple[str, ...], **options: Any) -> None:
    """Train one network across agents on this machine, each a process with data of its own."""
    from p2pnet.experiments.demo.options import DemoOptions
    from p2pnet.experiments.options import parse_arguments, parse_hidden

    find_modules_in(Path.cwd())
    demo_options = DemoOptions(hidden=parse_hidden(hidden), arguments=parse_arguments(arguments), **options)
    with importing():
        from p2pnet.experiments.demo.run import run_demo
    sys.exit(run_demo(demo_options))
