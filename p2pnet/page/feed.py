"""The feed: what the agent tells at its control socket, asked at most once a second however many look.

Nobody looks, nothing is asked. Where the agent is gone, what was last known of it stays, and the next look tries again;
after a restart its curves go on where they were.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Final, Protocol, TypeAlias, final

from p2pnet.agent.control.thinned_series import ThinnedSeries
from p2pnet.errors import ControlError

PERIOD_S: Final = 0.9
"""The least time from one asking to the next."""
ASSESSED_EVERY: Final = 5
"""The parameters are looked at with every fifth asking: that costs the agent more than the rest."""
MAX_EVENTS: Final = 500
MAX_POINTS: Final = 1000

Answer: TypeAlias = Mapping[str, Any]
Numbered: TypeAlias = tuple[int, Answer]


class Asking(Protocol):
    """A connection to the agent, as `ControlConnection` is one."""

    def ask(self, command: str, after: int = 0) -> Answer: ...

    def close(self) -> None: ...


@final
@dataclass(frozen=True, slots=True)
class View:
    """What is known of the agent and its network, unchangeable; a section that is as before is the same object."""

    is_running: bool = False
    problem: str = ""
    """why the agent does not answer"""
    seen_at_s: float | None = None
    """when it last answered, in seconds since the epoch"""
    status: Answer | None = None
    agents: Sequence[Answer] = ()
    """what each agent of the network says of itself"""
    links: Sequence[Answer] = ()
    """this agent's neighbors, with bytes"""
    assessment: Answer | None = None
    events: Sequence[Numbered] = ()
    """lines of the log, numbered by the feed"""
    points: Sequence[Numbered] = ()
    """the course of training, numbered by the feed"""
    generation: int = 0
    """grows where points are no continuation of those before"""


@final
class AgentFeed:
    """The latest view of one agent; safe to be called by several threads."""

    def __init__(self, connect: Callable[[], Asking], clock: Callable[[], float], time: Callable[[], float]) -> None:
        """`connect` raises ControlError where no agent runs; `clock` never goes back; `time` is since the epoch."""
        self._connect = connect
        self._clock = clock
        self._time = time
        self._lock = Lock()
        self._due_at = clock()
        self._connection: Asking | None = None
        self._view = View()
        self._n_askings = 0
        self._started_at_s: float | None = None
        """When the agent whose numbers are known was started."""
        self._last_event = self._last_point = 0
        """The agent's own numbers of what was last taken over."""
        self._events: deque[Numbered] = deque(maxlen=MAX_EVENTS)
        self._n_events = 0
        self._points = ThinnedSeries[Answer](MAX_POINTS)

    def look(self) -> View:
        """The present view, not older than a second."""
        with self._lock:
            if self._clock() >= self._due_at:
                self._view = self._ask_all()
                self._due_at = self._clock() + PERIOD_S
            return self._view

    def close(self) -> None:
        with self._lock:
            self._hang_up()

    def _ask_all(self) -> View:
        is_new = self._connection is None
        try:
            if self._connection is None:
                self._connection = self._connect()
            return self._view_of(self._connection)
        except ControlError as error:
            self._hang_up()
            if is_new:
                return replace(self._view, is_running=False, problem=str(error))
            # Over a connection of which nothing was asked for a minute that says nothing of the agent.
            return self._ask_all()

    def _hang_up(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()
        self._connection = None

    def _view_of(self, agent: Asking) -> View:
        before = self._view
        status = agent.ask("status")
        is_other = status["started_at_s"] != self._started_at_s
        if is_other:
            self._last_event = self._last_point = 0
        new_events = agent.ask("events", self._last_event)["events"]
        new_points = agent.ask("history", self._last_point)["points"]
        agents, links = agent.ask("network")["agents"], agent.ask("peers")["peers"]
        assessment = before.assessment
        if is_other or self._n_askings % ASSESSED_EVERY == 0:
            assessment = agent.ask("model")["assessment"] or assessment
        # From here on nothing can fail: what was asked for is taken over as a whole, or asked for again.
        self._n_askings += 1
        generation = before.generation + self._has_gone_back(new_points)
        self._started_at_s = status["started_at_s"]
        self._take_over(new_events, new_points)
        return View(
            is_running=True,
            seen_at_s=self._time(),
            status=status,
            agents=_same_if_equal(before.agents, agents),
            links=_same_if_equal(before.links, links),
            assessment=assessment,
            events=tuple(self._events) if new_events else before.events,
            points=tuple(self._points.after(0)) if new_points else before.points,
            generation=generation,
        )

    def _has_gone_back(self, new_points: Sequence[Answer]) -> bool:
        """Whether rounds are gone through again, of an agent that was started again; the points known of them are
        dropped.
        """
        known = [point for _, point in self._points.after(0)]
        if not (known and new_points) or new_points[0]["round"] > known[-1]["round"]:
            return False
        kept = [point for point in known if point["round"] < new_points[0]["round"]]
        self._points = ThinnedSeries[Answer](MAX_POINTS)
        for point in kept:
            self._points.add(point)
        return True

    def _take_over(self, events: Sequence[Answer], points: Sequence[Answer]) -> None:
        for event in events:
            self._n_events += 1
            self._events.append((self._n_events, event))
            self._last_event = event["number"]
        for point in points:
            self._points.add(point)
            self._last_point = point["number"]


def _same_if_equal(before: Sequence[Answer], now: Sequence[Answer]) -> Sequence[Answer]:
    return before if before == now else now
