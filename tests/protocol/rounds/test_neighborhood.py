"""The handshake: two agents end with one link that both name alike, whatever becomes of their Hellos."""

from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.protocol.core.effects import Dismiss, PutOff, Send
from p2pnet.protocol.core.notices import CloseReason
from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import LinkId, Message, Nonce
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.messages.training import Ack, Hello, Refuse, Reset
from p2pnet.protocol.rounds.convictions import Convictions
from p2pnet.protocol.rounds.fingerprints import AVERAGED_APART
from p2pnet.protocol.rounds.handshake import MAX_HELLO_INTERVAL_S, Handshake, HandshakeEffect
from p2pnet.protocol.rounds.neighbor import HELLO_RESEND_S, Identity, Neighbor
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.state import RoundState

FINGERPRINT = {"model": "mlp 2-1", "loss": "squared"}
ENOUGH_ANSWERS = 12
"""More messages than any handshake takes, for each one under way before; fewer than in an endless exchange."""


def table_of(name: str, incarnation: int = 1, fingerprint: Mapping[str, str] = FINGERPRINT) -> Neighborhood:
    return Neighborhood(Identity(name, name, incarnation, fingerprint), make_link, suspect_limit_s=20.0)


def shake(neighborhood: Neighborhood) -> Handshake:
    return Handshake(RoundState(np.zeros(1)), neighborhood, Convictions())


def make_link(_: Neighbor, link_id: LinkId) -> Link:
    return Link(link_id, size=3, n_params=1, precision=64, timer=ResendTimer(0.2, 1.0))


class Pair:
    """Two agents and the messages between them; nothing moves by itself."""

    def __init__(self) -> None:
        self.now = 0.0
        self.incarnations = {"a": 1, "b": 1}
        self.tables = {"a": table_of("a"), "b": table_of("b")}
        self.handshakes = {name: shake(self.tables[name]) for name in "ab"}
        self.in_transit: dict[str, deque[Message]] = {"a": deque(), "b": deque()}
        """by receiver"""

    def perform(self, effects: Iterable[HandshakeEffect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self.in_transit[effect.peer].append(effect.message)

    def connect(self) -> None:
        for name in "ab":
            self.perform(self.handshakes[name].connected(other(name), self.now))

    def deliver(self, name: str, index: int = 0, is_kept: bool = False) -> None:
        message = self.in_transit[name][index]
        if not is_kept:
            del self.in_transit[name][index]
        self.receive(name, message)

    def receive(self, name: str, message: Message) -> None:
        handshake = self.handshakes[name]
        effects: list[HandshakeEffect]
        match message:
            case Hello():
                effects = handshake.hello_received(other(name), message, self.now)
            case Reset():
                effects = handshake.reset_received(other(name), message, self.now)
            case Ack():
                is_known = self.tables[name].find_link(other(name), message.link_id) is not None
                effects = [] if is_known else [Send(other(name), Reset(message.link_id.mirrored()))]
            case _:
                effects = []
        self.perform(effects)

    def tick(self, name: str) -> None:
        self.now += MAX_HELLO_INTERVAL_S
        self.perform(self.handshakes[name].hellos_due(self.now))

    def use_link(self, name: str) -> None:
        """Any message over the link, if this end believes it open."""
        for neighbor, link in self.tables[name].open():
            self.in_transit[neighbor.peer].append(Ack(link.link_id, 0))

    def close(self, name: str) -> None:
        self.tables[name].close(other(name), CloseReason.SILENT, self.now)

    def restart(self, name: str) -> None:
        """A new process in the place of the old one; both ends connect again."""
        self.incarnations[name] += 1
        self.tables[name] = table_of(name, self.incarnations[name])
        self.handshakes[name] = shake(self.tables[name])
        self.in_transit[name].clear()
        self.tables[other(name)].disconnected(name, self.now)
        self.connect()

    def settle(self) -> None:
        """Deliver everything and let both ends use the link, until nothing is said but what they use it for."""
        n_said = 0
        for _ in range(4):
            n_said = 0
            for name in "ab":
                self.tick(name)
                self.use_link(name)
            n_allowed = ENOUGH_ANSWERS * (1 + sum(len(messages) for messages in self.in_transit.values()))
            while pending := [name for name in "ab" if self.in_transit[name]]:
                self.deliver(pending[0])
                n_said += 1
                assert n_said < n_allowed, "an endless exchange"
        assert n_said == 2, "still something to settle"

    def link_id(self, name: str) -> LinkId | None:
        opened = self.tables[name].open()
        return opened[0][1].link_id if opened else None

    def assert_linked(self) -> None:
        ours, theirs = self.link_id("a"), self.link_id("b")
        assert ours is not None
        assert theirs is not None
        assert ours == theirs.mirrored()


def other(name: str) -> str:
    return "b" if name == "a" else "a"


mishaps = st.lists(
    st.tuples(
        st.sampled_from(["deliver", "duplicate", "lose", "tick", "use", "close", "restart"]),
        st.sampled_from("ab"),
        st.integers(0, 3),
    ),
    max_size=40,
)


@given(mishaps)
def test_whatever_becomes_of_the_messages_the_pair_ends_with_one_link(schedule: list[tuple[str, str, int]]) -> None:
    pair = Pair()
    pair.connect()
    for action, name, index in schedule:
        n_waiting = len(pair.in_transit[name])
        match action:
            case "deliver" | "duplicate" if n_waiting:
                pair.deliver(name, index % n_waiting, is_kept=action == "duplicate")
            case "lose" if n_waiting:
                del pair.in_transit[name][index % n_waiting]
            case "tick":
                pair.tick(name)
            case "use":
                pair.use_link(name)
            case "close":
                pair.close(name)
            case "restart":
                pair.restart(name)
    for name in "ab":
        pair.in_transit[name] = deque(list(pair.in_transit[name])[:6])
    pair.settle()
    pair.assert_linked()


def test_a_link_takes_at_most_six_hellos() -> None:
    pair = Pair()
    pair.connect()
    n_hellos = 0
    while pending := [name for name in "ab" if pair.in_transit[name]]:
        pair.deliver(pending[0])
        n_hellos += 1
    assert n_hellos <= 6
    pair.assert_linked()


def test_a_half_open_link_carries_nothing_and_is_opened_by_the_next_hello() -> None:
    pair = Pair()
    pair.connect()
    pair.in_transit["b"].clear()
    pair.deliver("a")
    assert pair.tables["a"].open() == []
    assert len(pair.tables["a"].links()) == 1
    pair.settle()
    pair.assert_linked()


def test_a_restarted_neighbor_gets_a_new_link_and_old_hellos_are_ignored() -> None:
    pair = Pair()
    pair.connect()
    old_hello = pair.in_transit["b"][0]
    pair.settle()
    before = pair.link_id("b")
    pair.restart("a")
    pair.settle()
    after = pair.link_id("b")
    assert before is not None
    assert after is not None
    assert after.theirs.incarnation == 2
    pair.receive("b", old_hello)
    assert not pair.in_transit["a"]
    assert pair.link_id("b") == after


def test_an_end_that_has_forgotten_the_link_says_so_and_the_other_takes_it_back() -> None:
    pair = Pair()
    pair.connect()
    pair.settle()
    before = pair.link_id("a")
    pair.close("b")
    pair.use_link("a")
    while pending := [name for name in "ab" if pair.in_transit[name]]:
        pair.deliver(pending[0])
    pair.assert_linked()
    assert pair.link_id("a") != before


def test_a_reset_for_another_link_is_ignored() -> None:
    pair = Pair()
    pair.connect()
    pair.settle()
    before = pair.link_id("a")
    pair.receive("a", Reset(LinkId(Nonce(9, 9), Nonce(9, 9))))
    assert pair.link_id("a") == before


def test_both_ends_that_closed_in_silence_find_each_other_again() -> None:
    pair = Pair()
    pair.connect()
    pair.settle()
    pair.close("a")
    pair.close("b")
    pair.settle()
    pair.assert_linked()


def test_unanswered_hellos_are_said_again_ever_more_seldom() -> None:
    handshake = shake(table_of("a"))
    handshake.connected("b", 0.0)
    times = [step / 20 for step in range(1, 2000) if handshake.hellos_due(step / 20)]
    waits = [later - earlier for earlier, later in zip([0.0, *times], times, strict=False)]
    assert waits[0] == pytest.approx(HELLO_RESEND_S)
    assert waits[-1] == pytest.approx(MAX_HELLO_INTERVAL_S)
    assert waits == sorted(waits)


@pytest.mark.parametrize(
    ("theirs", "field", "difference", "remedy"),
    [
        (FINGERPRINT | {"model": "mlp 2-4-1"}, "model", ("mlp 2-4-1", "mlp 2-1"), "settings in section [model]"),
        (FINGERPRINT | {"loss": "huber"}, "loss", ("huber", "squared"), "objective.loss"),
        ({"model": "mlp 2-1"}, "loss", ("absent", "squared"), "objective.loss"),
        (FINGERPRINT | {"penalty": "l1"}, "penalty", ("l1", "absent"), "objective.penalty"),
        (FINGERPRINT | {"mood": "sad"}, "mood", ("sad", "absent"), "mood"),
    ],
)
def test_a_refusal_names_the_field_that_differs_as_each_side_sees_it_and_what_to_do(
    theirs: Mapping[str, str], field: str, difference: tuple[str, str], remedy: str
) -> None:
    neighborhood = table_of("a")
    hello = Hello(Nonce(1, 1), None, theirs, "b", "", -1, False)
    effects = shake(neighborhood).hello_received("b", hello, 0.0)
    here, there = difference, difference[::-1]
    assert effects == [
        Send("b", Refuse(f"{field}: theirs is {there[0]}, ours is {there[1]}; give both the same {remedy}")),
        PutOff("b", "b", f"{field}: theirs is {here[0]}, ours is {here[1]}; give both the same {remedy}", is_ours=True),
    ]
    assert neighborhood.links() == []


def test_of_parts_that_averaged_apart_one_is_told_to_begin_anew_though_what_follows_from_it_differs_too() -> None:
    neighborhood = table_of("a", fingerprint={**FINGERPRINT, "classes": "2", "survey": "ann 1.0"})
    theirs = {**FINGERPRINT, "classes": "3", "survey": "bob 1.1"}
    effects = shake(neighborhood).hello_received("b", Hello(Nonce(1, 1), None, theirs, "b", "", -1, False), 0.0)
    assert effects == [Send("b", Refuse(AVERAGED_APART)), PutOff("b", "b", AVERAGED_APART, is_ours=True)]


def test_one_that_refuses_is_put_off_once_and_greeted_again_when_it_is_next_connected() -> None:
    pair = Pair()
    pair.connect()
    pair.settle()
    ours = pair.tables["a"]
    assert ours.put_off("b", "no", pair.now)[-1] == PutOff("b", "b", "no", is_ours=False)
    assert ours.links() == []
    assert pair.handshakes["a"].hellos_due(1e6) == []
    assert ours.put_off("b", "no, again", pair.now) == []
    ours.disconnected("b", pair.now)
    assert [type(effect) for effect in pair.handshakes["a"].connected("b", pair.now)] == [Send]


def test_one_that_refuses_before_it_has_said_its_name_is_called_as_the_settings_do() -> None:
    neighborhood = Neighborhood(Identity("a", "a", 1, {}), make_link, suspect_limit_s=20.0, names={"b": "bob"})
    neighborhood.connected("b", 0.0)
    assert neighborhood.put_off("b", "no", 0.0) == [PutOff("b", "bob", "no", is_ours=False)]


def test_no_hello_is_said_to_a_peer_that_was_parted_with_until_it_says_one() -> None:
    pair = Pair()
    pair.connect()
    pair.settle()
    assert Dismiss("b", CloseReason.LEFT) in pair.tables["a"].part("b", CloseReason.LEFT, pair.now)
    assert pair.handshakes["a"].hellos_due(1e6) == []
    assert pair.handshakes["a"].connected("b", 1e6) == []


def test_one_that_is_a_neighbor_no_longer_is_not_waited_for_and_may_be_one_again() -> None:
    pair = Pair()
    pair.connect()
    pair.settle()
    hood_of_a = pair.tables["a"]
    next(iter(hood_of_a)).is_ready = True
    assert hood_of_a.let_go("b", pair.now)
    assert list(hood_of_a) == []
    assert hood_of_a.absent(pair.now) == ()
    assert hood_of_a.let_go("b", pair.now) == []
    assert [type(effect) for effect in pair.handshakes["a"].connected("b", pair.now)] == [Send]


def test_a_peer_that_disconnects_without_a_link_is_forgotten() -> None:
    neighborhood = table_of("a")
    for k in range(100):
        neighborhood.connected(f"stranger-{k}", 0.0)
        neighborhood.disconnected(f"stranger-{k}", 1.0)
    assert list(neighborhood) == []
