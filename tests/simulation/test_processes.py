"""A simulation shared by several processes does what it does in one."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from p2pnet.cli.group import main
from p2pnet.errors import ConfigError, TrainingError
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.run import simulate
from p2pnet.protocol.core.events import MessageReceived, PeerDisconnected
from p2pnet.protocol.core.types import LinkId, Nonce
from p2pnet.protocol.messages.training import Share
from p2pnet.simulation.processes import Meet, Parcel, in_processes
from p2pnet.simulation.simulator import Arrival

SMALL = SimulateOptions(
    agents=9, data="synthetic:regression:180:3", hidden=(4,), penalty="l2:1e-2", rounds=60, is_compared=False
)


@pytest.mark.parametrize("n_processes", [2, 4])
@pytest.mark.parametrize(
    "options",
    [
        replace(SMALL, topology="random:0.5"),
        replace(SMALL, topology="random:0.5", wire="coded"),
        replace(SMALL, topology="star", wire="float64", gradient_order="before-mixing"),
        replace(SMALL, topology="ring", hidden=(), rounds=400),
        replace(SMALL, topology="grid", algorithm="dpsgd", batch_size=5),
        replace(SMALL, topology="regular:4", weighting="paper"),
    ],
    ids=["random", "coded", "gradients first", "comes to rest", "dpsgd", "size estimated"],
)
def test_the_number_of_processes_changes_nothing(options: SimulateOptions, n_processes: int) -> None:
    one, several = (simulate(replace(options, processes=n)) for n in (1, n_processes))
    for agent, same in zip(one.network.agents, several.network.agents, strict=True):
        np.testing.assert_array_equal(agent.params, same.params)
        assert agent.history == same.history
        assert (agent.name, agent.result.rounds) == (same.name, same.result.rounds)
    what_was_done = [replace(run.summary, seconds_total=0.0, peak_rss_mb_max=0.0) for run in (one, several)]
    assert what_was_done[0] == what_was_done[1]
    assert several.summary.peak_rss_mb_max > 1.2 * one.summary.peak_rss_mb_max, "memory is that of all processes"


def test_what_is_handed_over_keeps_its_order_whatever_it_is() -> None:
    def arrival(k: int) -> Arrival:
        share = Share(
            link_id=LinkId(Nonce(1, k), Nonce(2, k)),
            sequence=k,
            acknowledged=k,
            base=0,
            precision=64,
            round=k,
            next_degree=2,
            proximal_weight=0.5,
            first_residual=1.0,
            quiet=0,
            stop_round=-1,
            is_held=False,
            total=np.full(4, float(k)),
            params=np.full(2, -float(k)),
        )
        return Arrival(0.5 * k, f"agent-{k}", MessageReceived("agent-9", share))

    sent = [arrival(0), Arrival(0.1, "agent-1", PeerDisconnected("agent-2")), arrival(2), arrival(3)]
    sent.append(Arrival(2.0, "agent-3", PeerDisconnected("agent-2")))
    received = Parcel.of(sent).arrivals()
    assert [(each.time, each.peer) for each in received] == [(each.time, each.peer) for each in sent]
    for before, after in zip(sent, received, strict=True):
        match before.event, after.event:
            case MessageReceived(sender, Share() as share), MessageReceived(same_sender, Share() as same):
                assert (sender, str(share)) == (same_sender, str(same))
                np.testing.assert_array_equal(share.total, same.total)
                np.testing.assert_array_equal(share.params, same.params)
            case _:
                assert before == after
    assert Parcel.of([]).arrivals() == []


def test_what_goes_wrong_in_another_process_is_said_in_the_first() -> None:
    def work(k: int, meet: Meet) -> int:  # noqa: ARG001
        if k == 2:
            raise ConfigError("the third has found something")
        return k

    with pytest.raises(ConfigError, match="the third has found something"):
        in_processes(3, work)
    assert in_processes(2, work) == [0, 1]


def test_a_process_that_is_killed_ends_the_simulation_with_a_word_of_the_cause() -> None:
    def work(k: int, meet: Meet) -> None:  # noqa: ARG001
        if k == 1:
            os._exit(1)

    with pytest.raises(TrainingError, match="a process of the simulation has ended"):
        in_processes(2, work)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--processes 0", "--processes 0: must be at least 1"),
        ("--processes 9", "--processes 9: must not be more than agents"),
        (
            "--processes 2 --loss-rate 0.1",
            "--processes 2: must be 1 without a network, with faults, and on graphs that",
        ),
        ("--processes 2 --topology matching", "--processes 2: must be 1"),
        ("--processes 2 --algorithm alone", "--processes 2: must be 1"),
    ],
)
def test_a_number_of_processes_that_cannot_be_is_refused(options: str, message: str) -> None:
    result = CliRunner().invoke(main, ["simulate", *options.split()])
    assert result.exit_code == 78
    assert message in result.output


def test_many_agents_are_shared_by_all_cores_where_that_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pnet.experiments.simulate.options.n_cores", lambda: 3)
    many = replace(SMALL, agents=100, data="synthetic:regression:400:3")
    assert many.processes_used == 3
    assert SMALL.processes_used == 1
    assert replace(many, churn=0.01).processes_used == 1
    assert replace(many, topology="one-peer-exponential").processes_used == 1


def test_no_process_outlives_a_first_one_that_is_killed() -> None:
    code = """
import os
from p2pnet.simulation.processes import _Outgoing, in_processes

def work(k, meet):
    os.write(1, b".")
    meet(_Outgoing(None, [(), (), ()]))
    if k == 0:
        os.kill(os.getpid(), 9)
    meet(_Outgoing(None, [(), (), ()]))

in_processes(3, work)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == -signal.SIGKILL
    assert run.stdout == "..."
    assert run.stderr == "", "the end of what they write is there when all of them are gone"
