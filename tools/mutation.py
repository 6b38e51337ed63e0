"""Mutation testing of the modules that everything depends on: what no test notices when it is changed.

    .venv/bin/python -m pip install -e '.[mutation]'
    .venv/bin/python tools/mutation.py [TARGET ...] [--only PART] [--workers N]

Prints the survivors and the share of mutants that were killed. Outcomes are kept in .results/mutation.jsonl: a mutant
is tested again only if its module or the tests have changed. Exit code 1 below the share that is aimed at.
"""

import argparse
import os
import signal
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import msgpack
import numpy as np

from benchmarks.results import DIRECTORY, ResultFile, stamped
from mutating.mutants import Mutant, mutants_of
from mutating.runs import outcomes, seconds_without_mutant

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ResultFile(DIRECTORY / "mutation.jsonl")
AIM = 0.85
WARM = (hypothesis, msgpack, np)
"""Imported here, once, so that no forked process has to."""


@dataclass(frozen=True, slots=True)
class Target:
    """Modules, or directories of modules, and the tests that have to kill their mutants."""

    sources: Sequence[str]
    tests: Sequence[str]


LINKS = "tests/protocol/links"
ROUNDS = "tests/protocol/rounds"
TARGETS: Mapping[str, Target] = {
    "links": Target(
        [
            f"p2pnet/protocol/links/{name}.py"
            for name in ("link", "ledger", "balance_ledger", "tracker", "conservation")
        ],
        [
            *(
                f"{LINKS}/test_{name}_rules.py"
                for name in ("link_sending", "link_receiving", "link_coding", "tracker", "conservation")
            ),
            *(f"{LINKS}/test_{name}.py" for name in ("link", "ledger", "balance_ledger", "masks", "curvature")),
        ],
    ),
    "coding": Target(
        [f"p2pnet/protocol/links/{name}.py" for name in ("coding", "rounding")],
        [f"{LINKS}/test_coding.py", f"{LINKS}/test_rounding.py"],
    ),
    "curvature": Target(
        ["p2pnet/protocol/links/curvature.py"],
        [f"{LINKS}/test_curvature_rules.py", f"{LINKS}/test_curvature.py"],
    ),
    "termination": Target(
        ["p2pnet/protocol/rounds/termination.py"],
        [f"{ROUNDS}/test_termination_rules.py", f"{ROUNDS}/test_termination.py"],
    ),
    "proximal-weight": Target(
        ["p2pnet/optim/proximal_weight.py", "p2pnet/optim/secant.py"],
        ["tests/optim/test_proximal_weight.py", "tests/optim/test_secant.py"],
    ),
    "admission": Target(["p2pnet/protocol/peering"], ["tests/protocol/peering"]),
}
"""Those tests first that take no time."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--only", default="", metavar="PART", help="modules whose path has this part")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="mutants at a time")
    options = parser.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"unknown target {', '.join(sorted(unknown))}; known are {', '.join(TARGETS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    os.environ["CI"] = "1"  # the same examples for every mutant
    sys.dont_write_bytecode = False  # what is compiled once need not be compiled for every mutant
    os.chdir(ROOT)
    are_killed = [examine(name, options.only, options.workers) for name in options.targets or TARGETS]
    return 0 if all(are_killed) else 1


def examine(name: str, only: str, n_workers: int) -> bool:
    """Whether enough of the target's mutants are killed."""
    target = TARGETS[name]
    mutants = [mutant for path in sources(target) if only in str(path) for mutant in mutants_of(path)]
    digest = content(target.tests)
    kept = {record["mutant"]: record["outcome"] for record in RESULTS.records()}
    found = {mutant: kept[mutant.key(digest)] for mutant in mutants if mutant.key(digest) in kept}
    new = [mutant for mutant in mutants if mutant not in found]
    print(f"{name}: {len(mutants)} mutants, {len(new)} of them to be tested", flush=True)
    if new:
        tests = [test for test in target.tests if (ROOT / test).exists()]
        timeout_s = 10.0 + 5.0 * seconds_without_mutant(tests)
        for mutant, outcome in outcomes(new, tests, timeout_s, n_workers):
            found[mutant] = outcome
            place = f"{mutant.path.relative_to(ROOT)}:{mutant.line}"
            RESULTS.append(
                stamped({"mutant": mutant.key(digest), "outcome": outcome, "place": place, "change": mutant.change})
            )
    return report(name, mutants, found)


def sources(target: Target) -> list[Path]:
    paths = [ROOT / source for source in target.sources]
    return [file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]


def content(tests: Sequence[str]) -> bytes:
    """Of all the test files, one after the other."""
    paths = [ROOT / test for test in tests]
    files = [file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    return b"".join(file.read_bytes() for file in files if file.exists())


def report(name: str, mutants: Sequence[Mutant], found: Mapping[Mutant, str]) -> bool:
    for mutant in sorted(mutants, key=lambda mutant: (mutant.path, mutant.line)):
        if found[mutant] == "survived":
            print(f"  survived: {mutant.path.relative_to(ROOT)}:{mutant.line}, {mutant.operator}")
            print("\n".join(f"    {line}" for line in mutant.change.splitlines()))
    counts = Counter(found.values())
    n_killed = counts["killed"] + counts["timeout"]
    share = n_killed / len(mutants) if mutants else 0.0
    print(f"{name}: {n_killed} of {len(mutants)} killed, {share:.1%} ({counts['timeout']} by time; aim {AIM:.0%})")
    return share >= AIM


if __name__ == "__main__":
    sys.exit(main())
