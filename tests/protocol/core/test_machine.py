"""What holds of every machine: it decides by its events and times alone, and a message it refuses changes nothing."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.effects import Evaluate
from p2pnet.protocol.core.events import Evaluated, MessageReceived, PeerConnected
from p2pnet.protocol.core.machine import Machine
from p2pnet.protocol.core.types import LinkId, Nonce
from p2pnet.protocol.membership.machine import MembershipMachine
from p2pnet.protocol.membership.timing import LAN
from p2pnet.protocol.messages.membership import MemberState, Record
from p2pnet.protocol.messages.training import Hello, StateReply
from p2pnet.protocol.node import Node
from p2pnet.protocol.peering.static_peering import StaticPeering
from p2pnet.protocol.rounds.happenings import RoundEvent
from p2pnet.protocol.rounds.machine import RoundMachine
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.session import Session
from p2pnet.protocol.rounds.statistics import StatisticsMachine

OPTIONS = RoundOptions(100)
ME = Identity("me", "me", 1, {})
OWN = LocalStatistics(3.0, np.zeros(2), np.ones(2), ())


def rounds() -> RoundMachine:
    return RoundMachine(ME, OPTIONS, np.zeros(2))


def membership() -> MembershipMachine:
    me = Record("me", MemberState.ALIVE, 1, "tcp://me:7070", "me")
    return MembershipMachine(me, {"seed": "tcp://seed:7070"}, lambda _: True, 4, LAN, Random(0))  # noqa: S311


def node() -> Node:
    peering = StaticPeering({"ann": "tcp://ann:7070"}, 4, is_discovering=False)
    return Node(Session(ME, OPTIONS, None), peering, Random(0))  # noqa: S311


MACHINES: Mapping[str, Callable[[], Machine[Any, Any]]] = {
    "rounds": rounds,
    "statistics": lambda: StatisticsMachine(ME, OPTIONS, OWN, settling_s=1.0),
    "session": lambda: Session(ME, OPTIONS, OWN),
    "membership": membership,
    "node": node,
}


@pytest.mark.parametrize("name", MACHINES)
def test_machines_alike_want_the_same_done_at_the_same_times(name: str) -> None:
    one, other = MACHINES[name](), MACHINES[name]()
    assert isinstance(one, Machine)
    assert repr(one.start(3.0)) == repr(other.start(3.0))
    assert one.next_deadline() == other.next_deadline()
    for peer in ("ann", "bob"):
        assert repr(one.handle(PeerConnected(peer), 4.0)) == repr(other.handle(PeerConnected(peer), 4.0))
        assert one.next_deadline() == other.next_deadline()


@pytest.mark.parametrize("name", MACHINES)
def test_no_deadline_lies_before_the_start(name: str) -> None:
    machine = MACHINES[name]()
    machine.start(1000.0)
    machine.handle(PeerConnected("ann"), 1000.0)
    deadline = machine.next_deadline()
    assert deadline is None or deadline >= 1000.0


def test_a_form_without_its_methods_is_no_machine() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Machine()  # type: ignore[abstract]


def test_a_message_that_is_refused_leaves_the_machine_as_it_was() -> None:
    machine = rounds()
    assert isinstance(machine.start(0.0)[0], Evaluate)
    machine.handle(Evaluated(0, np.ones(2), 1.0), 0.0)
    machine.handle(PeerConnected("ann"), 0.0)
    neighbor = machine.neighborhood.find("ann")
    assert neighbor is not None
    hello = Hello(Nonce(1, 1), neighbor.nonce, {}, "ann", "", 5, is_confirmed=True)
    machine.handle(MessageReceived("ann", hello), 0.0)
    link_id = LinkId(Nonce(1, 1), neighbor.nonce)
    good = StateReply(link_id, 5, -1, np.ones(2))
    twin = copy.deepcopy(machine)
    with pytest.raises(ProtocolError, match="3 numbers instead of 2"):
        machine.handle(MessageReceived("ann", replace(good, params=np.ones(3))), 1.0)
    events: list[RoundEvent] = [MessageReceived("ann", good), PeerConnected("bob")]
    for event in events:
        assert repr(machine.handle(event, 2.0)) == repr(twin.handle(event, 2.0))
    assert machine.round == twin.round == 5
    assert machine.next_deadline() == twin.next_deadline()
