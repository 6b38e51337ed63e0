"""Whom an agent dials, and where: addresses that were found come before those that a neighbor tells."""

from unittest.mock import call, create_autospec

import pytest

from p2pnet.agent.dialing import Dialing
from p2pnet.agent.discovery import Discovery, LanAgent
from p2pnet.agent.transport import Transport
from p2pnet.consensus.messages import Peers

FOUND = ("tcp://192.168.7.5:7070", "tcp://[2001:db8::5]:7070")
TOLD = "tcp://bobs-laptop:7070"


class Street(Discovery):
    """Whoever is put into it is found."""

    def __init__(self) -> None:
        self.agents: list[LanAgent] = []

    def start(self) -> None:
        return

    def take(self) -> list[LanAgent]:
        agents, self.agents = self.agents, []
        return agents

    def close(self, timeout_s: float) -> None:  # noqa: ARG002
        return

    @property
    def is_busy(self) -> bool:
        return False


@pytest.fixture
def street() -> Street:
    return Street()


@pytest.fixture
def transport() -> Transport:
    mock: Transport = create_autospec(Transport, instance=True)
    return mock


@pytest.fixture
def dialing(transport: Transport, street: Street) -> Dialing:
    return Dialing(transport, street, {"bob"})


def agent(peer: str, *addresses: str) -> LanAgent:
    return LanAgent(peer, peer, "1", "", addresses)


def test_who_is_found_is_reported_and_dialed_by_the_machine_only(
    dialing: Dialing, street: Street, transport: Transport
) -> None:
    street.agents = [agent("bob", *FOUND), agent("eve", *FOUND)]
    assert [found.peer for found in dialing.take_found()] == ["bob"]
    assert transport.mock_calls == []  # type: ignore[attr-defined]
    dialing.dial("bob", FOUND[0])
    assert transport.mock_calls == [call.dial("bob", *FOUND)]  # type: ignore[attr-defined]


def test_who_is_dialed_at_a_neighbors_word_is_dialed_where_it_is_found_as_well(
    dialing: Dialing, street: Street, transport: Transport
) -> None:
    dialing.dial("bob", TOLD)
    for place in FOUND:
        street.agents = [agent("bob", place)]
        dialing.take_found()
    calls = [call.dial("bob", TOLD), *(call.dial("bob", place, TOLD) for place in FOUND)]
    assert transport.mock_calls == calls  # type: ignore[attr-defined]


def test_who_was_hung_up_on_is_not_dialed_because_it_is_found_again(
    dialing: Dialing, street: Street, transport: Transport
) -> None:
    dialing.dial("bob", TOLD)
    dialing.hang_up("bob")
    street.agents = [agent("bob", *FOUND)]
    assert len(dialing.take_found()) == 1
    assert transport.mock_calls == [call.dial("bob", TOLD), call.hang_up("bob")]  # type: ignore[attr-defined]


def test_hints_are_followed_to_addresses_of_those_only_who_are_open_to_them(dialing: Dialing) -> None:
    peers = Peers({"bob": TOLD, "eve": TOLD})
    assert dialing.without_bad_hints(peers) == Peers({"bob": TOLD})
    assert dialing.without_bad_hints(Peers({"bob": "no address"})) == Peers({})
