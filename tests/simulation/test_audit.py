"""Neighbors' parameters are tried on own samples: what that does to liars, and that it does nothing else."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from p2pnet.protocol.core.notices import CloseReason, LinkClosed
from p2pnet.protocol.core.types import Array
from p2pnet.protocol.links.conservation import conservation_error
from p2pnet.protocol.messages.training import Share
from p2pnet.protocol.rounds.state import Phase
from p2pnet.simulation.simulator import Outgoing
from p2pnet.testing import LINEAR_REGRESSION, VirtualFleet, least_squares, linear_shards, relative_errors
from p2pnet.testing.lies import Liar, Lie, parse_lie
from p2pnet.testing.problems import TRUE_WEIGHTS

LIAR = "agent-4"
N_AGENTS = 6
SINCE = 20
DEVIATION = float(np.linalg.norm(TRUE_WEIGHTS))
ALL_ROUNDS: Mapping[str, Any] = {"algorithm.rounds": 60, "algorithm.tolerance": 0.0}
ON: Mapping[str, Any] = {"security.audit_neighbors": True, "security.bound_shares": True}
OFF: Mapping[str, Any] = {"security.audit_neighbors": False, "security.bound_shares": False}


def from_then_on(lie: Lie, since: int) -> Outgoing:
    """What a member sends that lies in its shares from some round on."""
    return lambda message: lie(message) if isinstance(message, Share) and message.round >= since else [message]


def trained(settings: Mapping[str, Any], lie: str = "", precision: str = "float64", since: int = SINCE) -> VirtualFleet:
    """A ring of agents whose samples are alike, with targets of deviation 1, after its last round."""
    names = [f"agent-{k + 1}" for k in range(N_AGENTS)]
    fleet = VirtualFleet(
        [shard._replace(y=shard.y / DEVIATION) for shard in linear_shards(N_AGENTS)],
        {
            **LINEAR_REGRESSION,
            "algorithm.rounds": 60,
            "algorithm.tolerance": 0.0,
            "network.precision": precision,
            **settings,
        },
        neighbors={name: [names[k - 1], names[(k + 1) % N_AGENTS]] for k, name in enumerate(names)},
    )
    if lie:
        told = from_then_on(parse_lie(lie, Liar(LIAR)), since)
        fleet.agents[LIAR] = replace(fleet.agents[LIAR], outgoing=told)
    fleet.start()
    ended = (Phase.FINISHED, Phase.CLOSED)
    assert fleet.run_until(lambda: all(fleet.nodes.phase(name) in ended for name in fleet.names if name != LIAR))
    return fleet


def honest(fleet: VirtualFleet) -> list[str]:
    return [name for name in fleet.names if name != LIAR]


def errors(fleet: VirtualFleet) -> float:
    solution = least_squares([fleet.shards[name] for name in honest(fleet)])
    return max(relative_errors(fleet.params(honest(fleet)), solution))


def params(fleet: VirtualFleet) -> Array:
    return np.array(fleet.params(fleet.names))


@pytest.mark.parametrize("precision", ["float64", "coded"])
def test_a_network_in_which_nobody_is_convicted_is_the_same_to_the_last_bit(precision: str) -> None:
    np.testing.assert_array_equal(params(trained(ON, precision=precision)), params(trained(OFF, precision=precision)))


@pytest.mark.parametrize("lie", ["params-scaled:1000", "params-flipped", "params-random:30"])
def test_one_whose_parameters_are_of_no_use_loses_its_links_and_all_that_it_gave(lie: str) -> None:
    fleet = trained(ON, lie)
    convicted = {
        (peer, notice.name)
        for _, peer, notice in fleet.nodes.simulator.notices
        if isinstance(notice, LinkClosed) and notice.reason is CloseReason.OF_NO_USE
    }
    assert {name for peer, name in convicted if peer != LIAR} == {LIAR}
    assert errors(fleet) < 0.05
    assert errors(trained(OFF, lie)) > 0.5
    ledgers = [machine.ledger() for name, machine in fleet.nodes.simulator.machines.items() if name != LIAR]
    assert conservation_error(ledgers) < 1e-12


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
@pytest.mark.parametrize(
    "lie", ["params-scaled:1000", "params-flipped", "params-random:30", "params-constant:0", "total-scaled:100"]
)
def test_by_default_one_that_lies_from_the_first_round_on_spoils_nothing_either(lie: str) -> None:
    assert errors(trained({}, lie, since=0)) < 0.01
    assert not errors(trained(OFF, lie, since=0)) < 0.5
