"""The demo as a stranger runs it, beside what a peer needs for the same workload."""

import csv
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from benchmarks.base import CommandBenchmark, Figure
from benchmarks.data import KIN8NM
from benchmarks.program import Program, processor_seconds

TARGET_ACCURACY = 0.95


class DemoBenchmark(CommandBenchmark):
    """A demo whose figures are those of its summary. The peer is decentralizepy: D-PSGD, tuned, same workload."""

    runs = 5
    options: ClassVar[Sequence[str]]

    def measure(self, program: Program, is_small: bool) -> Iterator[Figure]:
        with tempfile.TemporaryDirectory(prefix="p2pnet-") as report:
            rounds = ["--rounds", "5"] if is_small else []
            before_s = processor_seconds()
            summary = program.summary("demo", *self.options, *rounds, "--report", report)
            processor_s = processor_seconds() - before_s
            with (Path(report) / "history.csv").open(newline="") as file:
                rows = list(csv.DictReader(file))
        yield from self.figures(summary, rows)
        yield Figure("processor time of all processes", processor_s, "s")

    def figures(self, summary: dict[str, Any], rows: Sequence[dict[str, str]]) -> Iterator[Figure]:
        """What is measured of a run: its summary, and the rows of its history."""
        del rows
        yield Figure("seconds_total", summary["seconds_total"], "s")
        yield Figure("seconds_training", summary["seconds_training"], "s")
        yield Figure("seconds_baselines", summary["seconds_baselines"], "s")
        yield Figure("rounds in all", summary["rounds"], "rounds")
        yield Figure("worst agent's test metric", summary["test_metric_worst"])
        yield Figure("central test metric", summary["test_metric_central"])
        yield Figure("conservation error", summary["conservation_error"], at_most=1e-9)


class DigitsBenchmark(DemoBenchmark):
    """Digits on a ring of 8 agents, until every agent has a test accuracy of 0.95."""

    at_most: ClassVar[tuple[float, float]]
    """Rounds and seconds until then."""
    peer: ClassVar[tuple[float, float, float]]
    """Rounds and seconds until then, and MB of the largest agent."""

    def figures(self, summary: dict[str, Any], rows: Sequence[dict[str, str]]) -> Iterator[Figure]:
        rounds, seconds = to_target(summary["rounds"], rows)
        most, peer = self.at_most, self.peer
        below_central = summary["test_metric_central"] - summary["test_metric_worst"]
        yield Figure(f"rounds until all have {TARGET_ACCURACY}", rounds, "rounds", at_most=most[0], peer=peer[0])
        yield Figure("seconds until then, from training start", seconds, "s", at_most=most[1], peer=peer[1])
        yield from super().figures(summary, rows)
        yield Figure("central minus worst", below_central, at_most=0.01)
        yield Figure("memory of the largest agent", summary["peak_rss_mb_max"], "MB", at_most=90, peer=peer[2])


def to_target(n_rounds: int, rows: Sequence[dict[str, str]]) -> tuple[float, float]:
    """Rounds and seconds until every agent has the target accuracy; infinite if one never had it."""
    for round_ in range(1, n_rounds + 1):
        of_round = [row for row in rows if int(row["round"]) == round_]
        if all(float(row["test_metric"]) >= TARGET_ACCURACY for row in of_round):
            return round_, max(float(row["seconds"]) for row in of_round)
    return float("inf"), float("inf")


@final
class DigitsDemo(DigitsBenchmark):
    """Rounds, seconds and memory of the digits demo, 8 processes on a ring, shards iid."""

    name = "demo"
    options = ("--partition", "iid")
    at_most = (15, 1.07 / 3)
    peer = (35, 1.07, 329)


@final
class SortedDigitsDemo(DigitsBenchmark):
    """Rounds, seconds and memory of the digits demo, 8 processes on a ring, shards sorted by label."""

    name = "demo-sorted"
    options = ("--partition", "sorted")
    at_most = (100, 131 / 20)
    peer = (3250, 131, 512)


@final
class Kin8nmDemo(DemoBenchmark):
    """How close the worst of 16 processes on a random graph comes to central training on kin8nm."""

    name = "demo-kin8nm"
    options = ("--agents", "16", "--topology", "random", "--data", str(KIN8NM))

    def figures(self, summary: dict[str, Any], rows: Sequence[dict[str, str]]) -> Iterator[Figure]:
        yield from super().figures(summary, rows)
        below_central = summary["test_metric_central"] - summary["test_metric_worst"]
        yield Figure("central minus worst", below_central, at_most=0.02)
        yield Figure("memory of the largest agent", summary["peak_rss_mb_max"], "MB", at_most=90)
