import socket
from dataclasses import replace
from pathlib import Path

import pytest

from p2pnet.agent.state_directory import Result, StateDirectory
from p2pnet.experiments.demo.fleet import AgentFiles, Failure, free_ports

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
