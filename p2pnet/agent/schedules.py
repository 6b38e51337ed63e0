"""Schedules: graphs that change from round to round, agreed on beforehand."""

from __future__ import annotations

import hashlib

from p2pnet.config import NetworkSettings
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.rounds.mixing import MetropolisMixing, Mixing, OnePeerExponential, RandomMatching


def make_mixing(network: NetworkSettings, me: PeerId) -> Mixing:
    """Build the mixing rule; that of a schedule follows from the keys of all agents and the shared seed."""
    match network.schedule:
        case "one-peer-exponential":
            return OnePeerExponential(me, _members(network, me))
        case "matching":
            return RandomMatching(me, _members(network, me), network.schedule_seed)
        case "all":
            return MetropolisMixing()


def describe_schedule(network: NetworkSettings, me: PeerId) -> dict[str, str]:
    """Describe the schedule for the fingerprint, by which agents with different schedules refuse each other."""
    if network.schedule == "all":
        return {}
    members = _members(network, me)
    digest = hashlib.sha256("\0".join(members).encode()).hexdigest()[:8]
    return {"schedule": f"{network.schedule}, seed {network.schedule_seed}, {len(members)} agents ({digest})"}


def _members(network: NetworkSettings, me: PeerId) -> tuple[PeerId, ...]:
    """All agents, sorted by key: each agent names all others."""
    return tuple(sorted({me, *(neighbor.public_key for neighbor in network.neighbors)}))
