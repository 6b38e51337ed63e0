"""Run benchmarks, and compare two commits by them.

    python -m benchmarks list
    python -m benchmarks run [NAME ...] [--small] [--runs N] [--results FILE]
    python -m benchmarks compare REVISION REVISION NAME ... [--pairs N] [--limit RATIO] [--small]

`run` prints medians, and appends them to FILE, a JSON line a figure. Exit code 1 if a bound is missed. `compare` runs
the command lines of two commits in turns and prints, of each figure, the median and the worst of the ratios of pairs,
second to first commit. Exit code 1 if the median of a time is above the limit. Nothing else should run meanwhile.
"""

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.base import Benchmark, CommandBenchmark, Figure
from benchmarks.compare import Comparison, compare, programs
from benchmarks.registry import BENCHMARKS
from benchmarks.results import DIRECTORY, ResultFile, stamped

RESULTS = DIRECTORY / "benchmarks.jsonl"
LIMIT = 1.03


def show_list() -> int:
    for name, benchmark in BENCHMARKS.items():
        can_compare = "compare" if issubclass(benchmark, CommandBenchmark) else ""
        print(f"{name:14} {can_compare:8} {(benchmark.__doc__ or '').splitlines()[0]}")
    return 0


def run(names: Sequence[str], is_small: bool, n_runs: int | None, results: ResultFile) -> int:
    are_kept = True
    for name in names or BENCHMARKS:
        benchmark = BENCHMARKS[name]()
        figures = medians(benchmark, 1 if is_small and n_runs is None else n_runs or benchmark.runs, is_small)
        print(f"{name}: {(benchmark.__doc__ or '').splitlines()[0]}")
        for figure in figures:
            print(f"  {line(figure, is_small)}", flush=True)
            value = figure.value if math.isfinite(figure.value) else None  # JSON has no infinity
            record = {"benchmark": name, "figure": figure.name, "value": value, "unit": figure.unit}
            results.append(stamped({**record, "is_small": is_small}))
        are_kept = are_kept and (is_small or all(figure.is_kept for figure in figures))
    return 0 if are_kept else 1


def medians(benchmark: Benchmark, n_runs: int, is_small: bool) -> list[Figure]:
    """The figures of several runs, each with the median of its values."""
    runs = []
    for number in range(n_runs):
        print(f"{benchmark.name}: run {number + 1} of {n_runs}", file=sys.stderr, flush=True)
        runs.append({figure.name: figure for figure in benchmark.run(is_small)})
    return [with_median(name, runs) for name in runs[0]]


def with_median(name: str, runs: Sequence[Mapping[str, Figure]]) -> Figure:
    of_runs = [figures[name] for figures in runs if name in figures]
    figure = of_runs[0]
    value = statistics.median(each.value for each in of_runs)
    return Figure(name, value, figure.unit, figure.at_most, figure.at_least, figure.peer)


def line(figure: Figure, is_small: bool) -> str:
    bounds = [("<=", figure.at_most), (">=", figure.at_least)]
    bound = " ".join(f"{sign} {bound:.4g}" for sign, bound in bounds if bound is not None and not is_small)
    verdict = ("kept" if figure.is_kept else "MISSED") if bound else ""
    peer = f"peer {figure.peer:g}" if figure.peer is not None else ""
    return f"{figure.name:52} {figure.value:>10.4g} {figure.unit:9} {bound:>10} {verdict:6} {peer}".rstrip()


def run_comparison(revisions: tuple[str, str], names: Sequence[str], n_pairs: int, limit: float, is_small: bool) -> int:
    are_kept = True
    header = f"{'benchmark':12} {'figure':42} {'first':>10} {'second':>10}"
    print(f"{header} {'unit':6} {'ratio':>7} {'worst':>7}   of {n_pairs} pairs")
    with programs(revisions) as (one, other):
        for name in names:
            benchmark = BENCHMARKS[name]()
            if not isinstance(benchmark, CommandBenchmark):
                raise TypeError(f"{name} cannot be compared")
            for comparison in compare(benchmark, one, other, n_pairs, is_small):
                is_kept = not comparison.is_cost or is_small or comparison.median_ratio <= limit
                are_kept = are_kept and is_kept
                print(f"{comparison_line(comparison)}{'' if is_kept else f'   ABOVE {limit:g}'}", flush=True)
    return 0 if are_kept else 1


def comparison_line(comparison: Comparison) -> str:
    one, other = comparison.medians
    columns = f"{comparison.benchmark:12} {comparison.figure:42} {one:>10.4g} {other:>10.4g} {comparison.unit:6}"
    return f"{columns} {comparison.median_ratio:>7.3f} {max(comparison.ratios):>7.3f}"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="the benchmarks, and which of them can compare")
    listing.set_defaults(run=lambda _: show_list())

    running = commands.add_parser("run", help="measure, print and keep")
    running.add_argument("names", nargs="*", metavar="NAME", choices=[*BENCHMARKS, []])
    running.add_argument("--small", action="store_true", help="show that it runs; figures mean nothing")
    running.add_argument("--runs", type=positive, help="runs of which the medians are taken")
    running.add_argument("--results", type=Path, default=RESULTS, help=f"default: {RESULTS.name} in {DIRECTORY.name}")
    running.set_defaults(run=lambda o: run(o.names, o.small, o.runs, ResultFile(o.results)))

    comparing = commands.add_parser("compare", help="two commits, measured in turns")
    comparable = [name for name, benchmark in BENCHMARKS.items() if issubclass(benchmark, CommandBenchmark)]
    comparing.add_argument("revisions", nargs=2, metavar="REVISION")
    comparing.add_argument("names", nargs="+", metavar="NAME", choices=comparable, help=", ".join(comparable))
    comparing.add_argument("--small", action="store_true", help="show that it runs; figures mean nothing")
    comparing.add_argument("--pairs", type=positive, default=7, help="pairs of runs (7)")
    comparing.add_argument("--limit", type=float, default=LIMIT, help=f"for the medians of times ({LIMIT})")
    comparing.set_defaults(run=lambda o: run_comparison(tuple(o.revisions), o.names, o.pairs, o.limit, o.small))

    options = parser.parse_args()
    chosen: Callable[[argparse.Namespace], int] = options.run
    return chosen(options)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
