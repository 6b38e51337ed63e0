"""The run of `p2pnet demo`."""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from p2pnet.errors import TrainingError
from p2pnet.experiments.demo.display import make_display
from p2pnet.experiments.demo.fleet import AgentFiles, clear_directory, outcome_of, write_fleet
from p2pnet.experiments.demo.options import DemoOptions
from p2pnet.experiments.demo.page import served_page
from p2pnet.experiments.demo.progress import Follower, HistoryTail
from p2pnet.experiments.report.baselines import train_baselines
from p2pnet.experiments.report.files import write_report, writing_to
from p2pnet.experiments.report.outcome import NetworkOutcome
from p2pnet.experiments.report.summary import summarize, summary_json
from p2pnet.experiments.report.text import print_summary
from p2pnet.experiments.workload import Workload, make_workload
from p2pnet.testing.fleet import Fleet
from p2pnet.testing.fork_server import ForkServer
from p2pnet.testing.local_agent import LocalAgent

SECONDS_BETWEEN_LOOKS = 0.03
BASELINES_TIME_LIMIT_S = 120.0
STOP_TIMEOUT_S = 3.0
"""The time that agents have to leave before they are killed."""


def run_demo(options: DemoOptions) -> int:
    """Run the agents, train baselines and report; return the exit code.

    Agents that are killed, or that fail in the middle of training, are left out of the report. TrainingError names an
    agent that failed before its training had begun, or says that no agent has finished.
    """
    # The interpreter's start was all computing, so that it can be told from the time computed for so far.
    started_at = time.monotonic() - time.process_time()
    modules_in = None if options.factory is None else Path.cwd()
    with (
        _signals_as_exits(),
        ForkServer(modules_in) as server,
    ):  # it imports what agents need while the workload is made
        workload = make_workload(
            n_agents=options.agents,
            topology=options.topology,
            data=options.data,
            target=options.target,
            roles=options.roles,
            task=options.task,
            partition=options.partition,
            hidden=options.hidden,
            penalty=options.penalty,
            seed=options.seed,
            problem=options.problem(),
        )
        with _directory(options) as directory:
            with writing_to(directory):
                agents = write_fleet(options, workload, directory)
            with _page(options, agents[0]):
                missing = _train(options, workload, agents, server)
                seconds_total = time.monotonic() - started_at
                outcomes = tuple(outcome_of(agent) for agent in agents if agent.name not in missing)
                network = NetworkOutcome(outcomes, seconds_total, missing)
                _report(options, workload, network)
    return 0


@contextlib.contextmanager
def _page(options: DemoOptions, agent: AgentFiles) -> Iterator[None]:
    """Serve the page of the agent, if it is asked for, and go on with that until Ctrl-C."""
    if not options.is_page:
        yield
        return
    with served_page(agent.config) as page:
        click.echo(f"The page of {agent.name}: {page.address}", err=True)
        yield
        click.echo("The page shows what was known last, until Ctrl-C.", err=True)
        with contextlib.suppress(SystemExit):
            signal.pause()


def _train(options: DemoOptions, workload: Workload, agents: list[AgentFiles], server: ForkServer) -> dict[str, str]:
    """Run all agents until they have ended; return the reasons of those that did not finish, by name."""
    missing: dict[str, str] = {}
    # Told by the system that the demo is gone, the agents still take leave and save their models.
    members = [LocalAgent(agent, tether=signal.SIGTERM, server=server) for agent in agents]
    with Fleet(members, STOP_TIMEOUT_S) as fleet:
        fleet.start()
        follower = Follower([(agent.name, agent.history) for agent in agents])
        metric_name = workload.problem.metric_name
        with make_display(sys.stderr, headline(workload), metric_name, options.rounds) as display:
            next_show = 0.0
            while fleet.n_running:
                time.sleep(SECONDS_BETWEEN_LOOKS)
                for end in fleet.take_ends():
                    if end.failure is None:
                        continue
                    # What cannot even begin is to be mended; what has begun goes on without it.
                    if end.failure.is_its_own and HistoryTail(end.agent.files.history).follow() is None:
                        raise TrainingError(f"{end.agent.name} failed: {end.failure}; the others were stopped")
                    missing[end.agent.name] = str(end.failure)
                if time.monotonic() >= next_show:
                    display.show(follower.progress(missing))
                    next_show = time.monotonic() + display.period_s
            if len(missing) == len(agents):
                causes = ", ".join(f"{name} ({cause})" for name, cause in missing.items())
                raise TrainingError(f"no agent has finished: {causes}")
            display.finish(follower.progress(missing))
    return missing


def _report(options: DemoOptions, workload: Workload, network: NetworkOutcome) -> None:
    """Train baselines, print the summary and write the report."""
    click.echo("Training the same model in one place, and on each shard alone, to compare ...", err=True)
    baselines = train_baselines(workload.problem, workload.train, workload.shards, BASELINES_TIME_LIMIT_S)
    summary = summarize(workload, network, baselines)
    # Said first, so that it is not lost where the report cannot be written.
    if options.is_json:
        click.echo(summary_json(summary))
    else:
        print_summary(summary)
    if options.report is not None:
        write_report(network, summary, options.report)


def headline(workload: Workload) -> str:
    """One line of text that describes the workload."""
    n_rows = [shard.n_samples for shard in workload.shards]
    rows = f"{min(n_rows)}" if min(n_rows) == max(n_rows) else f"{min(n_rows)} to {max(n_rows)}"
    return (
        f"{workload.n_agents} agents ({workload.topology}), {rows} samples of {workload.data} each "
        f"({workload.partition}), train one {workload.problem.model.describe()}"
    )


@contextlib.contextmanager
def _directory(options: DemoOptions) -> Iterator[Path]:
    """The directory of the agents: in the report, or temporary."""
    if options.report is not None:
        clear_directory(options.report)
        yield options.report.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="p2pnet-demo-") as directory:
        yield Path(directory)


@contextlib.contextmanager
def _signals_as_exits() -> Iterator[None]:
    """Convert SIGINT and SIGTERM to an orderly exit with code 130 or 143."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
        raise SystemExit(128 + number)

    previous = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except SystemExit:
        click.echo("\np2pnet: stopped, and all agents with it", err=True)
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
