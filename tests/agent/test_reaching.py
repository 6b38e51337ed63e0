"""Real agents that are reached in other ways than at a numeric IPv4 address in the settings of both."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from p2pnet.experiments.demo.fleet import free_ports
from tests.chaos.machine import Machine, errors_to_central
from tests.chaos.namespaces import Namespaces, NoNamespacesError
from tests.chaos.relays import Relays

ACCURACY = 1e-4
FOR_EVER = 1_000_000
MakeMachines = Callable[..., list[Machine]]


@pytest.fixture
def make_machines(tmp_path: Path) -> Iterator[MakeMachines]:
    with ExitStack() as at_exit:

        def make(n_machines: int, wraps: Sequence[Any] = ()) -> list[Machine]:
            return [
                at_exit.enter_context(Machine(tmp_path / f"agent-{k}", k, wraps[k] if wraps else list))
                for k in range(n_machines)
            ]

        yield make


def named(machine: Machine, address: str | None) -> dict[str, Any]:
    return {"name": machine.name, "public_key": machine.keys.public, "address": address}


def train(machines: Sequence[Machine]) -> None:
    """Start all, and see that they end with the model of the samples of all."""
    for machine in machines:
        machine.start()
    for machine in machines:
        machine.wait()
    assert max(errors_to_central(machines)) < ACCURACY, errors_to_central(machines)


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
def test_agents_are_reached_over_ipv6_and_by_name(make_machines: MakeMachines, bind: str, dial: str) -> None:
    if "::" in bind and not has_ipv6():
        pytest.skip("no IPv6 on this machine")
    one, other = make_machines(2)
    ports = free_ports(2)
    for machine, peer, (here, there) in ((one, other, ports), (other, one, ports[::-1])):
        machine.configure({"bind": f"tcp://{bind}:{here}", "neighbors": [named(peer, f"tcp://{dial}:{there}")]})
    train([one, other])


def test_an_agent_is_dialed_where_it_says_and_not_where_it_listens(make_machines: MakeMachines) -> None:
    seed, behind_a_router, newcomer = machines = make_machines(3)
    with Relays(3) as router:  # forwards a port of its own to the one on which agent 1 listens
        for k, machine in enumerate(machines):
            network: dict[str, Any] = {"bind": router.address(k), "round_pace_s": 0.02}
            if machine is not seed:
                network["seeds"] = [{"public_key": seed.keys.public, "address": router.address(0)}]
            if machine is behind_a_router:
                network["advertise"] = router.way(2, 1)
            if machine is newcomer:
                network["bind"] = "none"
            others = [peer.keys.public for peer in machines if peer is not machine]
            machine.configure(network, security={"allowed_peers": others}, algorithm={"rounds": FOR_EVER})
        seed.start()
        behind_a_router.start()
        seed.until(lambda seed: seed.round > 3)
        router.cut([2], [1])
        newcomer.start()
        newcomer.until(lambda newcomer: newcomer.has_said("linked with agent-0"))
        assert not newcomer.has_said("linked with agent-1")
        router.heal()
        newcomer.until(lambda newcomer: newcomer.has_said("linked with agent-1"))


def test_an_agent_that_only_dials_out_takes_full_part(make_machines: MakeMachines) -> None:
    one, other, outbound = machines = make_machines(3)
    addresses = [f"tcp://127.0.0.1:{port}" for port in free_ports(2)]
    one.configure({"bind": addresses[0], "neighbors": [named(other, addresses[1]), named(outbound, None)]})
    other.configure({"bind": addresses[1], "neighbors": [named(one, addresses[0]), named(outbound, None)]})
    outbound.configure({"bind": "none", "neighbors": [named(one, addresses[0]), named(other, addresses[1])]})
    train(machines)
    assert outbound.has_said(r"listening on nothing \(dialing out only\)")
    assert [len(machine.state.load_books().links) for machine in machines] == [2, 2, 2]


def test_agents_find_each_other_on_the_loopback(make_machines: MakeMachines) -> None:
    one, other = make_machines(2)
    for machine, peer, port in zip((one, other), (other, one), free_ports(2), strict=True):
        machine.configure(
            {"bind": f"tcp://127.0.0.1:{port}", "discovery": "mdns"}, security={"allowed_peers": [peer.keys.public]}
        )
    train([one, other])


def test_a_peer_that_cannot_be_reached_is_one_warning_however_often_it_is_tried(make_machines: MakeMachines) -> None:
    one, other = make_machines(2)
    (port,) = free_ports(1)
    nowhere = f"tcp://{'x' * 70}:7070"  # longer than a name may be, so that no name server is asked
    one.configure({"bind": f"tcp://127.0.0.1:{port}", "neighbors": [named(other, nowhere)]}, log={"level": "debug"})
    one.start()
    one.until(lambda one: one.count("cannot reach") > 4)
    assert one.warnings() == [
        f"cannot reach {other.name} ({other.keys.public}) at {nowhere}: the host name does not resolve; trying again"
    ]


def test_a_peer_that_is_not_allowed_is_one_warning_however_often_it_dials(make_machines: MakeMachines) -> None:
    one, mole = make_machines(2)
    addresses = [f"tcp://127.0.0.1:{port}" for port in free_ports(2)]
    one.configure({"bind": addresses[0]}, log={"level": "debug"})
    mole.configure({"bind": addresses[1], "neighbors": [named(one, addresses[0])]})
    one.start()
    mole.start()
    one.until(lambda one: one.count("its key is not on the allow-list") > 3)
    assert [line for line in one.warnings() if "rejected" in line] == [
        f"rejected {mole.keys.public}: its key is not on the allow-list; to let it in, add it to security.allowed_peers"
    ]
    assert len([line for line in mole.warnings() if "allow-list" in line]) == 1


def test_one_that_dials_when_there_are_neighbors_enough_is_refused_with_one_warning_and_let_in_when_one_has_left(
    make_machines: MakeMachines,
) -> None:
    hub, absent, guest, outsider = make_machines(4)
    addresses = [f"tcp://127.0.0.1:{port}" for port in free_ports(4)]
    settings: dict[str, Any] = {"data": {"standardize": "none"}, "algorithm": {"rounds": FOR_EVER, "tolerance": 0.0}}
    hub.configure(
        {"bind": addresses[0], "neighbors": [named(absent, addresses[1])], "max_neighbors": 2},
        security={"allowed_peers": [guest.keys.public, outsider.keys.public]},
        **settings,
    )
    for machine, address in ((guest, addresses[2]), (outsider, addresses[3])):
        machine.configure({"bind": address, "neighbors": [named(hub, addresses[0])]}, **settings)
    hub.start()
    guest.start()
    guest.until(lambda guest: guest.has_said("linked with agent-0"))
    outsider.start()
    outsider.until(lambda outsider: outsider.has_said("refused"))
    guest.leave()
    guest.wait()
    outsider.until(lambda outsider: outsider.has_said("linked with agent-0"))
    limit = "as many neighbors as network.max_neighbors = 2 allows"
    assert [line for line in hub.warnings() if limit in line] == [
        f"refused {outsider.keys.public}: there are {limit}; raise it, or name this one"
    ]
    assert outsider.warnings() == [
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
    lan: Namespaces, make_machines: MakeMachines
) -> None:
    machines = make_machines(3, [lambda command, k=k: lan.command(k, command) for k in range(3)])
    for machine in machines:
        others = [peer.keys.public for peer in machines if peer is not machine]
        network: dict[str, Any] = {"discovery": "mdns", "round_pace_s": 0.02}
        if machine is machines[2]:  # what it finds completes its settings
            network |= {"bind": "none", "neighbors": [named(peer, None) for peer in machines[:2]]}
        machine.configure(network, security={"allowed_peers": others}, algorithm={"rounds": 150})
    train(machines)
    for machine in machines:
        assert len({message for _, message in machine.log() if message.startswith("linked with")}) == 2
