"""Simulations side by side, each only once."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TypeVar, final

import numpy as np

from p2pnet.experiments.simulate.options import SimulateOptions
from studies.plan import TUNING_SEED, Plan, shortened
from studies.runs import Central, Run, central, run
from studies.trials import Trials

ROOT = Path(__file__).parent.parent
TUNING_ROUNDS = 200
STEP_SIZES = (0.1, 0.3, 1.0, 3.0, 10.0)
"""The grid from which gradient tracking, DGD and D-PSGD get the step size that is best for them."""
T = TypeVar("T")


@final
@dataclass(frozen=True, slots=True)
class Archive:
    """Outcomes on disk, so that a page can be written anew without what it is made from being run again.

    They are those of the sources that have made them: of other sources nothing is found.
    """

    directory: Path | None
    """None: nothing is kept"""

    def get(self, make: Callable[[SimulateOptions], T], options: SimulateOptions) -> T | None:
        path = self._path(make, options)
        if path is None or not path.exists():
            return None
        outcome: T = pickle.loads(path.read_bytes())  # noqa: S301  (written below)
        return outcome

    def put(self, make: Callable[[SimulateOptions], T], options: SimulateOptions, outcome: T) -> None:
        path = self._path(make, options)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pickle.dumps(outcome))

    def _path(self, make: Callable[[SimulateOptions], T], options: SimulateOptions) -> Path | None:
        if self.directory is None:
            return None
        name = hashlib.sha256(f"{make.__name__} {options}".encode()).hexdigest()
        return self.directory / _sources()[:12] / f"{name[:24]}.pickle"


@cache
def _sources() -> str:
    """A hash of the code that decides outcomes."""
    digest = hashlib.sha256()
    for path in (*sorted((ROOT / "p2pnet").rglob("*.py")), Path(__file__).with_name("runs.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@final
class Laboratory:
    """Runs simulations in a pool of processes, each only once however many sections ask for it."""

    def __init__(self, plan: Plan, pool: Executor, archive: Archive) -> None:
        self._plan = plan
        self._pool = pool
        self._archive = archive
        self._runs: dict[SimulateOptions, Future[Run]] = {}
        self._centrals: dict[SimulateOptions, Future[Central]] = {}

    def run_all(self, options: Iterable[SimulateOptions]) -> list[Run]:
        """One run each."""
        futures = [self._run(one) for one in options]
        return [future.result() for future in futures]

    def trials_of(self, options: Iterable[SimulateOptions], n_seeds: int | None = None) -> list[Trials]:
        """Each from the seeds that the plan has for it, or so many of these."""
        seeded = [[replace(one, seed=seed) for seed in self._plan.seeds_of(one)[:n_seeds]] for one in options]
        runs = [[self._run(one) for one in row] for row in seeded]
        centrals = [[self._central(one) for one in row] for row in seeded]
        return [
            Trials(tuple(future.result() for future in row), tuple(future.result() for future in references))
            for row, references in zip(runs, centrals, strict=True)
        ]

    def tuned(self, options: Sequence[SimulateOptions]) -> list[SimulateOptions]:
        """Each with the step size of the grid that comes lowest, from a seed of which nothing else is run."""
        trials = [
            replace(shortened(one, TUNING_ROUNDS), seed=TUNING_SEED, step_size=step)
            for one in options
            for step in STEP_SIZES
        ]
        outcomes = iter(self.run_all(trials))
        chosen = []
        for one in options:
            finals = {step: next(outcomes).summary.objective_worst for step in STEP_SIZES}
            finite = {step: objective for step, objective in finals.items() if np.isfinite(objective)}
            chosen.append(replace(one, step_size=min(finite or finals, key=finals.__getitem__)))
        return chosen

    def _run(self, options: SimulateOptions) -> Future[Run]:
        if options not in self._runs:
            self._runs[options] = self._outcome(run, options)
        return self._runs[options]

    def _central(self, options: SimulateOptions) -> Future[Central]:
        # Neither the network nor how the samples are dealt makes a difference to it.
        problem = SimulateOptions(
            data=options.data, hidden=options.hidden, loss=options.loss, penalty=options.penalty, seed=options.seed
        )
        if problem not in self._centrals:
            self._centrals[problem] = self._outcome(central, problem)
        return self._centrals[problem]

    def _outcome(self, make: Callable[[SimulateOptions], T], options: SimulateOptions) -> Future[T]:
        kept = self._archive.get(make, options)
        if kept is None:
            return self._pool.submit(_made, self._archive, make, options)
        done: Future[T] = Future()
        done.set_result(kept)
        return done


def _made(archive: Archive, make: Callable[[SimulateOptions], T], options: SimulateOptions) -> T:
    outcome = make(options)
    archive.put(make, options, outcome)
    return outcome
