"""Run the study of docs/experiments.md and write the page and its figures anew.

.venv/bin/python -m studies.experiments [--quick] [--output DIR] [--data DIR] [SECTION …]
"""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

# Each run has one thread; the processes share the machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click

from studies.document import Document
from studies.methods import compare_on_classifications, compare_on_regressions, compare_partitions
from studies.networks import compare_blocks, compare_graphs, compare_numbers_of_agents
from studies.objectives import compare_objectives, compare_strengths
from studies.plan import Plan, make_plan
from studies.runs import Laboratory

ROOT = Path(__file__).parent.parent
SECTIONS = {
    "regressions": compare_on_regressions,
    "classifications": compare_on_classifications,
    "partitions": compare_partitions,
    "objectives": compare_objectives,
    "sparsity": compare_strengths,
    "graphs": compare_graphs,
    "agents": compare_numbers_of_agents,
    "blocks": compare_blocks,
}
INTRODUCTION = """
# Experiments

Simulated networks, run and written down by `python -m studies.experiments`; with the name of a section it writes that
one anew and leaves the others. All runs begin from the same parameters and have one seed; NEXT runs from its defaults,
with nothing tuned. An objective is always that of the network: the mean loss over all training samples, plus the
penalty; and of all agents the worst counts. `central` is the same model trained on all samples in one place
(`experiments/report/baselines.py`, Levenberg-Marquardt with momentum until ten steps gain less than 1e-5). A neural
network has many local minima, so a network of agents may end a little below the central objective as well. The
sentences under *What it shows* are made from the figures of the run.
"""


def write_sections(document: Document, names: tuple[str, ...], plan: Plan, lab: Laboratory, workers: int) -> None:
    for name in names or tuple(SECTIONS):
        start = time.monotonic()
        SECTIONS[name](document, plan, lab)
        seconds = time.monotonic() - start
        document.text(f"Run in {seconds:.0f} s, {workers} runs at a time.")
        document.write()
        click.echo(f"{name}: {seconds:.0f} s", err=True)


@click.command()
@click.argument("sections", nargs=-1, type=click.Choice(list(SECTIONS)))
@click.option("--quick", is_flag=True, help="Small and short: shows that everything runs.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), default=ROOT / "docs")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=ROOT.parent / "shared" / "data")
@click.option("--workers", default=2, show_default=True, help="Runs at a time.")
def main(sections: tuple[str, ...], quick: bool, output: Path, data: Path, workers: int) -> None:
    document = Document(output, INTRODUCTION)
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        write_sections(document, sections, make_plan(data, quick), Laboratory(pool), workers)


if __name__ == "__main__":
    main()
