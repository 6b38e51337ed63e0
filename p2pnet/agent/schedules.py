"""Graphs that change with every round, agreed on beforehand: who exchanges shares with whom, and when."""

from __future__ import annotations

import hashlib

from p2pnet.config import NetworkSettings
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.rounds.mixing import MetropolisMixing, Mixing, OnePeerExponential, RandomMatching


def make_mixing(network: NetworkSettings, me: PeerId) -> Mixing:
    """The weights of each round; those of a schedule follow from the keys of all agents and the seed they share."""
    match network.schedule:
        case "one-peer-exponential":
            return OnePeerExponential(me, _members(network, me))
        case "matching":
            return RandomMatching(me, _members(network, me), network.schedule_seed)
        case "all":
            return MetropolisMixing()


def describe_schedule(network: NetworkSettings, me: PeerId) -> dict[str, str]:
    """The entry of the fingerprint by which agents that keep to different schedules refuse each other."""
    if network.schedule == "all":
        return {}
    members = _members(network, me)
    digest = hashlib.sha256("\0".join(members).encode()).hexdigest()[:8]
    return {"schedule": f"{network.schedule}, seed {network.schedule_seed}, {len(members)} agents ({digest})"}


def _members(network: NetworkSettings, me: PeerId) -> tuple[PeerId, ...]:
    """All agents, in the order of their keys: everybody names everybody else."""
    return tuple(sorted({me, *(neighbor.public_key for neighbor in network.neighbors)}))
