"""Whether two commits train the same models, to the last bit, in the environment of this interpreter.

    python tools/compare_commits.py HEAD~1 HEAD
    python tools/compare_commits.py v1 HEAD --only ring --entry p2pnet.other.run:simulate p2pnet.other:Options

Each commit runs the simulations of `tools/golden/simulations.py`, of this checkout, from a worktree of its own. Exit
code 1 where a model or a count differs, or a simulation does not run.
"""

import argparse
import hashlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from golden import simulations

ROOT = Path(__file__).resolve().parents[1]
ENTRIES = [
    ("p2pnet.experiments.simulate.run:simulate", "p2pnet.experiments.simulate.options:SimulateOptions"),
    ("p2pnet.simulate.run:simulate", "p2pnet.simulate.options:SimulateOptions"),
]
"""Where a commit may have the function that simulates, and the class of its options."""
COUNTS = (
    *("rounds", "bytes_sent_total", "messages_lost", "rounds_lost", "links_reopened"),
    *("local_steps", "local_iterations"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("one", help="a commit")
    parser.add_argument("other", help="another one")
    parser.add_argument("--entry", nargs=2, metavar=("SIMULATE", "OPTIONS"), help="tried first, as module:name")
    parser.add_argument("--only", action="append", choices=simulations.SIMULATIONS, help="may be repeated")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in a worktree's own process
    arguments = parser.parse_args()
    entries = [*([tuple(arguments.entry)] if arguments.entry else []), *ENTRIES]
    names = arguments.only or list(simulations.SIMULATIONS)
    if arguments.here:
        print(json.dumps(outcomes_here(names, entries)))
        return 0
    one, other = (outcomes_of(commit, sys.argv[1:]) for commit in (arguments.one, arguments.other))
    n_different = 0
    for name in names:
        is_equal = one[name] == other[name] and "sha256" in one[name]
        n_different += not is_equal
        print(f"{'equal    ' if is_equal else 'DIFFERENT'} {name}")
        for outcome in [one[name]] if is_equal else [one[name], other[name]]:
            print("         ", *(f"{key}={value}" for key, value in outcome.items()))
    print(f"{len(names) - n_different} equal, {n_different} different")
    return 1 if n_different else 0


def outcomes_of(commit: str, arguments: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the commit's code makes of each simulation."""
    with tempfile.TemporaryDirectory() as directory:
        tree = str(Path(directory) / "tree")
        git("worktree", "add", "--quiet", "--detach", tree, commit)
        try:
            command = [sys.executable, __file__, "--here", *arguments]
            environment = {**os.environ, "PYTHONPATH": tree}
            run = subprocess.run(command, env=environment, cwd=tree, stdout=subprocess.PIPE, check=True)
        finally:
            git("worktree", "remove", "--force", tree)
    outcomes: dict[str, dict[str, Any]] = json.loads(run.stdout)
    return outcomes


def git(*arguments: str) -> None:
    subprocess.run(["git", "-C", str(ROOT), *arguments], check=True)


def outcomes_here(names: Sequence[str], entries: Sequence[tuple[str, ...]]) -> dict[str, dict[str, Any]]:
    simulate, make_options = found(entries)
    return {name: outcome(name, simulate, make_options) for name in names}


def found(entries: Sequence[tuple[str, ...]]) -> list[Any]:
    """The first of the entries that there is; it has to be the worktree's own."""
    for entry in entries:
        places = [place.partition(":") for place in entry]
        try:
            modules = [importlib.import_module(module) for module, _, _ in places]
        except ModuleNotFoundError:
            continue
        if not all(Path(str(module.__file__)).resolve().is_relative_to(Path.cwd()) for module in modules):
            sys.exit(f"{modules[0].__file__} is not in {Path.cwd()}")
        return [getattr(module, name) for module, (_, _, name) in zip(modules, places, strict=True)]
    sys.exit(f"none of {entries} is there; give the place by --entry")


def outcome(name: str, simulate: Any, make_options: Any) -> dict[str, Any]:
    try:
        simulated = simulations.run(name, simulate, make_options)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other simulations may run
        return {"error": f"{type(error).__name__}: {error}"}
    digest = hashlib.sha256()
    for agent in simulated.network.agents:
        digest.update(agent.params.tobytes())
    return {"sha256": digest.hexdigest(), **{count: getattr(simulated.summary, count) for count in COUNTS}}


if __name__ == "__main__":
    sys.exit(main())
