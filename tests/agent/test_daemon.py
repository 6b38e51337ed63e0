"""Agents as processes of their own, over real sockets on the loopback: how they begin, end, and join late."""

import json
import logging
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from p2pnet.agent.history import read_history
from p2pnet.agent.known_members import KnownMembers
from p2pnet.agent.logs import LINES_AT_ONCE, LineBudget
from p2pnet.cli.group import main
from p2pnet.protocol.links.conservation import conservation_error
from p2pnet.testing import (
    LINEAR_REGRESSION,
    TRUE_WEIGHTS,
    LocalAgent,
    disagreement,
    free_ports,
    linear_shard,
)
from p2pnet.testing.waiting import wait_until

FOR_EVER = 1_000_000
NOBODY_THERE = (
    "no neighbor has answered in 0.1 s; waiting on. Start the others, again if they have finished without this agent, "
    "or stop it"
)
SLOW_MODEL = """\
import time
from pathlib import Path

import numpy as np

HELD = Path(__file__).with_name("held")


class Linear:
    name, version, n_inputs, n_outputs, n_params = "linear", "1", 3, 1, 3

    def init(self, rng):
        return np.zeros(3)

    def predict(self, params, X):
        while HELD.exists():
            time.sleep(0.01)
        return X @ params[:, None]

    def linearize(self, params, X):
        time.sleep({seconds_to_linearize})
        return Linearization(X, self.predict(params, X))


class Linearization:
    def __init__(self, X, predictions):
        self.X, self.predictions = X, predictions

    def jvp(self, step):
        return self.X @ step[:, None]

    def vjp(self, cotangents):
        return self.X.T @ cotangents[:, 0]


def build():
    return Linear()
"""


SETTINGS: dict[str, Any] = {
    **LINEAR_REGRESSION,
    "network.round_pace_s": 0.02,
    "objective.penalty": None,
    "algorithm.rounds": FOR_EVER,
    "algorithm.tolerance": 0.0,
    "log.format": "text",
}
"""A small linear model, many rounds at a pace that a test can follow."""


def knows(agent: LocalAgent, neighbors: Sequence[LocalAgent] = (), seeds: Sequence[LocalAgent] = ()) -> None:
    """Write the agent's agent.toml."""
    named = {
        "network.neighbors": [{**peer.as_neighbor(), "name": None} for peer in neighbors],
        "network.seeds": [peer.as_seed() for peer in seeds],
    }
    agent.configure({**SETTINGS, **named})


def start_beside_its_model(agent: LocalAgent, *overrides: str) -> None:
    """Start the agent where it finds a user's model in its own directory."""
    agent.start(*overrides, environment={"PYTHONPATH": str(agent.directory)})


def incarnation(agent: LocalAgent) -> int:
    return agent.files.state.incarnation


def _set(flags: Sequence[str]) -> list[str]:
    return [part for flag in flags for part in ("--set", flag)]


MakeAgents = Callable[[int], list[LocalAgent]]


@pytest.fixture
def make_agents(tmp_path: Path) -> Iterator[MakeAgents]:
    with ExitStack() as at_exit:

        def make(n_agents: int) -> list[LocalAgent]:
            agents = []
            for k, port in enumerate(free_ports(n_agents)):
                agent = LocalAgent.create(tmp_path / f"agent-{k + 1}", f"tcp://127.0.0.1:{port}")
                agent.files.write_samples(linear_shard(seed=k))
                agents.append(at_exit.enter_context(agent))
            return agents

        yield make


@pytest.fixture
def pair(make_agents: MakeAgents) -> tuple[LocalAgent, LocalAgent]:
    """Two neighbors, not started."""
    one, other = make_agents(2)
    knows(one, [other])
    knows(other, [one])
    return one, other


def differences(agents: Sequence[LocalAgent]) -> float:
    return disagreement([agent.files.params() for agent in agents])


# --------------------------------------------------------------------------------------------------- to the end


def test_two_agents_train_to_the_end_and_begin_anew_with_a_later_incarnation(
    pair: tuple[LocalAgent, LocalAgent],
) -> None:
    incarnations = []
    for options in ([], ["--fresh"]):
        for agent in pair:
            agent.start("algorithm.rounds=30", "network.round_pace_s=0", "log.format=json", options=options)
        assert [agent.exit_code() for agent in pair] == [0, 0]
        incarnations.append([incarnation(agent) for agent in pair])
    assert all(later > earlier for earlier, later in zip(*incarnations, strict=True))
    for agent in pair:
        result = agent.files.result()
        assert (result.rounds, result.stopped_because) == (30, "all rounds done")
        assert [record.round for record in agent.files.records()] == list(range(31))
        np.testing.assert_allclose(agent.files.params()[:3], TRUE_WEIGHTS, atol=0.1)
    entries = [json.loads(line) for line in pair[0].log.splitlines()]
    assert {"time", "level", "agent", "message"} == set(entries[0])
    assert [entry["message"] for entry in entries].count("finished after 30 rounds: all rounds done") == 2


def test_a_users_own_model_trains(pair: tuple[LocalAgent, LocalAgent]) -> None:
    for agent in pair:
        (agent.directory / "mine.py").write_text(SLOW_MODEL.format(seconds_to_linearize=0))
        start_beside_its_model(agent, "algorithm.rounds=20", "model.factory=mine:build")
    assert [agent.exit_code() for agent in pair] == [0, 0]
    np.testing.assert_allclose(pair[0].files.params(), TRUE_WEIGHTS, atol=0.1)


def test_an_agent_whose_neighbor_never_comes_waits_and_says_so_once(pair: tuple[LocalAgent, LocalAgent]) -> None:
    agent, _ = pair
    agent.start("network.start_timeout_s=0.1")
    agent.until(lambda agent: "cannot reach" in agent.log)  # after five seconds
    assert agent.log.count(NOBODY_THERE) == 1
    agent.signal(signal.SIGTERM)
    assert agent.exit_code() == 0
    assert agent.files.result().stopped_because == "told to leave"
    assert agent.round == -1


# ------------------------------------------------------------------------------------------------ told to leave


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_agent_told_to_leave_says_so_saves_its_model_and_the_neighbor_goes_on(
    pair: tuple[LocalAgent, LocalAgent], number: int
) -> None:
    leaving, staying = pair
    for agent in pair:
        agent.start()
    for agent in pair:
        agent.until(lambda agent: agent.round > 10)
    told_at = time.monotonic()
    leaving.signal(number)
    assert leaving.exit_code() == 0
    seconds = time.monotonic() - told_at
    sys.stdout.write(f"left {seconds:.2f} s after {signal.Signals(number).name}\n")
    assert seconds < 5
    assert leaving.files.result().stopped_because == "told to leave"
    assert leaving.files.params().shape == (4,)
    assert "told to leave; saying so to the neighbors" in leaving.log

    staying.until(lambda agent: "closed the link with agent-1: it left" in agent.log)
    round_then = staying.round
    staying.until(lambda agent: agent.round > round_then)


def test_an_agent_told_to_go_away_for_a_while_is_expected_back_and_its_data_counts_again(
    pair: tuple[LocalAgent, LocalAgent],
) -> None:
    going, staying = pair
    for agent in pair:
        agent.start()
    for agent in pair:
        agent.until(lambda agent: agent.round > 10)
    going.away()
    assert going.exit_code() == 0
    assert going.files.result().stopped_because == "told to go away for a while"
    staying.until(lambda agent: "closed the link with agent-1: it is away for a while" in agent.log)
    going.start()
    staying.until(lambda agent: agent.log.count("linked with agent-1") == 2)
    going.until(lambda agent: agent.round > 10)


def test_a_second_signal_ends_the_process_at_once(pair: tuple[LocalAgent, LocalAgent]) -> None:
    agent, _ = pair
    for member in pair:
        (member.directory / "mine.py").write_text(SLOW_MODEL.format(seconds_to_linearize=0))
        start_beside_its_model(member, "model.factory=mine:build")
    agent.until(lambda agent: agent.round > 0)
    (agent.directory / "held").touch()  # predictions take for ever, at the latest those of the model that is saved

    def has_ended_after_one_more_signal() -> bool:
        agent.signal(signal.SIGTERM)
        return agent.poll() is not None

    wait_until(has_ended_after_one_more_signal, lambda: f"{agent.name} takes no second signal:\n{agent.log}")
    assert agent.exit_code() == 128 + signal.SIGTERM


def test_leaving_does_not_wait_for_a_long_computation(pair: tuple[LocalAgent, LocalAgent]) -> None:
    agent, _ = pair
    (agent.directory / "mine.py").write_text(SLOW_MODEL.format(seconds_to_linearize=3600))
    start_beside_its_model(agent, "model.factory=mine:build")
    agent.until(lambda agent: "listening on" in agent.log)
    agent.signal(signal.SIGTERM)
    assert agent.exit_code() == 0
    assert agent.files.result().stopped_because == "told to leave"


def test_a_model_that_cannot_be_saved_is_one_line(pair: tuple[LocalAgent, LocalAgent]) -> None:
    agent, other = pair
    (agent.directory / "model.npz").mkdir()
    agent.start()
    other.start()
    agent.until(lambda agent: agent.round > 0)
    agent.signal(signal.SIGTERM)
    assert agent.exit_code() == 1
    assert agent.log.splitlines()[-1].startswith(f"p2pnet: {agent.directory / 'model.npz'}: cannot be written")
    assert "Traceback" not in agent.log


def test_a_model_that_cannot_be_saved_is_tried_again_at_the_end_and_the_neighbor_ends_as_usual(
    pair: tuple[LocalAgent, LocalAgent],
) -> None:
    agent, other = pair
    (agent.directory / "model.npz").mkdir()
    for one in pair:
        one.start("algorithm.rounds=30", "network.round_pace_s=0")
    assert [one.exit_code() for one in pair] == [1, 0]
    assert agent.log.splitlines()[-2].endswith("trying once more at the end")
    assert agent.log.splitlines()[-1].startswith(f"p2pnet: {agent.directory / 'model.npz'}: cannot be written")
    assert "lost" not in other.log
    assert "may come back" not in other.log


def test_an_agent_that_returns_when_all_have_finished_ends_and_keeps_the_model_that_it_had(
    pair: tuple[LocalAgent, LocalAgent],
) -> None:
    for agent in pair:
        agent.start("algorithm.rounds=30", "network.round_pace_s=0")
    assert [agent.exit_code() for agent in pair] == [0, 0]
    agent, _ = pair
    model = agent.files.params()
    for _ in range(2):
        agent.start("network.finish_timeout_s=0.1", "algorithm.rounds=30")
        assert agent.exit_code() == 0
    np.testing.assert_array_equal(agent.files.params(), model)


def test_an_agent_without_checkpoint_that_returns_when_all_have_finished_waits_and_keeps_the_model_that_it_had(
    pair: tuple[LocalAgent, LocalAgent],
) -> None:
    for agent in pair:
        agent.start("algorithm.rounds=30", "network.round_pace_s=0")
    assert [agent.exit_code() for agent in pair] == [0, 0]
    agent, _ = pair
    model = agent.files.params()
    history = agent.files.records()
    for _ in range(2):
        (agent.directory / "agent.log").unlink()
        agent.start("network.start_timeout_s=0.1", options=["--fresh"])
        agent.until(lambda agent: NOBODY_THERE in agent.log)
        agent.signal(signal.SIGTERM)
        assert agent.exit_code() == 0
    np.testing.assert_array_equal(agent.files.params(), model)
    assert read_history(agent.directory / "history.previous.csv") == history
    assert agent.round == -1


# ------------------------------------------------------------------------------------------- refused at the start


@pytest.mark.parametrize(
    ("flags", "exit_code", "what"),
    [
        (["network.bind=tcp://192.0.2.1:7070"], 69, "this machine does not have the address 192.0.2.1"),
        (["network.bind=127.0.0.1"], 78, "network.bind"),
        (["network.bind=none", "network.neighbors=[]"], 78, "no peer can dial this agent"),
        (["network.max_message_bytes=4096"], 78, "network.max_message_bytes = 4096: a share of this model"),
        (["data.source=nothing.csv"], 65, "nothing.csv: no such file"),
        (["data.target=z"], 65, "has no column 'z', which data.target names"),
        (["objective.loss=logistic"], 78, "objective.loss = logistic is not for regression"),
        (["objective.loss=poisson-deviance"], 65, "poisson"),
        (["model.factory=nowhere:build"], 65, "importing nowhere failed"),
        (["model.factory=mine:wide"], 65, "linear 1 needs (n_samples, 5)"),
        (["agent.state_dir=samples.npz"], 78, "agent.state_dir"),
        (["log.file=nowhere/agent.log"], 78, "log.file"),
        (["agent.nme=x"], 78, "did you mean agent.name?"),
    ],
)
def test_what_is_not_fit_to_run_is_one_line_by_check_and_by_run(
    pair: tuple[LocalAgent, LocalAgent], monkeypatch: pytest.MonkeyPatch, flags: list[str], exit_code: int, what: str
) -> None:
    agent, _ = pair
    write_model_of_five_inputs(agent.directory / "mine.py")
    before = sorted(path.name for path in agent.directory.iterdir())
    monkeypatch.syspath_prepend(agent.directory)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    checked = CliRunner().invoke(main, ["check", str(agent.files.config), *_set(flags)])
    assert (checked.exit_code, checked.stdout) == (exit_code, "")
    assert what in checked.stderr
    assert len(checked.stderr.splitlines()) == 1
    assert sorted(path.name for path in agent.directory.iterdir() if path.name != "__pycache__") == before

    start_beside_its_model(agent, *flags)
    assert agent.exit_code() == exit_code
    assert what in agent.log
    assert len(agent.log.splitlines()) == 1


def write_model_of_five_inputs(path: Path) -> None:
    path.write_text(
        SLOW_MODEL.format(seconds_to_linearize=0)
        + "\n\ndef wide():\n    model = Linear()\n    model.n_inputs = 5\n    return model\n"
    )


def test_check_tries_a_local_step_in_which_a_models_own_faults_show(
    pair: tuple[LocalAgent, LocalAgent], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, _ = pair
    (agent.directory / "faulty.py").write_text(
        SLOW_MODEL.format(seconds_to_linearize=0) + "\n\nLinearization.jvp = lambda self, step: 1 / 0\n"
    )
    monkeypatch.syspath_prepend(agent.directory)
    checked = CliRunner().invoke(main, ["check", str(agent.files.config), "--set", "model.factory=faulty:build"])
    assert checked.exit_code == 65
    assert "jvp raised ZeroDivisionError" in checked.stderr
    assert len(checked.stderr.splitlines()) == 1


def test_a_port_in_use_a_key_open_to_others_and_a_state_directory_in_use_are_one_line_each(
    pair: tuple[LocalAgent, LocalAgent],
) -> None:
    agent, other = pair

    def assert_refused(exit_code: int, what: str, *flags: str) -> None:
        checked = CliRunner().invoke(main, ["check", str(agent.files.config), *_set(flags)])
        assert (checked.exit_code, checked.stdout) == (exit_code, "")
        assert what in checked.stderr
        agent.start(*flags)
        assert agent.exit_code() == exit_code
        assert agent.log == checked.stderr
        (agent.directory / "agent.log").unlink()

    with socket.create_server(("127.0.0.1", int(agent.address.rpartition(":")[2]))):
        assert_refused(69, "is in use")
    os.chmod(agent.directory / "agent.key", 0o644)  # noqa: PTH101
    assert_refused(77, "chmod 600")
    os.chmod(agent.directory / "agent.key", 0o600)  # noqa: PTH101
    other.start()
    other.until(lambda other: "listening on" in other.log)
    agent.start(f"agent.state_dir={other.directory}")
    assert agent.exit_code() == 78
    assert "another agent is running there" in agent.log


def test_settings_may_be_checked_while_their_agent_runs(pair: tuple[LocalAgent, LocalAgent]) -> None:
    agent, _ = pair
    agent.start()
    agent.until(lambda agent: "listening on" in agent.log)
    checked = CliRunner().invoke(main, ["check", str(agent.files.config)])
    assert checked.exit_code == 0
    assert "fit to run" in checked.output
    assert "an agent runs there now" in checked.output


def test_check_leaves_nothing_behind_and_takes_nothing_from_a_run_before(pair: tuple[LocalAgent, LocalAgent]) -> None:
    agent, _ = pair
    (agent.directory / "result.json").write_text("{}")
    before = sorted(agent.directory.iterdir())
    for flags in ([], ["agent.state_dir=state/of/mine", "log.file=new.log"]):
        assert CliRunner().invoke(main, ["check", str(agent.files.config), *_set(flags)]).exit_code == 0
        assert sorted(agent.directory.iterdir()) == before


# ------------------------------------------------------------------------------------------------------- seeds


def test_agents_that_know_one_seed_find_each_other_take_in_a_late_joiner_and_one_that_was_killed(
    make_agents: MakeAgents,
) -> None:
    agents = make_agents(4)
    seed, killed, _, late = agents
    n_rounds = 400
    for agent in agents:
        knows(agent, seeds=[] if agent is seed else [seed])

    def run(agent: LocalAgent) -> None:
        allowed = json.dumps([peer.keys.public for peer in agents if peer is not agent])
        agent.start(f"security.allowed_peers={allowed}", f"algorithm.rounds={n_rounds}", "network.round_pace_s=0.05")

    for agent in agents[:3]:
        run(agent)
    for agent in agents[:3]:
        agent.until(lambda agent: agent.log.count("linked with") == 2)
    seed.until(lambda seed: seed.round > 5)
    run(late)
    late.until(lambda late: late.log.count("linked with") == 3)
    assert "joins the training in round" in late.log
    first_incarnation = incarnation(killed)
    killed.signal(signal.SIGKILL)
    assert killed.exit_code() == -signal.SIGKILL
    run(killed)

    assert [agent.exit_code() for agent in agents] == [0] * 4
    assert [agent.round for agent in agents] == [agent.files.result().rounds for agent in agents] == [n_rounds] * 4
    assert incarnation(killed) > first_incarnation
    assert re.search("joins the training in round|goes on from the checkpoint of round", killed.log)
    rounds = [record.round for record in killed.files.records()]
    assert rounds == sorted(rounds)
    assert differences(agents) < 1e-3
    for agent in agents:
        assert len(agent.files.ledger().links) == 3
    assert conservation_error([agent.files.ledger() for agent in agents]) < 1e-9


def test_agents_that_all_restart_find_each_other_without_the_seed_that_they_know(make_agents: MakeAgents) -> None:
    agents = make_agents(3)
    seed, *others = agents
    allowed = json.dumps([agent.keys.public for agent in agents])
    settings = (f"security.allowed_peers={allowed}", "algorithm.rounds=400", "network.round_pace_s=0.05")
    for agent in agents:
        knows(agent, seeds=[] if agent is seed else [seed])
        agent.start(*settings)
    for agent in agents:
        agent.until(
            lambda agent: len(KnownMembers(agent.files.directory, logging.getLogger(), time.monotonic).read()) == 2
        )
    for agent in agents:
        agent.signal(signal.SIGKILL)
        assert agent.exit_code() == -signal.SIGKILL
    for agent in others:
        agent.start(*settings)
    assert [agent.exit_code() for agent in others] == [0, 0]
    assert [agent.files.result().rounds for agent in others] == [400, 400]
    assert differences(others) < 1e-2


def test_agents_that_know_one_seed_finish_without_it_when_it_is_killed(make_agents: MakeAgents) -> None:
    agents = make_agents(5)
    seed, *others = agents
    n_rounds = 120
    allowed = json.dumps([agent.keys.public for agent in agents])
    for agent in agents:
        knows(agent, seeds=[] if agent is seed else [seed])
        agent.start(f"security.allowed_peers={allowed}", f"algorithm.rounds={n_rounds}", "network.round_pace_s=0.05")
    for agent in agents:
        agent.until(lambda agent: "(5 living)" in agent.log and agent.log.count("linked with") >= 3)
    seed.until(lambda seed: seed.round > 5)
    seed.signal(signal.SIGKILL)
    assert seed.exit_code() == -signal.SIGKILL

    assert [agent.exit_code() for agent in others] == [0] * 4
    assert {agent.files.result().rounds for agent in others} == {n_rounds}
    assert all(f"members: {seed.directory.name} died" in agent.log for agent in others)
    assert differences(others) < 1e-3
    assert conservation_error([agent.files.ledger() for agent in others]) < 1e-9


# -------------------------------------------------------------------------------------------------------- logs


def test_a_peer_may_cause_some_lines_at_once_and_then_one_a_second() -> None:
    budget = LineBudget()
    assert [budget.admit("a", 0.0) for _ in range(LINES_AT_ONCE)] == [0] * LINES_AT_ONCE
    assert [budget.admit("a", 0.5) for _ in range(3)] == [None] * 3
    assert budget.admit("b", 0.5) == 0
    assert budget.admit("a", 1.5) == 3
    assert budget.admit("a", 1.5) is None
