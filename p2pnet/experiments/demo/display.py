"""Progress displays: a live table on a terminal, periodic lines elsewhere."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self, TextIO, final

from p2pnet.experiments.demo.progress import AgentProgress
from p2pnet.experiments.report.text import in_bytes

if TYPE_CHECKING:
    from rich.console import RenderableType

SECONDS_BETWEEN_FRAMES = 0.25
SECONDS_BETWEEN_LINES = 2.0


class Display(ABC):
    """Shows the agents' progress, not more often than `period_s`."""

    period_s: float

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def show(self, progress: Sequence[AgentProgress]) -> None:
        """Show the present progress of the agents."""

    @abstractmethod
    def finish(self, progress: Sequence[AgentProgress]) -> None:
        """Show the final state: all agents have finished or failed."""

    def __exit__(self, *failure: object) -> None:
        return None


def make_display(stream: TextIO, headline: str, metric_name: str, max_rounds: int) -> Display:
    """Choose the display for the stream."""
    if stream.isatty():
        return LiveTable(stream, headline, metric_name, max_rounds)
    return PlainLines(stream, headline, metric_name, max_rounds)


@final
class PlainLines(Display):
    """A display of single lines, for logs."""

    period_s = SECONDS_BETWEEN_LINES

    def __init__(self, stream: TextIO, headline: str, metric_name: str, max_rounds: int) -> None:
        self._stream = stream
        self._metric_name = metric_name
        self._max_rounds = max_rounds
        self._round = -1
        self._gone: set[str] = set()
        print(headline, file=stream, flush=True)

    def show(self, progress: Sequence[AgentProgress]) -> None:
        for agent in progress:
            if agent.gone_because is not None and agent.name not in self._gone:
                self._gone.add(agent.name)
                print(_farewell(agent), file=self._stream, flush=True)
        latest = [agent.latest for agent in _present(progress) if agent.latest is not None]
        round_ = _round_of_all(progress)
        if round_ is None or round_ == self._round:
            return
        self._round = round_
        objective = sum(record.objective_local for record in latest) / len(latest)
        worst = min(record.test_metric for record in latest)
        print(
            f"round {self._round} of at most {self._max_rounds}: objective {objective:.4g}, "
            f"worst {self._metric_name} {worst:.3f}, "
            f"disagreement {max(record.disagreement for record in latest):.1e}, "
            f"{in_bytes(sum(record.bytes_sent for record in latest))} sent",
            file=self._stream,
            flush=True,
        )

    def finish(self, progress: Sequence[AgentProgress]) -> None:
        self.show(progress)


@final
class LiveTable(Display):
    """A table redrawn in place: one row per agent, with a progress bar."""

    period_s = SECONDS_BETWEEN_FRAMES

    def __init__(self, stream: TextIO, headline: str, metric_name: str, max_rounds: int) -> None:
        from rich.console import Console
        from rich.live import Live

        self._headline = headline
        self._metric_name = metric_name
        self._max_rounds = max_rounds
        self._start = time.monotonic()
        self._live = Live(console=Console(file=stream), auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def show(self, progress: Sequence[AgentProgress]) -> None:
        round_ = _round_of_all(progress)
        words = "the agents are starting" if round_ is None else f"round {round_} of at most {self._max_rounds}"
        self._live.update(self._frame(progress, (round_ or 0) / self._max_rounds, words), refresh=True)

    def finish(self, progress: Sequence[AgentProgress]) -> None:
        self._live.update(self._frame(progress, 1.0, f"{_round_of_all(progress)} rounds"), refresh=True)

    def __exit__(self, *failure: object) -> None:
        self._live.stop()

    def _frame(self, progress: Sequence[AgentProgress], part_done: float, words: str) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("agent")
        for header in ("round", "objective", f"test {self._metric_name}", "disagreement", "sent"):
            table.add_column(header, justify="right", min_width=len(header))
        for agent in progress:
            table.add_row(agent.name, *_cells(agent), style=None if agent.gone_because is None else "dim")
        seconds = time.monotonic() - self._start
        status = Table.grid(padding=(0, 2, 0, 0))
        bar = ProgressBar(total=1.0, completed=part_done, width=30, complete_style="blue", finished_style="green")
        status.add_row(bar, words, Text(f"{seconds:.1f} s", style="dim"))
        gone = [Text(_farewell(agent)) for agent in progress if agent.gone_because is not None]
        return Group(Text(self._headline, style="bold"), "", table, *gone, "", status, "")


def _farewell(agent: AgentProgress) -> str:
    return f"{agent.name} has gone: {agent.gone_because}; the others train on"


def _present(progress: Sequence[AgentProgress]) -> list[AgentProgress]:
    """The agents that have not failed."""
    return [agent for agent in progress if agent.gone_because is None]


def _round_of_all(progress: Sequence[AgentProgress]) -> int | None:
    """The last round that all present agents have begun; None before all have."""
    present = _present(progress)
    rounds = [agent.latest.round for agent in present if agent.latest is not None]
    return min(rounds, default=None) if len(rounds) == len(present) else None


def _cells(agent: AgentProgress) -> tuple[str, ...]:
    if agent.latest is None:
        return ("–",) * 5
    record = agent.latest
    return (
        str(record.round),
        f"{record.objective_local:.4f}",
        f"{record.test_metric:.4f}",
        f"{record.disagreement:.1e}",
        in_bytes(record.bytes_sent),
    )
