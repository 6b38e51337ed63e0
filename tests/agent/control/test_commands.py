"""The commands of the control socket, asked of real agents by the command line."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from p2pnet.agent.control.client import ControlConnection, ask
from p2pnet.cli.group import main
from p2pnet.protocol.core.reports import mark_of
from p2pnet.testing import LINEAR_REGRESSION, LocalAgent, free_ports, linear_shard
from p2pnet.testing.waiting import wait_until

SETTINGS: dict[str, Any] = {
    **LINEAR_REGRESSION,
    "network.round_pace_s": 0.05,
    "algorithm.rounds": 1_000_000,
    "algorithm.tolerance": 0.0,
    "log.format": "text",
}


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[LocalAgent, LocalAgent]]:
    """Two neighbors that train."""
    with ExitStack() as at_exit:
        one, other = (
            at_exit.enter_context(LocalAgent.create(tmp_path / f"agent-{k + 1}", f"tcp://127.0.0.1:{port}"))
            for k, port in enumerate(free_ports(2))
        )
        for agent, neighbor in ((one, other), (other, one)):
            agent.files.write_samples(linear_shard(seed=3))
            agent.configure({**SETTINGS, "network.neighbors": [neighbor.as_neighbor()]})
            agent.start()
        for agent in (one, other):
            agent.until(lambda agent: agent.round > 3)
        yield one, other


def p2pnet(command: str, agent: LocalAgent, *options: str) -> str:
    result = CliRunner().invoke(main, [command, str(agent.directory / "agent.toml"), *options])
    assert result.exit_code == 0, result.output
    return result.output


def test_status_and_peers_say_where_training_stands(pair: tuple[LocalAgent, LocalAgent]) -> None:
    one, other = pair
    status = json.loads(p2pnet("status", one, "--json"))
    assert (status["agent"], status["stage"], status["neighbors"]) == (one.name, "training", 1)
    assert status["round"] > 3
    assert status["objective"] > 0
    assert status["test_metric_name"] == "R²"
    assert status["pid"] == one.process.pid
    assert 0 <= status["residual"] < 1
    text = p2pnet("status", one)
    assert "training, round " in text
    assert "1 linked" in text

    (peer,) = json.loads(p2pnet("peers", one, "--json"))["peers"]
    assert (peer["public_key"], peer["state"]) == (other.keys.public, "linked")
    assert other.address in p2pnet("peers", one)


def test_from_any_agent_the_whole_network_is_seen(pair: tuple[LocalAgent, LocalAgent]) -> None:
    for agent in pair:
        wait_until(partial(_knows_all, agent), lambda: "not all agents are heard of")
        assert [seen["name"] for seen in _network(agent)] == [one.name for one in pair]
        assert "training" in p2pnet("watch", agent, "--once")


def test_what_happens_how_training_goes_and_what_the_model_is_like_can_be_followed(
    pair: tuple[LocalAgent, LocalAgent],
) -> None:
    one, other = pair
    with ControlConnection(one.directory) as connection:
        events = connection.ask("events")["events"]
        assert f"linked with {other.name}" in [event["text"] for event in events]
        assert connection.ask("events", events[-1]["number"])["events"] == []

        points = connection.ask("history")["points"]
        assert [point["round"] for point in points] == sorted(point["round"] for point in points)
        assert {"epoch", "time_s", "objective", "test_metric", "disagreement", "bytes_sent"} < points[-1].keys()
        assert 0 <= points[-1]["residual"] < 1
        assert all(point["number"] > 3 for point in connection.ask("history", 3)["points"])

        def links() -> list[str]:
            (seen,) = [agent for agent in connection.ask("network")["agents"] if agent["name"] == one.name]
            return list(seen["links"])

        wait_until(lambda: links() == [mark_of(other.keys.public)], lambda: "the link is not told of")
        (link,) = connection.ask("peers")["peers"]
        assert link["bytes_sent"] > 0
        assert link["bytes_received"] > 0

        wait_until(lambda: connection.ask("model")["assessment"] is not None, lambda: "the parameters are not assessed")
        assessment = connection.ask("model")["assessment"]
        assert assessment["network"].startswith("linear")
        assert [layer["name"] for layer in assessment["layers"]] == ["output"]


def test_a_checkpoint_is_saved_when_it_is_asked_for(pair: tuple[LocalAgent, LocalAgent]) -> None:
    one, _ = pair
    p2pnet("checkpoint", one)
    assert (one.files.state.path / "checkpoint").is_file()


def test_an_agent_told_to_leave_ends_and_is_then_not_there_to_be_asked(pair: tuple[LocalAgent, LocalAgent]) -> None:
    one, other = pair
    p2pnet("leave", one)
    assert one.exit_code() == 0
    assert one.files.result().stopped_because == "told to leave"
    other.until(lambda agent: f"closed the link with {one.name}: it left" in agent.log)
    result = CliRunner().invoke(main, ["status", str(one.directory / "agent.toml")])
    assert result.exit_code == 69
    assert "no agent runs there; start one with: p2pnet run" in result.output


def test_what_may_change_while_an_agent_runs_is_put_in_force_and_the_rest_is_named(
    pair: tuple[LocalAgent, LocalAgent],
) -> None:
    one, _ = pair
    text = (one.directory / "agent.toml").read_text()
    one.configure({**SETTINGS, "network.neighbors": [], "log.level": "debug", "algorithm.rounds": 7})
    assert ask(one.directory, "reload") == {
        "applied": ["log.level"],
        "waiting": ["algorithm.rounds", "network.neighbors"],
    }
    # The key of the neighbor is allowed no more: the connection is closed at once.
    one.until(lambda agent: "its key is allowed no more" in agent.log)
    one.until(lambda agent: "DEBUG" in agent.log)
    assert all(peer["state"] in ("parted", "gone") for peer in ask(one.directory, "peers")["peers"])

    (one.directory / "agent.toml").write_text(text + "\n[nonsense]\n")
    result = CliRunner().invoke(main, ["reload", str(one.directory / "agent.toml")])
    assert result.exit_code == 69
    assert "nonsense: no such section" in result.output


def _knows_all(agent: LocalAgent) -> bool:
    return len(_network(agent)) == 2


def _network(agent: LocalAgent) -> list[dict[str, Any]]:
    answer = json.loads(p2pnet("watch", agent, "--once", "--json"))
    return [dict(seen) for seen in answer["agents"]]
