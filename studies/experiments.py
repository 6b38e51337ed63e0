"""Run the study of docs/experiments.md and write the page and its figures anew.

.venv/bin/python -m studies.experiments [--quick] [--output DIR] [--data DIR] [--workers N] [SECTION …]

Outcomes are kept in .results/experiments: sentences and tables can be changed without any run of the same sources.
"""

import os
import subprocess
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

# Each run has one thread; the processes share the machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click

from benchmarks.results import DIRECTORY
from studies.document import Document
from studies.laboratory import ROOT, Archive, Laboratory
from studies.methods import compare_on_classifications, compare_on_regressions
from studies.networks import compare_blocks, compare_graphs, compare_numbers_of_agents
from studies.objectives import compare_objectives, compare_strengths
from studies.partitions import compare_lost_messages, compare_partitions
from studies.plan import Plan, make_plan
from studies.stopping import compare_stops

SECTIONS = {
    "regressions": compare_on_regressions,
    "classifications": compare_on_classifications,
    "partitions": compare_partitions,
    "stopping": compare_stops,
    "loss": compare_lost_messages,
    "objectives": compare_objectives,
    "sparsity": compare_strengths,
    "graphs": compare_graphs,
    "agents": compare_numbers_of_agents,
    "blocks": compare_blocks,
}
INTRODUCTION = """
# Experiments

Simulated networks, run and written down by `python -m studies.experiments`; with the name of a section it writes that
one anew and leaves the others. NEXT runs from its defaults, with nothing tuned, and to the last round. Each row is run
from five seeds, 60 to 64; from the first three where there are 16 agents and more, or 1000 rounds, from the first alone
where there are 64 agents and more, and from as many as it says where a section says so. A seed decides the split into
training and test samples, how these are dealt, the graph and the first parameters; none of these seeds has chosen
anything. A cell has **the median of the seeds, and in brackets the worst**; – is a round that did not come. Figures
have medians, in a band from the least to the most.

An objective is always that of the network: the mean loss over all training samples, plus the penalty; and of all agents
the worst counts. `central` is the same model trained on all samples in one place, from the same first parameters
(`experiments/report/baselines.py`, Levenberg-Marquardt with momentum until ten steps gain less than 1e-6). A neural
network has many local minima, so that a network of agents may end a little below the central objective as well.
Numbers are sent as float64, unless a section says otherwise. The sentences under *What it shows* are made from the
figures of the run.
"""


def write_sections(document: Document, names: tuple[str, ...], plan: Plan, lab: Laboratory) -> None:
    commit = _commit()
    for name in names or tuple(SECTIONS):
        SECTIONS[name](document, plan, lab)
        document.text(f"Run with `p2pnet/` as of commit `{commit}`.")
        document.write()
        click.echo(f"{name} is written", err=True)


def _commit() -> str:
    """The last that has changed what is studied."""
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%h", "--", "p2pnet"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@click.command()
@click.argument("sections", nargs=-1, type=click.Choice(list(SECTIONS)))
@click.option("--quick", is_flag=True, help="Small and short: shows that everything runs.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), default=ROOT / "docs")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=ROOT.parent / "shared" / "data")
@click.option("--workers", default=2, show_default=True, help="Runs at a time.")
def main(sections: tuple[str, ...], quick: bool, output: Path, data: Path, workers: int) -> None:
    document = Document(output, INTRODUCTION)
    plan = make_plan(data, quick)
    archive = Archive(None if quick else DIRECTORY / "experiments")
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        write_sections(document, sections, plan, Laboratory(plan, pool, archive))


if __name__ == "__main__":
    main()
