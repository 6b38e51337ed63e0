"""The files of a report."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click

from p2pnet.report.history import write_history
from p2pnet.report.outcome import NetworkOutcome
from p2pnet.report.summary import Summary, write_summary


def write_report(network: NetworkOutcome, summary: Summary, directory: Path) -> None:
    """summary.json, history.csv, and curves.png where matplotlib is installed."""
    write_summary(summary, directory / "summary.json")
    write_history(network, directory / "history.csv")
    if importlib.util.find_spec("matplotlib") is None:
        click.echo("no curves.png: matplotlib is not installed (pip install matplotlib)", err=True)
        return
    from p2pnet.report.curves import draw_curves

    draw_curves(network, summary, directory / "curves.png")
