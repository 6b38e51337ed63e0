"""Tests of mutants: each in a forked process in which the mutant takes the place of its module."""

import importlib.abc
import importlib.machinery
import importlib.util
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from mutating.mutants import Mutant

ROOT = Path(__file__).resolve().parents[2]
SURVIVED = 0


class MutantLoader(importlib.machinery.SourceFileLoader):
    """Compiles the mutant's code instead of the file's."""

    def __init__(self, name: str, mutant: Mutant) -> None:
        super().__init__(name, str(mutant.path))
        self._code = mutant.code

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(self._code, self.path, "exec", dont_inherit=True)
        return code


class MutantFinder(importlib.abc.MetaPathFinder):
    """Finds the mutant under the name of its module, and nothing else."""

    def __init__(self, mutant: Mutant) -> None:
        parts = mutant.path.relative_to(ROOT).with_suffix("").parts
        self._name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        self._mutant = mutant

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        loader = MutantLoader(fullname, self._mutant)
        return importlib.util.spec_from_file_location(fullname, self._mutant.path, loader=loader)


@dataclass(frozen=True, slots=True)
class Trial:
    """A mutant whose tests run."""

    mutant: Mutant
    process: ForkProcess
    ends_at: float


def outcomes(
    mutants: Sequence[Mutant], tests: Sequence[str], timeout_s: float, n_workers: int
) -> Iterator[tuple[Mutant, str]]:
    """Of each mutant whether it was "killed", or had "timeout", or has "survived", as they come."""
    fork = multiprocessing.get_context("fork")
    waiting = list(reversed(mutants))
    running: list[Trial] = []
    try:
        while waiting or running:
            while waiting and len(running) < n_workers:
                mutant = waiting.pop()
                process = fork.Process(target=test, args=(mutant, tests))
                process.start()
                running.append(Trial(mutant, process, time.monotonic() + timeout_s))
            wait([trial.process.sentinel for trial in running], timeout=0.5)
            for trial in list(running):
                is_late = time.monotonic() > trial.ends_at
                if trial.process.is_alive() and not is_late:
                    continue
                trial.process.kill()
                trial.process.join()
                running.remove(trial)
                killed = "timeout" if is_late else "killed"
                yield trial.mutant, "survived" if trial.process.exitcode == SURVIVED else killed
    finally:
        for trial in running:
            trial.process.kill()
            trial.process.join()


def test(mutant: Mutant | None, tests: Sequence[str]) -> None:
    """Run the tests, silently, and end with the exit code of pytest."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    if mutant is not None:
        sys.meta_path.insert(0, MutantFinder(mutant))
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", str(ROOT)]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of hypothesis, which has been imported before
    os._exit(pytest.main([*options, *tests]))


def seconds_without_mutant(tests: Sequence[str]) -> float:
    """How long the tests take; ValueError where they fail."""
    process = multiprocessing.get_context("fork").Process(target=test, args=(None, tests))
    start = time.monotonic()
    process.start()
    process.join()
    if process.exitcode != SURVIVED:
        raise ValueError(f"the tests fail without any mutant: pytest {' '.join(tests)}")
    return time.monotonic() - start
