"""Discovery of agents on the local network by mDNS and DNS-SD (RFC 6762, RFC 6763).

An agent announces its public key and addresses under `_p2pnet._tcp.local.`, and collects the announcements of others.
Announcements are unverified: they only tell where to dial; the peer that answers has to prove its key.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import queue
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, final

from p2pnet.agent.transport.keys import parse_public_key
from p2pnet.errors import SecurityError, TransportError
from p2pnet.protocol.core.address import Address
from p2pnet.protocol.core.codec import PROTOCOL_VERSION
from p2pnet.protocol.core.types import PeerId

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, ServiceStateChange, Zeroconf

SERVICE_TYPE = "_p2pnet._tcp.local."

_RESCAN_S = 5.0  # how often this machine's addresses are looked up again: a laptop joins a network, a lease changes
_RESOLVE_TIMEOUT_MS = 1000
_MAX_ADDRESSES = 8
_MAX_TEXT_BYTES = 200  # of one entry; DNS-SD has room for 255 with its name
_MAX_STRANGERS_TOLD = 16
_WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104  (recognised, not bound here)

Interface: TypeAlias = ipaddress.IPv4Interface | ipaddress.IPv6Interface


@dataclass(frozen=True, slots=True)
class LanAgent:
    """An agent's announcement on the local network; unverified."""

    peer: PeerId
    name: str
    version: str
    """of the protocol"""
    training: str
    """a digest of what must be equal for two agents to train together"""
    addresses: tuple[str, ...]
    """announced addresses, likely ones first; none for an agent that only dials out"""
    network: str = ""
    """name and id of the network that the agent belongs to by its records; empty for none"""


class Discovery(ABC):
    """The interface of discovery: announces this agent and finds others; called from the loop's thread."""

    @abstractmethod
    def start(self) -> None:
        """Start announcing and listening."""

    @abstractmethod
    def take(self) -> list[LanAgent]:
        """The agents that are new, or have new addresses, since the last call."""

    @abstractmethod
    def close(self, timeout_s: float) -> None:
        """Withdraw the announcement; what takes longer goes on in the background."""

    @property
    @abstractmethod
    def is_busy(self) -> bool:
        """Whether announcing or listening is active, or an announcement is still being withdrawn."""


@final
class NoDiscovery(Discovery):
    """No discovery: all addresses are in the settings, or come by gossip."""

    def start(self) -> None:
        return

    def take(self) -> list[LanAgent]:
        return []

    def close(self, timeout_s: float) -> None:
        return

    @property
    def is_busy(self) -> bool:
        return False


@final
class LanDiscovery(Discovery):
    """Discovery by mDNS on a thread of its own, which calls `wake` when there is news."""

    def __init__(
        self,
        announced: LanAgent | None,
        bind: str,
        is_welcome: Callable[[PeerId], bool],
        wake: Callable[[], None],
        log: logging.Logger,
        network: str = "",
    ) -> None:
        """`announced` is None for an agent that only listens; its address, if any, is announced instead of those of
        `bind`. `network` is that which the agent belongs to by its records.
        """
        self._network = network
        self._announced = announced
        self._bind = bind
        self._is_welcome = is_welcome
        self._wake = wake
        self._log = log
        self._interfaces: tuple[Interface, ...] = ()
        self._taken: queue.SimpleQueue[LanAgent] = queue.SimpleQueue()
        self._heard: dict[PeerId, tuple[str, LanAgent]] = {}
        self._strangers: set[PeerId] = set()
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="discovery", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def take(self) -> list[LanAgent]:
        agents = []
        while not self._taken.empty():
            agents.append(self._taken.get())
        return agents

    def close(self, timeout_s: float) -> None:
        self._is_ending.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    @property
    def is_busy(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        """Announce and listen; restart whenever this machine's addresses have changed."""
        from zeroconf import Error

        is_told = False
        while not self._is_ending.is_set():
            self._interfaces = lan_interfaces(self._bind)
            if not self._interfaces:
                self._is_ending.wait(_RESCAN_S)
                continue
            try:
                with self._session():
                    is_told = False
                    while not self._is_ending.wait(_RESCAN_S) and lan_interfaces(self._bind) == self._interfaces:
                        pass
            except (OSError, RuntimeError, Error) as error:  # an address has gone, a port cannot be had, a loop hangs
                if not is_told:
                    self._log.warning("cannot look for agents on the LAN: %s; trying again", error)
                is_told = True
                self._is_ending.wait(_RESCAN_S)

    @contextmanager
    def _session(self) -> Iterator[None]:
        from zeroconf import ServiceBrowser, Zeroconf

        # zeroconf warns of every interface without multicast in a log of its own, which no user needs.
        logging.getLogger("zeroconf").setLevel(logging.CRITICAL)
        zeroconf = Zeroconf(interfaces=[str(interface.ip) for interface in self._interfaces])
        browser = ServiceBrowser(zeroconf, SERVICE_TYPE, handlers=[self._hear])
        try:
            if self._announced is not None:
                # The name holds a digest of the key, so there is no need to ask first whether another agent has it.
                zeroconf.register_service(service_info(self._announced, self._told()), cooperating_responders=True)
            yield
        finally:
            browser.cancel()  # first: closing waits a second for whatever it still asks
            zeroconf.close()

    def _told(self) -> tuple[str, ...]:
        port = Address.parse(self._bind).port
        return tuple(str(Address(str(interface.ip), port)) for interface in self._interfaces)

    def _hear(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change.name == "Removed":  # should it come back, that is news
            self._heard = {peer: heard for peer, heard in self._heard.items() if heard[0] != name}
            return
        info = zeroconf.get_service_info(service_type, name, _RESOLVE_TIMEOUT_MS)
        agent = parse_service(info, self._interfaces) if info else None
        if agent is None or (self._announced is not None and agent.peer == self._announced.peer):
            return
        if not self._is_welcome(agent.peer):
            if not self._network and not agent.network:  # else keys come by records, or not at all
                self._tell_of_stranger(agent)
        elif agent.addresses and self._heard.get(agent.peer) != (name, agent):
            self._heard[agent.peer] = (name, agent)
            self._taken.put(agent)
            self._wake()

    def _tell_of_stranger(self, agent: LanAgent) -> None:
        if agent.peer in self._strangers or len(self._strangers) == _MAX_STRANGERS_TOLD:
            return
        self._strangers.add(agent.peer)
        self._log.info(
            "%s is on the LAN; to train with it, put its key into security.allowed_peers: '%s'", agent.name, agent.peer
        )


def training_digest(fingerprint: Mapping[str, str]) -> str:
    """A digest of the fingerprint: equal for agents that can train together."""
    text = "\0".join(f"{name}\0{value}" for name, value in sorted(fingerprint.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def announcement(peer: PeerId, name: str, fingerprint: Mapping[str, str], advertise: str | None) -> LanAgent:
    """The announcement of an agent with these settings."""
    addresses = (advertise,) if advertise else ()
    network = fingerprint.get("network", "")
    return LanAgent(peer, name, str(PROTOCOL_VERSION), training_digest(fingerprint), addresses, network)


def service_info(agent: LanAgent, told: Sequence[str]) -> ServiceInfo:
    """The announcement as a DNS-SD service at the numeric addresses `told`."""
    from zeroconf import ServiceInfo

    digest = hashlib.sha256(agent.peer.encode()).hexdigest()[:12]
    label = re.sub(r"[^A-Za-z0-9-]+", "-", agent.name)[:40]
    texts = {"key": agent.peer, "name": agent.name, "version": agent.version, "training": agent.training}
    if agent.network:
        texts["network"] = agent.network
    if agent.addresses:
        texts["address"] = agent.addresses[0]
    places = [Address.parse(address) for address in told]
    return ServiceInfo(
        SERVICE_TYPE,
        f"{label}-{digest}.{SERVICE_TYPE}",
        parsed_addresses=[place.host for place in places],
        port=places[0].port,
        properties={name: text.encode()[:_MAX_TEXT_BYTES] for name, text in texts.items()},
        server=f"p2pnet-{digest}.local.",
    )


def parse_service(info: ServiceInfo, own: Collection[Interface]) -> LanAgent | None:
    """Parse a DNS-SD service as an announcement, likely addresses first; None without key or port."""
    texts = {name: _text(value) for name, value in info.properties.items()}
    try:
        peer = parse_public_key(texts.get(b"key", ""))
        if b"address" in texts:
            addresses: tuple[str, ...] = (str(Address.parse(texts[b"address"])),)
        else:
            hosts = [host for host in info.parsed_scoped_addresses() if _is_dialable(host)]
            hosts.sort(key=lambda host: _unlikeliness(host, own))
            addresses = tuple(str(Address(host, info.port or 0)) for host in hosts[:_MAX_ADDRESSES])
    except (SecurityError, TransportError):
        return None
    name = texts.get(b"name", "") or peer
    version, training, network = (texts.get(key, "") for key in (b"version", b"training", b"network"))
    return LanAgent(peer, name, version, training, addresses if info.port else (), network)


def lan_interfaces(bind: str) -> tuple[Interface, ...]:
    """The addresses of this machine, with their networks, on which an agent bound to `bind` uses mDNS.

    `bind` is an address with a numeric host, or "none". All, where the agent is bound to all or to none; the loopback's
    only where there is no other.
    """
    import ifaddr

    interfaces: list[Interface] = []
    for adapter in ifaddr.get_adapters():
        for found in adapter.ips:
            host = found.ip[0] if isinstance(found.ip, tuple) else found.ip
            interfaces.append(ipaddress.ip_interface(f"{host}/{found.network_prefix}"))
    interfaces.sort(key=lambda interface: (interface.version, interface.ip))
    host = "::" if bind == "none" else Address.parse(bind).host
    if host in _WILDCARDS:
        usable = [interface for interface in interfaces if host == "::" or interface.version == 4]
        return tuple([interface for interface in usable if not interface.ip.is_loopback] or usable)
    bound = ipaddress.ip_address(host.partition("%")[0])
    return tuple(interface for interface in interfaces if interface.ip == bound)


def _is_dialable(host: str) -> bool:
    """Whether an address can be dialed: not an IPv6 link-local address without its scope."""
    ip = ipaddress.ip_address(host)
    return not (ip.version == 6 and ip.is_link_local and "%" not in host)


def _unlikeliness(host: str, own: Collection[Interface]) -> tuple[Any, ...]:
    """Sort key: first addresses in a network of this machine that are not its own (as 172.17.0.1 may be)."""
    ip = ipaddress.ip_address(host)
    is_ours = any(ip == interface.ip for interface in own)
    is_near = any(ip in interface.network for interface in own)
    return is_ours, not is_near, ip.version, host


def _text(value: bytes | None) -> str:
    """Unverified bytes as text without control characters."""
    text = (value or b"")[:_MAX_TEXT_BYTES].decode("utf-8", "replace")
    return "".join(sign for sign in text if sign.isprintable())
