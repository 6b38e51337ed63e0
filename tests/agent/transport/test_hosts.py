"""By which name or address others dial this machine."""

import socket

import pytest

from p2pnet.agent.transport import hosts


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names that resolve; all others do not."""
    table: dict[str, list[str]] = {}

    def resolve(host: str) -> list[str]:
        if host not in table:
            raise socket.gaierror(host)
        return table[host]

    monkeypatch.setattr(hosts, "resolve", resolve)
    return table


def test_the_machines_name_is_told_where_it_is_no_loopback_address_or_where_others_alone_may_know_it(
    known: dict[str, list[str]],
) -> None:
    known["here"] = ["192.0.2.7"]
    assert hosts.own_host("here", None) == "here"
    assert hosts.own_host("unknown", "198.51.100.1") == "unknown"


def test_a_name_that_is_the_loopback_here_gives_way_to_the_address_towards_the_others(
    known: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    known |= {"debian": ["127.0.1.1"], "seed": ["198.51.100.1"], "192.0.2.1": ["192.0.2.1"]}
    monkeypatch.setattr(
        hosts, "_address_towards", {"seed": "198.51.100.7", "192.0.2.1": "203.0.113.7", "2001:db8::1": None}.get
    )
    assert hosts.own_host("debian", "seed") == "198.51.100.7"
    assert hosts.own_host("debian", "elsewhere") == "203.0.113.7"
    assert hosts.own_host("debian", None) == "203.0.113.7"


def test_without_any_way_out_the_name_stays(known: dict[str, list[str]]) -> None:
    known["debian"] = ["127.0.1.1"]
    known["seed"] = ["127.0.0.1"]
    assert hosts.own_host("debian", "seed") == "debian"
