"""What stands in an agent's directory, and what it says of the agent's end."""

import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from p2pnet.agent.history import History
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.config import read_settings
from p2pnet.errors import ConfigError
from p2pnet.testing import AgentFiles, Failure, LogEntry, Shard, free_ports, linear_shard
from p2pnet.training.records import Result, RoundRecord

RESULT = Result("agent-1", "key", 3, "converged", 10, 10, 50.0, 0, {})


@pytest.fixture
def agent(tmp_path: Path) -> AgentFiles:
    return AgentFiles("agent-1", tmp_path)


def test_free_ports_differ_and_can_be_listened_on_at_once() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    listeners = [socket.create_server(("127.0.0.1", port)) for port in ports]
    for listener in listeners:
        listener.close()


def test_an_agent_that_ended_well_with_a_result_has_finished(agent: AgentFiles) -> None:
    StateDirectory(agent.directory).save_result(RESULT)
    assert agent.failure(0) is None


def test_a_failure_ends_with_the_agents_last_words(agent: AgentFiles) -> None:
    agent.log.write_text("INFO listening\nERROR cannot bind\n\n")
    failure = agent.failure(69)
    assert failure == Failure("exit code 69", is_its_own=True, last_words="ERROR cannot bind")
    assert str(failure) == "exit code 69; its log ends with: ERROR cannot bind"


def test_who_is_killed_or_told_to_leave_has_not_failed_by_an_error_of_its_own(agent: AgentFiles) -> None:
    assert agent.failure(-9) == Failure("killed by signal 9", is_its_own=False)
    for reason in ("told to leave", "told to go away for a while"):
        StateDirectory(agent.directory).save_result(replace(RESULT, stopped_because=reason))
        assert agent.failure(0) == Failure(reason, is_its_own=False)
    assert str(agent.failure(-9)) == "killed by signal 9"


def test_a_failure_without_last_words_is_told_as_well(agent: AgentFiles) -> None:
    agent.log.write_text("")
    assert str(agent.failure(1)) == "exit code 1, with nothing in its log"


def test_an_agent_that_ended_well_without_a_result_has_not_finished(agent: AgentFiles) -> None:
    agent.log.write_text("INFO listening\n")
    assert str(agent.failure(0)) == "exit code 0, but it left no result; its log ends with: INFO listening"


def test_entries_are_the_lines_of_json_and_can_be_searched(agent: AgentFiles) -> None:
    assert agent.entries() == []
    moments = ("1970-01-01T00:00:01.500Z", "1970-01-01T00:00:02.000Z")
    agent.log.write_text(
        f'{{"time": "{moments[0]}", "level": "info", "agent": "a", "message": "linked with b"}}\n'
        "p2pnet: no entry\n{}\n[1]\n"
        f'{{"time": "{moments[1]}", "level": "warning", "agent": "a", "message": "lost b"}}\n'
    )
    assert agent.entries() == [LogEntry(1.5, "info", "linked with b"), LogEntry(2.0, "warning", "lost b")]
    assert agent.matching("^lost .$") == [LogEntry(2.0, "warning", "lost b")]
    assert agent.warnings() == ["lost b"]


def test_the_round_is_the_last_of_the_history_and_is_forgotten_with_the_state(agent: AgentFiles) -> None:
    assert agent.round == -1
    history = History(agent.history)
    for round_ in range(3):
        history.append(RoundRecord(round_, 1.0, 0.5, 0.9, 0.1, 0.1, 100))
    StateDirectory(agent.directory).save_result(RESULT)
    agent.log.write_text("kept")
    assert (agent.round, agent.result()) == (2, RESULT)
    agent.forget()
    assert (agent.round, agent.log_text()) == (-1, "kept")
    assert [path.name for path in agent.directory.iterdir()] == ["agent.log"]


def test_settings_are_written_by_section_and_key_and_none_is_the_default(agent: AgentFiles) -> None:
    agent.write_settings({"data.source": "samples.npz", "algorithm.rounds": 7, "network.bind": None})
    settings = read_settings(agent.config, environment={})
    assert (settings.algorithm.rounds, settings.data.source) == (7, agent.directory / "samples.npz")
    assert settings.network == type(settings.network)()
    with pytest.raises(ConfigError, match="settings of agent-1"):
        agent.write_settings({"data.source": "samples.npz", "algorithm.rounds": "many"})


def test_samples_are_written_as_they_are(agent: AgentFiles) -> None:
    shard = linear_shard(0)
    agent.write_samples(shard)
    with np.load(agent.directory / "samples.npz") as file:
        read = Shard(file["X"], file["y"])
    np.testing.assert_array_equal(read.X, shard.X)
    np.testing.assert_array_equal(read.y, shard.y)
