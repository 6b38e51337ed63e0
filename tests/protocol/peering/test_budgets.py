"""How much a peer may send: what an honest one needs, and no flood."""

from random import Random

import numpy as np
import pytest

from p2pnet.protocol.core.effects import Effect, HangUp
from p2pnet.protocol.core.events import MessageReceived, PeerConnected, PeerDisconnected, Prepared
from p2pnet.protocol.core.types import LinkId, Message, Nonce
from p2pnet.protocol.messages.membership import Gossip, Ping, Pong
from p2pnet.protocol.messages.training import Ack, LabelSet, Ready, StateRequest
from p2pnet.protocol.messages.trust import TrustDigest
from p2pnet.protocol.node import Node
from p2pnet.protocol.peering.budgets import Budget, Budgets
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.session import Session
from p2pnet.simulation.rounds_only import WiredPeering

LINK = LinkId(Nonce(1, 1), Nonce(1, 1))

KINDS = pytest.mark.parametrize(
    ("message", "budget"),
    [
        (Ack(LINK, 1), Budget(20_000.0, 60_000.0)),
        (LabelSet(0, "survey", (), False), Budget(600.0, 3_000.0)),
        (StateRequest(LINK), Budget(2.0, 40.0)),
        (Gossip(()), Budget(20.0, 200.0)),
        (TrustDigest(b"", b""), Budget(1.0, 20.0)),
        (Ready(LINK, 1, 1), Budget(20.0, 100.0)),
    ],
    ids=lambda value: type(value).__name__,
)


@KINDS
def test_as_many_come_through_as_may_at_once_and_then_as_many_as_may_on_average(
    message: Message, budget: Budget
) -> None:
    budgets = Budgets()
    n_sent = int(budget.at_once) + 10
    assert sum(budgets.admits("ann", message, 5.0) for _ in range(n_sent)) == budget.at_once
    for second in range(1, 4):
        assert sum(budgets.admits("ann", message, 5.0 + second) for _ in range(n_sent)) == budget.per_s


@KINDS
def test_who_sends_far_more_is_hung_up_on_and_begins_anew(message: Message, budget: Budget) -> None:
    budgets = Budgets()
    n_sent = 0
    while not budgets.is_exceeded("ann"):
        budgets.admits("ann", message, 0.0)
        n_sent += 1
    assert n_sent == 5 * budget.at_once + 1
    budgets.forgive("ann")
    assert not budgets.is_exceeded("ann")
    n_sent = 0
    while not budgets.is_exceeded("ann"):
        assert not budgets.admits("ann", message, 0.0), "what is left stays what it was"
        n_sent += 1
    assert n_sent == 4 * budget.at_once + 1


def n_dropped_until_hung_up_on(budgets: Budgets, now: float) -> int:
    """How many messages more of ann are dropped before she is hung up on."""
    n_dropped = 0
    while not budgets.is_exceeded("ann"):
        n_dropped += not budgets.admits("ann", Ready(LINK, 1, 1), now)
    return n_dropped


def test_what_was_dropped_is_forgotten_as_fast_as_the_budget_fills() -> None:
    hasty, patient = Budgets(), Budgets()
    for budgets in (hasty, patient):
        for _ in range(100 + 400):  # what may come at once, and all that is tolerated
            budgets.admits("ann", Ready(LINK, 1, 1), 0.0)
        assert not budgets.is_exceeded("ann")
    assert n_dropped_until_hung_up_on(hasty, now=2.0) == 40 + 1
    assert n_dropped_until_hung_up_on(patient, now=1000.0) == 400 + 1


def test_one_peers_flood_costs_no_other_and_one_kind_no_other_kind() -> None:
    budgets = Budgets()
    for _ in range(10_000):
        budgets.admits("ann", StateRequest(LINK), 0.0)
    assert budgets.admits("bob", StateRequest(LINK), 0.0)
    assert budgets.admits("ann", Ack(LINK, 1), 0.0)


def test_messages_of_membership_share_a_budget() -> None:
    budgets = Budgets()
    kinds: list[Message] = [Ping(1, True), Pong(1), Gossip(())]
    assert sum(budgets.admits("ann", kinds[k % 3], 0.0) for k in range(1000)) == 200


def test_one_that_was_hung_up_on_for_excess_is_hung_up_on_again_if_it_comes_back_too_soon() -> None:
    session = Session(Identity("me", "me", 4, {}), RoundOptions(10), own=None)
    node = Node(session, WiredPeering(), Random(0))  # noqa: S311
    node.start(0.0)
    node.handle(Prepared({}, np.zeros(2)), 0.0)
    assert HangUp("ann") not in node.handle(PeerConnected("ann"), 0.0)
    effects: list[Effect] = []
    for _ in range(2_000):
        effects += node.handle(MessageReceived("ann", StateRequest(LINK)), 0.0)
    assert effects.count(HangUp("ann")) == 1
    node.handle(PeerDisconnected("ann"), 1.0)
    assert node.handle(PeerConnected("ann"), 2.0) == [HangUp("ann")]
    assert node.handle(MessageReceived("ann", StateRequest(LINK)), 2.1) == []
    assert HangUp("bob") not in node.handle(PeerConnected("bob"), 2.2)
    assert HangUp("ann") not in node.handle(PeerConnected("ann"), 6.0)
