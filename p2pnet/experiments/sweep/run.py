"""The run of `p2pnet sweep`."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

import click

from p2pnet import __version__
from p2pnet.catalogue.extras import import_extra
from p2pnet.errors import ConfigError, P2pnetError
from p2pnet.experiments.report.files import make_directory, writing_to
from p2pnet.experiments.report.summary import summary_json
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.run import simulate
from p2pnet.experiments.sweep.grid import Cell
from p2pnet.experiments.sweep.record import CellOutcome, CellRecord
from p2pnet.experiments.sweep.statistics import compare
from p2pnet.experiments.sweep.tables import Format, comparison_as_text, write_tables
from p2pnet.simulation.processes import n_cores

DASK_TIMEOUT_S: Final = 20
FAILED: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOptions:
    """Where a sweep runs, and what is kept of it."""

    directory: Path
    jobs: int | None = None
    """simulations at a time; None: one for each core"""
    dask: str | None = None
    """the address of the scheduler of a Dask cluster that is there already; None: this machine's cores"""
    table_format: Format = "csv"


def run_sweep(cells: Sequence[Cell], options: SweepOptions) -> int:
    """Run the simulations whose outcomes are not in the directory yet, and compare all; returns the exit code."""
    if options.table_format == "parquet":
        import_extra("pyarrow", "tables")
    make_directory(options.directory)
    record = CellRecord(options.directory)
    keys = [cell.key(__version__) for cell in cells]
    todo = [(cell, key) for cell, key in zip(cells, keys, strict=True) if key not in record]
    if len(todo) < len(cells):
        click.echo(f"{len(cells) - len(todo)} of {len(cells)} simulations were run before", err=True)
    failures = _run_all(todo, record, options) if todo else []
    _report([record[key] for key in keys if key in record], options)
    for failure in failures[:10]:
        click.echo(f"p2pnet: {failure}", err=True)
    if len(failures) > 10:
        click.echo(f"p2pnet: {len(failures) - 10} more failed", err=True)
    return FAILED if failures else 0


def run_cell(options: SimulateOptions) -> dict[str, Any]:
    """The figures of one simulation, None where they are not finite; ConfigError where it cannot be run."""
    began_s = time.process_time()
    try:
        summary = simulate(options).summary
    except P2pnetError as error:
        # Of one argument, so that it finds its way from process to process.
        raise ConfigError(str(error)) from None
    figures: dict[str, Any] = json.loads(summary_json(summary))
    figures["processor_s"] = round(time.process_time() - began_s, 3)
    return {name: value for name, value in figures.items() if not isinstance(value, dict)}


def _run_all(todo: Sequence[tuple[Cell, str]], record: CellRecord, options: SweepOptions) -> list[str]:
    """Run cells and keep each outcome as it comes; returns what went wrong."""
    failures = []
    progress = _Progress(len(todo), sys.stderr)
    with _executor(options, len(todo)) as executor:
        futures: dict[Future[dict[str, Any]], tuple[Cell, str]] = {
            executor.submit(run_cell, cell.options): (cell, key) for cell, key in todo
        }
        try:
            for future in as_completed(futures):
                cell, key = futures[future]
                try:
                    record.add(CellOutcome(key, cell.settings, cell.seed, future.result()))
                except ConfigError as error:
                    failures.append(f"{_name(cell)}: {error}")
                except (BrokenProcessPool, CancelledError, MemoryError):
                    failures.append(f"{_name(cell)}: its process ended; run the sweep again, with fewer --jobs")
                progress.advance()
        finally:
            for future in futures:
                future.cancel()
            progress.close()
    return failures


@contextmanager
def _executor(options: SweepOptions, n_cells: int) -> Iterator[Executor]:
    """What runs the cells: processes of this machine, or the workers of a Dask cluster."""
    if options.dask is not None:
        with _dask_client(options.dask) as client:
            yield client.get_executor(pure=False)
        return
    jobs = min(options.jobs or n_cores(), n_cells)
    # A forked process would inherit this one's threads of BLAS in whatever state they are.
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(tuple(sys.path),)) as executor:
        yield executor


def _begin(path: tuple[str, ...]) -> None:
    """Find in a new process what its parent finds, factories of one's own among them."""
    sys.path[:] = path


def _dask_client(address: str) -> Any:
    distributed = import_extra("distributed", "dask")
    try:
        return distributed.Client(address, timeout=DASK_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--dask {address}: no Dask scheduler answers there: {error}") from error


def _report(outcomes: Sequence[CellOutcome], options: SweepOptions) -> None:
    if not outcomes:
        return
    comparisons = compare(outcomes)
    click.echo(comparison_as_text(comparisons))
    with writing_to(options.directory):
        files = [*write_tables(outcomes, comparisons, options.directory, options.table_format)]
        if importlib.util.find_spec("matplotlib") is not None:
            from p2pnet.experiments.sweep.plot import draw_sweep

            files.append(options.directory / "sweep.png")
            draw_sweep(comparisons, files[-1])
    click.echo(f"{', '.join(file.name for file in files)} in {options.directory}")


def _name(cell: Cell) -> str:
    return ", ".join([*(f"{option} {value}" for option, value in cell.settings.items()), f"seed {cell.seed}"])


class _Progress:
    """How many simulations have ended and how long the rest may take, on a terminal in one line."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total = total
        self._stream = stream
        self._done = 0
        self._began_s = time.monotonic()
        self._show()

    def advance(self) -> None:
        self._done += 1
        self._show()

    def close(self) -> None:
        if self._stream.isatty():
            print(file=self._stream, flush=True)

    def _show(self) -> None:
        if not self._stream.isatty():
            return
        text = f"{self._done} of {self._total} simulations"
        if self._done:
            rest_s = (time.monotonic() - self._began_s) / self._done * (self._total - self._done)
            text += f", {rest_s / 60:.0f} min left" if rest_s >= 90 else f", {rest_s:.0f} s left"
        print(f"\r{text.ljust(50)}", end="", file=self._stream, flush=True)
