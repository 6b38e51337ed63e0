"""Train from defaults what differs in data, partition, graph, loss and penalty, and print how it went, a line a run.

    .venv/bin/python -m studies.matrix [--quick | --deep] [DIRECTORY]

DIRECTORY holds further regressions as .csv files. `rest` is the round in which training came to rest by itself, `left`
the residual then, relative to the first. `objective` is the worst agent's, above that of the same model trained
centrally, or the objective itself where the central one is next to nothing; `way` is what is left of the way from the
first objective to the central one. Exit 1 if a run did not come to rest. Rows are kept in .results/matrix.jsonl: one
that came to rest is not run again for the same commit.

With --deep some of them go on to a residual of 1e-6, and what is printed is the round from which on the residual of the
network, at the mean of the agents' parameters, stays below each part of the first; with the least and the last.
"""

import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import click
import numpy as np

from benchmarks.results import DIRECTORY, ResultFile, commit, machine, stamped
from p2pnet.config import LossName
from p2pnet.data.sharding import PartitionName
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.run import simulate
from p2pnet.experiments.simulate.summary import SimulationSummary, stationarity_at

RESULTS = ResultFile(DIRECTORY / "matrix.jsonl")
BASE = SimulateOptions(agents=8, topology="ring", hidden=(20,), penalty="l2:1e-3", rounds=1000)
PARTITIONS: tuple[PartitionName, ...] = ("iid", "sorted")
TOPOLOGIES = ("ring", "random", "exponential", "one-peer-exponential")
LOSSES: Mapping[str, tuple[LossName, ...]] = {
    "diabetes": ("half-squared", "huber", "log-cosh"),
    "breast-cancer": ("softmax-cross-entropy", "logistic", "squared-hinge"),
}
PENALTIES = ("none", "l2:1e-3", "l1:1e-3", "elastic-net:1e-3:0.5", "group:1e-3", "box:-1:1")
HEADER = (
    f"{'data':18}{'partition':11}{'topology':22}{'loss':23}{'penalty':22}"
    f"{'rest':>5}{'left':>9}{'objective':>11}{'way':>7}{'test':>8}{'central':>9}"
)
NEXT_TO_NOTHING = 1e-3
"""of the first objective: what a central one is where a model can separate the classes, and no penalty holds it back"""

DEEP = replace(BASE, rounds=3000, tolerance=1e-6, is_compared=False)
DEEP_EVERY = 10
"""Rounds between two looks at the residual."""
LEVELS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
DEEP_HEADER = (
    f"{'data':18}{'partition':11}{'model':8}"
    + "".join(f"{level:>7.0e}" for level in LEVELS)
    + f"{'least':>9}{'last':>9}{'rounds':>8}"
)


def runs(directory: Path | None, is_quick: bool) -> Iterator[SimulateOptions]:
    """Each data set on each graph and partition, and each loss with each penalty and partition."""
    files = [str(path) for path in sorted(directory.glob("*.csv"))] if directory else []
    datasets = ["diabetes", "digits", "breast-cancer", "wine", "iris", *files]
    if is_quick:
        yield from (replace(BASE, data="iris", partition=partition) for partition in PARTITIONS)
        yield replace(BASE, data="diabetes", loss="huber", penalty="l1:1e-2", topology="one-peer-exponential")
        return
    for data in datasets:
        for partition in PARTITIONS:
            yield from (replace(BASE, data=data, partition=partition, topology=topology) for topology in TOPOLOGIES)
    for data, losses in LOSSES.items():
        for loss in losses:
            for penalty in PENALTIES:
                yield from (
                    replace(BASE, data=data, loss=loss, penalty=penalty, partition=partition)
                    for partition in PARTITIONS
                )


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of the matrix."""

    options: SimulateOptions
    summary: SimulationSummary
    objective_first: float

    @property
    def is_at_rest(self) -> bool:
        return self.summary.stopped_because == "converged"

    @property
    def line(self) -> str:
        options, summary = self.options, self.summary
        rest = str(summary.rounds) if self.is_at_rest else "–"
        worst, central = summary.objective_worst, summary.objective_central
        is_nothing = central < NEXT_TO_NOTHING * self.objective_first
        objective = f"{worst:.1e}" if is_nothing else f"{worst / central - 1:+.1%}"
        way = (worst - central) / (self.objective_first - central)
        return (
            f"{Path(options.data).stem:18}{options.partition:11}{options.topology:22}{summary.loss:23}"
            f"{options.penalty:22}{rest:>5}{summary.stationarity / summary.stationarity_first:>9.1e}"
            f"{objective:>11}{way:>7.1%}{summary.test_metric_worst:>8.3f}{summary.test_metric_central:>9.3f}"
        )


def run(options: SimulateOptions) -> Outcome:
    simulated = simulate(options)
    problem = simulated.workload.problem
    first = problem.objective(problem.first_params(), problem.local_objective(simulated.workload.train))
    return Outcome(options, simulated.summary, first)


def kept_lines() -> dict[str, str]:
    """The lines of runs that came to rest on this commit and machine, by their options."""
    here = {"is_at_rest": True, "commit": commit(), "machine": machine()}
    return {record["run"]: record["line"] for record in RESULTS.records() if here.items() <= record.items()}


def deep_runs(directory: Path | None) -> Iterator[SimulateOptions]:
    """Each data set on a ring, and linear models, whose objectives are convex."""
    files = [str(path) for path in sorted(directory.glob("*.csv"))] if directory else []
    for partition in PARTITIONS:
        for data in ("diabetes", "breast-cancer", "wine", "iris", "digits", *files):
            yield replace(DEEP, data=data, partition=partition)
        for data in ("diabetes", "breast-cancer", "wine", "iris"):
            yield replace(DEEP, data=data, partition=partition, hidden=())


def run_deep(options: SimulateOptions) -> str:
    """The line of one run."""
    simulated = simulate(options, range(0, options.rounds, DEEP_EVERY))
    workload, trails = simulated.workload, list(simulated.trails.values())
    rounds = sorted(trails[0])
    residuals = np.array(
        [
            stationarity_at(workload.problem, workload, np.mean([trail[round_] for trail in trails], axis=0))
            for round_ in rounds
        ]
    )
    residuals /= residuals[0]
    below = []
    for level in LEVELS:
        n_until = int(np.flatnonzero(residuals > level)[-1]) + 1
        below.append(str(rounds[n_until]) if n_until < len(rounds) else "–")
    model = "MLP" if options.hidden else "linear"
    return (
        f"{Path(options.data).stem:18}{options.partition:11}{model:8}"
        + "".join(f"{round_:>7}" for round_ in below)
        + f"{residuals.min():>9.1e}{residuals[-1]:>9.1e}{simulated.summary.rounds:>8}"
    )


@click.command()
@click.argument("directory", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--quick", is_flag=True, help="A few small runs only.")
@click.option("--deep", is_flag=True, help="A few runs, down to a residual of 1e-6 of the first.")
@click.option("--workers", default=2, show_default=True, help="Runs at a time.")
def main(directory: Path | None, quick: bool, deep: bool, workers: int) -> None:
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        if deep:
            print(DEEP_HEADER)
            for line in pool.map(run_deep, deep_runs(directory)):
                print(line, flush=True)
            return
        print(HEADER)
        n_runs = n_restless = 0
        kept = kept_lines()
        started = {options: pool.submit(run, options) for options in runs(directory, quick) if str(options) not in kept}
        for options in runs(directory, quick):
            n_runs += 1
            if str(options) in kept:
                print(kept[str(options)], flush=True)
                continue
            outcome = started[options].result()
            print(outcome.line, flush=True)
            row = {"run": str(options), "line": outcome.line, "is_at_rest": outcome.is_at_rest}
            RESULTS.append(stamped(row))
            n_restless += not outcome.is_at_rest
    print(f"{n_restless} of {n_runs} did not come to rest in {BASE.rounds} rounds")
    sys.exit(1 if n_restless else 0)


if __name__ == "__main__":
    main()
