"""Agents that find each other on the local network: what they say, what they believe, and two that train."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_interface
from time import monotonic

import pytest
from zeroconf import ServiceInfo

from p2pnet.agent.transport.discovery import (
    LanAgent,
    LanDiscovery,
    announcement,
    lan_interfaces,
    parse_service,
    service_info,
    training_digest,
)
from p2pnet.agent.transport.keys import generate_keys
from p2pnet.protocol.core.codec import PROTOCOL_VERSION

PATIENCE_S = 20.0
FINGERPRINT = {"model": "mlp", "loss": "half-squared"}
HOME = (ip_interface("192.168.7.20/24"), ip_interface("172.17.0.1/16"))


class Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())


class Site:
    """An agent's discovery on the loopback, and what it has taken from it."""

    def __init__(self, name: str, port: int) -> None:
        self.peer = generate_keys().public
        self.name = name
        self.port = port
        self.welcome: set[str] = set()
        self.found: list[LanAgent] = []
        self.lines: list[str] = []
        self.is_awake = threading.Event()
        self.discovery: LanDiscovery | None = None

    def open(self) -> None:
        log = logging.Logger("site")
        log.addHandler(Lines(self.lines))
        self.discovery = LanDiscovery(
            announcement(self.peer, self.name, FINGERPRINT, None),
            f"tcp://127.0.0.1:{self.port}",
            self.welcome.__contains__,
            self.is_awake.set,
            log,
        )
        self.discovery.start()

    def close(self) -> None:
        if self.discovery:
            self.discovery.close(PATIENCE_S)
            self.discovery = None

    def until(self, is_so: Callable[[], bool]) -> None:
        deadline = monotonic() + PATIENCE_S
        while not is_so():
            assert monotonic() < deadline, (self.found, self.lines)
            self.is_awake.wait(0.05)
            self.is_awake.clear()
            if self.discovery:
                self.found += self.discovery.take()


@pytest.fixture
def sites() -> Iterator[tuple[Site, Site]]:
    pair = Site("one", 17071), Site("other", 17072)
    yield pair
    for site in pair:
        site.close()


def test_agents_on_a_network_find_each_other_and_one_that_returns_is_found_again(sites: tuple[Site, Site]) -> None:
    one, other = sites
    one.welcome.add(other.peer)
    other.welcome.add(one.peer)
    one.open()
    other.open()
    digest = training_digest(FINGERPRINT)
    for site, seen in ((one, other), (other, one)):
        site.until(lambda site=site: bool(site.found))  # type: ignore[misc]
        assert site.found == [
            LanAgent(seen.peer, seen.name, str(PROTOCOL_VERSION), digest, (f"tcp://127.0.0.1:{seen.port}",))
        ]

    other.close()
    other.port = 17073
    other.open()
    one.until(lambda: len(one.found) == 2)
    assert one.found[1].addresses == ("tcp://127.0.0.1:17073",)


def test_a_stranger_is_told_of_in_the_log_and_nothing_more(sites: tuple[Site, Site]) -> None:
    one, other = sites
    one.open()
    other.open()
    one.until(lambda: bool(one.lines))
    told = [line for line in one.lines if other.peer in line]
    assert told == [f"other is on the LAN; to train with it, put its key into security.allowed_peers: '{other.peer}'"]
    assert one.found == []


def test_two_networks_are_told_apart() -> None:
    peer = generate_keys().public
    heard = {
        parse_service(service_info(agent, ("tcp://192.168.7.5:7070",)), HOME)
        for agent in (
            announcement(peer, "a", FINGERPRINT | {"network": network}, None) for network in ("ward 01", "ward 02")
        )
    }
    assert {agent.network for agent in heard if agent is not None} == {"ward 01", "ward 02"}
    assert len({agent.training for agent in heard if agent is not None}) == 2


def test_what_is_said_is_what_is_heard() -> None:
    peer = generate_keys().public
    agent = announcement(peer, "Großrechner.2", FINGERPRINT, None)
    info = service_info(agent, ("tcp://192.168.7.5:7070", "tcp://[2001:db8::5]:7070"))
    heard = parse_service(info, HOME)
    assert heard is not None
    assert (heard.peer, heard.name, heard.training) == (peer, "Großrechner.2", training_digest(FINGERPRINT))
    assert heard.addresses == ("tcp://192.168.7.5:7070", "tcp://[2001:db8::5]:7070")


def test_an_advertised_address_is_the_one_that_is_told() -> None:
    agent = announcement(generate_keys().public, "a", FINGERPRINT, "tcp://gate.example:17070")
    heard = parse_service(service_info(agent, ("tcp://192.168.7.5:7070",)), HOME)
    assert heard is not None
    assert heard.addresses == ("tcp://gate.example:17070",)


def test_addresses_in_networks_of_ours_come_first_and_those_that_are_ours_last() -> None:
    agent = announcement(generate_keys().public, "a", FINGERPRINT, None)
    told = ("172.17.0.1", "10.0.0.9", "192.168.7.5", "fe80::1", "2001:db8::5")
    heard = parse_service(service_info(agent, [f"tcp://{_host(host)}:7070" for host in told]), HOME)
    assert heard is not None
    assert heard.addresses == tuple(
        f"tcp://{_host(host)}:7070" for host in ("192.168.7.5", "10.0.0.9", "2001:db8::5", "172.17.0.1")
    )


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@pytest.mark.parametrize(
    ("entry", "value"),
    [("key", b"no key"), ("key", b"\xff" * 40), ("address", b"7070"), ("address", b"tcp://a b:1")],
)
def test_who_says_nonsense_is_nobody(entry: str, value: bytes) -> None:
    info = service_info(announcement(generate_keys().public, "a", FINGERPRINT, None), ("tcp://192.168.7.5:7070",))
    assert parse_service(_with(info.properties, entry, value), HOME) is None


def test_names_cannot_hold_control_characters_nor_go_on_for_ever() -> None:
    info = service_info(announcement(generate_keys().public, "a", FINGERPRINT, None), ("tcp://192.168.7.5:7070",))
    heard = parse_service(_with(info.properties, "name", b"x\n\x1b[2J" + b"y" * 230), HOME)
    assert heard is not None
    assert heard.name == "x[2J" + "y" * 194


def _with(properties: Mapping[bytes, bytes | None], entry: str, value: bytes) -> ServiceInfo:
    texts = {**properties, entry.encode(): value}
    return ServiceInfo(
        "_p2pnet._tcp.local.", "x._p2pnet._tcp.local.", port=7070, properties=texts, parsed_addresses=["192.168.7.5"]
    )


def test_fingerprints_have_the_same_digest_exactly_when_they_are_equal() -> None:
    assert training_digest({"a": "1", "b": "2"}) == training_digest({"b": "2", "a": "1"})
    others = [{"a": "1"}, {"a": "12", "b": ""}, {"a": "1", "b": "3"}, {"a": "1", "c": "2"}]
    assert len({training_digest(fingerprint) for fingerprint in [{"a": "1", "b": "2"}, *others]}) == 5


def test_an_agent_bound_to_one_address_is_heard_there_only() -> None:
    assert [str(interface.ip) for interface in lan_interfaces("tcp://127.0.0.1:7070")] == ["127.0.0.1"]
    assert all(interface.version == 4 for interface in lan_interfaces("tcp://0.0.0.0:7070"))
    assert set(lan_interfaces("tcp://0.0.0.0:7070")) <= set(lan_interfaces("none"))
    assert lan_interfaces("tcp://192.0.2.1:7070") == ()
