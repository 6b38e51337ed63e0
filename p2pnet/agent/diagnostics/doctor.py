"""The diagnosis of connections and settings as text: `p2pnet doctor`.

First this agent is checked: settings, key, data, address. Then each agent that is named in the settings, or found on
the local network, gets a status query. Agents answer while they train, this machine's own agent too: queries use
connections of their own.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from p2pnet.agent.allow_list import AllowList
from p2pnet.agent.assembly import Preparation, prepare
from p2pnet.agent.diagnostics.check import counted
from p2pnet.agent.diagnostics.diagnosis import Examination, Finding, Outcome, Target
from p2pnet.agent.diagnostics.status_query import query_status
from p2pnet.agent.network_options import NetworkOptions
from p2pnet.agent.options import network_options
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.agent.transport.discovery import LanAgent, LanDiscovery, training_digest
from p2pnet.agent.transport.hosts import resolve
from p2pnet.agent.transport.keys import KeyPair, load_keys
from p2pnet.agent.transport.query import Unanswered
from p2pnet.config import read_settings
from p2pnet.errors import ConfigError, P2pnetError, SecurityError
from p2pnet.protocol.core.address import Address
from p2pnet.protocol.core.events import DialProblem
from p2pnet.protocol.core.types import PeerId

BROWSE_S = 3.0
_N_AT_ONCE = 16
_SIGNS = {Outcome.FINE: "✓", Outcome.WRONG: "✗", Outcome.DOUBTFUL: "!", Outcome.NOTE: "·"}
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "::": "::1"}  # noqa: S104  (recognised, not bound here)


def examine(agent_toml: Path, flags: Collection[str] = ()) -> Iterator[Finding]:
    """Yield findings as the checks are done; a status query without an answer takes some seconds."""
    try:
        settings = read_settings(agent_toml, flags)
    except ConfigError as error:
        yield Finding(Outcome.WRONG, "settings", str(error))
        return
    yield Finding(Outcome.FINE, "settings", f"{agent_toml} can be read, for agent {settings.agent.name}")
    try:
        keys = load_keys(settings.security.secret_key)
    except SecurityError as error:
        yield Finding(Outcome.WRONG, "key", str(error))
        return
    yield Finding(Outcome.FINE, "key", f"this agent is known to others as '{keys.public}'")
    preparation = None
    try:
        preparation = prepare(settings)
    except P2pnetError as error:
        yield Finding(Outcome.WRONG, _subject_of(error), str(error))
    else:
        train = preparation.parts.train
        samples = f"{counted(train.n_samples, 'training sample')} of {counted(train.n_features, 'feature')}"
        yield Finding(Outcome.FINE, "data", samples)
    state = StateDirectory(settings.agent.state_dir)
    clock_s = time.time()
    last = state.incarnation
    if (damage := state.damage(clock_s)) is not None:
        last = 0
        yield Finding(Outcome.DOUBTFUL, "state", damage)
    incarnation = last if state.is_held else max(last + 1, int(clock_s))
    network = network_options(settings)
    yield from _own_address(network, keys, preparation, state)
    has_records = settings.security.network is not None
    examination = Examination(keys, preparation.fingerprint if preparation else None, incarnation, has_records)
    allowed = preparation.allow_list if preparation else AllowList(network.allowed)
    yield from _others(network, examination, allowed)


def _subject_of(error: P2pnetError) -> str:
    """What of this agent's files is wrong."""
    match error:
        case ConfigError():
            return "settings"
        case SecurityError():
            return "records"
        case _:
            return "data"


# Checks of this agent.


def _own_address(
    network: NetworkOptions, keys: KeyPair, preparation: Preparation | None, state: StateDirectory
) -> Iterator[Finding]:
    bind = network.bind
    is_running = state.is_held
    if is_running:
        yield Finding(Outcome.NOTE, "state", f"the agent is running, in {state.path}")
    else:
        try:
            state.check()
        except ConfigError as error:
            yield Finding(Outcome.WRONG, "state", str(error))
    if bind == "none":
        yield Finding(Outcome.FINE, "address", "this agent only dials out")
        return
    if is_running:
        yield _running_agents_address(bind, keys)
    elif preparation is not None:
        try:
            preparation.open_transport().close(0.0)
        except P2pnetError as error:
            yield Finding(Outcome.WRONG, "address", str(error))
            return
        yield Finding(Outcome.FINE, "address", f"{bind} is free to listen on")
    yield from _advertised(network)


def _running_agents_address(bind: str, keys: KeyPair) -> Finding:
    """Whether the agent that listens there has this agent's key: only then can its handshake refuse that key."""
    where = Address.parse(bind)
    try:
        found = [query_status(keys, keys.public, Address(host, where.port)) for host in _hosts(where)]
    except (OSError, UnicodeError):
        found = []
    if any(isinstance(one, Unanswered) and one.problem is DialProblem.NOT_ALLOWED for one in found):
        return Finding(Outcome.FINE, "address", f"the running agent listens on {bind}")
    return Finding(
        Outcome.WRONG,
        "address",
        f"the running agent does not listen on {bind}: the settings may have changed since it was started; restart it",
    )


def _hosts(where: Address) -> list[str]:
    return [_WILDCARDS[where.host]] if where.host in _WILDCARDS else resolve(where.host)


def _advertised(network: NetworkOptions) -> Iterator[Finding]:
    """Whether other agents can dial the advertised address."""
    advertised = network.advertised_address or ""
    host = Address.parse(advertised).host
    try:
        addresses = resolve(host)
    except (OSError, UnicodeError):
        yield Finding(
            Outcome.DOUBTFUL,
            "address",
            f"others are told to dial {advertised}, and {host} does not resolve even here: set network.advertise to "
            "an address by which others reach this machine",
        )
        return
    is_local = all(_is_loopback(address) for address in addresses)
    if is_local and not _is_loopback_host(Address.parse(network.bind).host):
        yield Finding(
            Outcome.DOUBTFUL,
            "address",
            f"others are told to dial {advertised}, which is {addresses[0]} here, an address of no other machine: set "
            "network.advertise to an address by which others reach this machine",
        )


def _is_loopback(address: str) -> bool:
    return address == "::1" or address.startswith("127.")


def _is_loopback_host(host: str) -> bool:
    return _is_loopback(host) or host == "localhost"


# Checks of other agents.


def _others(network: NetworkOptions, examination: Examination, allowed: AllowList) -> Iterator[Finding]:
    kind = "" if network.neighbors else "seed "
    targets = [
        Target(peer.name or f"{kind}{_short(peer.key)}", peer.key, _given(peer.address)) for peer in network.named
    ]
    found: dict[PeerId, LanAgent] = {}
    if network.is_discovering:
        found = _browse(network.bind, examination.keys.public)
        yield from _strangers(found, allowed, examination)
        known = {target.peer for target in targets}
        targets = [
            Target(target.name, target.peer, target.addresses or _where(found, target.peer)) for target in targets
        ]
        if not network.neighbors:
            targets += [
                Target(agent.name, agent.peer, agent.addresses)
                for agent in found.values()
                if agent.peer in allowed and agent.peer not in known
            ]
    yield from _without_address(targets, network)
    if not targets:
        yield Finding(Outcome.NOTE, "peers", "no agent to ask is named: others have to dial this one")
    reachable = [target for target in targets if target.addresses]
    with ThreadPoolExecutor(_N_AT_ONCE) as pool:
        for findings in pool.map(examination.findings, reachable):
            yield from findings


def _given(address: str | None) -> tuple[str, ...]:
    return () if address is None else (address,)


def _where(found: Mapping[PeerId, LanAgent], peer: PeerId) -> tuple[str, ...]:
    return found[peer].addresses if peer in found else ()


def _without_address(targets: Collection[Target], network: NetworkOptions) -> Iterator[Finding]:
    for target in targets:
        if not target.addresses and network.is_discovering:
            words = "not found on the local network: start it there with network.discovery = mdns, or give its address"
            yield Finding(Outcome.WRONG, target.name, words)
        elif not target.addresses:
            words = f"no address is given for it: it has to dial this agent, at {network.advertised_address}"
            yield Finding(Outcome.NOTE, target.name, words)


def _strangers(found: Mapping[PeerId, LanAgent], allowed: AllowList, examination: Examination) -> Iterator[Finding]:
    fingerprint = examination.fingerprint
    for agent in found.values():
        if agent.peer not in allowed:
            is_alike = fingerprint is not None and agent.training == training_digest(fingerprint)
            how = (
                "invite it: p2pnet invite"
                if examination.has_records
                else f"put its key into security.allowed_peers: '{agent.peer}'"
            )
            words = (
                f"on the local network, trains {'the same' if is_alike else 'something else'}, and is not allowed to "
                f"talk to this agent: to train with it, {how}"
            )
            yield Finding(Outcome.NOTE, agent.name, words)


def _browse(bind: str, own: PeerId) -> dict[PeerId, LanAgent]:
    """The agents that announce themselves on the local network within some seconds."""
    if bind != "none":
        where = Address.parse(bind)
        host = "0.0.0.0" if where.host == "*" else where.host  # noqa: S104
        bind = str(Address(host if host in _WILDCARDS else _hosts(where)[0], where.port))
    discovery = LanDiscovery(
        None, bind, lambda peer: peer != own, threading.Event().set, logging.Logger("doctor", logging.CRITICAL)
    )
    discovery.start()
    time.sleep(BROWSE_S)
    discovery.close(BROWSE_S)
    return {agent.peer: agent for agent in discovery.take()}


def _short(peer: PeerId) -> str:
    return f"{peer[:8]}…"


# Output.


def is_well(findings: Collection[Finding]) -> bool:
    """Whether no finding is wrong."""
    return all(finding.outcome is not Outcome.WRONG for finding in findings)


def as_line(finding: Finding) -> str:
    return f"{_SIGNS[finding.outcome]} {finding.subject}: {finding.words}"


def as_json(findings: Collection[Finding]) -> str:
    return json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2)
