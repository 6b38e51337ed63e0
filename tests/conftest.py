"""What all tests share: how hypothesis searches, which tests are slow, and what a run has to say at its end.

Where CI is set, the same examples are tried every time, so that a change is judged by what it changed; elsewhere each
run tries new ones. HYPOTHESIS_PROFILE=thorough tries many more.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.chaos.table import CHAOS_ROW

settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("usual", deadline=None)
settings.register_profile("thorough", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "usual"))

ROOT = Path(__file__).parent
SLOW: Sequence[str] = (
    "agent",
    "catalogue/test_registry.py",
    "compatibility/test_two_releases.py",
    "deploy/test_docker.py",
    "experiments",
    "fuzzing/test_corpus.py",
    "golden/test_golden_outcomes.py",
    "golden/test_golden_surfaces.py",
    "interop",
    "optim/test_input_span.py",
    "optim/test_precision.py",
    "optim/test_solvers.py",
    "page",
    "protocol/membership/test_overlay.py",
    "protocol/messages/test_training.py",
    "protocol/rounds/test_handlers.py",
    "protocol/rounds/test_settling.py",
    "protocol/rounds/test_statistics.py",
    "simulation/test_any_life.py",
    "simulation/test_faults.py",
    "simulation/test_fuzz.py",
    "simulation/test_honest_links.py",
    "simulation/test_liars.py",
    "simulation/test_living.py",
    "simulation/test_measurement.py",
    "simulation/test_processes.py",
    "simulation/test_rescaling.py",
    "simulation/test_simulator.py",
    "simulation/test_trust.py",
    "simulation/test_whole_nodes.py",
    "test_commands_of_pages.py",
    "test_contributing.py",
    "test_equivalence.py",
    "test_examples.py",
    "test_studies.py",
    "testing/test_fleet.py",
    "testing/test_fork_server.py",
    "testing/test_local_agent.py",
    "training/test_evaluation.py",
)
"""Files and directories that take more than 5 s of processor time, or start processes and wait for them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = [ROOT / place for place in SLOW]
    if missing := [place for place in places if not place.exists()]:
        raise pytest.UsageError(f"tests/conftest.py: SLOW names {missing[0]}, which is not there; name its new place")
    for item in items:
        if any(item.path.is_relative_to(place) for place in places):
            item.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [
        report
        for kind in ("passed", "failed", "skipped")
        for report in terminalreporter.stats.get(kind, [])
        if isinstance(report, pytest.TestReport)
    ]
    rows = [row for report in reports for row in chaos_rows(report)]
    if rows:
        terminalreporter.section("chaos")
        for row in rows:
            terminalreporter.write_line(row)
    # Whole files are skipped while tests are collected.
    files = [report for report in terminalreporter.stats.get("skipped", []) if isinstance(report, pytest.CollectReport)]
    reasons = [skip_reason(report) for report in reports if report.skipped]
    reasons += [skip_reason(report) for report in files if report.skipped]
    if reasons:
        why = "; ".join(f"{reasons.count(reason)} x {reason}" for reason in sorted(set(reasons)))
        terminalreporter.write_line(f"NOT TESTED HERE: {len(reasons)} skipped: {why}", red=True, bold=True)


def chaos_rows(report: pytest.TestReport) -> Iterator[str]:
    return (str(value) for name, value in report.user_properties if name == CHAOS_ROW)


def skip_reason(report: Any) -> str:
    place = report.longrepr
    return str(place[2]).removeprefix("Skipped: ") if isinstance(place, tuple) else report.nodeid
