"""The feed: what is asked of the agent and how often, and what is shown when it goes and comes back."""

import pytest

from p2pnet.page.feed import ASSESSED_EVERY, AgentFeed, View
from p2pnet.page.updates import Updates
from tests.page.agents import ScriptedAgent


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def agent() -> ScriptedAgent:
    return ScriptedAgent()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def feed(agent: ScriptedAgent, clock: Clock) -> AgentFeed:
    return AgentFeed(agent.connect, clock, lambda: 1_700_000_000.0)


def look(feed: AgentFeed, clock: Clock) -> View:
    """A second later."""
    clock.now += 1.0
    return feed.look()


def rounds(view: View) -> list[int]:
    return [point["round"] for _, point in view.points]


def events(view: View) -> list[str]:
    return [event["text"] for _, event in view.events]


def test_many_who_look_ask_once_a_second(agent: ScriptedAgent, feed: AgentFeed, clock: Clock) -> None:
    views = [feed.look() for _ in range(10)]
    assert agent.commands() == ["status", "events", "history", "network", "peers", "model"]
    assert all(view is views[0] for view in views)
    clock.now += 0.5
    assert feed.look() is views[0]
    look(feed, clock)
    assert agent.commands() == ["status", "events", "history", "network", "peers"]
    assert agent.n_connections == 1


def test_nothing_is_asked_while_nobody_looks(agent: ScriptedAgent, feed: AgentFeed, clock: Clock) -> None:
    clock.now += 3600.0
    assert agent.commands() == []
    assert feed.look().is_running


def test_the_parameters_are_looked_at_now_and_then(agent: ScriptedAgent, feed: AgentFeed, clock: Clock) -> None:
    for _ in range(2 * ASSESSED_EVERY):
        look(feed, clock)
    assert agent.commands().count("model") == 2


def test_of_what_grows_only_what_is_new_is_asked_for(agent: ScriptedAgent, feed: AgentFeed, clock: Clock) -> None:
    look(feed, clock)
    agent.n_events, agent.rounds = 3, [0, 1, 2, 3, 4]
    agent.asked.clear()
    view = look(feed, clock)
    assert ("events", 2) in agent.asked
    assert ("history", 3) in agent.asked
    assert events(view) == ["event 1", "event 2", "event 3"]
    assert rounds(view) == [0, 1, 2, 3, 4]


def test_what_was_known_of_an_agent_that_is_gone_stays_with_the_reason(
    agent: ScriptedAgent, feed: AgentFeed, clock: Clock
) -> None:
    before = look(feed, clock)
    agent.is_there = False
    gone = look(feed, clock)
    assert not gone.is_running
    assert gone.problem == "state: no agent runs there"
    assert (gone.status, gone.events, gone.seen_at_s) == (before.status, before.events, before.seen_at_s)
    agent.is_there = True
    assert look(feed, clock).is_running
    assert agent.n_connections == 2


def test_a_connection_that_the_agent_has_closed_since_nobody_looked_is_no_reason_to_call_it_gone(
    agent: ScriptedAgent, feed: AgentFeed, clock: Clock
) -> None:
    look(feed, clock)
    agent.is_connected = False
    clock.now += 120.0
    assert look(feed, clock).is_running
    assert agent.n_connections == 2


def test_an_agent_that_goes_on_after_a_restart_goes_on_with_its_curves(
    agent: ScriptedAgent, feed: AgentFeed, clock: Clock
) -> None:
    generation = look(feed, clock).generation
    agent.started_at_s, agent.n_events, agent.rounds = 2000.0, 1, []
    assert rounds(look(feed, clock)) == [0, 1, 2]
    agent.rounds = [2, 3]
    view = look(feed, clock)
    assert rounds(view) == [0, 1, 2, 3]
    assert view.generation == generation + 1
    assert events(view) == ["event 1", "event 2", "event 1"]
    agent.rounds = [2, 3, 4]
    assert look(feed, clock).generation == generation + 1


def test_an_agent_that_begins_anew_has_new_curves(agent: ScriptedAgent, feed: AgentFeed, clock: Clock) -> None:
    look(feed, clock)
    agent.started_at_s, agent.rounds = 2000.0, [0]
    assert rounds(look(feed, clock)) == [0]


def test_a_browser_is_sent_everything_at_first_and_then_what_has_changed(
    agent: ScriptedAgent, feed: AgentFeed, clock: Clock
) -> None:
    updates = Updates()
    first = updates.of(look(feed, clock))
    assert first["is_anew"]
    assert [point["round"] for point in first["points"]] == [0, 1, 2]
    assert {"status", "agents", "links", "assessment", "events"} < first.keys()

    agent.rounds = [0, 1, 2, 3]
    second = updates.of(look(feed, clock))
    assert not second["is_anew"]
    assert [point["round"] for point in second["points"]] == [3]
    assert second.keys() == {"is_anew", "is_running", "problem", "seen_at_s", "status", "points"}

    agent.started_at_s, agent.rounds = 2000.0, [1]
    third = updates.of(look(feed, clock))
    assert third["is_anew"]
    assert [point["round"] for point in third["points"]] == [0, 1]
