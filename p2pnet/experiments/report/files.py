"""The files of a report."""

from __future__ import annotations

import contextlib
import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from p2pnet.errors import ConfigError
from p2pnet.experiments.report.history import write_history
from p2pnet.experiments.report.outcome import NetworkOutcome
from p2pnet.experiments.report.summary import Summary, write_summary


@contextlib.contextmanager
def writing_to(directory: Path) -> Iterator[None]:
    """Convert OSError on writing into the directory to ConfigError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{directory}: cannot be written: {reason}; choose another place by --report") from error


def make_directory(directory: Path) -> None:
    """Create the directory if needed; ConfigError where no file can be created in it."""
    with writing_to(directory):
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass


def write_report(network: NetworkOutcome, summary: Summary, directory: Path) -> None:
    """Write summary.json, history.csv, and curves.png if matplotlib is installed; ConfigError where writing fails."""
    with writing_to(directory):
        _write_report(network, summary, directory)


def _write_report(network: NetworkOutcome, summary: Summary, directory: Path) -> None:
    write_summary(summary, directory / "summary.json")
    write_history(network, directory / "history.csv")
    if importlib.util.find_spec("matplotlib") is None:
        click.echo("no curves.png: matplotlib is not installed (pip install matplotlib)", err=True)
        return
    from p2pnet.experiments.report.curves import draw_curves

    draw_curves(network, summary, directory / "curves.png")
