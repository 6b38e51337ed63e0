"""Real agents that are reached in other ways than at a numeric IPv4 address in the settings of both."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from p2pnet.testing import (
    LINEAR_REGRESSION,
    LocalAgent,
    Shard,
    free_ports,
    least_squares,
    linear_shard,
    relative_errors,
)
from tests.chaos.namespaces import Namespaces, NoNamespacesError
from tests.chaos.relays import Relays

ACCURACY = 1e-4
FOR_EVER = 1_000_000
SETTINGS: dict[str, Any] = {
    **LINEAR_REGRESSION,
    "data.standardize": "network",
    "algorithm.rounds": 60,
    "algorithm.tolerance": 0.0,
}
MakeAgents = Callable[..., list[LocalAgent]]


def shard_of(k: int) -> Shard:
    return linear_shard(seed=k, noise=0.3)


@pytest.fixture
def make_agents(tmp_path: Path) -> Iterator[MakeAgents]:
    with ExitStack() as at_exit:

        def make(n_agents: int, wraps: Sequence[Any] = ()) -> list[LocalAgent]:
            agents = []
            for k, port in enumerate(free_ports(n_agents)):
                address = f"tcp://127.0.0.1:{port}"
                agent = LocalAgent.create(tmp_path / f"agent-{k}", address, wrap=wraps[k] if wraps else list)
                agent.files.write_samples(shard_of(k))
                agents.append(at_exit.enter_context(agent))
            return agents

        yield make


def configure(agent: LocalAgent, **settings: Any) -> None:
    """Write agent.toml with what differs from SETTINGS, as section__key=value."""
    agent.configure({**SETTINGS, **{key.replace("__", "."): value for key, value in settings.items()}})


def named(agent: LocalAgent, address: str | None) -> dict[str, Any]:
    return {**agent.as_neighbor(), "address": address}


def train(agents: Sequence[LocalAgent]) -> None:
    """Start all, and see that they end with the model of the samples of all."""
    for agent in agents:
        agent.start()
    for agent in agents:
        agent.finish()
    shards = [shard_of(k) for k in range(len(agents))]
    errors = relative_errors([agent.files.params() for agent in agents], least_squares(shards, standardized_by=shards))
    assert max(errors) < ACCURACY, errors


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("bind", "dial"),
    [("[::1]", "[::1]"), ("[::]", "127.0.0.1"), ("localhost", "localhost")],
)
def test_agents_are_reached_over_ipv6_and_by_name(make_agents: MakeAgents, bind: str, dial: str) -> None:
    if "::" in bind and not has_ipv6():
        pytest.skip("no IPv6 on this machine")
    one, other = make_agents(2)
    ports = free_ports(2)
    for agent, peer, (here, there) in ((one, other, ports), (other, one, ports[::-1])):
        neighbors = [named(peer, f"tcp://{dial}:{there}")]
        configure(agent, network__bind=f"tcp://{bind}:{here}", network__neighbors=neighbors)
    train([one, other])


def test_an_agent_is_dialed_where_it_says_and_not_where_it_listens(make_agents: MakeAgents) -> None:
    seed, behind_a_router, newcomer = agents = make_agents(3)
    with Relays(3) as router:  # forwards a port of its own to the one on which agent 1 listens
        for k, agent in enumerate(agents):
            configure(
                agent,
                network__bind="none" if agent is newcomer else router.address(k),
                network__advertise=router.way(2, 1) if agent is behind_a_router else None,
                network__seeds=[{**seed.as_seed(), "address": router.address(0)}] if agent is not seed else None,
                network__round_pace_s=0.02,
                security__allowed_peers=[peer.keys.public for peer in agents if peer is not agent],
                algorithm__rounds=FOR_EVER,
            )
        seed.start()
        behind_a_router.start()
        seed.until(lambda seed: seed.round > 3)
        router.cut([2], [1])
        newcomer.start()
        newcomer.until(lambda newcomer: newcomer.has_said("linked with agent-0"))
        assert not newcomer.has_said("linked with agent-1")
        router.heal()
        newcomer.until(lambda newcomer: newcomer.has_said("linked with agent-1"))


def test_an_agent_that_only_dials_out_takes_full_part(make_agents: MakeAgents) -> None:
    one, other, outbound = agents = make_agents(3)
    configure(one, network__neighbors=[other.as_neighbor(), named(outbound, None)])
    configure(other, network__neighbors=[one.as_neighbor(), named(outbound, None)])
    configure(outbound, network__bind="none", network__neighbors=[one.as_neighbor(), other.as_neighbor()])
    train(agents)
    assert outbound.has_said(r"listening on nothing \(dialing out only\)")
    assert [len(agent.files.ledger().links) for agent in agents] == [2, 2, 2]


def test_agents_find_each_other_on_the_loopback(make_agents: MakeAgents) -> None:
    one, other = make_agents(2)
    for agent, peer in ((one, other), (other, one)):
        configure(agent, network__discovery="mdns", security__allowed_peers=[peer.keys.public])
    train([one, other])


def test_a_peer_that_cannot_be_reached_is_one_warning_however_often_it_is_tried(make_agents: MakeAgents) -> None:
    one, other = make_agents(2)
    nowhere = f"tcp://{'x' * 70}:7070"  # longer than a name may be, so that no name server is asked
    configure(one, network__neighbors=[named(other, nowhere)], log__level="debug")
    one.start()
    one.until(lambda one: one.count("cannot reach") > 4)
    assert one.files.warnings() == [
        f"cannot reach {other.name} ({other.keys.public}) at {nowhere}: the host name does not resolve; trying again"
    ]


def test_a_peer_that_is_not_allowed_is_one_warning_however_often_it_dials(make_agents: MakeAgents) -> None:
    one, mole = make_agents(2)
    configure(one, log__level="debug")
    configure(mole, network__neighbors=[one.as_neighbor()])
    one.start()
    mole.start()
    one.until(lambda one: one.count("its key is not on the allow-list") > 3)
    assert [line for line in one.files.warnings() if "rejected" in line] == [
        f"rejected {mole.keys.public}: its key is not on the allow-list; to let it in, add it to security.allowed_peers"
    ]
    assert len([line for line in mole.files.warnings() if "allow-list" in line]) == 1


def test_one_that_dials_when_there_are_neighbors_enough_is_refused_with_one_warning_and_let_in_when_one_has_left(
    make_agents: MakeAgents,
) -> None:
    hub, absent, guest, outsider = make_agents(4)
    settings = {"data__standardize": "none", "algorithm__rounds": FOR_EVER}
    configure(
        hub,
        network__neighbors=[absent.as_neighbor()],
        network__max_neighbors=2,
        security__allowed_peers=[guest.keys.public, outsider.keys.public],
        **settings,
    )
    for agent in (guest, outsider):
        configure(agent, network__neighbors=[hub.as_neighbor()], **settings)
    hub.start()
    guest.start()
    guest.until(lambda guest: guest.has_said("linked with agent-0"))
    outsider.start()
    outsider.until(lambda outsider: outsider.has_said("refused"))
    guest.stop()
    guest.finish()
    outsider.until(lambda outsider: outsider.has_said("linked with agent-0"))
    limit = "as many neighbors as network.max_neighbors = 2 allows"
    assert [line for line in hub.files.warnings() if limit in line] == [
        f"refused {outsider.keys.public}: there are {limit}; raise it, or name this one"
    ]
    assert outsider.files.warnings() == [
        f"{hub.name} refused: the agent has {limit}: raise it there, or name this one there, or another here; "
        "trying again"
    ]


# ----------------------------------------------------------------------------------------- a LAN of namespaces


@pytest.fixture
def lan() -> Iterator[Namespaces]:
    try:
        network = Namespaces(3)
    except NoNamespacesError as error:
        pytest.skip(f"no network namespaces: {error}")
    with network:
        yield network


def test_agents_on_a_lan_find_each_other_and_train_also_with_one_that_nobody_can_dial(
    lan: Namespaces, make_agents: MakeAgents
) -> None:
    agents = make_agents(3, [lambda command, k=k: lan.command(k, command) for k in range(3)])
    for agent in agents:
        others = [peer.keys.public for peer in agents if peer is not agent]
        outbound: dict[str, Any] = {"network__bind": None}
        if agent is agents[2]:  # what it finds completes its settings
            outbound = {"network__bind": "none", "network__neighbors": [named(peer, None) for peer in agents[:2]]}
        configure(
            agent,
            network__discovery="mdns",
            network__round_pace_s=0.02,
            security__allowed_peers=others,
            algorithm__rounds=150,
            **outbound,
        )
    train(agents)
    for agent in agents:
        assert len({entry.text for entry in agent.files.matching("^linked with")}) == 2
