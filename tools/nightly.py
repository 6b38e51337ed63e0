"""Run all that takes long, one step after the other, and keep what came out.

    .venv/bin/python tools/nightly.py [STEP ...] [--again]

Steps that have passed on this commit and machine are not run again, and chaos, matrix and mutation take up the rows
that they still lack: stop it and start it as you like. Outputs are in .results/nightly/, outcomes in
.results/nightly.jsonl. Exit code 1 if a step fails.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.results import DIRECTORY, ResultFile, commit, machine, stamped

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ResultFile(DIRECTORY / "nightly.jsonl")
OUTPUTS = DIRECTORY / "nightly"


@dataclass(frozen=True, slots=True)
class Step:
    """Arguments for Python, and what the environment has beside its own."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


STEPS: Mapping[str, Step] = {
    "tests": Step(["-m", "pytest", "-n", "auto"]),
    "properties": Step(["-m", "pytest", "--timeout=3600", "tests/protocol"], {"HYPOTHESIS_PROFILE": "thorough"}),
    "chaos": Step(["-m", "pytest", "-m", "chaos", "tests/chaos"]),
    "matrix": Step(["-m", "studies.matrix"]),
    "matrix-deep": Step(["-m", "studies.matrix", "--deep"]),
    "benchmarks": Step(["-m", "benchmarks", "run"]),
    "mutation": Step(["tools/mutation.py"]),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of {', '.join(STEPS)}; default: all")
    parser.add_argument("--again", action="store_true", help="also steps that have passed")
    options = parser.parse_args()
    if unknown := set(options.steps) - set(STEPS):
        parser.error(f"unknown step {', '.join(sorted(unknown))}; known are {', '.join(STEPS)}")
    n_failed = 0
    for name in options.steps or STEPS:
        if not options.again and has_passed(name):
            print(f"{name}: passed before", flush=True)
        else:
            n_failed += not passes(name, STEPS[name])
    return 1 if n_failed else 0


def has_passed(name: str) -> bool:
    here = {"step": name, "exit_code": 0, "commit": commit(), "machine": machine()}
    return any(here.items() <= record.items() for record in RESULTS.records())


def passes(name: str, step: Step) -> bool:
    """Run the step, and keep its outcome."""
    OUTPUTS.mkdir(parents=True, exist_ok=True)
    output = OUTPUTS / f"{name}.log"
    print(f"{name}: output goes to {output.relative_to(ROOT)} ...", flush=True)
    start = time.monotonic()
    with output.open("wb") as sink:
        command = [sys.executable, *step.arguments]
        environment = {**os.environ, **step.environment}
        code = subprocess.run(command, cwd=ROOT, env=environment, stdout=sink, stderr=sink, check=False).returncode
    seconds = time.monotonic() - start
    RESULTS.append(stamped({"step": name, "exit_code": code, "seconds": round(seconds, 1)}))
    print(f"{name}: {'passed' if code == 0 else f'FAILED with exit code {code}'} after {seconds:.0f} s", flush=True)
    return code == 0


if __name__ == "__main__":
    sys.exit(main())
