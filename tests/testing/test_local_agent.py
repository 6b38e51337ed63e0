"""One real agent of the harness: what is done to its process, and that nothing outlives the harness."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from p2pnet.errors import ConfigError
from p2pnet.testing import (
    LINEAR_REGRESSION,
    TRUE_WEIGHTS,
    Fleet,
    HarnessError,
    LocalAgent,
    by_graph,
    linear_shard,
    wait_until,
)

FOR_EVER = {"algorithm.rounds": 1_000_000, "algorithm.tolerance": 0.0, "network.round_pace_s": 0.02}


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet.create(tmp_path, 2, settings=FOR_EVER) as fleet:
        yield fleet


def state_of(pid: int) -> str:
    """R, S, T, … as the system shows it; empty for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return ""


def test_an_agent_is_started_killed_and_restarted_with_and_without_its_state(pair: Fleet) -> None:
    pair.start()
    agent, _ = pair.agents
    incarnations = []
    for keeps_state in (True, False):
        agent.until(lambda agent: agent.round > 3)
        incarnations.append(agent.files.state.incarnation)
        agent.kill()
        assert agent.poll() == -signal.SIGKILL
        agent.restart(keeps_state=keeps_state)
        assert agent.round == -1
    agent.until(lambda agent: agent.count("joins the training in round") == 2)
    assert incarnations[0] < incarnations[1]
    assert not (agent.directory / "history.previous.csv").exists(), "the state was lost with the last restart"


def test_an_agent_told_to_leave_leaves_its_result_its_model_and_its_ledger(pair: Fleet) -> None:
    pair.start()
    pair.until_round(3)
    agent, other = pair.agents
    with pytest.raises(HarnessError, match="runs already"):
        agent.start()
    agent.stop()
    assert agent.exit_code() == 0
    assert agent.files.result().stopped_because == "told to leave"
    assert agent.files.params().shape == (len(TRUE_WEIGHTS) + 1,)
    np.testing.assert_array_equal(agent.files.model()["params"], agent.files.params())
    assert agent.files.ledger().own.shape == (len(TRUE_WEIGHTS) + 3,)
    assert str(agent.files.failure(0)) == "told to leave"
    other.until(lambda other: other.has_said(f"closed the link with {agent.name}"))
    assert other.said_at("linked with") <= other.said_at("closed the link")
    with pytest.raises(HarnessError, match="has not said"):
        other.said_at("what no agent says")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the state of a process there")
def test_an_agent_is_frozen_and_thawed(pair: Fleet) -> None:
    pair.start([0])
    agent = pair[0]
    agent.until(lambda agent: agent.has_said("listening on"))
    agent.freeze()
    wait_until(lambda: state_of(agent.process.pid) == "T", lambda: "it stands still")
    agent.thaw()
    wait_until(lambda: state_of(agent.process.pid) != "T", lambda: "it goes on")


def test_what_does_not_come_or_ends_before_is_an_error_with_the_log(pair: Fleet) -> None:
    agent, other = pair.agents
    with pytest.raises(HarnessError, match="agent-1 has not been started"):
        agent.until(lambda _: True)
    agent.start()
    with pytest.raises(HarnessError, match=r"after 0\.01 s still not: what is expected of agent-1"):
        agent.until(lambda _: False, patience_s=0.01)
    other.start("network.bind=none", "network.neighbors=[]")
    with pytest.raises(HarnessError, match=r"agent-2 ended with exit code 78 before that:\n.*no peer can dial"):
        other.until(lambda _: False)
    with pytest.raises(HarnessError, match="ended with exit code 78"):
        other.finish()


def test_settings_that_there_are_not_are_an_error_at_once(tmp_path: Path) -> None:
    agent = LocalAgent.create(tmp_path / "agent")
    with pytest.raises(ConfigError, match=r"algorithm\.round"):
        agent.configure({"algorithm.round": 3})


def test_settings_of_the_environment_do_not_reach_an_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P2PNET_NETWORK__BIND", "no address")
    with LocalAgent.create(tmp_path / "agent") as agent:
        agent.files.write_samples(linear_shard(0))
        agent.configure(LINEAR_REGRESSION)
        agent.start()
        agent.until(lambda agent: agent.has_said("listening on"))


def test_the_doctor_finds_a_fleet_well(tmp_path: Path) -> None:
    with Fleet.create(tmp_path, 2, by_graph([(0, 1)]), FOR_EVER) as fleet:
        fleet.start()
        fleet.until_round(1)
        lines = fleet[0].doctor()
    assert lines["agent-2"][0].startswith("fine: agent-2 answers at ")


ORPHAN = """
import sys
from pathlib import Path
from p2pnet.testing import Fleet
fleet = Fleet.create(Path(sys.argv[1]), 2, settings={"algorithm.rounds": 10**6, "algorithm.tolerance": 0.0})
fleet.start()
fleet.until_round(1)
fleet.freeze([1])
print(*(agent.process.pid for agent in fleet.agents), flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_no_agent_outlives_the_process_that_started_it_not_even_one_that_is_frozen(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        pids = [int(text) for text in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.kill()
    wait_until(lambda: all(state_of(pid) in ("", "Z") for pid in pids), lambda: f"{pids} are gone")


def test_the_samples_are_those_of_the_true_weights() -> None:
    shard = linear_shard(0, n_samples=2000, noise=0.0)
    np.testing.assert_allclose(shard.X @ np.array(TRUE_WEIGHTS), shard.y)
